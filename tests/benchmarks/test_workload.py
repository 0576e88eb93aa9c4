"""The contenders are given the same work, and a rate is what it says."""

import orjson
import pytest

from rules import Engine, Event, Source, compile_rules, parse
from rules.engine import RuleSet
from rules.engine.outcomes import AlertRecord, Outcome
from rules.instants import parse_instant
from tests.benchmarks.alerts_throughput import wrong
from tests.benchmarks.measuring import Pace, Sample, pace
from tests.benchmarks.workload import Change, catalog_and_rules, telemetry

BEGIN_MS = 1_767_225_600_000


def test_rules_and_ifs_say_the_same_of_every_record() -> None:
    rules = compile_rules(parse([Source("rules.yaml", catalog_and_rules())]))
    assert isinstance(rules, RuleSet)
    engine = Engine(rules)
    vehicles = {f"vehicle-{index:05d}": engine.new_vehicle(f"vehicle-{index:05d}") for index in range(10)}
    changed = 0
    for reading, expected in telemetry(3000, 10, BEGIN_MS):
        record = orjson.loads(reading.value)
        out: list[Outcome] = []
        event = Event(parse_instant(record["ts"]), reading.received_at, record["signals"], None)
        engine.process(vehicles[reading.vehicle], event, 0, out)
        found = [each for each in out if isinstance(each, AlertRecord)]
        assert len(found) == len(out)
        assert {(each.rule, each.state) for each in found} == {(each.rule, each.state) for each in expected}
        changed += len(expected)
    assert changed > 30


def test_telemetry_is_the_same_at_every_call_and_in_order() -> None:
    first, second = list(telemetry(200, 7, BEGIN_MS)), list(telemetry(200, 7, BEGIN_MS))
    assert first == second
    instants = [reading.received_at for reading, _ in first]
    assert instants == sorted(instants)
    assert instants[0] >= BEGIN_MS


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param([], Pace(0, 0.0, 0.0, False), id="nothing"),
        pytest.param([Sample(5.0, 10, 1.0)], Pace(0, 0.0, 0.0, False), id="one-commit-is-no-rate"),
        pytest.param(
            [Sample(5.0, 10, 1.0), Sample(7.0, 50, 2.0)], Pace(40, 20.0, 40.0, False), id="unfinished"
        ),
        pytest.param(
            [Sample(5.0, 10, 1.0), Sample(7.0, 50, 2.0), Sample(12.0, 60, 2.1)],
            Pace(40, 20.0, 40.0, True),
            id="the-closing-commit-waited-for-nothing",
        ),
    ],
)
def test_pace_leaves_start_and_end_out(samples: list[Sample], expected: Pace) -> None:
    assert pace(samples, 60) == expected


def test_output_that_is_wrong_is_told() -> None:
    one, two = Change("v1", "r1", "firing", "t1"), Change("v1", "r1", "resolved", "t2")
    assert wrong([one, two], [one, two], finished=True) is None
    assert wrong([one], [one, two], finished=False) is None
    assert "1 of 2 records missing" in str(wrong([one], [one, two], finished=True))
    assert "1 records too many" in str(wrong([one, one], [one, two], finished=False))
