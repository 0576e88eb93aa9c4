"""Laws of what authors name: it is what one would have written by hand, in any order of documents."""

import random
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import Outcome, RuleSet, Source, compile_rules, parse
from tests.engine.definitions import Writer
from tests.engine.rulebook import SIGNALS, Drive, document

CATALOG = document(
    "SignalCatalog",
    "default",
    {"timestamp": {"path": "ts"}, "position": {"latitude": "a", "longitude": "o"}, "signals": SIGNALS},
)


def rules_of(*documents: str, order: random.Random | None = None) -> RuleSet:
    texts = [CATALOG, *documents]
    if order is not None:
        order.shuffle(texts)
    found = compile_rules(parse(Source(f"{number}.yaml", text) for number, text in enumerate(texts)))
    assert isinstance(found, RuleSet), "\n".join(finding.format() for finding in found)
    return found


def outcomes(rules: RuleSet, seed: int) -> list[Outcome]:
    """What a random drive gives: gaps, silences, late and repeated messages."""
    choice = random.Random(seed)
    drive = Drive(rules)
    second, found = 100, []
    for _ in range(60):
        second += choice.choice([0, 1, 1, 2, 9, 700])
        known = choice.choice([["speed"], ["pressure"], ["speed", "pressure"], []])
        late = choice.choice([0, 0, 0, 3])
        found += drive.say(second - late, **{name: float(choice.randint(0, 9)) for name in known})
        if choice.random() < 0.1:
            found += drive.wait(second + 30, second + 31)
    return found


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**40))
def test_a_rule_with_names_does_what_the_rule_does_that_has_them_written_out(seed: int) -> None:
    writer = Writer(seed)
    when, clear, critical = (writer.condition(3) for _ in range(3))

    def spec(write: Any) -> dict[str, Any]:
        return {
            "when": write(when),
            "clearWhen": write(clear),
            "severity": [{"critical": write(critical)}, {"warning": True}],
            "value": "speed",
            "annotations": {"text": "{{ " + write(critical) + " }} at {{ speed }}"},
            "actions": [{"command": {"name": "c", "payload": {"a": "{{ " + write(when) + " }}"}}}],
        }

    order = random.Random(seed)
    ours = rules_of(
        document("Definitions", "d", writer.spec()),
        document("AlertRule", "r", spec(writer.author)),
        order=order,
    )
    by_hand = rules_of(document("AlertRule", "r", spec(writer.by_hand)))
    assert ours.rules[0].when.source == by_hand.rules[0].when.source
    assert outcomes(ours, seed) == outcomes(by_hand, seed)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40))
def test_a_sequence_with_names_does_what_the_one_does_that_has_them_written_out(seed: int) -> None:
    writer = Writer(seed)
    first, never, last = (writer.condition(2) for _ in range(3))

    def spec(write: Any) -> dict[str, Any]:
        return {
            "within": "60s",
            "steps": [
                {"name": "first", "when": write(first)},
                {"name": "never", "not": write(never)},
                {"name": "last", "when": write(last)},
            ],
        }

    ours = rules_of(
        document("SequenceRule", "r", spec(writer.author)), document("Definitions", "d", writer.spec())
    )
    assert outcomes(ours, seed) == outcomes(
        rules_of(document("SequenceRule", "r", spec(writer.by_hand))), seed
    )


def test_definitions_may_stand_in_several_documents_and_use_each_other_across_them() -> None:
    later = document("Definitions", "a", {"expressions": {"fast": "above(speed)"}})
    first = document(
        "Definitions",
        "b",
        {
            "expressions": {"above": {"parameters": [{"name": "s"}], "is": "s > 5 && !(s in odd)"}},
            "lists": {"odd": [7, 9]},
        },
    )
    rules = rules_of(document("AlertRule", "r", {"when": "fast"}), later, first)
    drive = Drive(rules)
    assert [bool(drive.say(second, speed=speed)) for second, speed in enumerate([5.0, 7.0, 6.0])] == [
        False,
        False,
        True,
    ]


def test_an_attribute_is_what_the_parameter_wants() -> None:
    over = {"over": {"parameters": [{"name": "limit"}], "is": "speed > limit"}}
    rules = rules_of(
        document("Definitions", "d", {"expressions": over}),
        document("AlertRule", "r", {"when": "over(vehicle.attributes.limit)"}),
    )
    assert [read.signal for read in rules.rules[0].when.reads] == [
        "Vehicle.Speed",
        "vehicle.attributes.limit as double",
    ]


def test_windows_take_parameters() -> None:
    means = {
        "mean": {
            "parameters": [{"name": "signal"}, {"name": "time", "type": "duration"}],
            "is": "avg(signal, time)",
        }
    }
    parameters = {"time": {"type": "duration", "default": "90s"}, "percent": {"default": 95}}
    when = "mean(speed, time) > 5 && percentile(pressure, percent, time) > 3"
    ours = rules_of(
        document("Definitions", "d", {"expressions": means}),
        document("AlertRule", "r", {"parameters": parameters, "when": when}),
    )
    plain = 'avg(speed, duration("90s")) > 5 && percentile(pressure, 95, duration("90s")) > 3'
    theirs = rules_of(document("AlertRule", "r", {"when": plain}))
    assert ours.rules[0].when.reads == theirs.rules[0].when.reads
    assert ours.warnings == ()


def test_a_vehicle_selector_may_use_names_of_vehicles() -> None:
    names = document(
        "Definitions",
        "d",
        {"lists": {"tests": ["v1", "v2"]}, "expressions": {"is_test": "vehicle.id in tests"}},
    )
    rules = rules_of(names, document("AlertRule", "r", {"vehicles": "!is_test", "when": "speed > 5"}))
    assert not Drive(rules, "v1").say(1, speed=9.0)
    assert Drive(rules, "v3").say(1, speed=9.0)


def test_a_long_list_is_a_set_that_is_looked_up_in() -> None:
    vehicles = [f"v{number}" for number in range(50_000)]
    names = document("Definitions", "d", {"lists": {"ours": vehicles}})
    rules = rules_of(names, document("AlertRule", "r", {"when": "vehicle.id in ours && speed > 5"}))
    (constant,) = (it for it in rules.rules[0].when.constants.values() if isinstance(it, frozenset))
    assert len(constant) == 50_000


def test_a_change_of_a_definition_changes_the_fingerprint() -> None:
    rule = document("AlertRule", "r", {"when": "fast"})
    one, other = (
        rules_of(
            rule, document("Definitions", "d", {"expressions": {"fast": f"speed > {limit}"}})
        ).fingerprint
        for limit in (5, 6)
    )
    assert one != other


def test_many_definitions_compile_soon() -> None:
    started = time.process_time()
    expressions = {"named_0": "speed > 1"} | {f"named_{n}": f"named_0 || speed > {n}" for n in range(1, 1000)}
    rules_of(
        document("Definitions", "d", {"expressions": expressions}),
        document("AlertRule", "r", {"when": "named_999"}),
    )
    assert time.process_time() - started < 5, "a hang, not a measurement"
