"""The stage `aggregations` as a function of its log: time, restarts, batches, late data."""

import json
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from prometheus_client import REGISTRY

from pipeline.process.topics import TOPICS
from pipeline.runtime.stage import Logic
from pipeline.schemas import schema_of
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.aggregations import stage
from pipeline.stages.grouping import AggregationLogic
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import Versions, version_of
from rules import RuleSet, compile_rules, load
from rules.engine import AggregationEngine
from rules.instants import format_instant
from tests.stages.driving import HOUR_MS, QUIET_MS, START, Road, records_of, roads, signals
from tests.stages.partition import After, headers_of, run, steps

RULES = Path(__file__).parent / "aggregations.yaml"
SPEED = "speed-by-ten-seconds"


def _compiled() -> RuleSet:
    rules = compile_rules(load([RULES]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return rules


def _make(rules: RuleSet) -> AggregationEngine:
    return AggregationEngine(rules, quiet_after_ms=QUIET_MS)


_RULES = _compiled()
_VERSIONS = Versions(_make, version_of(0, _RULES, _make))
_COUNTS = AggregationCounts()


def new_aggregations() -> Logic:
    """A worker's logic for one partition, nothing restored yet."""
    return AggregationLogic((0, 1), _VERSIONS, _COUNTS, QUIET_MS)


def instant(milliseconds: int) -> str:
    return format_instant(START + milliseconds)


def aggregates(road: Road, rule: str):
    outputs = run(new_aggregations, road.records).outputs
    return [record for record in records_of(outputs, "vehicle.aggregates") if record["rule"] == rule]


@settings(deadline=None)
@given(roads(), steps)
def test_batches_and_deaths_of_workers_change_nothing(road, plan):
    assert run(new_aggregations, road.records, plan) == run(new_aggregations, road.records)


@settings(deadline=None)
@given(roads())
def test_records_have_ids_of_their_own_and_the_form_that_is_promised(road):
    outputs = run(new_aggregations, road.records).outputs
    ids = Counter(headers_of(out)["ce_id"] for out in outputs if out.topic == "vehicle.aggregates")
    assert set(ids.values()) <= {1}
    late = {(headers_of(out)["ce_id"], out.value) for out in outputs if out.topic == "vehicle.late"}
    assert len({identity for identity, _ in late}) == len(late)
    for output in outputs:
        schema = schema_of(TOPICS[output.topic])
        Draft202012Validator(schema).validate(json.loads(output.value))


@settings(deadline=None)
@given(roads(), st.lists(st.tuples(st.integers(0, 100), signals), max_size=30))
def test_another_vehicle_moves_nothing_of_a_silent_one(road, intrusions):
    busy = list(road.records)
    for place, said in intrusions:
        place = min(place, len(busy))
        other = Road()
        heard = [record.timestamp for record in busy[:place] if record.topic == "vehicle.telemetry"]
        other.now = max(heard, default=START)
        other.say("other", said)
        busy[place:place] = other.records
    alone = run(new_aggregations, road.records).outputs
    beside = run(new_aggregations, busy).outputs
    for vehicle in (b"v1", b"v2", b"v3"):
        assert [it for it in beside if it.key == vehicle] == [it for it in alone if it.key == vehicle]


def test_a_window_is_told_of_when_data_pass_its_end():
    road = Road()
    for second, speed in ((0, 50.0), (4, 70.0), (9, 60.0), (10, 80.0)):
        road.now = START + second * 1000
        road.say("v1", {"Vehicle.Speed": speed, "Vehicle.Belt": second != 4})
    (record,) = aggregates(road, SPEED)
    assert (record["windowStart"], record["windowEnd"]) == (instant(0), instant(10_000))
    assert record["values"] == {"samples": 3, "mean": 60.0, "belted": 2 / 3, "last": 60.0}
    assert (record["group"], record["vehicleId"], record["by"]) == ({"vehicle": "v1"}, "v1", None)
    assert (record["final"], record["update"]) == (True, 0)


def test_a_parked_vehicles_window_closes_by_silence():
    road = Road()
    road.tick()
    road.say("v1", {"Vehicle.Speed": 50.0}, at=START + 400)
    heard = road.now
    road.tick(30)
    (record,) = aggregates(road, SPEED)
    assert (record["by"], record["final"]) == ("silence", True)
    outputs = run(new_aggregations, road.records).outputs
    told_at = next(it.timestamp for it in outputs if json.loads(it.value)["rule"] == SPEED)
    # The vehicle's clock begins to move `quietAfter` behind the message, and then takes 9.6 s to the end.
    assert told_at == heard + QUIET_MS + 10_000


def test_late_data_correct_a_window_until_it_is_final():
    road = Road()
    for second in (0, 31):
        road.now = START + second * 1000
        road.say("v1", {"Vehicle.Speed": 50.0, "Vehicle.Coolant": 90.0})
    for _ in range(3):
        road.say("v1", {"Vehicle.Speed": 50.0, "Vehicle.Coolant": 99.0}, at=START + 5_000)
    road.now += 2_000
    road.say("v1", {"Vehicle.Speed": 50.0})
    road.now += HOUR_MS
    road.say("v1", {"Vehicle.Speed": 50.0})
    first = [it for it in aggregates(road, "coolant-hopping") if it["windowStart"] == instant(0)]
    assert [(it["update"], it["final"], it["values"]["hottest"]) for it in first] == [
        (0, False, 90.0),
        (1, False, 99.0),
        (2, True, 99.0),
    ]
    assert len({it["id"] for it in first}) == 1


def test_what_nobody_could_use_is_told_once_for_each_rule():
    road = Road()
    road.say("v1", {"Vehicle.Speed": 50.0})
    road.now += HOUR_MS
    road.say("v1", {"Vehicle.Speed": 50.0})
    road.say("v1", {"Vehicle.Speed": 70.0, "Vehicle.Coolant": 99.0}, at=START + 1_000)
    late = records_of(run(new_aggregations, road.records).outputs, "vehicle.late")
    assert sorted(it["rule"] for it in late) == ["coolant-hopping", SPEED, "trips"]
    assert {it["ts"] for it in late} == {instant(1_000)}
    assert late[0]["signals"] == {"Vehicle.Speed": 70.0, "Vehicle.Coolant": 99.0}


def test_a_session_ends_when_its_vehicle_pauses_and_tells_on_the_way():
    road = Road()
    for second in (0, 5, 15, 60):
        road.now = START + second * 1000
        road.say("v1", {"Vehicle.Speed": float(second)})
    found = [
        (it["windowStart"], it["windowEnd"], it["values"]["samples"], it["final"])
        for it in aggregates(road, "trips")
    ]
    assert found == [
        (instant(0), instant(25_000), 2, False),
        (instant(0), instant(35_000), 3, False),
        (instant(0), instant(35_000), 3, True),
    ]


def test_a_day_is_that_of_its_time_zone_and_growth_is_counted_over_its_edges():
    road = Road()
    for hour, speed in ((0, 10.0), (15, 12.0), (16, 20.0), (30, 5.0), (53, 6.0)):
        road.now = START + hour * HOUR_MS
        road.say("v1", {"Vehicle.Speed": speed})
        road.say("v3", {"Vehicle.Speed": speed})
    found = [
        (it["vehicleId"], it["windowStart"], it["values"]["grown"])
        for it in aggregates(road, "day-in-shanghai")
        if it["final"]
    ]
    # 16 h is midnight in Shanghai; the fall to 5 is a counter that began anew.
    assert found == [("v1", instant(-8 * HOUR_MS), 2.0), ("v1", instant(16 * HOUR_MS), 13.0)]


def test_a_worker_that_takes_over_in_the_silence_knows_what_it_waits_for():
    road = Road()
    road.tick()
    road.say("v1", {"Vehicle.Speed": 50.0})
    road.tick(60)
    for cut in range(1, 62, 3):
        plan = [(cut, After.CHECKPOINT), (1, After.DEATH)]
        assert run(new_aggregations, road.records, plan) == run(new_aggregations, road.records)


def test_metrics_count_results_and_late_messages_by_rule():
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(f"telltale_aggregations_{name}", labels) or 0.0

    before = value("results_total", rule=SPEED, kind="final"), value("late_total", rule=SPEED)
    road = Road()
    road.say("v1", {"Vehicle.Speed": 50.0})
    road.now += 60_000
    road.say("v1", {"Vehicle.Speed": 50.0})
    road.say("v1", {"Vehicle.Speed": 50.0}, late_ms=50_000)
    run(new_aggregations, road.records)
    after = value("results_total", rule=SPEED, kind="final"), value("late_total", rule=SPEED)
    assert after == (before[0] + 1, before[1] + 1)


def test_the_stage_reads_telemetry_and_registry_and_holds_keys_to_their_partition():
    found = stage(RuleStageSettings(rules=(RULES,)))
    assert found.inputs == ("vehicle.telemetry", "vehicle.registry", "vehicle.aggregate-partials")
    assert found.check_keys
    assert set(found.outputs) <= TOPICS.keys()
