"""Coverage tells what the tests saw of each atomic condition, and costs what runs in production nothing."""

import pytest

from rules.language import BOOL, DOUBLE, STRING, Compiled, Environment
from rules.language.atoms import atoms
from rules.testing.coverage import Observers
from tests.testing.rulebook import BRAKES, FAST, suite_of

ATOMS = {
    "a > 1": ["a > 1"],
    "a > 1 && b": ["a > 1", "b"],
    "(a > 1 || !(b && s == 'x && y'))": ["a > 1", "b", "s == 'x && y'"],
    "!b == (a > 1)": ["!b == (a > 1)"],
    "!(b == (a > 1))": ["b == (a > 1)"],
    "!!b": ["b"],
    "a > (b ? 1 : 2)": ["a > (b ? 1 : 2)"],
    "b ? a > 1 : b ? s == 'q' : a < 3": ["b", "a > 1", "b", "s == 'q'", "a < 3"],
    "b ? (b ? a > 1 : a > 2) : a > 3": ["b", "b", "a > 1", "a > 2", "a > 3"],
    "[1, 2].exists(x, x > 1 && x < a) || b": ["[1, 2].exists(x, x > 1 && x < a)", "b"],
    "(a + 1) * (a - 1) > 3": ["(a + 1) * (a - 1) > 3"],
    "s in ['a', 'b'] && a in [1, 2]": ["s in ['a', 'b']", "a in [1, 2]"],
    "a > 1 // && b\n && b": ["a > 1", "b"],
    's == """a || \'b""" || b': ['s == """a || \'b"""', "b"],
    "r'\\d||' == s || b": ["r'\\d||' == s", "b"],
    "s.startsWith('(') && (b)": ["s.startsWith('(')", "b"],
    "((b))": ["b"],
    "rate(a) < -12.6 && prev(a)>20": ["rate(a) < -12.6", "prev(a)>20"],
}
NAMES = Environment({"a": DOUBLE, "b": BOOL, "s": STRING})


@pytest.mark.parametrize("text", ATOMS)
def test_atoms_are_what_operators_put_together_each_at_its_place(text):
    found = atoms(text)
    assert [atom.text for atom in found] == ATOMS[text]
    assert all(text[atom.offset :].startswith(atom.text) for atom in found)
    assert isinstance(NAMES.compile(text, BOOL), Compiled)
    assert all(isinstance(NAMES.compile(atom.text, BOOL), Compiled) for atom in found)


RULE = """
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: mixed}
spec:
  when: >-
    speed > 10
    && (belted || gear == "D") && true
  clearWhen: speed < 5
"""


def seen_of(spec, *rules):
    found = suite_of(spec, *rules)
    list(found.run())
    return {it.text: it.seen for it in found.coverage().branches}, found.coverage()


def test_every_atom_is_looked_at_even_where_the_condition_would_not_ask():
    seen, coverage = seen_of(
        "  vehicles: {v1: {speed: 0 0 20 20, belted: _ false true true, gear: _ D D N}}\n"
        "  expect: [{at: 0s, state: inactive}]",
        RULE,
    )
    assert seen == {
        "speed > 10": {True, False},
        "belted": {None, True, False},
        'gear == "D"': {None, True, False},
        "speed < 5": {False},
    }
    assert (coverage.covered, coverage.total, coverage.untested) == (7, 8, ())
    (missing,) = [it for it in coverage.branches if it.missing]
    assert missing.format() == "rules.yaml:9:14: spec.clearWhen: `speed < 5` was never true"
    assert coverage.percent == 87.5


def test_atoms_know_their_place_in_a_folded_text():
    _, coverage = seen_of("  vehicles: {v1: {speed: 0}}\n  expect: [{alerts: []}]", RULE)
    assert [(it.line, it.column, it.text) for it in coverage.branches] == [
        (7, 5, "speed > 10"),
        (8, 9, "belted"),
        (8, 19, 'gear == "D"'),
        (9, 14, "speed < 5"),
    ]


def test_ladders_and_the_steps_of_sequences_count():
    seen, _ = seen_of(
        "  vehicles: {v1: {speed: 140x9 0}}\n  expect: [{rule: fast, alerts: [{}]}]", FAST, BRAKES
    )
    assert seen == {
        "speed > 130": {True, False},
        "speed > 150": {False},
        "speed > 100": {True, False},
        "speed == 0": {True, False},
    }


def test_a_rule_that_no_test_runs_is_named():
    _, coverage = seen_of(
        "  rules: [fast]\n  vehicles: {v1: {speed: 140x9 0}}\n  expect: [{alerts: [{}]}]", FAST, BRAKES
    )
    assert coverage.untested == ("brakes",)
    assert (coverage.covered, coverage.total) == (3, 8)


def test_what_runs_in_production_has_no_observer():
    found = suite_of("  vehicles: {v1: {speed: 140}}\n  expect: [{alerts: []}]")
    before = found._rules.rules[0].when
    assert isinstance(found._observers, Observers)
    assert "f_observe" not in before.source
    assert "f_observe" in found._observers.rules.rules[0].when.source
    assert found._rules.rules[0].when is before


def test_a_rule_without_any_condition_is_untested_too():
    silent = """
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: silent}
spec: {absentFor: {duration: 1m}}
"""
    _, coverage = seen_of(
        "  rules: [fast]\n  vehicles: {v1: {speed: 1}}\n  expect: [{alerts: []}]", FAST, silent
    )
    assert coverage.untested == ("silent",)
