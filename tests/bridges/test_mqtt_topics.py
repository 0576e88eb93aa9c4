"""Templates are subscriptions and addresses; a vehicle id is what a key, a topic and a state can carry."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.topics import GREATEST_ID_BYTES, Misfit, Routes, Template, unfit
from pipeline.process import partition_of

ADDRESSES = frozenset({"vehicle_id", "tenant"})


def template(text: str) -> Template:
    return Template.parse(text, ADDRESSES)


def routes(*texts: str) -> Routes:
    return Routes([(template(text), "vehicle.raw") for text in texts], 8)


def test_a_template_is_a_shared_subscription() -> None:
    both = routes("vehicles/{vehicle_id}/telemetry", "t/{tenant}/v/{vehicle_id}")
    assert both.filters("telltale") == ["$share/telltale/vehicles/+/telemetry", "$share/telltale/t/+/v/+"]


def test_a_topic_says_where_its_records_go() -> None:
    found = routes("vehicles/{vehicle_id}/telemetry").find(b"vehicles/v1/telemetry")
    assert found.topic == "vehicle.raw"
    assert found.key == b"v1"
    assert found.partition == partition_of(b"v1", 8)
    assert found.headers == (("mqtt-topic", b"vehicles/v1/telemetry"),)


def test_a_tenant_stands_in_front_of_the_vehicle() -> None:
    found = routes("{tenant}/{vehicle_id}/telemetry").find(b"acme/v1/telemetry")
    assert found.key == b"acme/v1"
    assert ("tenant", b"acme") in found.headers


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("vehicles/telemetry", "needs {vehicle_id}", id="no-vehicle"),
        pytest.param("v/{vehicle_id}/{model}", "{model} is unknown", id="unknown"),
        pytest.param("v/{vehicle_id}/{vehicle_id}", "stands there twice", id="twice"),
        pytest.param("v/x{vehicle_id}", "plain text or one placeholder", id="part-of-a-level"),
        pytest.param("v/+/{vehicle_id}", "plain text or one placeholder", id="wildcard"),
        pytest.param("v/#", "plain text or one placeholder", id="multi-level"),
        pytest.param("$share/g/{vehicle_id}", "no MQTT topic", id="shared"),
    ],
)
def test_a_template_that_cannot_be_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("{", r"\{").replace("}", r"\}")):
        template(text)


def test_two_templates_for_one_topic_are_refused() -> None:
    with pytest.raises(ValueError, match="take the same topics"):
        routes("v/{vehicle_id}/x", "{vehicle_id}/a/x")
    routes("v/{vehicle_id}/x", "v/{vehicle_id}/y")


@pytest.mark.parametrize(
    ("topic", "code"),
    [
        pytest.param(b"v//telemetry", "vehicle-id-invalid", id="empty"),
        pytest.param(b"v/" + b"x" * 257 + b"/telemetry", "vehicle-id-invalid", id="long"),
        pytest.param(b"v/\xff\xfe/telemetry", "vehicle-id-invalid", id="not-utf-8"),
        pytest.param(b"v/a\x00b/telemetry", "vehicle-id-invalid", id="zero"),
        pytest.param("v/a\u0085b/telemetry".encode(), "vehicle-id-invalid", id="control"),
        pytest.param(b"v/a+/telemetry", "vehicle-id-invalid", id="wildcard"),
        pytest.param(b"v/a/b/telemetry", "topic-unknown", id="another-template"),
        pytest.param(b"", "topic-unknown", id="nothing"),
    ],
)
def test_a_topic_that_no_vehicle_has_is_a_misfit(topic: bytes, code: str) -> None:
    with pytest.raises(Misfit) as caught:
        routes("v/{vehicle_id}/telemetry").find(topic)
    assert caught.value.code == code


def test_tenant_and_vehicle_share_the_bound_of_a_key() -> None:
    with pytest.raises(Misfit, match="together"):
        routes("{tenant}/{vehicle_id}").find(b"t" * 200 + b"/" + b"v" * 200)


@given(st.binary(max_size=400))
def test_any_topic_has_a_place_or_a_code(topic: bytes) -> None:
    with contextlib.suppress(Misfit):
        found = routes("v/{vehicle_id}/telemetry", "{tenant}/{vehicle_id}").find(topic)
        assert 0 < len(found.key) <= GREATEST_ID_BYTES


@given(st.text(max_size=300))
def test_what_fits_comes_back_from_the_topic_it_was_put_in(vehicle: str) -> None:
    if unfit(vehicle):
        return
    written = template("v/{vehicle_id}/commands")
    levels = written.fill({"vehicle_id": vehicle}).encode().split(b"/")
    assert written.match(levels) == {"vehicle_id": vehicle.encode()}


def test_a_found_topic_is_remembered_and_a_flood_of_topics_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridges.topics._REMEMBERED", 10)
    all_routes = routes("v/{vehicle_id}")
    first = all_routes.find(b"v/0")
    assert all_routes.find(b"v/0") is first
    for n in range(50):
        all_routes.find(b"v/%d" % n)
    assert len(all_routes._known) <= 10
