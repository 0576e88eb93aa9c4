"""When to commit: at once when it buys latency, rarely when it buys nothing, never more than Kafka likes.

A small transaction costs some 3 ms of waiting and less than 1 ms of work, so outputs need not wait for
others while the partition keeps up. Behind its log it gathers: then each transaction carries many. That one
more batch has come in the milliseconds of a commit is no sign of load; what waits in the log is.
Times are the loop's seconds and are arguments; a test is a list of times.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pace:
    """The intervals, in seconds, and the most records that one transaction gathers."""

    spacing_s: float = 0.004
    """Least time from one commit to the next of a partition."""
    rest: float = 2.0
    """The same, as a multiple of what the last commit took."""
    busy_s: float = 0.1
    """Behind the log: how long outputs gather."""
    few_records: int = 1_000
    """Records that may wait while a partition still counts as keeping up."""
    lazy_s: float = 0.5
    """State or positions only: how long they gather."""
    most_records: int = 20_000
    """Records consumed since the last commit; beyond, it is due at once."""


@dataclass(slots=True)
class Pending:
    """What a partition has done since its last commit."""

    records: int = 0
    output_since: float | None = None
    change_since: float | None = None

    def note(self, now: float, records: int, outputs: bool) -> None:
        """Records were processed; `outputs`: there is something to write."""
        self.records += records
        if self.change_since is None:
            self.change_since = now
        if outputs and self.output_since is None:
            self.output_since = now


@dataclass(frozen=True, slots=True)
class Commit:
    """The last commit of a partition: when it ended, and how long Kafka took for it."""

    at: float = float("-inf")
    took_s: float = 0.0


def due_at(pace: Pace, pending: Pending, last: Commit, backlog: bool) -> float | None:
    """When the next commit is due; None if there is nothing to commit. `backlog`: it is behind its log."""
    if pending.change_since is None:
        return None
    if pending.records >= pace.most_records:
        return pending.change_since
    if pending.output_since is None:
        return pending.change_since + pace.lazy_s
    if backlog:
        return max(pending.output_since, last.at) + pace.busy_s
    # A Kafka that has much to do gets fewer transactions, not a queue of them.
    rest_s = min(max(pace.spacing_s, pace.rest * last.took_s), pace.busy_s)
    return max(pending.output_since, last.at + rest_s)


@dataclass(slots=True)
class Budget:
    """At most so many transactions a second for the whole worker, evenly spread, a short burst allowed."""

    per_second: float = 200.0
    burst: int = 16
    _free_at: float = field(default=float("-inf"))

    def delay(self, now: float) -> float:
        """Take the next slot; how many seconds it is away."""
        step = 1.0 / self.per_second
        self._free_at = max(self._free_at, now - self.burst * step) + step
        return max(0.0, self._free_at - now)


class Turns:
    """Which partitions of a worker are in a transaction: half of them at most, the others process meanwhile.

    A partition judges nothing while it commits. Partitions that began together, or changed their rules
    together, would commit together for ever, and the whole worker would pause each time.
    """

    def __init__(self) -> None:
        self._members: set[int] = set()
        self._inside: set[int] = set()
        self._waiting: dict[int, Callable[[], None]] = {}

    def join(self, partition: int) -> None:
        """It is at work from now on."""
        self._members.add(partition)

    def leave(self, partition: int) -> None:
        """It is not any more."""
        self._members.discard(partition)
        self._waiting.pop(partition, None)
        self._wake()

    def is_free(self, partition: int, wake: Callable[[], None]) -> bool:
        """Whether it may begin; if not, `wake` is called when it may ask again."""
        if len(self._inside) < max(1, len(self._members) // 2):
            self._waiting.pop(partition, None)
            return True
        self._waiting[partition] = wake
        return False

    @contextlib.contextmanager
    def taken(self, partition: int) -> Iterator[None]:
        """While it is in a transaction; nobody who must commit is kept from it."""
        self._inside.add(partition)
        self._waiting.pop(partition, None)
        try:
            yield
        finally:
            self._inside.discard(partition)
            self._wake()

    def _wake(self) -> None:
        for wake in tuple(self._waiting.values()):
            wake()
