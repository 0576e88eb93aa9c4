"""Rollouts of geofence and aggregation rules: visits and windows go over as alerts do."""

import json
from types import SimpleNamespace
from typing import Any

from pipeline.runtime.failures import RulesChanged
from pipeline.runtime.stage import Logic, Output
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.grouping import AggregationLogic
from pipeline.stages.partials import TOPIC
from pipeline.stages.payloads import Position, Reading
from pipeline.stages.telemetry import encode_telemetry
from pipeline.stages.versions import Versions, version_of
from rules import RuleSet
from rules.engine import AggregationEngine, Geofences
from rules.engine.rollouts import Rollout
from tests.stages.test_live import START, Counts, compiled
from tests.stages.test_rollouts import TAKEN

ALL = Rollout(100.0)
VEHICLE = TAKEN[0]


def fence(metres: int) -> str:
    return (
        "apiVersion: telltale.dev/v1alpha1\nkind: Geofence\nmetadata: {name: depot}\n"
        f"spec: {{circle: {{latitude: 31.0, longitude: 121.0, radiusMeters: {metres}}}}}\n---\n"
        "apiVersion: telltale.dev/v1alpha1\nkind: GeofenceRule\nmetadata: {name: visits}\n"
        "spec: {fences: {names: [depot]}, events: [enter, exit], actions: [{publish: {topic: yard}}]}\n"
    )


def figures(limit: int, *, by_model: bool = False, mode: str = "active") -> str:
    group = "  groupBy: {all: '\"fleet\"'}\n" if by_model else ""
    return (
        f"apiVersion: telltale.dev/v1alpha1\nkind: AggregationRule\nmetadata: {{name: figures}}\n"
        f"spec:\n  mode: {mode}\n  window: {{tumbling: 10s}}\n{group}"
        "  aggregates: {fastest: max(speed), samples: count()}\n  allowedLateness: 30s\n"
        f"  alert: {{when: fastest > {limit}, severity: warning}}\n"
    )


class Run:
    """One partition of one of a stage."""

    def __init__(self, make: Any, stage: str, text: str) -> None:
        self.make, self.stage = make, stage
        self.versions: Versions[Any] = Versions(make, version_of(1, self.rules(1, text), make))
        self.received = START
        self.changelog: dict[bytes, bytes] = {}
        self.marker: bytes | None = None
        self.logic = self.begin()

    def rules(self, revision: int, text: str) -> RuleSet:
        return compiled(text, revision=revision, lineages={"visits": 1, "figures": 1})

    def begin(self) -> Logic:
        logic: Logic
        if self.stage == "geofences":
            logic = VehicleLogic(self.stage, self.versions.current.fold, Counts(), versions=self.versions)
        else:
            logic = AggregationLogic((0, 1), self.versions, AggregationCounts(), 0)
        for key, value in self.changelog.items():
            logic.restore(key, value)
        logic.restored(self.marker)
        return logic

    def roll_out(self, revision: int, text: str) -> list[Output]:
        from dataclasses import replace

        rules = replace(self.rules(revision, text), rollout=ALL)
        stable = self.versions.current.base
        self.versions.switch(version_of(revision, rules, self.make, stable=stable))
        return self.tick(0)

    def apply(self, revision: int, text: str, *winners: int) -> list[Output]:
        rules = self.rules(revision, text)
        self.versions.switch(version_of(revision, rules, self.make, winners=frozenset(winners)))
        return self.tick(0)

    def say(self, **what: Any) -> list[Output]:
        self.received += 1000
        position = what.pop("position", None)
        reading = Reading(self.received, None, what.get("signals", {}), position, self.received)
        value = encode_telemetry(VEHICLE, reading, self.received)
        return self.hear(
            SimpleNamespace(key=VEHICLE.encode(), value=value, timestamp=self.received, headers=())
        )

    def tick(self, seconds: int = 1) -> list[Output]:
        made = []
        for _ in range(max(seconds, 1)):
            self.received += 1000 if seconds else 0
            made += self.hear(SimpleNamespace(key=None, value=b"", timestamp=self.received))
        return made

    def hear(self, record: Any, topic: str = "vehicle.telemetry") -> list[Output]:
        out: list[Output] = []
        try:
            self.logic.process(topic, [record], out)
        except RulesChanged:
            self.logic = self.begin()
            self.logic.process(topic, [record], out)
        for key, value in self.logic.changes():
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        self.marker = self.logic.clock()
        for output in list(out):
            if output.topic == TOPIC:
                again = SimpleNamespace(key=output.key, value=output.value, timestamp=self.received)
                out += self.hear(again, TOPIC)
        return out


