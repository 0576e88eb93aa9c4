"""Tenants: what `acme.` before a name does to rules of every kind."""

import json
from typing import Any

import pytest

from rules import RuleSet, Source, compile_rules, parse
from rules.lint import lint
from rules.testing import Suite, suite

CATALOG = """
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts}
  position: {latitude: lat, longitude: lon}
  signals: {Vehicle.Speed: {path: speed, alias: speed, type: double}, Vehicle.Belt: {path: belt, alias: belt}}
"""
RULES = {
    "AlertRule": "{when: speed > 100}",
    "AbsentRule": "{absentFor: {duration: 1m}}",
    "SequenceRule": "{within: 1m, steps: [{name: a, when: speed > 10}, {name: b, when: speed > 100}]}",
    "AggregationRule": "{window: {tumbling: 1m}, aggregates: {hottest: max(speed)}}",
    "GeofenceRule": "{fences: {names: [depot]}}",
}
DEPOT = (
    "kind: Geofence\nmetadata: {name: %s, labels: {type: depot}}\n"
    "spec: {circle: {latitude: %s, longitude: 10.0, radiusMeters: 500}}"
)


def documents(*texts: str) -> list[Source]:
    """Texts as one set, each a file."""
    return [
        Source(f"{index}.yaml", f"apiVersion: telltale.dev/v1alpha1\n{text}\n")
        for index, text in enumerate(texts)
    ]


def rule(name: str, spec: str, kind: str = "AlertRule") -> str:
    """One rule as its author writes it."""
    return f"kind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}"


def compiled(*texts: str) -> RuleSet:
    """The rule set; what is wrong with it fails the test."""
    found = compile_rules(parse(documents(CATALOG, *texts)))
    assert isinstance(found, RuleSet), "\n".join(each.format() for each in found)
    return found


def errors(*texts: str) -> list[str]:
    """Codes of what is wrong with a set, in order."""
    found = compile_rules(parse(documents(CATALOG, *texts)))
    return [] if isinstance(found, RuleSet) else [each.code for each in found if each.severity == "error"]


def complaints(*texts: str) -> list[str]:
    """What the tests of a set say; nothing if all is as they expect."""
    tests = suite(parse(documents(CATALOG, *texts)))
    assert isinstance(tests, Suite), "\n".join(each.format() for each in tests)
    return [failure.message for outcome in tests.run() for failure in outcome.failures]


def selectors(rules: RuleSet) -> list[Any]:
    """The selector of each rule."""
    kinds = (rules.rules, rules.sequences, rules.absences, rules.aggregations, rules.fence_rules)
    return [each.vehicles for kind in kinds for each in kind]


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("own", [None, 'true || vehicle.id != "x"', "true // all of them"])
def test_a_tenants_rule_of_any_kind_selects_its_own_vehicles_whatever_it_says(kind, own):
    spec = RULES[kind] if own is None else RULES[kind].replace("{", f"{{vehicles: {json.dumps(own)}, ", 1)
    made = compiled(rule("acme.fast", spec, kind.replace("Absent", "Alert")), DEPOT % ("acme.depot", 1.0))
    (selector,) = selectors(made)
    assert [read.signal for read in selector.reads] == ["vehicle.id"]
    seen = {
        name: selector.evaluate([name]) for name in ("acme/v1", "acme/", "acmeX/v1", "umbra/v1", "acme", "v1")
    }
    assert seen == {
        "acme/v1": True,
        "acme/": True,
        "acmeX/v1": False,
        "umbra/v1": False,
        "acme": False,
        "v1": False,
    }


@pytest.mark.parametrize("kind", ["AbsentRule", "GeofenceRule"])
def test_exceptions_take_nothing_from_the_tenants_border(kind):
    exceptions = "exceptions: [{name: test-bench, fields: [vehicle.id], values: [acme/bench]}], "
    spec = RULES[kind].replace("{", "{" + exceptions, 1)
    made = compiled(rule("acme.fast", spec, kind.replace("Absent", "Alert")), DEPOT % ("acme.depot", 1.0))
    (selector,) = selectors(made)
    assert [selector.evaluate([it]) for it in ("acme/v1", "acme/bench", "umbra/v1")] == [True, False, False]


def test_rules_of_two_tenants_have_one_name_and_each_fires_for_its_own_vehicles_alone():
    test = rule(
        "each-has-its-own-limit",
        """
  rules: [acme.fast, umbra.fast]
  vehicles:
    acme/v1: {speed: 90 110x3}
    umbra/v1: {speed: 60 110x3}
    v1: {speed: 200x4}
    acmeumbra/v1: {speed: 200x4}
  expect:
    - {rule: acme.fast, vehicle: acme/v1, alerts: [{startsAt: 1s}]}
    - {rule: umbra.fast, vehicle: umbra/v1, alerts: [{startsAt: 0s}]}
    - {rule: acme.fast, vehicle: umbra/v1, alerts: []}
    - {rule: acme.fast, vehicle: v1, alerts: []}
    - {rule: acme.fast, vehicle: acmeumbra/v1, alerts: []}
    - {rule: umbra.fast, vehicle: acme/v1, alerts: []}
    - {rule: umbra.fast, vehicle: v1, alerts: []}
    - {rule: umbra.fast, vehicle: acmeumbra/v1, alerts: []}
""",
        "RuleTest",
    )
    assert not complaints(
        rule("acme.fast", "{when: speed > 100}"), rule("umbra.fast", "{when: speed > 50}"), test
    )


