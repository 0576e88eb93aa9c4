"""Which signals each rule of a set reads, whatever its kind: found by walking what was compiled."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from rules import RuleSet
from rules.engine.ruleset import SpeedLimit


def reads_by_rule(rules: RuleSet) -> dict[str, frozenset[str]]:
    """By the name of each rule, the signals that any of its expressions reads."""
    return {
        rule.name: frozenset(it for it in _signals(rule) if it in rules.signals)
        for each in rules_by_kind(rules).values()
        for rule in each
    }


def rules_by_kind(rules: RuleSet) -> dict[str, tuple[Any, ...]]:
    """The rules of a set by the field that holds those of one kind."""
    fields = {part.name: getattr(rules, part.name) for part in dataclasses.fields(rules)}
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, tuple) and value and all(hasattr(rule, "lineage") for rule in value)
    }


def _signals(value: Any) -> Iterator[str]:
    reads = getattr(value, "reads", None)
    if reads is not None:
        for read in reads:
            if read.kind != "local":
                yield read.signal
    elif isinstance(value, SpeedLimit):
        yield value.signal
    elif isinstance(value, Mapping):
        for below in value.values():
            yield from _signals(below)
    elif isinstance(value, tuple | list):
        for below in value:
            yield from _signals(below)
    elif dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            yield from _signals(getattr(value, part.name))
