"""How many alerts fire now, by rule: counted up and down as they are told, for each partition at work.

The count of a partition begins with the state that it takes over, and is left with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any
from weakref import WeakSet

from rules.engine.outcomes import AlertRecord


class Firing:
    """The alerts that fire in one worker: the sum over the partitions that it has."""

    def __init__(self) -> None:
        self._partitions: WeakSet[PartitionFiring] = WeakSet()

    def join(self, partition: PartitionFiring) -> None:
        """A partition is at work."""
        self._partitions.add(partition)

    def leave(self, partition: PartitionFiring) -> None:
        """A partition is another worker's from now on, or begins anew."""
        self._partitions.discard(partition)

    def by_rule(self) -> dict[str, int]:
        """The rules of which alerts fire, each with how many."""
        total: Counter[str] = Counter()
        for partition in self._partitions:
            total.update(partition.counts)
        return {rule: count for rule, count in sorted(total.items()) if count > 0}


class PartitionFiring:
    """The alerts that fire in one partition."""

    def __init__(self, firing: Firing) -> None:
        self._firing = firing
        self.counts: Counter[str] = Counter()

    def restored(self, rules: Iterable[str]) -> None:
        """The state of some vehicle says that an alert of each of these fires."""
        self.counts.update(rules)

    def at_work(self) -> None:
        """The partition is this worker's."""
        self._firing.join(self)

    def left(self) -> None:
        """It is not any more."""
        self._firing.leave(self)

    def happened(self, outcome: Any) -> None:
        """Something was told. A beginning is an alert's first record, or its first by other rules."""
        if not isinstance(outcome, AlertRecord):
            return
        if outcome.state == "resolved":
            self.counts[outcome.rule] -= 1
        elif outcome.begins:
            self.counts[outcome.rule] += 1
