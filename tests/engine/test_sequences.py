"""Sequences as an author writes them, one claim each."""

from typing import Any

from rules import AlertRecord, CommandRecord, Outcome, PublishRecord, RuleSet, Source, compile_rules, parse
from tests.engine.rulebook import SIGNALS, Drive, document

UNBELTED: dict[str, Any] = {
    "within": "1m",
    "steps": [
        {"name": "moves", "when": "changed(speed) && speed > 10 && prev(speed) <= 10"},
        {"name": "unbelted", "not": "belt", "for": "30s"},
    ],
}


def drive(spec: dict[str, Any], vehicle_id: str = "v1") -> Drive:
    found = compiled(spec)
    assert isinstance(found, RuleSet), [each.format() for each in found]
    return Drive(found, vehicle_id)


def compiled(spec: dict[str, Any]) -> Any:
    catalog = document("SignalCatalog", "default", {"timestamp": {"path": "ts"}, "signals": SIGNALS})
    return compile_rules(
        parse([Source("rules.yaml", f"{catalog}\n---\n{document('SequenceRule', 'seq', spec)}")])
    )


def alerts(out: list[Outcome]) -> list[AlertRecord]:
    return [it for it in out if isinstance(it, AlertRecord)]


def test_no_belt_within_thirty_seconds() -> None:
    run = drive(UNBELTED)
    run.say(0, speed=0.0, belt=False)
    run.say(1, speed=20.0)
    run.say(20, speed=40.0, belt=False)
    fired, resolved = alerts(run.say(40, speed=50.0))
    assert (fired.state, fired.starts_at, fired.fired_at, fired.by) == ("firing", 1000, 31_000, None)
    assert (resolved.state, resolved.ends_at, resolved.reason) == ("resolved", 31_000, "cleared")
    record = fired.to_record()
    assert record["sequence"] == {
        "outcome": "match",
        "steps": [
            {"name": "moves", "firstAt": "1970-01-01T00:00:01.000Z", "lastAt": "1970-01-01T00:00:01.000Z"}
        ],
    }


def test_a_belt_in_time_and_a_belt_from_before_are_no_match() -> None:
    run = drive(UNBELTED)
    run.say(0, speed=0.0, belt=False)
    run.say(1, speed=20.0)
    run.say(20, belt=True)
    assert run.say(100, speed=40.0) == []
    run.say(101, speed=0.0)
    run.say(102, speed=20.0)
    assert run.wait(1000, 2000) == []


def test_silence_ends_the_wait_and_says_so() -> None:
    run = drive(UNBELTED)
    run.say(0, speed=0.0)
    run.say(1, speed=20.0)
    fired, _ = alerts(run.wait(100, 120))
    assert (fired.fired_at, fired.by, fired.received_at) == (31_000, "silence", 120_000)


def test_late_messages_are_ignored() -> None:
    run = drive(UNBELTED)
    run.say(0, speed=0.0, belt=False)
    run.say(5, speed=20.0)
    run.say(3, belt=True)
    run.say(6, belt=False)
    assert [it.fired_at for it in alerts(run.say(50, speed=20.0))] == [35_000, 35_000]


def test_messages_that_no_step_reads_do_not_concern_it() -> None:
    steps = [{"name": "fast", "when": "speed > 100"}, {"name": "slow", "when": "speed < 10"}]
    run = drive({"within": "1m", "contiguity": "strict", "steps": steps})
    run.say(0, speed=120.0)
    run.say(1, pressure=3.0)
    assert len(alerts(run.say(2, speed=5.0))) == 2


