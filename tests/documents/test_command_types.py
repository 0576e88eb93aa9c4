"""Commands are held to what vehicles understand, in rules of every kind, when rules are compiled."""

import pytest

from rules import RuleSet, Source, compile_rules, parse
from rules.documents.command_type import PayloadValue

HEAD = "apiVersion: telltale.dev/v1alpha1\n"
CATALOG = (
    "kind: SignalCatalog\nmetadata: {name: default}\nspec:\n  timestamp: {path: ts}\n"
    "  position: {latitude: lat, longitude: lon}\n  signals: {Vehicle.Speed: {path: speed, alias: speed}}\n"
    "  commands: {honk: {}}"
)
FENCE = (
    "kind: Geofence\nmetadata: {name: depot}\nspec: {circle: {latitude: 1, longitude: 1, radiusMeters: 500}}"
)
TYPE = (
    "kind: CommandType\nmetadata: {name: %s}\n"
    "spec: {payload: {limit: {max: %d, required: true}}, expiresAfter: 5m}"
)
COMMAND = "[{command: {name: reduce-power, payload: {limit: %s}}}]"
RULES = {
    "AlertRule": "{when: speed > 1, actions: %s}",
    "AbsentRule": "{absentFor: {duration: 1m}, actions: %s}",
    "SequenceRule": "{within: 1m, steps: [{name: a, when: speed > 1}], actions: %s}",
    "TimeoutRule": (
        "{within: 1m, steps: [{name: a, when: speed > 1}, {name: b, when: speed > 2}],"
        " onTimeout: {actions: %s}}"
    ),
    "AggregationRule": (
        "{window: {tumbling: 1m}, aggregates: {most: max(speed)}, alert: {when: most > 1, actions: %s}}"
    ),
    "GeofenceRule": "{fences: {names: [depot]}, actions: %s}",
}
KINDS = {"AbsentRule": "AlertRule", "TimeoutRule": "SequenceRule"}


def compiled(*texts):
    sources = [Source(f"{index}.yaml", HEAD + text) for index, text in enumerate([CATALOG, *texts])]
    return compile_rules(parse(sources))


def rule(spec, kind="AlertRule", name="r"):
    return f"kind: {kind}\nmetadata: {{name: {name}}}\nspec: {spec}"


def codes(found):
    return [each.code for each in (found.warnings if isinstance(found, RuleSet) else found)]


@pytest.mark.parametrize("kind", RULES)
def test_a_payload_that_does_not_fit_refuses_a_rule_of_any_kind(kind):
    def found(limit):
        spec = RULES[kind] % COMMAND % limit
        return compiled(FENCE, TYPE % ("reduce-power", 100), rule(spec, KINDS.get(kind, kind)))

    assert codes(found(100)) == []
    assert codes(found(101)) == ["TT250"]


def test_without_any_type_no_command_is_looked_at():
    assert codes(compiled(rule(RULES["AlertRule"] % COMMAND % '"much"'))) == []


def test_a_command_of_the_catalog_needs_no_type():
    actions = "[{command: {name: honk}}, {command: {name: hoot}}]"
    found = compiled(TYPE % ("reduce-power", 100), rule(RULES["AlertRule"] % actions))
    assert codes(found) == ["TT251"]
    assert "'hoot'" in found.warnings[0].message


def test_a_type_says_when_a_command_expires_where_the_rule_does_not():
    actions = (
        "[{command: {name: reduce-power, payload: {limit: 1}}},"
        " {command: {name: reduce-power, payload: {limit: 1}, expiresAfter: 1m}}, {command: {name: honk}}]"
    )
    found = compiled(TYPE % ("reduce-power", 100), rule(RULES["AlertRule"] % actions))
    assert [each.expires_after_ms for each in found.rules[0].actions] == [300_000, 60_000, 60_000]


def test_a_tenants_type_goes_before_everybodys_for_its_own_rules_alone():
    types = (TYPE % ("reduce-power", 100), TYPE % ("acme.reduce-power", 50))
    spec = RULES["AlertRule"] % COMMAND % 60
    assert codes(compiled(*types, rule(spec))) == []
    assert codes(compiled(*types, rule(spec, name="acme.r"))) == ["TT250"]
    assert codes(compiled(*types, rule(spec, name="other.r"))) == []


@pytest.mark.parametrize(
    ("type_", "fits", "does_not"),
    [
        ("number", [1, 1.5, -0.0], [True, "1", None, [], {}]),
        ("integer", [1, 1.0], [1.5, True, "1", None, float("inf")]),
        ("boolean", [True, False], [0, 1, "true", None]),
        ("string", ["", "a"], [1, True, None, ["a"]]),
        ("list", [[], [1]], [{}, "a", None]),
        ("object", [{}, {"a": 1}], [[], "a", None]),
    ],
)
def test_a_constant_has_the_type_of_its_key(type_, fits, does_not):
    value = PayloadValue(type=type_)
    assert [value.problem(each) for each in fits] == [None] * len(fits)
    assert all(value.problem(each) for each in does_not)
