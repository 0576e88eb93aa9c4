"""The tests beside the shipped rules: all pass, see every branch, and notice small changes of their rules.

A mutant that no test can notice, because it means the same, is named in equivalent_mutants.yaml, with the
reason.
"""

import json
from functools import cache
from pathlib import Path

import pytest
import yaml

import rules
from rules.documents import Source, load, parse
from rules.testing import Suite, suite
from tests.testing.mutations import mutants

LIBRARY = Path(rules.__file__).parent / "library"
SETS = {"fleet": LIBRARY, "operations": LIBRARY / "operations", "obd": LIBRARY / "traces" / "obd"}
EQUIVALENT = yaml.safe_load((Path(__file__).parent / "equivalent_mutants.yaml").read_text(encoding="utf-8"))


@cache
def shipped(name: str) -> Suite:
    found = suite(load([SETS[name]], tests=True))
    assert isinstance(found, Suite), [finding.format() for finding in found]
    return found


@pytest.mark.parametrize("name", SETS)
def test_the_tests_beside_the_shipped_rules_pass(name: str) -> None:
    failures = [failure.format() for verdict in shipped(name).run() for failure in verdict.failures]
    assert failures == []


@pytest.mark.parametrize("name", SETS)
def test_they_see_every_branch(name: str) -> None:
    found = shipped(name)
    list(found.run())
    coverage = found.coverage()
    assert [branches.format() for branches in coverage.branches if branches.missing] == []
    assert coverage.untested == ()


RULES = [
    (name, placed.document.metadata.name)
    for name, directory in SETS.items()
    for placed in load([directory]).documents
    if placed.document.kind.endswith("Rule")
]


@pytest.mark.parametrize(("name", "rule"), RULES, ids=[rule for _, rule in RULES])
def test_a_rules_own_tests_notice_every_small_change_of_it(name: str, rule: str) -> None:
    loaded = load([SETS[name]], tests=True)
    (placed,) = (
        it
        for it in loaded.documents
        if it.document.metadata.name == rule and it.document.kind.endswith("Rule")
    )
    tests = [it for it in loaded.rule_tests if rule in it.document.spec.rules]
    assert tests, f"{rule} has no test"
    others = [it for it in loaded.documents if not it.document.kind.endswith(("Rule", "RuleTest"))]
    beside = [Source(file, text) for file, text in {it.file: it.text for it in (*others, *tests)}.items()]
    assert _passes([*beside, Source("same.yaml", json.dumps(placed.root.plain()))])
    unnoticed = {
        mutant.name
        for mutant in mutants(placed.root.plain())
        if _passes([*beside, Source("mutant.yaml", json.dumps(mutant.document))])
    }
    assert unnoticed == set(EQUIVALENT.get(rule, ()))


def _passes(sources: list[Source]) -> bool:
    """Whether the tests are content; what does not compile was noticed."""
    found = suite(parse(sources))
    return isinstance(found, Suite) and not any(verdict.failures for verdict in found.run())


def test_equivalent_mutants_are_few_and_each_has_its_reason() -> None:
    reasons = [reason for named in EQUIVALENT.values() for reason in named.values()]
    assert len(reasons) <= 10
    assert all(len(reason.split()) > 4 for reason in reasons)
    assert EQUIVALENT.keys() <= {rule for _, rule in RULES}


@pytest.mark.parametrize("name", SETS)
def test_a_test_is_called_after_its_rule(name: str) -> None:
    """So a copy under another name (`telltale rules new`) brings tests with names of their own."""
    for placed in load([SETS[name]], tests=True).rule_tests:
        (rule,) = placed.document.spec.rules
        assert placed.document.metadata.name.startswith(f"{rule}-")


def test_tests_stand_beside_their_rules() -> None:
    for file in LIBRARY.rglob("*.test.yaml"):
        beside = file.with_name(file.name.replace(".test.", "."))
        assert beside.exists(), f"{file.name} is beside no rule"
