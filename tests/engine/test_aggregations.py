"""Aggregation rules as authors write them: the registry, fences, selectors, edits, and what is no sample."""

from typing import Any

from rules import RuleSet, Source, compile_rules, parse
from rules.engine import AggregateRecord, AggregationEngine, Event, LateRecord, RuleFailure, registration
from rules.engine.aggregation.engine import MOST_SAMPLES
from tests.engine.rulebook import SIGNALS, document

FENCE = {"circle": {"latitude": 31.0, "longitude": 121.0, "radiusMeters": 1000}}
MINUTE = 60_000


def rule_set(*specs: dict[str, Any]) -> RuleSet:
    catalog = {
        "timestamp": {"path": "ts"},
        "position": {"latitude": "lat", "longitude": "lon"},
        "signals": SIGNALS,
    }
    texts = [document("SignalCatalog", "default", catalog), document("Geofence", "depot", FENCE)]
    texts += [document("AggregationRule", f"rule-{index}", spec) for index, spec in enumerate(specs)]
    found = compile_rules(parse([Source("rules.yaml", "\n---\n".join(texts))]))
    assert isinstance(found, RuleSet), "\n".join(finding.format() for finding in found)
    return found


class Drive:
    """One vehicle under one rule of minutes; instants in seconds."""

    def __init__(self, **spec: Any) -> None:
        self.engine = AggregationEngine(rule_set({"window": {"tumbling": "1m"}} | spec))
        self.vehicle = self.engine.new_vehicle("v1")
        self.out: list[Any] = []

    def say(self, second: float, place: tuple[float, float] | None = None, **signals: object) -> None:
        names = {str(spec["alias"]): name for name, spec in SIGNALS.items()}
        values = {names[alias]: value for alias, value in signals.items()}
        ts = int(second * 1000)
        self.engine.process(self.vehicle, Event(ts, ts, values, place), 0, self.out)

    def register(self, **labels: str) -> None:
        known = registration(labels, {"limit": 100})
        self.engine.register(self.vehicle, known, 0, 0, self.out)

    def values(self) -> list[Any]:
        """What the windows said, one for each record."""
        self.say(10_000_000)
        return [it.values for it in self.out if isinstance(it, AggregateRecord)]


def test_the_share_of_time_in_a_fence() -> None:
    drive = Drive(aggregates={"share": 'avg(inside("depot"))', "far": 'max(distance("depot"))'})
    for second, latitude in ((0, 31.0), (10, 31.001), (20, 31.5), (30, 31.0)):
        drive.say(second, (latitude, 121.0))
    drive.say(40)
    (values,) = drive.values()
    assert values["share"] == 0.75
    assert 54_000 < values["far"] < 56_000


def test_messages_count_as_the_registry_says_at_the_time() -> None:
    drive = Drive(
        where='vehicle.labels.model == "ET5"',
        aggregates={
            "samples": "count()",
            "models": "distinct(vehicle.labels.model)",
            "over": "sum(speed > vehicle.attributes.limit)",
        },
    )
    drive.say(0, speed=120.0)
    drive.register(model="ET5")
    drive.say(1, speed=120.0)
    drive.say(2, speed=90.0)
    drive.register(model="ES6")
    drive.say(3, speed=120.0)
    assert drive.values() == [{"samples": 2, "models": 1, "over": 1.0}]


def test_a_vehicle_that_is_no_longer_selected_closes_its_windows_in_time() -> None:
    drive = Drive(vehicles='vehicle.labels.model == "ET5"', aggregates={"samples": "count()"})
    drive.say(0, speed=1.0)
    drive.register(model="ET5")
    drive.say(1, speed=1.0)
    drive.register(model="ES6")
    drive.say(2, speed=1.0)
    parts = drive.engine.snapshot(drive.vehicle)
    known = registration({"model": "ES6"}, {})
    drive.vehicle = drive.engine.restore("v1", parts, known)
    assert drive.engine.snapshot(drive.vehicle) == parts
    assert drive.values() == [{"samples": 1}]


def test_a_forgotten_vehicle_has_nothing_open_and_no_state() -> None:
    drive = Drive(aggregates={"samples": "count()"}, allowedLateness="1h")
    drive.say(0, speed=1.0)
    kept = {part for part, packed in drive.engine.changed(drive.vehicle).items() if packed is not None}
    drive.say(61, speed=1.0)
    drive.engine.forget(drive.vehicle, 0, 0, drive.out)
    told = [(it.window_start, it.update, it.final, it.by) for it in drive.out]
    assert told == [(0, 0, False, None), (0, 1, True, "forgotten"), (MINUTE, 0, True, "forgotten")]
    changed = drive.engine.changed(drive.vehicle)
    assert set(changed.values()) == {None}
    assert kept <= changed.keys()
    assert drive.engine.snapshot(drive.vehicle) == {}
    assert drive.engine.next_deadline(drive.vehicle) is None


