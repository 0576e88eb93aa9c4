"""A record is a command that can be sent, or it is refused with a code and a sentence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.commands import Addresses, Command, InvalidCommand, State, delivery, read_command
from bridges.topics import Template
from pipeline.process import format_time, parse_time, partition_of

PARTITIONS = 8
EXPIRES = "2026-01-01T00:01:00.000Z"


def addresses(
    command_topic: str = "vehicles/{vehicle_id}/commands/{name}",
    response_topic: str = "vehicles/{vehicle_id}/responses",
) -> Addresses:
    known = frozenset({"vehicle_id", "tenant", "name"})
    return Addresses(
        Template.parse(command_topic, known), Template.parse(response_topic, known), PARTITIONS, 1000
    )


def document(**changes: Any) -> dict[str, Any]:
    return {
        "id": "c1",
        "vehicleId": "v1",
        "name": "reduce-power",
        "payload": {"limit": 50},
        "expiresAt": EXPIRES,
        "cause": {"rule": "overspeed", "revision": 7, "alertId": "a1", "eventTime": None, "odd": [1]},
    } | changes


def read(value: object, where: Addresses | None = None, key: bytes | None = None) -> Command:
    if isinstance(value, dict):
        key = value["vehicleId"].encode() if key is None else key
        value = json.dumps(value).encode()
    partition = partition_of(key or b"", PARTITIONS)
    return read_command(key, value, partition, where or addresses())  # type: ignore[arg-type]


def test_a_command_becomes_a_message() -> None:
    command = read(document())
    assert command.topic == "vehicles/v1/commands/reduce-power"
    assert json.loads(command.payload) == {"limit": 50}
    properties = command.properties(parse_time("2026-01-01T00:00:10.001Z"))
    assert properties.correlation == b"c1"
    assert properties.response_topic == b"vehicles/v1/responses"
    assert properties.content_type == b"application/json"
    assert properties.expiry_s == 49
    assert dict(properties.user) == {
        "id": b"c1",
        "expires-at": EXPIRES.encode(),
        "cause-rule": b"overspeed",
        "cause-revision": b"7",
        "cause-alert-id": b"a1",
    }


@pytest.mark.parametrize("payload", [None, [], "x", 1.5, {}])
def test_any_json_is_a_payload(payload: object) -> None:
    assert json.loads(read(document(payload=payload)).payload) == payload


def test_a_tenant_is_the_first_part_of_the_vehicles_id() -> None:
    where = addresses("{tenant}/{vehicle_id}/{name}", "{tenant}/{vehicle_id}/r")
    command = read(document(vehicleId="acme/v1"), where)
    assert (command.topic, command.response_topic) == ("acme/v1/reduce-power", "acme/v1/r")
    assert command.vehicle_id == "acme/v1"


def without(name: str) -> dict[str, Any]:
    rest = document()
    del rest[name]
    return rest


@pytest.mark.parametrize(
    ("value", "code", "reason"),
    [
        pytest.param(None, "command-invalid", "it is not JSON", id="no-value"),
        pytest.param(b"{", "command-invalid", "it is not JSON", id="no-json"),
        pytest.param(b"[]", "command-invalid", "it is not a JSON object", id="no-object"),
        pytest.param(without("id"), "command-invalid", "id is missing", id="no-id"),
        pytest.param(document(id=7), "command-invalid", "id is missing or no text", id="id-a-number"),
        pytest.param(document(id="x" * 70_000), "command-invalid", "id is longer", id="id-too-long"),
        pytest.param(document(name="a/b"), "command-invalid", "name holds", id="name-with-a-level"),
        pytest.param(document(name="#"), "command-invalid", "name holds", id="name-a-wildcard"),
        pytest.param(document(name="x" * 201), "command-invalid", "name is longer", id="name-too-long"),
        pytest.param(
            document(vehicleId="a/b"), "command-invalid", "vehicle id holds", id="vehicle-with-a-level"
        ),
        pytest.param(document(vehicleId="+"), "command-invalid", "vehicle id holds", id="vehicle-a-wildcard"),
        pytest.param(without("payload"), "command-invalid", "payload is missing", id="no-payload"),
        pytest.param(document(expiresAt="soon"), "command-invalid", "expiresAt: ", id="no-time"),
        pytest.param(document(expiresAt=5), "command-invalid", "expiresAt is missing", id="time-a-number"),
        pytest.param(document(payload="x" * 1000), "payload-too-large", "more than 1000", id="too-large"),
    ],
)
def test_what_is_no_command_is_refused_with_its_reason(value: object, code: str, reason: str) -> None:
    with pytest.raises(InvalidCommand, match=reason) as caught:
        read(value)
    assert caught.value.code == code


def test_the_key_and_the_partition_are_the_vehicles() -> None:
    with pytest.raises(InvalidCommand, match="not the record's key"):
        read(document(), key=b"v2")
    with pytest.raises(InvalidCommand, match="not the record's key"):
        read_command(None, json.dumps(document()).encode(), 0, addresses())
    wrong = (partition_of(b"v1", PARTITIONS) + 1) % PARTITIONS
    with pytest.raises(InvalidCommand, match="belongs to partition") as caught:
        read_command(b"v1", json.dumps(document()).encode(), wrong, addresses())
    assert caught.value.code == "wrong-partition"


def test_a_cause_too_long_for_mqtt_is_refused() -> None:
    with pytest.raises(InvalidCommand, match="longer than MQTT can carry"):
        read(document(cause={"rule": "x" * 70_000}))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3),
)


@given(
    st.binary(max_size=50)
    | st.dictionaries(
        st.sampled_from(["id", "vehicleId", "name", "payload", "expiresAt", "cause"]), json_values
    ).map(lambda fields: json.dumps(fields).encode())
    | st.text(min_size=1, max_size=20).map(lambda text: json.dumps(document(vehicleId=text)).encode())
)
def test_any_value_is_a_command_or_refused(value: bytes) -> None:
    try:
        key = json.loads(value)["vehicleId"].encode()
    except Exception:
        key = b"v1"
    try:
        command = read_command(key, value, partition_of(key, PARTITIONS), addresses())
    except InvalidCommand:
        return
    assert command.topic.startswith("vehicles/")


def test_the_brokers_seconds_never_outlast_the_command() -> None:
    command = read(document())
    expires_at = parse_time(EXPIRES)
    assert command.properties(expires_at - 2999).expiry_s == 2
    assert command.properties(expires_at - 1).expiry_s == 1


def test_a_delivery_says_what_became_of_it() -> None:
    at = parse_time(EXPIRES)
    assert json.loads(delivery(read(document()), State.UNDELIVERABLE, at, "why")) == {
        "id": "c1",
        "vehicleId": "v1",
        "name": "reduce-power",
        "state": "undeliverable",
        "at": format_time(at),
        "reason": "why",
    }
