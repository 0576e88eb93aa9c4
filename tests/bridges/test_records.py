"""Whatever a vehicle sends becomes one record: its payload untouched, or a dead letter that says why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.mqtt import Message
from bridges.properties import MessageProperties, encode_properties, read_length
from bridges.records import DEAD_LETTERS, KEPT_BYTES, Record, RecordMaker
from bridges.topics import Routes, Template
from pipeline.process import format_time, partition_of

NOW = 1_767_225_610_123
TOPIC = b"vehicles/v1/telemetry"


def maker(largest: int = 1_000_000) -> RecordMaker:
    template = Template.parse("vehicles/{vehicle_id}/telemetry", frozenset({"vehicle_id"}))
    return RecordMaker(Routes([(template, "vehicle.raw")], 8), 8, largest)


def message(
    topic: bytes = TOPIC, payload: bytes = b"{}", properties: bytes | MessageProperties = b""
) -> Message:
    if isinstance(properties, MessageProperties):
        encoded = encode_properties(properties)
        properties = encoded[read_length(encoded, 0)[1] :]
    return Message(topic, payload, properties, 1, 1, False, NOW)


def made(given: Message, largest: int = 1_000_000) -> tuple[Record, dict[str, bytes]]:
    record = maker(largest).make(given)
    return record, dict(record.headers)


def test_a_message_keeps_its_bytes_and_says_where_it_came_from() -> None:
    properties = MessageProperties(b"application/json", (("publish-id", b"7"), ("a", b"\xff")))
    record, headers = made(message(payload=b"\x00\xff", properties=properties))
    assert record[:5] == ("vehicle.raw", partition_of(b"v1", 8), NOW, b"v1", b"\x00\xff")
    assert record.code is None
    assert headers == {
        "mqtt-topic": TOPIC,
        "received-at": format_time(NOW).encode(),
        "content-type": b"application/json",
        "mqtt-user-publish-id": b"7",
        "mqtt-user-a": b"\xff",
    }


@pytest.mark.parametrize(
    ("sent", "code", "key"),
    [
        pytest.param(message(payload=b""), "payload-empty", b"v1", id="empty"),
        pytest.param(message(payload=b"x" * 5000), "payload-too-large", b"v1", id="too-large"),
        pytest.param(
            message(properties=b"\x26" + b"\x00" * 4000), "properties-invalid", None, id="properties"
        ),
        pytest.param(message(properties=b"\x7f"), "properties-invalid", None, id="unknown-property"),
        pytest.param(message(topic=b"vehicles/\xff/telemetry"), "vehicle-id-invalid", None, id="not-utf-8"),
        pytest.param(message(topic=b"vehicles//telemetry"), "vehicle-id-invalid", None, id="no-vehicle"),
        pytest.param(
            message(topic=b"vehicles/" + b"x" * 60_000 + b"/telemetry"),
            "vehicle-id-invalid",
            None,
            id="long-id",
        ),
        pytest.param(message(topic=b"elsewhere"), "topic-unknown", None, id="elsewhere"),
    ],
)
def test_what_cannot_be_used_is_a_dead_letter_with_code_and_reason(
    sent: Message, code: str, key: bytes | None
) -> None:
    record, headers = made(sent, largest=4096)
    assert (record.topic, record.code, record.key) == (DEAD_LETTERS, code, key)
    assert headers["code"] == code.encode()
    assert headers["reason"]
    assert headers["stage"] == b"uplink"
    assert headers["source-topic"].decode() == sent.topic[:1024].decode(errors="replace")
    assert headers["original-mqtt-topic"] == sent.topic[:1024]
    assert headers["original-received-at"] == format_time(NOW).encode()
    assert record.timestamp == NOW


def test_a_payload_too_large_for_kafka_is_cut_and_says_so() -> None:
    record, headers = made(message(payload=b"x" * 2_000_000))
    assert record.value == b"x" * KEPT_BYTES
    assert headers["truncated-from-bytes"] == b"2000000"
    assert "truncated-from-bytes" not in made(message(payload=b""))[1]


def test_what_kafka_turns_out_not_to_take_is_set_aside_later() -> None:
    records = maker()
    good, large = records.make(message(payload=b"x")), records.make(message(payload=b"x" * 50_000))
    records.lower(10_000)
    records.lower(20_000)
    assert records.largest == 10_000
    assert records.fit(good) is good
    dead = records.fit(large)
    assert (dead.code, dead.key, dead.timestamp) == ("payload-too-large", b"v1", NOW)
    assert dead.value == b"x" * 5_000
    records.lower(4_000)
    assert records.fit(dead).value == b"x" * 2_000


def test_many_small_properties_count_as_what_they_cost_in_kafka() -> None:
    properties = MessageProperties(user=tuple((f"{n}", b"") for n in range(500)))
    assert made(message(properties=properties), largest=10_000)[0].code == "payload-too-large"


@given(st.binary(max_size=60), st.binary(max_size=60), st.binary(max_size=60))
def test_any_message_becomes_one_record(topic: bytes, payload: bytes, properties: bytes) -> None:
    record = maker().make(message(topic, payload, properties))
    assert record.topic in {"vehicle.raw", DEAD_LETTERS}
    assert record.value == payload
    assert 0 <= record.partition < 8
    for name, _ in record.headers:
        name.encode()


@given(st.binary(min_size=1, max_size=60))
def test_a_vehicles_records_are_all_on_one_partition(payload: bytes) -> None:
    good, bad = maker().make(message(payload=payload)), maker().make(message(payload=b""))
    assert good.partition == bad.partition == partition_of(b"v1", 8)
