"""Documents become a rule set, or every finding with its place."""

from pathlib import Path

import pytest

from rules import Diagnostic, RuleSet, Source, compile_rules, load, parse
from rules.engine import Limits, Rollout
from tests.engine.rulebook import compiled, document, rule_set

LIBRARY = Path(__file__).parents[2] / "rules" / "library"

CATALOG = """\
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts}
  signals:
    Vehicle.Speed: {alias: speed, staleAfter: 5m}
"""
RULE = """\
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: fast}
spec:
"""


def findings(*texts: str) -> list[str]:
    found = compile_rules(parse([Source(f"{n}.yaml", text) for n, text in enumerate(texts)]))
    assert isinstance(found, list)
    return [finding.format().split(" ")[0] + finding.format().split(" ")[1] for finding in found]


def test_all_findings_come_at_once_and_each_has_its_place() -> None:
    rule = RULE + (
        "  when: Vehicle.Sped > 100\n"
        "  clearWhen: >-\n"
        "    speed < 80 &&\n"
        "    sped < 9\n"
        "  value: speed + 'x'\n"
        "  annotations: {summary: 'at {{ spede }} km/h'}\n"
        "  actions:\n"
        "    - command: {name: x, payload: {deep: [1, '{{ nothing }}']}}\n"
    )
    assert findings(CATALOG, rule) == [
        "1.yaml:5:9:error[TT101]",
        "1.yaml:8:5:error[TT101]",
        "1.yaml:9:16:error[TT103]",
        "1.yaml:10:33:error[TT101]",
        "1.yaml:12:50:error[TT101]",
    ]


def test_findings_of_loading_are_among_them() -> None:
    broken = RULE.replace("fast", "other") + "  when: speed > 1\n  fro: 1s\n"
    wrong = RULE + "  when: sped > 1\n"
    assert findings(CATALOG, broken, wrong) == ["1.yaml:6:3:error[TT021]", "2.yaml:5:9:error[TT101]"]


def test_changed_is_refused_under_a_hold() -> None:
    found = compiled({"fast": {"when": "changed(speed)", "for": "1s"}})
    assert isinstance(found, list)
    assert [finding.code for finding in found] == ["TT204"]


def test_a_hold_longer_than_its_signal_lives_is_a_warning() -> None:
    rules = rule_set(
        {"fast": {"when": "speed > 1", "for": "11m"}, "slow": {"when": "speed < 1", "for": "10m"}}
    )
    assert [finding.code for finding in rules.warnings] == ["TT205"]


def test_a_value_that_cannot_be_shown_is_refused() -> None:
    found = compiled({"fast": {"when": "speed > 1", "value": "[speed]"}})
    assert isinstance(found, list)
    assert [(finding.code, finding.path) for finding in found] == [("TT104", "spec.value")]


@pytest.mark.parametrize(
    ("when", "value", "lowest"),
    [
        pytest.param("speed > 1", "Vehicle.Speed", False, id="one-signal"),
        pytest.param("speed < 1", "Vehicle.Speed", True, id="below"),
        pytest.param("5 >= speed", "Vehicle.Speed", True, id="below-seen-from-the-signal"),
        pytest.param("rate(speed) > 1 || speed < 3", "Vehicle.Speed", False, id="one-signal-twice"),
        pytest.param("speed > pressure", None, False, id="two-signals"),
    ],
)
def test_the_default_value_is_the_one_signal_of_the_condition(
    when: str, value: str | None, lowest: bool
) -> None:
    (rule,) = rule_set({"rule": {"when": when}}).rules
    assert (rule.value.text if rule.value else None) == value
    assert rule.lowest is lowest


def test_the_fingerprint_is_of_the_meaning() -> None:
    rule = RULE + "  when: speed > 1\n"
    one = compile_rules(parse([Source("a", CATALOG), Source("b", rule)]))
    same = compile_rules(parse([Source("c", rule + "# a comment\n---\n" + CATALOG)]))
    other = compile_rules(parse([Source("a", CATALOG), Source("b", rule.replace("> 1", "> 2"))]))
    assert isinstance(one, RuleSet)
    assert isinstance(same, RuleSet)
    assert isinstance(other, RuleSet)
    assert one.fingerprint == same.fingerprint != other.fingerprint


def test_the_shipped_rules_compile() -> None:
    rules = compile_rules(load([LIBRARY]))
    assert isinstance(rules, RuleSet), [it.format() for it in rules if isinstance(it, Diagnostic)]
    assert len(rules.rules) == 11
    assert rules.catalog is not None


def test_no_documents_are_an_empty_set_only_if_loading_says_so() -> None:
    found = compile_rules(parse([]))
    assert isinstance(found, RuleSet)
    assert found.rules == ()


def test_aggregates_are_checked_like_conditions_and_problems_have_their_places() -> None:
    rule = """\
apiVersion: telltale.dev/v1alpha1
kind: AggregationRule
metadata: {name: figures}
spec:
  window: {tumbling: 1h}
  where: speed
  aggregates:
    highest: max(sped)
    other: sum(speed + true)
    some: |
      max(speed <
        sped ? 1 : 2)
"""
    assert findings(CATALOG, rule) == [
        "1.yaml:6:10:error[TT104]",
        "1.yaml:8:18:error[TT101]",
        "1.yaml:9:22:error[TT103]",
        "1.yaml:12:9:error[TT101]",
    ]


def test_aggregates_and_having_know_what_authors_have_defined() -> None:
    texts = """\
apiVersion: telltale.dev/v1alpha1
kind: Definitions
metadata: {name: words}
spec:
  expressions: {fast: speed > 100}
  lists: {limits: [10, 20]}
---
apiVersion: telltale.dev/v1alpha1
kind: AggregationRule
metadata: {name: figures}
spec:
  window: {tumbling: 1h}
  where: fast
  aggregates: {share: avg(fast), samples: count()}
  having: samples in limits
"""
    rules = compile_rules(parse([Source("c.yaml", CATALOG), Source("r.yaml", texts)]))
    assert isinstance(rules, RuleSet), [each.format() for each in rules]
    assert rules.aggregations[0].measures[0].argument is not None


def test_a_set_says_which_of_its_rules_are_shadows_and_who_has_it() -> None:
    """An adaptation may put another's rule in shadow, or take it out."""
    kept = {"when": "speed > 1"}
    texts = [
        CATALOG,
        document("AlertRule", "one", kept),
        document("AlertRule", "two", {**kept, "mode": "shadow"}),
        document("AlertRule", "three", {**kept, "mode": "shadow"}),
        document("Adaptation", "one-is-tried", {"rule": "one", "mode": "shadow"}),
        document("Adaptation", "three-acts", {"rule": "three", "mode": "active"}),
    ]
    rules = compile_rules(parse([Source(f"{n}.yaml", text) for n, text in enumerate(texts)]))
    assert isinstance(rules, RuleSet)
    assert (rules.shadows, rules.rollout) == ({"one", "two"}, None)

    limits = {"afterEvents": 50, "fireRatioAbove": 2, "fireRatioBelow": 0.5, "errorRateAbove": 0.01}
    spec = {"percent": 12.5, "salt": "s", "rollBackIf": {**limits, "costRatioAbove": 3}}
    texts = [CATALOG, document("Rollout", "rollout", spec)]
    rules = compile_rules(parse([Source(f"{n}.yaml", text) for n, text in enumerate(texts)]))
    assert isinstance(rules, RuleSet)
    assert rules.rollout == Rollout(12.5, "s", Limits(50, 2.0, 0.5, 0.01, 3.0))