def test_texts_actions_and_labels() -> None:
    act = {"command": {"name": "chime", "payload": {"speed": "{{ speed }}"}}}
    run = drive(
        {
            "within": "10s",
            "steps": [{"name": "fast", "when": "speed > 100"}, {"name": "slow", "when": "speed < 10"}],
            "severity": "critical",
            "labels": {"topic": "driving"},
            "annotations": {"summary": "{{ vehicle.id }} at {{ speed }}"},
            "actions": [act, {"upon": "resolved", "publish": {"topic": "stops"}}],
            "onTimeout": {"severity": "info", "annotations": {"summary": "did not stop"}, "actions": [act]},
        }
    )
    run.say(0, speed=120.0)
    fired, command, resolved, published = run.say(2, speed=5.0)
    assert isinstance(fired, AlertRecord)
    assert isinstance(command, CommandRecord)
    assert isinstance(published, PublishRecord)
    assert (fired.severity, fired.labels) == ("critical", {"topic": "driving"})
    assert fired.annotations == {"summary": "v1 at 5"}
    assert (command.payload, command.alert_id) == ({"speed": 5.0}, fired.id)
    assert published.alert == resolved
    run.say(20, speed=120.0)
    timed_out, command, _ = run.say(31, speed=110.0)
    assert isinstance(timed_out, AlertRecord)
    assert isinstance(command, CommandRecord)
    assert timed_out.severity == "info"
    assert timed_out.annotations == {"summary": "did not stop"}
    assert (timed_out.starts_at, timed_out.fired_at) == (20_000, 30_000)
    assert timed_out.to_record()["sequence"]["outcome"] == "timeout"  # type: ignore[index]


def test_only_chosen_vehicles_are_watched() -> None:
    spec = {"vehicles": "vehicle.id == 'v2'", "within": "1m", "steps": [{"name": "a", "when": "speed > 1"}]}
    assert drive(spec).say(0, speed=2.0) == []
    assert len(drive(spec, "v2").say(0, speed=2.0)) == 2


def test_a_condition_that_fails_counts_as_false_and_is_reported() -> None:
    spec = {
        "within": "1m",
        "steps": [{"name": "a", "when": "1.0 / speed > 1.0 && int(speed) % int(speed) == 0"}],
    }
    (outcome,) = drive(spec).say(0, speed=0.0)
    assert not isinstance(outcome, AlertRecord)


def test_every_wrong_expression_of_a_rule_is_found_at_its_place() -> None:
    found = compiled(
        {
            "vehicles": "vehicle.ip == 'v'",
            "within": "1m",
            "steps": [{"name": "a", "when": "sped > 1"}, {"name": "b", "not": "speed", "for": "5s"}],
            "annotations": {"summary": "{{ spd }}"},
            "onTimeout": {"annotations": {"summary": "{{ value }}"}},
        }
    )
    assert {(each.code, each.path) for each in found} == {
        ("TT101", "spec.vehicles"),
        ("TT101", "spec.steps[0].when"),
        ("TT104", "spec.steps[1].not"),
        ("TT101", "spec.annotations.summary"),
        ("TT101", "spec.onTimeout.annotations.summary"),
    }


def test_silence_that_is_contradicted_has_dropped_nothing() -> None:
    """The message at 40 was sent in time for the step, whatever timers silence has fired meanwhile."""
    run = drive(
        {
            "within": "200s",
            "skip": "noSkip",
            "steps": [
                {"name": "fast", "when": "speed > 100", "times": {"min": 1, "max": 3}, "within": "50s"},
                {"name": "unbelted", "not": "belt", "for": "60s"},
            ],
        }
    )
    run.say(0, speed=120.0)
    run.say(10, speed=120.0)
    told = [it for it in alerts(run.wait(100, 120)) if it.state == "firing"]
    assert [(it.starts_at, it.fired_at) for it in told] == [(0, 60_000), (0, 70_000), (10_000, 70_000)]
    run.say(40, speed=120.0)
    told = [it for it in alerts(run.wait(200, 220)) if it.state == "firing"]
    assert [(it.starts_at, it.fired_at) for it in told] == [
        (0, 100_000),
        (10_000, 100_000),
        (40_000, 100_000),
    ]
