"""Figures of groups without a cluster: one partition, which is the source and the home of all of them.

The two steps are those of the stage, and in their order: time passes, what has changed is sent, and then the
clock; what comes of it is told as it would be there. A restart packs both steps and reads them again.
"""

from typing import Any

from rules.engine.aggregation.engine import AggregationEngine
from rules.engine.aggregation.merging import Merger
from rules.engine.aggregation.sources import GroupDropped, GroupSample, Sources
from rules.engine.memory import NEVER

_ONLY = 0
"""The number of the one partition."""


class Groups:
    """What vehicles add to groups, and what is told of those. Whoever owns it says when time passes."""

    def __init__(self, engine: AggregationEngine, quiet_after_ms: int) -> None:
        self._engine = engine
        self._quiet_after = quiet_after_ms
        self._received = NEVER
        self._parts: tuple[dict[bytes, bytes], dict[bytes, bytes]] = ({}, {})
        self._sources = Sources(engine.rules)
        self._merger = Merger(engine.rules, engine.teller, 1)

    @property
    def next_due(self) -> int:
        """The receivedAt at which something may have to be told."""
        return self._sources.next_due + self._quiet_after

    def pass_time(self, received_at: int) -> list[Any]:
        """The partition has received something at this instant: what comes of it."""
        if received_at <= self._received:
            return []
        self._received = received_at
        out: list[Any] = []
        partials, clock = self._sources.pass_time(received_at - self._quiet_after)
        for partial in partials:
            self._merger.take(_ONLY, partial, received_at, out)
        if clock is not None:
            self._merger.pass_time(_ONLY, clock, received_at, out)
        return out

    def without_samples(self, outcomes: list[Any]) -> list[Any]:
        """What is told of a message besides what it adds to groups."""
        told = []
        for outcome in outcomes:
            if not isinstance(outcome, GroupSample):
                told.append(outcome)
                continue
            counted = self._sources.add(outcome)
            if isinstance(counted, GroupDropped):
                told.append(counted)
            elif not counted:
                told.append(self._engine.too_late(outcome.vehicle_id, outcome.rule, outcome.event))
        return told

    def restart(self) -> None:
        """As a take-over does."""
        clocks = self._sources.pack()
        steps: tuple[Sources | Merger, ...] = (self._sources, self._merger)
        for parts, step in zip(self._parts, steps, strict=True):
            for key, value in step.changes():
                if value is None:
                    parts.pop(key, None)
                else:
                    parts[key] = value
        self._sources = Sources(self._engine.rules)
        self._merger = Merger(self._engine.rules, self._engine.teller, 1)
        for key, value in self._parts[0].items():
            self._sources.restore(key, value)
        for key, value in self._parts[1].items():
            self._merger.restore(key, value)
        self._sources.restored(clocks)
        self._merger.restored()
