"""Windows in every place of a rule, and through an edit of the rule set."""

from typing import Any

from rules import (
    AlertRecord,
    Diagnostic,
    Outcome,
    RuleSet,
    Source,
    compile_rules,
    parse,
)
from rules.engine import ring_parts
from rules.engine.rings import PIECE
from tests.engine.rulebook import SIGNALS, Drive, compiled, document, rule_set


def told(out: list[Outcome]) -> list[tuple[str, str, str, object, int]]:
    records = [it for it in out if isinstance(it, AlertRecord)]
    return [(it.rule, it.state, it.severity, it.value, (it.ends_at or it.fired_at) // 1000) for it in records]


def test_a_window_is_a_value_a_rung_and_a_text() -> None:
    drive = Drive(
        rule_set(
            {
                "hot": {
                    "when": "speed > 100",
                    "value": 'avg(speed, duration("10s"))',
                    "severity": [{"critical": 'min(speed, duration("5s")) > 100'}, {"warning": "true"}],
                    "annotations": {"summary": '{{ max(speed, duration("1m")) }}, {{ value }} on average'},
                }
            }
        )
    )
    assert told(drive.say(0, speed=130.0)) == [("hot", "firing", "critical", 130.0, 0)]
    assert drive.say(4, speed=90.0) != []
    out = drive.say(5, speed=104.0)
    assert told(out) == [("hot", "firing", "warning", 108.0, 5)]
    record = out[0]
    assert isinstance(record, AlertRecord)
    assert record.annotations == {"summary": "130, 108 on average"}
    # The low sample leaves the window of the rung at 9 s, and the severity rises then.
    assert told(drive.say(12, speed=60.0)) == [
        ("hot", "firing", "critical", 108.0, 5),
        ("hot", "resolved", "critical", 254 / 3, 12),
    ]


def test_a_sequence_may_ask_for_a_window() -> None:
    documents = [
        document("SignalCatalog", "default", {"timestamp": {"path": "ts"}, "signals": SIGNALS}),
        document(
            "SequenceRule",
            "braked",
            {
                "within": "1m",
                "steps": [
                    {"name": "cruised", "when": 'avg(speed, duration("10s")) > 100'},
                    {"name": "stood", "when": "speed < 1"},
                ],
            },
        ),
    ]
    rules = compile_rules(parse([Source("rules.yaml", "\n---\n".join(documents))]))
    assert isinstance(rules, RuleSet)
    drive = Drive(rules)
    assert drive.say(0, speed=80.0) == []
    assert drive.say(5, speed=130.0) == []
    assert [it[:2] for it in told(drive.say(9, speed=0.0))] == [("braked", "firing"), ("braked", "resolved")]


def test_windows_through_definitions_and_parameters() -> None:
    documents = [
        document("SignalCatalog", "default", {"timestamp": {"path": "ts"}, "signals": SIGNALS}),
        document(
            "Definitions",
            "fleet",
            {
                "expressions": {
                    "peak": {
                        "parameters": [{"name": "signal"}, {"name": "span", "type": "duration"}],
                        "is": "max(signal, span)",
                    }
                }
            },
        ),
        document(
            "AlertRule",
            "hot",
            {
                "parameters": {"span": {"type": "duration", "default": "10m"}},
                "when": 'peak(speed, duration("5s")) + peak(speed, span) > 100',
            },
        ),
    ]
    rules = compile_rules(parse([Source("rules.yaml", "\n---\n".join(documents))]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    (rule,) = rules.rules
    windows = [read.window for read in rule.when.reads]
    assert [window.duration_ms for window in windows if window is not None] == [5_000, 600_000]


def test_a_window_is_known_whatever_the_signal_turns_to() -> None:
    found = compiled({"slow": {"when": 'avg(speed, duration("1h")) > 5', "for": "30m"}})
    assert isinstance(found, RuleSet)
    assert found.warnings == ()  # TT205 is about last known values


def moved(drive: Drive, rules: dict[str, Any]) -> Drive:
    """The vehicle under other rules."""
    parts = drive.engine.snapshot(drive.vehicle)
    after = Drive(rule_set(rules))
    after.vehicle = after.engine.restore("v1", parts)
    return after


def test_an_edit_keeps_the_samples() -> None:
    before = Drive(rule_set({"hot": {"when": 'avg(speed, duration("20s")) > 500'}}))
    for second in range(10):
        before.say(second, speed=float(second))
    after = moved(
        before, {"hot": {"when": 'sum(speed, duration("1m")) > 44 && stddev(speed, duration("8s")) >= 0'}}
    )
    assert [it[:2] for it in told(after.say(10, speed=1.0))] == [("hot", "firing")]


def test_an_edit_to_a_shorter_window_is_left_sooner() -> None:
    before = Drive(rule_set({"hot": {"when": 'max(speed, duration("60s")) > 500'}}))
    before.say(0, speed=7.0)
    after = moved(
        before, {"hot": {"when": 'max(speed, duration("30s")) < 5 || count(speed, duration("20s")) > 9'}}
    )
    deadline = before.engine.next_deadline(before.vehicle)
    sooner = after.engine.next_deadline(after.vehicle)
    assert (deadline, sooner) == (70_000, 30_000)


def test_samples_that_no_rule_asks_for_any_more_are_removed_with_the_vehicle() -> None:
    before = Drive(rule_set({"hot": {"when": 'max(speed, duration("60s")) > 500'}}))
    before.say(0, speed=7.0)
    parts = before.engine.snapshot(before.vehicle)
    assert any(part.startswith(ring_parts.WINDOW) for part in parts)
    for rules in ({"hot": {"when": "speed > 3"}}, {"hot": {"when": 'max(speed, duration("60s")) > 500'}}):
        after = moved(before, rules)
        after.engine.forget(after.vehicle, 0, 0, [])
        gone = after.engine.changed(after.vehicle)
        assert {part for part, packed in gone.items() if packed is None} >= parts.keys() - {"values"}


def test_many_windows_share_the_samples_of_a_signal() -> None:
    rules = {f"rule-{index}": {"when": f'avg(speed, duration("{index + 1}s")) > 500'} for index in range(50)}
    drive = Drive(rule_set(rules))
    for second in range(60):
        drive.say(second, speed=1.0)
    parts = drive.engine.snapshot(drive.vehicle)
    assert sum(part.startswith(ring_parts.WINDOW) for part in parts) == -(-60 // PIECE)


def test_a_set_has_windows_over_a_bounded_number_of_signals() -> None:
    signals = {f"s{index}": {} for index in range(65)}
    catalog = document("SignalCatalog", "default", {"timestamp": {"path": "ts"}, "signals": signals})
    rules = [
        document("AlertRule", f"r{index}", {"when": f'max(s{index}, duration("1s")) > 5'})
        for index in range(65)
    ]
    found = compile_rules(parse([Source("rules.yaml", "\n---\n".join([catalog, *rules]))]))
    assert isinstance(found, list)
    assert [finding.code for finding in found if isinstance(finding, Diagnostic)] == ["TT206"]


def test_a_signal_that_a_vehicle_never_says_costs_it_nothing() -> None:
    when = 'avg(speed, duration("10s")) > 100 || max(pressure, duration("10s")) > 5'
    drive = Drive(rule_set({"hot": {"when": when}}))
    assert told(drive.say(0, speed=130.0)) == [("hot", "firing", "warning", None, 0)]
    for second in range(1, 9):
        drive.say(second, speed=90.0)
    assert list(drive.vehicle.memory.rings) == [drive.vehicle.memory.layout.slots["Vehicle.Speed"]]
