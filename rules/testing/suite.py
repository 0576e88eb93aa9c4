"""All tests of a rule set: chosen by name, run one by one, with the coverage that they reach together."""

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass, replace

from rules.compile import compile_rules
from rules.documents import Diagnostic, Loaded
from rules.engine import RuleSet
from rules.engine.reports import Named
from rules.testing.coverage import Coverage, Observers
from rules.testing.entries import Expected, Script
from rules.testing.expectations import Failure, failures
from rules.testing.runs import run
from rules.testing.scripts import scripts


@dataclass(frozen=True, slots=True)
class Verdict:
    """A test that was run; right if nothing failed."""

    script: Script
    failures: tuple[Failure, ...]

    @property
    def name(self) -> str:
        """The test's."""
        return self.script.name

    @property
    def file(self) -> str:
        """Where it stands."""
        return self.script.placed.file


class Suite:
    """The tests of one rule set."""

    def __init__(self, loaded: Loaded, rules: RuleSet, found: list[Script]) -> None:
        self.scripts = tuple(found)
        self.warnings = rules.warnings
        """The findings that are no errors."""
        self._rules = rules
        self._names = frozenset(rule.name for rule in every_rule(rules))
        self._chosen: tuple[Script, ...] = ()
        self._observers = Observers(loaded, rules) if found else None

    def chosen(self, pattern: str | None) -> tuple[Script, ...]:
        """The tests whose name, or the name of one of whose rules, fits the pattern: a part of it, or `*`."""
        if pattern is None:
            return self.scripts
        wild = pattern if any(mark in pattern for mark in "*?[") else f"*{pattern}*"
        return tuple(
            script
            for script in self.scripts
            if any(
                fnmatch.fnmatchcase(name, wild) for name in (script.name, *script.placed.document.spec.rules)
            )
        )

    def run(self, pattern: str | None = None) -> Iterator[Verdict]:
        """Run the chosen tests, in the order in which they were read."""
        self._chosen = self.chosen(pattern)
        for script in self._chosen:
            ran = run(script, only(self._rules, script.rules))
            if self._observers is not None:
                run(script, only(self._observers.rules, script.rules))
            yield Verdict(script, tuple(failures(script, ran)))

    def coverage(self) -> Coverage:
        """What the tests that were run have seen: of all rules, or of those that chosen tests run."""
        rules = self._names
        if self._chosen != self.scripts:
            rules = frozenset().union(*(script.rules for script in self._chosen))
        tested = {name for script in self._chosen for it in script.expected for name in _about(script, it)}
        branches = () if self._observers is None else self._observers.branches(rules)
        return Coverage(branches, tuple(sorted(rules - tested)))


def suite(loaded: Loaded) -> Suite | list[Diagnostic]:
    """Return the tests of a set, or everything that is wrong with its rules and its tests."""
    rules = compile_rules(loaded)
    found, findings = scripts(loaded)
    if isinstance(rules, list):
        return [*rules, *findings]
    if findings:
        return [*rules.warnings, *findings]
    return Suite(loaded, rules, found)


def _about(script: Script, expected: Expected) -> frozenset[str]:
    """The rules that an expectation says something about."""
    return script.rules if expected.rule is None else frozenset([expected.rule])


def every_rule(rules: RuleSet) -> tuple[Named, ...]:
    """The rules of all kinds."""
    return (*rules.rules, *rules.sequences, *rules.absences, *rules.fence_rules, *rules.aggregations)


def only(rules: RuleSet, names: frozenset[str]) -> RuleSet:
    """The set without the rules that have other names."""
    return replace(
        rules,
        rules=tuple(rule for rule in rules.rules if rule.name in names),
        sequences=tuple(pattern for pattern in rules.sequences if pattern.name in names),
        absences=tuple(absence for absence in rules.absences if absence.name in names),
        fence_rules=tuple(rule for rule in rules.fence_rules if rule.name in names),
        aggregations=tuple(rule for rule in rules.aggregations if rule.name in names),
    )
