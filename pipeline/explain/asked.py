"""What a person asked to have explained."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.backtest.asked import Asked
from pipeline.backtest.reads import rules_by_kind
from pipeline.backtest.rulesets import read_set
from pipeline.process.failures import ConfigurationError
from pipeline.stages.documents import library
from rules.compile import vocabulary_of, with_parameters
from rules.explain import Watch


@dataclass(frozen=True, slots=True)
class Question:
    """Why a rule is as it is for a vehicle; `at` in milliseconds since the epoch."""

    rule: str
    vehicle: str
    asked: Asked
    at: int | None = None


def watch(question: Question) -> Watch:
    """The rule, ready to be watched. Raises ConfigurationError."""
    loaded, rules = read_set(question.asked.rules, None)
    catalog = loaded.catalog
    assert catalog is not None
    vocabulary = vocabulary_of(loaded, catalog.document, rules.fences, {})
    for placed in (*loaded.alert_rules, *loaded.sequence_rules):
        if placed.document.metadata.name == question.rule:
            vocabulary = with_parameters(vocabulary, placed)
    try:
        return Watch(rules, question.rule, vocabulary, quiet_after_ms=question.asked.quiet_after_ms)
    except KeyError:
        others = {rule.name for rules_ in rules_by_kind(rules).values() for rule in rules_}
        if question.rule in others:
            raise ConfigurationError(
                f"{question.rule} is no alert or sequence rule: explain tells of these alone"
            ) from None
        names = [*(it.name for it in rules.rules), *(it.name for it in rules.sequences)]
        names += [it.name for it in rules.absences]
        near = difflib.get_close_matches(question.rule, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(names))}"
        raise ConfigurationError(f"no rule is called {question.rule}; {hint}") from None


def rule_paths(paths: Sequence[Path], settings: Sequence[Path]) -> tuple[Path, ...]:
    """The rules that were named, else those of the installation, else the library."""
    return tuple(paths or settings or (library(),))
