"""Rules over windows in the stage `alerts`: batches, deaths of workers, and what a checkpoint writes."""

import json

from hypothesis import given, settings

from pipeline.runtime.stage import Logic
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from rules import Engine, RuleSet, Source, compile_rules, parse
from rules.instants import format_instant
from tests.stages.driving import CALM, HOT, QUIET_MS, RULES, Road, records_of, roads
from tests.stages.partition import Step, run, steps

WHENS = {
    "hot-for-a-while": 'avg(Vehicle.Coolant, duration("30s")) > 110',
    "swings": 'max(Vehicle.Speed, duration("20s")) - min(Vehicle.Speed, duration("20s")) > 100',
    "talks-much": 'count(Vehicle.Speed, duration("10s")) > 8',
    "fast-at-times": 'percentile(Vehicle.Speed, 75, duration("1m")) > 125',
    "uneven": 'stddev(Vehicle.Speed, duration("40s")) > 60 || increase(Vehicle.Speed, duration("40s")) > 300',
}


def _engine() -> Engine:
    catalog = RULES.read_text(encoding="utf-8").split("\n---", 1)[0]
    documents = [
        json.dumps(
            {
                "apiVersion": "telltale.dev/v1alpha1",
                "kind": "AlertRule",
                "metadata": {"name": name},
                "spec": {"when": when},
            }
        )
        for name, when in WHENS.items()
    ]
    rules = compile_rules(parse([Source("rules.yaml", "\n---\n".join([catalog, *documents]))]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return Engine(rules, quiet_after_ms=QUIET_MS)


ENGINE = _engine()


def new_alerts() -> Logic:
    return VehicleLogic("alerts", ENGINE, RuleCounts())


@settings(max_examples=60)
@given(roads(), steps)
def test_batches_and_deaths_of_workers_change_nothing(road: Road, plan: list[Step]) -> None:
    assert run(new_alerts, road.records, plan) == run(new_alerts, road.records)


def test_a_sample_that_leaves_in_silence_ends_an_alert_at_that_instant() -> None:
    road = Road()
    road.say("v1", HOT)
    road.tick(5)
    road.say("v1", {**CALM, "Vehicle.Coolant": 105.0})
    road.tick(60)
    told = records_of(run(new_alerts, road.records).outputs, "vehicle.alerts")
    assert [(one["rule"], one["state"], one["by"]) for one in told] == [
        ("hot-for-a-while", "firing", None),
        ("hot-for-a-while", "resolved", "silence"),
    ]
    first = road.records[0].timestamp
    assert told[1]["endsAt"] == format_instant(first + 30_000)


def test_a_checkpoint_writes_the_newest_samples_only() -> None:
    road = Road()
    for _ in range(600):
        road.say("v1", CALM)
        road.tick()
    logic = new_alerts()
    logic.restored(None)
    logic.process("vehicle.telemetry", road.records, [])
    whole = dict(logic.changes())
    road.say("v1", CALM)
    logic.process("vehicle.telemetry", road.records[-1:], [])
    changed = dict(logic.changes())
    assert sum(b"window/" in key for key in changed) == 2
    assert max(len(value or b"") for value in [*whole.values(), *changed.values()]) < 1_000