def test_what_is_unknown_or_infinite_is_no_sample() -> None:
    drive = Drive(aggregates={"mean": "avg(1.0 / speed)", "belts": "sum(belt)", "gear": "last(gear)"})
    drive.say(0, speed=0.0)
    drive.say(1, speed=0.5)
    drive.say(2, belt=True)
    assert drive.values() == [{"mean": 2.0, "belts": 1.0, "gear": None}]


def test_a_failing_expression_is_counted_and_others_go_on() -> None:
    drive = Drive(aggregates={"digits": "sum(double(gear))", "samples": "count()"})
    drive.say(0, gear="D")
    drive.say(1, gear="2")
    assert drive.values() == [{"digits": 2.0, "samples": 2}]
    assert [it.rule for it in drive.out if isinstance(it, RuleFailure)] == ["rule-0"]


def test_having_may_compare_what_has_no_value_and_then_does_not_hold() -> None:
    drive = Drive(aggregates={"mean": "avg(speed)", "samples": "count()"}, having="mean > 10 || samples > 1")
    drive.say(0, belt=True)
    drive.say(60, belt=True)
    drive.say(61, belt=True)
    drive.say(120, speed=11.0)
    assert [it["samples"] for it in drive.values()] == [2, 1]


def test_an_edit_that_changes_the_sums_begins_anew_and_any_other_does_not() -> None:
    drive = Drive(aggregates={"fastest": "max(speed)"})
    drive.say(0, speed=50.0)
    parts = drive.engine.snapshot(drive.vehicle)
    window = {"tumbling": "1m"}
    for spec, keeps in (
        ({"aggregates": {"peak": "max(speed)"}, "having": "peak > 10", "allowedLateness": "1h"}, True),
        ({"aggregates": {"fastest": "min(speed)"}}, False),
        ({"aggregates": {"fastest": "max(speed)"}, "where": "speed > 1"}, False),
        ({"aggregates": {"fastest": "max(speed)"}, "window": {"tumbling": "2m"}}, False),
    ):
        edited = AggregationEngine(rule_set({"window": window, **spec}))
        assert bool(edited.restore("v1", parts).windows) == keeps


def test_a_late_message_knows_of_others_only_what_was_said_before_it() -> None:
    drive = Drive(where="belt", aggregates={"fastest": "max(speed)"}, allowedLateness="1h")
    drive.say(0, belt=True)
    drive.say(100, speed=30.0)
    drive.say(50, speed=70.0)  # belt was said at 0: it holds
    drive.say(200, belt=True)
    drive.say(110, speed=90.0)  # what the belt was at 110 is forgotten
    assert [it["fastest"] for it in drive.values() if it["fastest"] in (70.0, 90.0)] == [70.0, 70.0]
    assert not [it for it in drive.out if isinstance(it, LateRecord)]


def test_a_sliding_window_ends_with_each_message() -> None:
    drive = Drive(window={"sliding": "10s"}, aggregates={"fastest": "max(speed)", "samples": "count(speed)"})
    for second, speed in ((0, 50.0), (5, 70.0), (10, 60.0), (8, 99.0), (15, 10.0)):
        drive.say(second, speed=speed)
    drive.say(4, speed=10.0)
    found = [it for it in drive.out if isinstance(it, AggregateRecord)]
    assert [(it.window_end - 1, it.values["samples"], it.values["fastest"]) for it in found] == [
        (0, 1, 50.0),
        (5_000, 2, 70.0),
        (10_000, 2, 70.0),
        (15_000, 3, 99.0),
    ]
    assert found[2].window_end - found[2].window_start == 10_000
    assert all(it.final and it.update == 0 for it in found)
    assert [it.ts for it in drive.out if isinstance(it, LateRecord)] == [4_000]


def test_a_sliding_window_is_bounded_and_says_so() -> None:
    drive = Drive(window={"sliding": "1h"}, aggregates={"samples": "count()"}, having="samples < 0")
    for step in range(MOST_SAMPLES + 5):
        drive.say(step / 1000, speed=1.0)
    assert len(drive.vehicle.windows[0].samples) == MOST_SAMPLES
    assert len([it for it in drive.out if isinstance(it, RuleFailure)]) == 5