def told(outputs: list[Output]) -> list[tuple[str, Any, Any]]:
    found = []
    for output in outputs:
        if output.topic == TOPIC:
            continue
        record = json.loads(output.value or b"")
        if output.topic == "telltale.shadow":
            record = record["record"]
        what = record.get("event") or record.get("state") or record.get("values", {}).get("fastest")
        found.append((output.topic, what, record.get("reason", record.get("update"))))
    return found


def fix(metres: float) -> Position:
    return Position(31.0 + metres / 111_000, 121.0, None)


def geofences(text: str) -> Run:
    return Run(lambda rules: Geofences(rules, quiet_after_ms=2_000), "geofences", text)


def aggregations(text: str) -> Run:
    return Run(lambda rules: AggregationEngine(rules, quiet_after_ms=0), "aggregations", text)


def test_a_visit_that_only_the_candidate_has_ends_with_its_rollback_and_acts_on_nothing() -> None:
    run = geofences(fence(100))
    run.tick()
    run.say(position=fix(500))
    run.roll_out(2, fence(300))
    assert told(run.say(position=fix(200))) == [
        ("vehicle.geofence-events", "enter", None),
        ("yard", "enter", None),
    ]
    assert told(run.apply(3, fence(100))) == [("vehicle.geofence-events", "exit", "rolledBack")]


def test_a_visit_that_only_the_stable_has_is_told_after_a_rollback() -> None:
    run = geofences(fence(300))
    run.tick()
    run.say(position=fix(500))
    run.roll_out(2, fence(100))
    assert told(run.say(position=fix(200))) == [
        ("telltale.shadow", "enter", None),
        ("telltale.shadow", "enter", None),
    ]
    assert told(run.apply(3, fence(300))) == [("vehicle.geofence-events", "enter", "rolledBack")]
    assert [it[1:] for it in told(run.say(position=fix(500)))] == [("exit", None), ("exit", None)]


def test_a_visit_that_both_have_goes_on_without_a_word() -> None:
    run = geofences(fence(300))
    run.tick()
    run.say(position=fix(500))
    run.say(position=fix(50))
    assert told(run.roll_out(2, fence(300))) == []
    assert told(run.apply(3, fence(300), 2)) == []
    assert [it[1:] for it in told(run.say(position=fix(500)))] == [("exit", None), ("exit", None)]


def test_windows_that_both_have_told_of_are_told_on() -> None:
    run = aggregations(figures(1000))
    run.tick()
    run.say(signals={"Vehicle.Speed": 50.0})
    run.roll_out(2, figures(1000))
    run.say(signals={"Vehicle.Speed": 60.0})
    made = told(run.tick(12))
    assert ("vehicle.aggregates", 60.0, 0) in made
    assert ("telltale.shadow", 60.0, 0) in made
    run.apply(3, figures(1000))
    run.tick()
    made = told(run.tick(60))
    assert made == [("vehicle.aggregates", 60.0, 1)]


def test_an_alert_on_windows_ends_with_the_rollback_of_the_rule_that_fires_it() -> None:
    run = aggregations(figures(1000))
    run.tick()
    run.roll_out(2, figures(40))
    run.say(signals={"Vehicle.Speed": 50.0})
    assert ("vehicle.alerts", "firing", None) in told(run.tick(12))
    made = run.apply(3, figures(1000)) + run.tick() + run.tick()
    assert ("vehicle.alerts", "resolved", "rolledBack") in told(made)


def test_groups_stay_with_the_stable_revision_until_the_promotion() -> None:
    run = aggregations(figures(1000, by_model=True))
    run.tick()
    run.roll_out(2, figures(40, by_model=True))
    run.say(signals={"Vehicle.Speed": 50.0})
    outputs = run.tick(12) + run.tick(1)
    made = told(outputs)
    assert ("vehicle.aggregates", 50.0, 0) in made
    (figured,) = (it for it in outputs if it.topic == "vehicle.aggregates")
    assert json.loads(figured.value or b"")["values"]["samples"] == 1, "the candidate adds nothing to groups"
    assert not [it for it in made if it[0] == "vehicle.alerts"]
    run.apply(3, figures(40, by_model=True), 2)
    run.tick()
    run.say(signals={"Vehicle.Speed": 55.0})
    made = told(run.tick(12)) + told(run.tick(1))
    assert ("vehicle.alerts", "firing", None) in made


def test_figures_of_a_group_in_shadow_mode_are_recorded_only() -> None:
    run = aggregations(figures(40, by_model=True, mode="shadow"))
    run.tick()
    run.say(signals={"Vehicle.Speed": 50.0})
    made = told(run.tick(12)) + told(run.tick(1))
    assert {it[0] for it in made} == {"telltale.shadow"}
    assert {it[1] for it in made} == {50.0, "firing"}
