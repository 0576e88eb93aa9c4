"""A backtest from what was asked to what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.backtest.asked import Asked
from pipeline.backtest.files import fold_files, ignored_columns
from pipeline.backtest.groups import records_of
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
    return _gather(sets, shares, ignored, began, asked.quiet_after_ms)


def _gather(
    sets: Sequence[RuleSet],
    shares: Sequence[Share],
    ignored: tuple[str, ...],
    began: float,
    quiet_after_ms: int,
) -> Result:
    told = [
        _in_order(rules, [share.folded[place] for share in shares], quiet_after_ms)
        for place, rules in enumerate(sets)
    ]
    folded = [share.folded[0] for share in shares]
    failures: dict[str, tuple[int, Failure]] = {}
    for each in folded:
        for rule, (number, first) in each.failures.items():
            before, earliest = failures.get(rule, (0, first))
            failures[rule] = (before + number, min(earliest, first, key=lambda it: it.at))
    return Result(
        told[0],
        told[1] if len(sets) > 1 else None,
        tuple(sorted(set().union(*(reads_by_rule(rules) for rules in sets)))),
        sum(it.messages for it in folded),
        sum(it.duplicates for it in folded),
        sum(it.vehicles for it in folded),
        min((it.first for it in folded if it.first is not None), default=None),
        max((it.last for it in folded if it.last is not None), default=None),
        time.perf_counter() - began,
        sum((share.dropped for share in shares), Counter()),
        ignored,
        failures,
        missing_signals(sets[0], frozenset().union(*(it.seen for it in folded))),
    )


def _in_order(rules: RuleSet, folded: Sequence[Folded], quiet_after_ms: int) -> list[Told]:
    """What was told of vehicles, and of the groups that they are in, by time."""
    told = [each for part in folded for each in part.told]
    if any(rule.groups is not None for rule in rules.aggregations):
        samples = [sample for part in folded for sample in part.samples]
        end = max((it.last for it in folded if it.last is not None), default=None)
        records = records_of(rules, samples, end, quiet_after_ms)
        told += [Told(it.at, it.key, number, it.topic, it.value) for number, it in enumerate(records)]
    return sorted(told)