def test_a_tenants_fence_is_named_without_the_tenant_and_hides_everybodys():
    made = compiled(
        DEPOT % ("depot", 1.0),
        DEPOT % ("acme.depot", 2.0),
        DEPOT % ("yard", 3.0),
        rule("acme.home", '{when: inside("depot") && !inside("yard")}'),
        rule("everywhere", '{when: inside("depot") || inside("acme.depot")}'),
        rule("acme.visits", "{fences: {names: [depot, yard]}}", "GeofenceRule"),
    )
    home, everywhere = made.rules
    assert {read.signal for read in home.when.reads} == {'inside("acme.depot")', 'inside("yard")'}
    assert {read.signal for read in everywhere.when.reads} == {'inside("depot")', 'inside("acme.depot")'}
    assert made.fence_rules[0].fences == ("acme.depot", "yard")


def test_two_tenants_meanings_of_one_fence_run_side_by_side():
    test = rule(
        "each-at-its-own-depot",
        """
  steps:
    - {at: 0s, vehicle: acme/v1, signals: {speed: 1}, position: {latitude: 1.0, longitude: 10.0}}
    - {at: 0s, vehicle: umbra/v1, signals: {speed: 1}, position: {latitude: 1.0, longitude: 10.0}}
    - {at: 5s, vehicle: umbra/v1, signals: {speed: 1}, position: {latitude: 2.0, longitude: 10.0}}
  expect:
    - {rule: acme.home, vehicle: acme/v1, alerts: [{startsAt: 0s}]}
    - {rule: umbra.home, vehicle: umbra/v1, alerts: [{startsAt: 5s}]}
    - {rule: umbra.home, vehicle: acme/v1, alerts: []}
    - {rule: acme.home, vehicle: umbra/v1, alerts: []}
""",
        "RuleTest",
    )
    fences = (DEPOT % ("acme.depot", 1.0), DEPOT % ("umbra.depot", 2.0))
    rules = [rule(f"{tenant}.home", '{when: inside("depot")}') for tenant in ("acme", "umbra")]
    assert not complaints(*fences, *rules, test)


def test_no_tenant_sees_what_another_one_has():
    other = (
        DEPOT % ("umbra.garage", 1.0),
        rule("umbra.words", "{expressions: {brisk: speed > 80}}", "Definitions"),
    )
    assert errors(*other, rule("acme.a", '{when: inside("garage")}')) == ["TT210"]
    assert errors(*other, rule("acme.a", '{when: inside("umbra.garage")}')) == ["TT210"]
    assert errors(*other, rule("acme.a", "{fences: {names: [umbra.garage]}}", "GeofenceRule")) == ["TT210"]
    assert errors(*other, rule("acme.a", "{when: brisk}")) == ["TT101"]
    made = compiled(*other, rule("acme.a", "{fences: {matchLabels: {type: depot}}}", "GeofenceRule"))
    assert made.fence_rules[0].fences == ()


def test_everybodys_rule_takes_no_tenants_fence_by_its_labels():
    fences = (DEPOT % ("depot", 1.0), DEPOT % ("acme.depot", 2.0))
    made = compiled(*fences, rule("visits", "{fences: {matchLabels: {type: depot}}}", "GeofenceRule"))
    assert made.fence_rules[0].fences == ("depot",)


def test_definitions_are_everybodys_or_the_tenants_own():
    words = [
        rule("words", "{expressions: {brisk: speed > 80}}", "Definitions"),
        rule("acme.words", "{expressions: {brisk: speed > 40, keen: brisk && speed < 60}}", "Definitions"),
        rule("umbra.words", "{expressions: {keen: brisk && speed < 90}}", "Definitions"),
    ]
    rules = [
        rule(name, f"{{when: {word}}}")
        for name, word in (("a", "brisk"), ("acme.a", "keen"), ("umbra.a", "keen"))
    ]
    made = {it.name: it.when for it in compiled(*words, *rules).rules}
    truths = {name: [when.evaluate([speed]) for speed in (50.0, 85.0)] for name, when in made.items()}
    assert truths == {"a": [False, True], "acme.a": [True, False], "umbra.a": [False, True]}


def test_an_adaptation_reaches_rules_of_its_tenant_alone():
    limited = "{parameters: {limit: {default: 100}}, when: speed > limit}"
    change = rule("acme.less", "{rule: fast, parameters: {limit: 60}}", "Adaptation")
    assert errors(rule("fast", limited), change) == ["TT240"]
    made = {
        it.name: it.when for it in compiled(rule("fast", limited), rule("acme.fast", limited), change).rules
    }
    assert {name: when.evaluate([80.0]) for name, when in made.items()} == {"fast": False, "acme.fast": True}


def test_the_linter_knows_what_a_tenant_may_name():
    texts = (DEPOT % ("acme.depot", 1.0), rule("acme.a", '{when: inside("depot") && speed > 1}'))
    assert not lint(parse(documents(CATALOG, *texts)))


@pytest.mark.parametrize("name", ["a.b.c", ".a", "a.", "a..b", "A.b", f"{'a' * 64}.b"])
def test_one_dot_between_two_names_and_no_other(name):
    assert errors(rule(json.dumps(name), "{when: speed > 1}")) == ["TT025"]
