"""The registry and forgetting in a rule stage, as a function of its log."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime.stage import Logic
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from rules import Engine, RuleSet, Source, compile_rules, parse
from rules.instants import format_instant
from tests.stages.driving import Road, records_of
from tests.stages.partition import After, headers_of, run, steps

RULES = """
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts}
  signals:
    Vehicle.Speed: {path: speed, alias: speed}
    Vehicle.Belt: {path: belt, type: boolean, alias: belt}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: fast}
spec: {when: speed > vehicle.attributes.limit, keepFiringFor: 3s}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: truck}
spec: {vehicles: vehicle.labels.kind == "truck", when: speed > 80, for: 5s, cooldown: 20s}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: recalled}
spec: {when: vehicle.attributes.recalled}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: often-fast}
spec:
  when: max(speed, duration("9s")) > vehicle.attributes.limit && prev(speed) > 10
  value: vehicle.attributes.limit - 1
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: silent-truck}
spec: {vehicles: vehicle.labels.kind == "truck", absentFor: {duration: 15s}}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: no-belt}
spec: {vehicles: has(vehicle.attributes.limit), absentFor: {signals: [belt], duration: 10s}, cooldown: 20s}
---
apiVersion: telltale.dev/v1alpha1
kind: SequenceRule
metadata: {name: unbelted}
spec:
  vehicles: has(vehicle.labels.kind)
  within: 30s
  steps:
    - {name: started, when: speed > 10}
    - {name: unbelted, not: belt == true, for: 8s}
