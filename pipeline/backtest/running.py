"""A backtest from what was asked to what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.backtest.asked import Asked
from pipeline.backtest.files import fold_files, ignored_columns
from pipeline.backtest.reads import reads_by_rule
from pipeline.backtest.replay import Failure, Folded, Told
from pipeline.backtest.rulesets import missing_signals, registrations, rule_sets
from pipeline.backtest.workers import Progress, Share, share_out
from rules import RuleSet


@dataclass(slots=True)
class Result:
    """What came of a backtest. Times in milliseconds."""

    told: list[Told]
    """In order of time, vehicle and number, whatever the number of workers."""
    against: list[Told] | None
    rules: tuple[str, ...]
    """The names of all rules that ran."""
    messages: int
    duplicates: int
    vehicles: int
    first: int | None
    last: int | None
    seconds: float
    dropped: Counter[str] = field(default_factory=Counter)
    ignored: tuple[str, ...] = ()
    failures: dict[str, tuple[int, Failure]] = field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By rule, the signals that it reads and that never came."""
    of_groups: tuple[str, ...] = ()
    """Rules of groups of vehicles, which workers that share the vehicles cannot run."""


def backtest(asked: Asked, progress: Progress) -> Result:
    """Run it. Raises ConfigurationError for rules and options, TraceError for the trace."""
    began = time.perf_counter()
    sets = rule_sets(asked)
    ignored: tuple[str, ...] = ()
    registrations(asked.vehicles)  # what is wrong with them is told once, not by each worker
    if asked.topic is None:
        ignored = ignored_columns(asked, sets[0])
        shares = share_out(fold_files, asked, progress)
    else:
        from pipeline.backtest.topic import fold_topic  # a Kafka client takes time to import

        shares = share_out(fold_topic, asked, progress)
    return _gather(sets, shares, ignored, time.perf_counter() - began)


def _gather(
    sets: Sequence[RuleSet], shares: Sequence[Share], ignored: tuple[str, ...], seconds: float
) -> Result:
    folded = [share.folded[0] for share in shares]
    failures: dict[str, tuple[int, Failure]] = {}
    for each in folded:
        for rule, (number, first) in each.failures.items():
            before, earliest = failures.get(rule, (0, first))
            failures[rule] = (before + number, min(earliest, first, key=lambda it: it.at))
    return Result(
        _in_order(folded),
        _in_order([share.folded[1] for share in shares]) if len(sets) > 1 else None,
        tuple(sorted(set().union(*(reads_by_rule(rules) for rules in sets)))),
        sum(it.messages for it in folded),
        sum(it.duplicates for it in folded),
        sum(it.vehicles for it in folded),
        min((it.first for it in folded if it.first is not None), default=None),
        max((it.last for it in folded if it.last is not None), default=None),
        seconds,
        sum((share.dropped for share in shares), Counter()),
        ignored,
        failures,
        missing_signals(sets[0], frozenset().union(*(it.seen for it in folded))),
        tuple(rule.name for rule in sets[0].aggregations if rule.groups is not None),
    )


def _in_order(folded: Sequence[Folded]) -> list[Told]:
    return sorted(told for each in folded for told in each.told)
