"""Laws of adaptations: the defaults change nothing, a value does what writing it into the rule does."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rules as package
from rules import Diagnostic, RuleSet, Source, compile_rules, load, parse
from rules.documents import AlertRule, Placed
from tests.engine.rulebook import document
from tests.engine.test_definitions import CATALOG, outcomes, rules_of

LIBRARY = load([Path(package.__file__).parent / "library"])
SHIPPED = [pytest.param(placed, id=placed.document.metadata.name) for placed in LIBRARY.alert_rules]
RULE: dict[str, Any] = {
    "parameters": {
        "limit": {"default": 5, "min": 0, "max": 9},
        "gap": {"default": 2},
        "hold": {"type": "duration", "default": "2s"},
        "quiet": {"type": "duration", "default": "0s"},
        "of": {"type": "string", "default": "v1"},
        "strict": {"type": "boolean", "default": False},
    },
    "vehicles": "vehicle.id == of",
    "when": "speed > limit && (!strict || pressure > limit)",
    "for": "{{ hold }}",
    "clearWhen": "speed < limit - gap",
    "cooldown": "{{quiet}}",
    "severity": [{"critical": "speed > limit + gap"}, {"warning": True}],
    "annotations": {"text": "{{ speed }} after {{ hold }}, more than {{ limit }}"},
    "actions": [{"command": {"name": "c", "payload": {"limit": "{{ limit }}"}, "maxAge": "{{ hold }}"}}],
}


def by_hand(values: dict[str, Any]) -> dict[str, Any]:
    """The rule with its parameters written out, which is easy here: no word of it is part of another."""
    words = {name: f'"{value}"' if name == "of" else str(value).lower() for name, value in values.items()}

    def written(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: written(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [written(inner) for inner in value]
        if not isinstance(value, str):
            return value
        if value.replace(" ", "") in ("{{hold}}", "{{quiet}}"):
            return values[value.strip("{} ")]
        for name, word in words.items():
            word = f'duration("{word}")' if name in ("hold", "quiet") else word
            value = value.replace(f" {name} ", f" {word} ").replace(f"!{name} ", f"!{word} ")
            value = value if not value.endswith(f" {name}") else f"{value.removesuffix(name)}{word}"
            value = value.replace(f" {name})", f" {word})")
        return value

    return {key: written(value) for key, value in RULE.items() if key != "parameters"}


DEFAULTS = {name: each["default"] for name, each in RULE["parameters"].items()}


def adaptation(name: str, **said: Any) -> str:
    return document("Adaptation", name, {"rule": "r", **said})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**40))
def test_a_value_does_what_writing_it_into_the_rule_does(seed: int) -> None:
    choice = random.Random(seed)
    values = {
        "limit": choice.randint(0, 9),
        "gap": choice.choice([0, 1.5, 3]),
        "hold": choice.choice(["0s", "1s", "5s"]),
        "quiet": choice.choice(["0s", "10s"]),
        "of": choice.choice(["v1", "v1", "v2"]),
        "strict": choice.random() < 0.3,
    }
    names = list(values)
    choice.shuffle(names)
    parts = [
        adaptation(f"a{index}", parameters={name: values[name] for name in part})
        for index, part in enumerate([names[:2], names[2:]])
    ]
    ours = rules_of(document("AlertRule", "r", RULE), *parts, order=choice)
    plain = rules_of(document("AlertRule", "r", by_hand(values)))
    assert outcomes(ours, seed) == outcomes(plain, seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40))
def test_the_default_values_change_nothing(seed: int) -> None:
    rule = document("AlertRule", "r", RULE)
    plain, adapted = rules_of(rule), rules_of(rule, adaptation("a", parameters=DEFAULTS))
    assert outcomes(adapted, seed) == outcomes(plain, seed)


def with_library(*texts: str) -> RuleSet | list[Diagnostic]:
    sources = [Source(placed.file, placed.text) for placed in LIBRARY.documents]
    return compile_rules(parse([*sources, *(Source("ours.yaml", text) for text in texts)]))


@pytest.mark.parametrize("placed", SHIPPED)
def test_a_shipped_rule_has_parameters_whose_defaults_and_ends_are_right(placed: Placed[AlertRule]) -> None:
    name, parameters = placed.document.metadata.name, placed.document.spec.parameters
    assert parameters
    plain = compile_rules(LIBRARY)
    assert isinstance(plain, RuleSet)
    for key in ("default", "min", "max"):
        values = {each: getattr(it, key) for each, it in parameters.items() if getattr(it, key) is not None}
        adapted = with_library(document("Adaptation", "ours", {"rule": name, "parameters": values}))
        assert isinstance(adapted, RuleSet), [each.format() for each in adapted]
        assert plain.fingerprint != adapted.fingerprint
        if values:
            assert (rule_of(plain, name) == rule_of(adapted, name)) == (key == "default")


def rule_of(rules: RuleSet, name: str) -> object:
    (found,) = (each for each in (*rules.rules, *rules.absences, *rules.sequences) if each.name == name)
    return found


def test_the_order_of_documents_does_not_matter() -> None:
    texts = [
        document("AlertRule", "r", RULE),
        document("Definitions", "d", {"expressions": {"fast": "speed > 3"}}),
        adaptation("b", actions={"append": [{"publish": {"topic": "b"}}]}, labels={"b": "b"}),
        adaptation("a", actions={"append": [{"publish": {"topic": "a"}}]}, parameters={"limit": 3}),
        adaptation("c", actions={"replace": [{"publish": {"topic": "c"}}]}),
    ]
    sets = [rules_of(*texts, order=random.Random(seed)) for seed in range(20)]
    assert len({each.fingerprint for each in sets}) == 1
    for each in sets:
        (rule,) = each.rules
        assert [getattr(action, "topic", None) for action in rule.actions] == ["c", "a", "b"]
        assert rule.labels == {"b": "b"}
        assert rule.when.source == sets[0].rules[0].when.source


def test_a_rule_that_is_switched_off_does_not_run_and_is_still_checked() -> None:
    off = adaptation("a", enabled=False)
    assert rules_of(document("AlertRule", "r", RULE), off).rules == ()
    loaded = parse([Source("r.yaml", document("AlertRule", "r", {"when": 5}) + "\n---\n" + off)])
    assert "TT022" in {each.code for each in loaded.errors}


def test_an_adaptation_reaches_sequences() -> None:
    spec = {
        "parameters": {"limit": {"default": 3}, "time": {"type": "duration", "default": "10s"}},
        "within": "{{ time }}",
        "steps": [{"name": "a", "when": "speed > limit"}, {"name": "b", "when": "speed < limit"}],
    }
    rules = rules_of(
        document("SequenceRule", "r", spec),
        adaptation(
            "a", parameters={"limit": 7, "time": "1m"}, severity="critical", annotations={"x": "{{ limit }}"}
        ),
    )
    (pattern,) = rules.sequences
    assert pattern.plan.within_ms == 60_000
    assert type(pattern.plan.within_ms) is int
    assert [condition.source for _, condition in pattern.steps] == ["s_0 > 7.0", "s_0 < 7.0"]
    assert pattern.upon_match.severity == "critical"
    assert set(pattern.upon_match.annotations) == {"x"}


def test_an_adaptation_reaches_geofence_rules() -> None:
    spec = {
        "parameters": {"limit": {"default": 30, "max": 80}, "stay": {"type": "duration", "default": "5m"}},
        "fences": {"names": ["depot"]},
        "events": ["enter", "dwell"],
        "dwell": "{{ stay }}",
        "speedLimit": {"limit": "{{ limit }}", "for": "{{ stay }}"},
        "exceptions": [{"name": "known", "fields": ["vehicle.id"]}],
    }
    fence = document("Geofence", "depot", {"circle": {"latitude": 31, "longitude": 121, "radiusMeters": 9}})
    ours = adaptation(
        "a", parameters={"limit": 50, "stay": "7m"}, exceptions={"known": ["v1"]}, severity="critical"
    )
    rules = rules_of(fence, document("GeofenceRule", "r", spec), ours)
    (rule,) = rules.fence_rules
    assert rules.warnings == ()
    assert rule.speed_limit is not None
    assert (rule.speed_limit.limit, rule.speed_limit.for_ms, rule.dwell_ms) == (50.0, 420_000, 420_000)
    assert rule.severity == "critical"
    assert rule.vehicles is not None
    assert [rule.vehicles.evaluate([name]) for name in ("v1", "v2")] == [False, True]
    (written,) = parse([Source("r", document("GeofenceRule", "r", spec))]).documents
    assert written.document.as_written()["spec"]["speedLimit"]["limit"] == "{{ limit }}"


def test_an_adaptation_reaches_the_alert_of_an_aggregation() -> None:
    spec = {
        "parameters": {"limit": {"default": 5}},
        "window": {"tumbling": "1m"},
        "aggregates": {"fastest": "max(speed)"},
        "alert": {"when": "fastest > limit", "labels": {"a": "b"}},
    }
    ours = adaptation(
        "a",
        parameters={"limit": 7},
        severity="critical",
        labels={"c": "d"},
        actions={"append": [{"publish": {"topic": "t"}}]},
    )
    rules = rules_of(document("AggregationRule", "r", spec), ours)
    assert rules.warnings == ()
    assert len(rules.aggregations) == 1
    (running,) = parse(
        [Source("r", document("AggregationRule", "r", spec) + "\n---\n" + ours)]
    ).aggregation_rules
    alert = running.document.spec.alert
    assert alert is not None
    assert (alert.severity, alert.labels, len(alert.actions)) == ("critical", {"a": "b", "c": "d"}, 1)


def test_actions_of_a_geofence_rule_act_upon_its_events() -> None:
    fence = document("Geofence", "depot", {"circle": {"latitude": 31, "longitude": 121, "radiusMeters": 9}})
    ours = adaptation("a", actions={"append": [{"upon": "exit", "publish": {"topic": "t"}}]})
    rules = rules_of(fence, document("GeofenceRule", "r", {"fences": {"names": ["depot"]}}), ours)
    assert [action.upon for action in rules.fence_rules[0].actions] == ["exit"]
    wrong = Source("r", "\n---\n".join([CATALOG, document("AlertRule", "r", {"when": "speed > 1"}), ours]))
    found = compile_rules(parse([wrong]))
    assert isinstance(found, list)
    assert [each.path for each in found] == ["spec.actions[0].upon"]


def test_documents_stay_as_they_were_written() -> None:
    texts = [document("AlertRule", "r", RULE), adaptation("a", parameters={"limit": 3, "hold": "9s"})]
    loaded = parse([Source("r.yaml", "\n---\n".join(texts))])
    rule, adapted = (placed.document for placed in loaded.documents)
    assert rule.as_written()["spec"]["for"] == "{{ hold }}"
    assert rule.as_written()["spec"]["parameters"]["limit"]["default"] == 5
    assert adapted.as_written()["spec"] == {"rule": "r", "parameters": {"limit": 3.0, "hold": "9s"}}
    (running,) = loaded.alert_rules
    assert running.document.spec.for_ms == 9000
    assert running.document.spec.parameters["limit"].default == 3


def test_a_fault_of_an_adaptation_is_told_where_it_stands() -> None:
    texts = {
        "rule.yaml": document("AlertRule", "r", RULE),
        "ours.yaml": adaptation("a", annotations={"text": "{{ sped }}"}, labels={"a": "b"}),
        "catalog.yaml": document(
            "SignalCatalog", "c", {"timestamp": {"path": "ts"}, "signals": {"speed": {}, "pressure": {}}}
        ),
    }
    found = compile_rules(parse(Source(*each) for each in texts.items()))
    assert isinstance(found, list)
    (problem,) = found
    assert (problem.file, problem.path, problem.code) == ("ours.yaml", "spec.annotations.text", "TT101")
    assert texts["ours.yaml"][problem.column - 1 :].startswith("sped")
