"""A topic's schema takes its records, refuses one without a required key, and allows more keys."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from pipeline.process import TOPICS, ConfigurationError, Topic, format_time
from pipeline.schemas import find_topic, schema_of, schema_text, short_name

AT = format_time(1_767_225_610_000)
PLACE = {"latitude": 31.2, "longitude": 121.4}
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "telemetry.json": [
        {
            "vehicleId": "v1",
            "ts": AT,
            "receivedAt": AT,
            "sequence": 17,
            "signals": {"Vehicle.Speed": 131.0, "Vehicle.IsMoving": True, "Vehicle.Gear": "D"},
            "position": PLACE,
        },
        {"vehicleId": "v1", "ts": AT, "receivedAt": AT, "sequence": None, "signals": {}},
        {"receivedAt": AT},
    ],
    "alert.json": [
        {
            "id": "a",
            "rule": "overspeed",
            "revision": 7,
            "vehicleId": "v1",
            "state": "firing",
            "severity": "warning",
            "startsAt": AT,
            "firedAt": AT,
            "endsAt": None,
            "value": 131.0,
            "peak": 131.0,
            "position": PLACE,
            "labels": {},
            "annotations": {"summary": "131 km/h"},
            "reason": None,
            "by": None,
            "receivedAt": AT,
        },
        {
            "id": "a",
            "rule": "overspeed",
            "revision": 7,
            "vehicleId": "v1",
            "state": "resolved",
            "severity": "critical",
            "startsAt": AT,
            "firedAt": AT,
            "endsAt": AT,
            "value": None,
            "peak": 131.0,
            "position": None,
            "labels": {"team": "safety"},
            "annotations": {},
            "reason": "stale",
            "by": "silence",
            "receivedAt": AT,
        },
        {
            "id": "g",
            "rule": "hot-models",
            "revision": 7,
            "vehicleId": None,
            "group": {"model": "ET5"},
            "state": "firing",
            "severity": "warning",
            "startsAt": AT,
            "firedAt": AT,
            "endsAt": None,
            "value": 56.0,
            "peak": 56.0,
            "position": None,
            "labels": {},
            "annotations": {},
            "reason": None,
            "by": None,
            "receivedAt": AT,
        },
    ],
    "command.json": [
        {
            "id": "c",
            "vehicleId": "v1",
            "name": "reduce-power",
            "payload": {"limit": 50},
            "expiresAt": AT,
            "cause": {"rule": "r", "revision": 1, "alertId": "a", "eventTime": None, "receivedAt": AT},
        }
    ],
    "command-delivery.json": [
        {
            "id": "c",
            "vehicleId": "v1",
            "name": "reduce-power",
            "state": "expired",
            "at": AT,
            "reason": "too late",
        }
    ],
    "command-response.json": [
        {"id": "c", "status": "rejected", "reason": "in motion", "at": "2026-01-01T00:00:10Z"}
    ],
    "command-status.json": [
        {
            "id": "c",
            "vehicleId": "v1",
            "name": "reduce-power",
            "state": "acknowledged",
            "at": AT,
            "reason": None,
        }
    ],
    "geofence-event.json": [
        {
            "id": "g",
            "rule": "depot-visits",
            "fence": "depot-1",
            "vehicleId": "v1",
            "event": "exit",
            "startsAt": AT,
            "confirmedAt": AT,
            "visitSeconds": 912.0,
            "position": PLACE,
        }
    ],
    "aggregate.json": [
        {
            "id": "w",
            "rule": "battery-temperature-hourly",
            "revision": 7,
            "group": {"model": "ET5"},
            "vehicleId": None,
            "windowStart": AT,
            "windowEnd": AT,
            "values": {"p95": 41.2, "samples": 3120},
            "final": True,
            "update": 0,
            "by": None,
            "receivedAt": AT,
        }
    ],
    "late.json": [
        {
            "id": "l",
            "rule": "battery-temperature-hourly",
            "revision": 7,
            "vehicleId": "v1",
            "ts": AT,
            "receivedAt": AT,
            "signals": {"Vehicle.Speed": 131.0},
        }
    ],
    "registration.json": [
        {
            "vehicleId": "v1",
            "labels": {"model": "ET5"},
            "attributes": {"speedLimit": 90.0, "hazmat": True, "depot": "north"},
        },
        {},
    ],
    "rule-status.json": [
        {"stage": "alerts", "worker": "alerts-0", "revision": 3, "at": AT},
        {
            "stage": "alerts",
            "worker": "alerts-0",
            "revision": 4,
            "at": AT,
            "stable": 3,
            "percent": 12.5,
            "comparison": {
                "candidate": {"events": 10, "fired": 2, "errors": 0, "costMicroseconds": 61.5},
                "stable": {"events": 10, "fired": 1, "errors": 0, "costMicroseconds": 58.0},
            },
            "firing": {"overspeed": 7},
        },
    ],
    "shadow.json": [
        {
            "id": "s",
            "rule": "overspeed",
            "revision": 7,
            "vehicleId": "v1",
            "track": "stable",
            "topic": "vehicle.alerts",
            "record": {
                "state": "firing",
                "severity": "warning",
                "rule": "overspeed",
                "startsAt": AT,
                "endsAt": None,
                "value": 131.0,
                "annotations": {},
            },
            "receivedAt": AT,
        },
        {
            "id": "s",
            "rule": "battery-temperature-hourly",
            "revision": 7,
            "vehicleId": None,
            "track": "shadow",
            "topic": "maintenance.requests",
            "record": {},
            "receivedAt": AT,
        },
    ],
    "raw.headers.json": [{"mqtt-topic": "vehicles/v1/telemetry", "received-at": AT}, {"received-at": AT}],
    "dead-letter.headers.json": [
        {
            "code": "payload-not-json",
            "reason": "it is not JSON",
            "stage": "normalize",
            "source-topic": "vehicle.raw",
            "source-partition": "3",
            "source-offset": "17",
        },
        {"code": "topic-unknown", "reason": "no route", "stage": "uplink", "source-topic": "a/b"},
    ],
}
EVERY = [
    pytest.param(file, example, id=f"{file}-{number}")
    for file, examples in EXAMPLES.items()
    for number, example in enumerate(examples)
]


def validate(file: str, record: Mapping[str, Any]) -> None:
    schema = json.loads(schema_text(file))
    Draft202012Validator(schema, format_checker=FormatChecker()).validate(record)


def test_every_schema_that_ships_is_one_and_has_an_example() -> None:
    shipped = {
        entry.name for entry in resources.files("pipeline.schemas").iterdir() if entry.name.endswith(".json")
    }
    assert shipped == EXAMPLES.keys()
    for file in shipped:
        schema = json.loads(schema_text(file))
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert schema["$id"].endswith(f"/{file}")


def test_every_schema_belongs_to_a_topic() -> None:
    used = {file for topic in TOPICS.values() for file in (topic.schema, topic.headers) if file}
    assert used == EXAMPLES.keys()


@pytest.mark.parametrize("topic", [pytest.param(topic, id=topic.name) for topic in TOPICS.values()])
def test_a_topic_with_events_has_a_schema_and_a_short_name(topic: Topic) -> None:
    assert (topic.event_type is None) or schema_of(topic) is not None
    assert find_topic(short_name(topic)) == find_topic(topic.name) == topic
    assert find_topic(f"demo.{topic.name}", "demo.") == topic


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("deliveries", "vehicle.command-deliveries"),
        ("delivery", "vehicle.command-deliveries"),
        ("responses", "vehicle.command-responses"),
        ("dead-letters", "vehicle.dead-letter"),
        ("geofence-event", "vehicle.geofence-events"),
        ("rules", "telltale.rules"),
    ],
)
def test_a_topic_is_found_by_what_people_call_it(word: str, name: str) -> None:
    assert find_topic(word).name == name


def test_a_word_that_fits_several_topics_is_not_guessed() -> None:
    with pytest.raises(ConfigurationError, match="no topic is called 'status'"):
        find_topic("status")


@pytest.mark.parametrize(("file", "example"), EVERY)
def test_a_schema_takes_its_records_and_more_keys(file: str, example: dict[str, Any]) -> None:
    validate(file, example)
    validate(file, example | {"aKeyOfTheFuture": {"any": "thing"}})


@pytest.mark.parametrize(("file", "example"), EVERY)
def test_a_record_without_a_required_key_is_refused(file: str, example: dict[str, Any]) -> None:
    for key in json.loads(schema_text(file))["required"]:
        with pytest.raises(ValidationError):
            validate(file, {name: value for name, value in example.items() if name != key})


@pytest.mark.parametrize(("file", "example"), EVERY)
def test_a_time_in_another_form_is_refused(file: str, example: dict[str, Any]) -> None:
    if file == "command-response.json":
        with pytest.raises(ValidationError):
            validate(file, example | {"at": "yesterday"})
        return
    for key, value in example.items():
        for written in (
            "2026-01-01T00:00:10Z",
            "2026-01-01T00:00:10.000+00:00",
            "2026-13-01T00:00:10.000Z",
            0,
        ):
            if value == AT:
                with pytest.raises(ValidationError):
                    validate(file, example | {key: written})


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        pytest.param("telemetry.json", {"vehicleId": ""}, id="empty-vehicle"),
        pytest.param("telemetry.json", {"signals": {"Vehicle.Speed": None}}, id="null-signal"),
        pytest.param("telemetry.json", {"position": {"latitude": 91, "longitude": 0}}, id="latitude"),
        pytest.param("alert.json", {"state": "pending"}, id="state"),
        pytest.param("alert.json", {"endsAt": AT}, id="firing-with-end"),
        pytest.param("alert.json", {"reason": "cleared"}, id="firing-with-reason"),
        pytest.param("alert.json", {"severity": "fatal"}, id="severity"),
        pytest.param("command.json", {"cause": {}}, id="no-cause"),
        pytest.param("command-delivery.json", {"state": "sent"}, id="delivery-state"),
        pytest.param("shadow.json", {"track": "candidate"}, id="track"),
        pytest.param("shadow.json", {"record": "{}"}, id="record-as-text"),
        pytest.param("rule-status.json", {"stable": 0}, id="stable"),
        pytest.param("rule-status.json", {"firing": {"overspeed": 0}}, id="firing-none"),
        pytest.param("rule-status.json", {"comparison": {"candidate": {}}}, id="comparison"),
        pytest.param("registration.json", {"labels": {"model": 5}}, id="label-no-text"),
        pytest.param("registration.json", {"attributes": {"a b": 5}}, id="attribute-name"),
        pytest.param("registration.json", {"attributes": {"limit": None}}, id="attribute-null"),
        pytest.param("dead-letter.headers.json", {"source-offset": "x"}, id="offset"),
    ],
)
def test_what_makes_no_sense_is_refused(file: str, changed: dict[str, Any]) -> None:
    record = copy.deepcopy(EXAMPLES[file][0]) | changed
    with pytest.raises(ValidationError):
        validate(file, record)


def test_a_tick_carries_a_time_and_nothing_of_a_vehicle() -> None:
    with pytest.raises(ValidationError):
        validate("telemetry.json", {"receivedAt": AT, "signals": {}})
