"""The rules of a backtest, as each worker reads them for itself: compiled code does not travel."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.backtest.asked import Asked
from pipeline.backtest.reads import reads_by_rule, rules_by_kind
from pipeline.process.failures import ConfigurationError
from pipeline.stages.documents import refuse
from pipeline.vehicles.files import read_files
from rules import Loaded, RuleSet, Source, compile_rules, load, parse
from rules.engine import Registration


def read_rules(paths: Sequence[Path], run: str | None) -> RuleSet:
    """The rules whose names match. Raises ConfigurationError with every finding."""
    return read_set(paths, run)[1]


def read_set(paths: Sequence[Path], run: str | None) -> tuple[Loaded, RuleSet]:
    """The rules whose names match, and their documents. Raises ConfigurationError with every finding."""
    return _compiled(load(paths), run)


def _compiled(loaded: Loaded, run: str | None) -> tuple[Loaded, RuleSet]:
    compiled = compile_rules(loaded)
    if isinstance(compiled, RuleSet):
        if compiled.catalog is None:
            raise ConfigurationError("the rules need a SignalCatalog, and there is none: --catalog FILE")
        return loaded, compiled if run is None else _matching(compiled, run)
    refuse(compiled)
    raise AssertionError("compile_rules gave neither a rule set nor an error")


def rule_sets(asked: Asked) -> list[RuleSet]:
    """The rules that were asked for, and those that they are compared with."""
    sets = [read_rules(asked.rules, asked.run)]
    if asked.against_documents:
        texts = [Source(name, text) for name, text in asked.against_documents]
        sets.append(_compiled(parse(texts), asked.run)[1])
    elif asked.against:
        sets.append(read_rules(asked.against, asked.run))
    return sets


def wanted_signals(sets: Sequence[RuleSet]) -> frozenset[str]:
    """The signals that some rule of some set reads."""
    return frozenset[str]().union(*(names for it in sets for names in reads_by_rule(it).values()))


def missing_signals(rules: RuleSet, seen: Collection[str]) -> dict[str, tuple[str, ...]]:
    """By rule, the signals that it reads and that the trace lacks."""
    reads: Mapping[str, frozenset[str]] = reads_by_rule(rules)
    return {
        rule: tuple(sorted(names.difference(seen)))
        for rule, names in sorted(reads.items())
        if names.difference(seen)
    }


def registrations(files: Sequence[Path]) -> dict[str, Registration]:
    """What files say of vehicles. Raises ConfigurationError with every problem."""
    sheet = read_files(list(files))
    if sheet.problems:
        raise ConfigurationError("--vehicles", sheet.problems)
    return {entry.vehicle_id: entry.registration for entry in sheet.entries}


def _matching(rules: RuleSet, run: str) -> RuleSet:
    kept: dict[str, Any] = {
        kind: tuple(rule for rule in each if fnmatch.fnmatchcase(rule.name, run))
        for kind, each in rules_by_kind(rules).items()
    }
    if not any(kept.values()):
        raise ConfigurationError(f"--run {run}: no rule is called so")
    return replace(rules, **kept)
