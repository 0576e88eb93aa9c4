"""Figures of groups in a backtest: workers share the vehicles, so one process puts together what all add.

A worker hands on the samples that its messages give to rules with `groupBy`. In the order in which they
arrived they go through the two steps of the stage, with a tick at every whole second; seconds in which
nothing can be told are not gone through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pipeline.stages.outcomes import Outputs
from rules import Event, RuleSet
from rules.engine import AggregationEngine, GroupSample
from rules.engine.aggregation.alone import Groups

_TICK_MS = 1000
_STAGE = "aggregations"


class Sample(NamedTuple):
    """What a message said for a rule of groups, as it goes from one process to another."""

    at: int
    """When the message was received, in milliseconds."""
    vehicle_id: str
    number: int
    """Of the samples of its vehicle, in their order."""
    rule: str
    group: tuple[object, ...]
    samples: list[tuple[int, Any]]
    event: Event


class Record(NamedTuple):
    """A record that would have been written: Kafka timestamp in milliseconds, key, logical topic, value."""

    at: int
    key: str
    topic: str
    value: bytes


def sample_of(told: GroupSample, number: int) -> Sample:
    """What there is to hand on. Raises nothing; `number` tells it from others of its vehicle."""
    event = told.event
    samples = list(told.samples)
    return Sample(event.received_at, told.vehicle_id, number, told.rule.name, told.group, samples, event)


def records_of(
    rules: RuleSet, samples: Iterable[Sample], end: int | None, quiet_after_ms: int
) -> list[Record]:
    """What would have been told of groups up to `end`, when the last message was received."""
    return list(_Fold(rules, quiet_after_ms).run(samples, end))


class _Fold:
    """One partition, which all vehicles are in."""

    def __init__(self, rules: RuleSet, quiet_after_ms: int) -> None:
        engine = AggregationEngine(rules, quiet_after_ms=quiet_after_ms)
        self._rules = {rule.name: rule for rule in engine.rules}
        self._groups = Groups(engine, quiet_after_ms)
        self._outputs = Outputs(_STAGE)
        self._ticked: int | None = None
        """The last tick; None before the first sample, when no time needs to have passed."""

    def run(self, samples: Iterable[Sample], end: int | None) -> Iterator[Record]:
        for sample in sorted(samples, key=lambda it: it[:3]):
            yield from self._tick_until(sample.at)
            yield from self._written(self._groups.pass_time(sample.at), sample.at)
            told = GroupSample(
                self._rules[sample.rule], sample.group, sample.samples, sample.vehicle_id, sample.event
            )
            yield from self._written(self._groups.without_samples([told]), sample.at)
        if end is not None:
            yield from self._tick_until(end)

    def _tick_until(self, instant: int) -> Iterator[Record]:
        if self._ticked is None:
            self._ticked = instant - instant % _TICK_MS
        while self._ticked + _TICK_MS <= instant:
            passed = (instant - self._ticked) // _TICK_MS
            seconds = min(passed, max(-(-(self._groups.next_due - self._ticked) // _TICK_MS), 1))
            self._ticked += seconds * _TICK_MS
            yield from self._written(self._groups.pass_time(self._ticked), self._ticked)

    def _written(self, outcomes: list[Any], at: int) -> Iterator[Record]:
        for outcome in outcomes:
            output = self._outputs.output(outcome, at)
            if output is not None and output.value is not None:
                yield Record(at, (output.key or b"").decode(), output.topic, output.value)
