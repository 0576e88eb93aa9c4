"""Whether an installation said exactly what the recomputation says: nothing missing, nothing twice."""

import json
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import jsonschema

from pipeline.process.names import changelog_topic, group_id
from pipeline.process.topics import TOPICS
from pipeline.runtime import read_record
from rules import Engine, compile_rules, load
from rules.instants import parse_instant
from tests.e2e.fleet import Drive
from tests.e2e.recomputation import Said, Sample, said_of
from tests.e2e.topics import latest, read_topic, wait_for_group


def wait_drained(bootstrap: str, prefix: str) -> None:
    """Return when every stage has committed all that the one before it has written."""
    for stage, topic in (
        ("normalize", "vehicle.raw"),
        ("alerts", "vehicle.telemetry"),
        ("downlink", "vehicle.commands"),
    ):
        wait_for_group(bootstrap, group_id(prefix, stage), prefix + topic)


def assert_exactly_once(bootstrap: str, prefix: str, drives: Sequence[Drive]) -> Counter[str]:
    """Compare every topic with the recomputation; what was counted."""
    topics = {
        name: read_topic(bootstrap, prefix + name)
        for name in (
            "vehicle.raw",
            "vehicle.telemetry",
            "vehicle.dead-letter",
            "vehicle.alerts",
            "vehicle.commands",
            "vehicle.command-deliveries",
            "e2e.brakings",
        )
    }
    for name, records in topics.items():
        _assert_schema(name, records)
        _assert_no_id_twice(name, records)

    telemetry = [record for record in topics["vehicle.telemetry"] if record.key is not None]
    _assert_order(telemetry, drives)

    expected = Counter(said for one in drives for said in said_of(one.vehicle, one.samples))
    alerts = [json.loads(record.value) for record in topics["vehicle.alerts"]]
    said = Counter(map(_said, alerts))
    assert said == expected, f"missing: {expected - said}; too many: {said - expected}"

    fired = {alert["id"]: alert for alert in alerts if alert["state"] == "firing"}
    _assert_commands(topics["vehicle.commands"], fired)
    brakings = {json.loads(record.value)["id"] for record in topics["e2e.brakings"]}
    assert brakings == {key for key, alert in fired.items() if alert["rule"] == "braking"}

    raw = [record for record in topics["vehicle.raw"] if record.key is not None]
    published = sum(len(one.messages) for one in drives)
    dead = len(topics["vehicle.dead-letter"])
    return Counter(
        published=published, uplinked=len(raw), normalized=len(telemetry), dead=dead, alerts=len(alerts)
    )


def assert_state(bootstrap: str, prefix: str, drives: Sequence[Drive], rules: str) -> None:
    """The state of every vehicle, as the changelog has it, is that of its newest message."""
    compiled = compile_rules(load([rules]))
    assert not isinstance(compiled, list)
    engine = Engine(compiled)
    parts: dict[str, dict[str, bytes]] = {}
    for record_key, value in latest(read_topic(bootstrap, prefix + changelog_topic("alerts"))).items():
        match read_record(record_key, value):
            case (bytes(key), bytes(packed)):
                vehicle, _, part = key.rpartition(b"\0")
                parts.setdefault(vehicle.decode(), {})[part.decode()] = packed
    for one in drives:
        newest = max(one.samples, key=lambda sample: sample.at)
        state = engine.restore(one.vehicle, parts[one.vehicle])
        assert state.time == newest.at, one.vehicle
        slots = state.memory.layout.slots
        assert {name: state.memory.last(slots[name]) for name in _values(newest)} == _values(newest)
        assert not any(alert.phase for alert in state.alerts.values()), one.vehicle


def _values(sample: Sample) -> dict[str, object]:
    return {"Vehicle.Speed": sample.speed, "Vehicle.Coolant": sample.coolant, "Vehicle.Belt": sample.belt}


def _said(alert: dict[str, Any]) -> Said:
    return Said(
        alert["vehicleId"],
        alert["rule"],
        alert["state"],
        alert["severity"],
        parse_instant(alert["startsAt"]),
        parse_instant(alert["firedAt"]),
        None if alert["endsAt"] is None else parse_instant(alert["endsAt"]),
    )


def _identity(record: Any) -> tuple[str, int, int]:
    value = json.loads(record.value)
    return value["vehicleId"], parse_instant(value["ts"]), value["sequence"]


def _assert_order(telemetry: Sequence[Any], drives: Sequence[Drive]) -> None:
    """Every sample is there once, and each vehicle's are in the order in which it sent them."""
    found: dict[str, list[tuple[int, int]]] = {}
    for record in sorted(telemetry, key=lambda one: (one.partition, one.offset)):
        vehicle, *sample = _identity(record)
        found.setdefault(vehicle, []).append((sample[0], sample[1]))
    for one in drives:
        sent = [(sample.at, sample.sequence) for sample in one.samples]
        came = found.get(one.vehicle, [])
        wrong = next(
            (place for place, pair in enumerate(zip(sent, came, strict=False)) if pair[0] != pair[1]), None
        )
        assert came == sent, (
            f"{one.vehicle}: sent {len(sent)}, came {len(came)}; from number {wrong}: {came[wrong:][:8]}"
        )


def _assert_commands(records: Sequence[Any], fired: dict[str, dict[str, Any]]) -> None:
    """One command for each alert of the rule `fast` that began, with the alert's value in its payload."""
    commands = {command["cause"]["alertId"]: command for command in (json.loads(r.value) for r in records)}
    assert len(commands) == len(records)
    assert commands.keys() == {key for key, alert in fired.items() if alert["rule"] == "fast"}
    for key, command in commands.items():
        assert command["vehicleId"] == fired[key]["vehicleId"]
        assert command["name"] == "slow-down"
        assert command["payload"]["limit"] == 110
        assert command["payload"]["speed"] > 120


def _assert_schema(name: str, records: Sequence[Any]) -> None:
    schema = TOPICS[name].schema if name in TOPICS else "alert.json"
    if schema is None:
        return
    text = (files("pipeline") / "schemas" / schema).read_text()
    validator = jsonschema.Draft202012Validator(
        json.loads(text), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for record in records:
        if record.key is not None:
            validator.validate(json.loads(record.value))
            names = {header for header, _ in record.headers}
            assert {"ce_id", "ce_type", "ce_source", "ce_specversion"} <= names, (name, names)


def _assert_no_id_twice(name: str, records: Sequence[Any]) -> None:
    ids = Counter(
        (value, record.key) for record in records for header, value in record.headers if header == "ce_id"
    )
    twice = {identity: count for identity, count in ids.items() if count > 1}
    assert not twice, f"{name}: {twice}"