"""


def _engine() -> Engine:
    rules = compile_rules(parse([Source("rules.yaml", RULES)]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return Engine(rules)


ENGINE = _engine()


def new_logic() -> Logic:
    return VehicleLogic("alerts", ENGINE, RuleCounts())


def register(road: Road, vehicle: str, value: object) -> None:
    road.now += 1
    road.put(vehicle.encode(), None if value is None else json.dumps(value).encode(), "vehicle.registry")


def forget(road: Road, vehicle: str) -> None:
    road.now += 1
    road.put(vehicle.encode(), None)


def alerts(road: Road) -> list[tuple[str, str, str | None]]:
    told = records_of(run(new_logic, road.records).outputs, "vehicle.alerts")
    return [(it["rule"], it["state"], it["reason"]) for it in told]


TRUCK = {"labels": {"kind": "truck"}, "attributes": {"limit": 70}}
said = st.sampled_from(
    (
        TRUCK,
        {"labels": {"kind": "car"}, "attributes": {"limit": 120}},
        {"attributes": {"limit": 120, "recalled": True}},
        {"attributes": {"limit": "many"}},
        {"labels": {"kind": 5}},
        {},
    )
)
speeds = st.sampled_from((0.0, 50.0, 75.0, 90.0, 130.0))
spoken = st.one_of(
    st.builds(lambda speed: {"Vehicle.Speed": speed}, speeds),
    st.builds(lambda belt: {"Vehicle.Belt": belt}, st.booleans()),
)
vehicles = st.sampled_from(("v1", "v2"))
happenings = st.one_of(
    st.tuples(st.just("say"), vehicles, spoken),
    st.tuples(st.just("say"), vehicles, spoken),
    st.tuples(st.just("tick"), st.integers(1, 20)),
    st.tuples(st.just("register"), vehicles, said),
)
endings = st.one_of(
    happenings, st.tuples(st.just("forget"), vehicles), st.tuples(st.just("register"), vehicles, st.none())
)


def road_of(happenings: list[Any]) -> Road:
    road = Road()
    for happening in happenings:
        match happening:
            case ("say", vehicle, signals):
                road.now += 1
                road.say(vehicle, signals)
            case ("tick", seconds):
                road.tick(seconds)
            case ("register", vehicle, value):
                register(road, vehicle, value)
            case ("forget", vehicle):
                forget(road, vehicle)
    return road


@given(st.lists(endings, max_size=40), steps)
def test_batches_and_deaths_of_workers_change_nothing(happened, plan) -> None:
    road = road_of(happened)
    assert run(new_logic, road.records, plan) == run(new_logic, road.records)


@given(st.lists(happenings, max_size=40))
def test_no_record_has_the_id_of_another_however_the_selection_moves(happened) -> None:
    outputs = run(new_logic, road_of(happened).records).outputs
    ids = Counter((out.topic, headers_of(out)["ce_id"]) for out in outputs)
    assert set(ids.values()) <= {1}


@given(st.lists(endings, max_size=40))
def test_a_forgotten_vehicle_leaves_nothing_behind_and_begins_as_any_other(happened) -> None:
    road = road_of(happened)
    for vehicle in ("v1", "v2"):
        forget(road, vehicle)
    result = run(new_logic, road.records)
    assert result.state == {}
    assert run(new_logic, road.records, [(3, After.CHECKPOINT)] * len(road.records)).state == {}
    begun = len(result.outputs)
    open_alerts = {
        json.loads(out.value or b"")["id"] for out in result.outputs if b'"firing"' in out.value
    } - {json.loads(out.value or b"")["id"] for out in result.outputs if b'"resolved"' in out.value}
    assert open_alerts == set()
    new = Road()
    new.now = road.now
    new.say("v1", {"Vehicle.Speed": 130.0})
    new.tick(30)
    after = run(new_logic, road.records + new.records).outputs[begun:]
    assert [out.value for out in after] == [out.value for out in run(new_logic, new.records).outputs]


def test_threshold_follows_the_registry() -> None:
    road = Road()
    register(road, "v1", TRUCK)
    road.say("v1", {"Vehicle.Speed": 75.0})
    register(road, "v1", {"attributes": {"limit": 120}})
    road.tick(2)
    assert alerts(road) == [("fast", "firing", None)]
    road.tick(14)
    fast = [it for it in alerts(road) if it[0] == "fast"]
    assert fast == [("fast", "firing", None), ("fast", "resolved", "cleared")]


@pytest.mark.parametrize("plan", [[], [(1, After.CHECKPOINT), (0, After.DEATH), (9, After.CHECKPOINT)]])
def test_a_registered_vehicle_that_never_speaks_is_silent(plan) -> None:
    road = Road()
    road.tick(3)
    registered_at = road.now + 1
    register(road, "v1", {"labels": {"kind": "truck"}})
    road.tick(20)
    road.say("v1", {"Vehicle.Speed": 0.0})
    road.tick(20)
    register(road, "v1", None)
    told = records_of(run(new_logic, road.records, plan).outputs, "vehicle.alerts")
    silent = [it for it in told if it["rule"] == "silent-truck"]
    assert [(it["state"], it["reason"]) for it in silent] == [
        ("firing", None),
        ("resolved", "cleared"),
        ("firing", None),
        ("resolved", "forgotten"),
    ]
    assert silent[0]["startsAt"] == format_instant(registered_at)
    assert silent[0]["firedAt"] == format_instant(registered_at + 15_000)


def test_a_sequence_that_had_begun_is_dropped_with_the_selection() -> None:
    road = Road()
    for kind in ("car", None, "car"):
        register(road, "v1", {} if kind is None else {"labels": {"kind": kind}})
        if road.records[-1].offset == 0:
            road.say("v1", {"Vehicle.Speed": 20.0})
    road.tick(30)
    assert [it for it in alerts(road) if it[0] == "unbelted"] == []
    road.say("v1", {"Vehicle.Speed": 20.0})
    road.tick(30)
    told = [it for it in alerts(road) if it[0] == "unbelted"]
    assert told == [("unbelted", "firing", None), ("unbelted", "resolved", "cleared")]


def test_silence_is_no_alert_of_a_vehicle_that_is_not_selected_any_more() -> None:
    road = Road()
    register(road, "v1", {"labels": {"kind": "truck"}})
    road.say("v1", {"Vehicle.Speed": 0.0})
    road.tick(20)
    register(road, "v1", {"labels": {"kind": "car"}})
    road.tick(20)
    silent = [it for it in alerts(road) if it[0] == "silent-truck"]
    assert silent == [("silent-truck", "firing", None), ("silent-truck", "resolved", "deselected")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "Input data was truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"labels": 5}', "Expected `object`, got `int`"),
        (b'{"labels": {"kind": 5}}', "the label 'kind' is the number 5"),
        (b'{"vehicleId": "v2"}', "the record is about 'v2'"),
        (b"", "Input data was truncated"),
        (b'{"labels":{"kind":' + b"[" * 50_000, "nested too deep"),
    ],
)
def test_a_wrong_record_is_a_dead_letter_and_the_old_one_stays(value, reason) -> None:
    road = Road()
    register(road, "v1", TRUCK)
    road.put(b"v1", value, "vehicle.registry")
    road.say("v1", {"Vehicle.Speed": 75.0})
    outputs = run(new_logic, road.records).outputs
    (dead,) = [out for out in outputs if out.topic == "vehicle.dead-letter"]
    assert (headers_of(dead)["code"], dead.value) == ("registry-invalid", value)
    assert reason in headers_of(dead)["reason"]
    assert [it["state"] for it in records_of(outputs, "vehicle.alerts")] == ["firing"]


@pytest.mark.parametrize("order", ["registry first", "telemetry first"])
def test_a_vehicle_is_forgotten_once_in_whichever_order_the_two_records_come(order) -> None:
    road = Road()
    register(road, "v1", TRUCK)
    road.say("v1", {"Vehicle.Speed": 75.0})
    if order == "registry first":
        register(road, "v1", None)
    forget(road, "v1")
    road.now += 1
    road.say("v1", {"Vehicle.Speed": 75.0})
    if order == "telemetry first":
        register(road, "v1", None)
    road.tick(1)
    assert alerts(road) == [("fast", "firing", None), ("fast", "resolved", "forgotten")]
    assert any(key.startswith(b"v1\0") for key in run(new_logic, road.records).state)


def test_a_registration_that_is_newer_than_the_forgetting_stays() -> None:
    road = Road()
    register(road, "v1", TRUCK)
    forgotten_at = road.now
    register(road, "v1", {"attributes": {"limit": 10}})
    road.now, later = forgotten_at, road.now
    road.put(b"v1", None)
    road.now = later
    road.say("v1", {"Vehicle.Speed": 75.0})
    assert alerts(road) == [("fast", "firing", None)]


def test_a_vehicle_that_is_only_in_the_registry_is_kept_for_its_first_message() -> None:
    road = Road()
    register(road, "v1", TRUCK)
    spoken = Road()
    spoken.now = road.now
    spoken.say("v1", {"Vehicle.Speed": 75.0})
    plan = [(1, After.CHECKPOINT), (0, After.DEATH)]
    outputs = run(new_logic, road.records + spoken.records, plan).outputs
    assert [it["rule"] for it in records_of(outputs, "vehicle.alerts")] == ["fast"]
