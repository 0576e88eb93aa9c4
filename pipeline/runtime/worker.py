"""A worker's partitions follow the group: released before others may get them, taken when it gives them.

Everything that a rebalance asks for has a deadline below the group's own. A partition whose processor does
not work for 30 s makes the worker not ready and join the group anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Protocol

import structlog

from pipeline.runtime.batches import Batch
from pipeline.runtime.partition import Partition
from pipeline.runtime.shared import Shared

log = structlog.get_logger(__name__)

_RELEASE_S = 12.0
"""More than the deadline of a transaction, less than the group's rebalance time-out."""
_STUCK_S = 30.0
_KEEP_PARKED_S = 600.0


class TopicPartition(Protocol):
    """Topic (Kafka's name) and partition."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class Worker:
    """All partitions of one stage in this process."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._partitions: dict[int, Partition] = {}
        self._released_at: dict[int, float] = {}
        self._joined = False
        self._rejoined_at = float("-inf")
        self._incomplete: set[int] = set()
        gauge = shared.metrics.partitions
        gauge.labels("assigned").set_function(lambda: len(self._assigned()))
        gauge.labels("working").set_function(lambda: sum(found.working for found in self._assigned()))

    def _assigned(self) -> list[Partition]:
        return [found for found in self._partitions.values() if found.assigned]

    async def revoked(self) -> None:
        """A rebalance begins: commit and park everything."""
        await self._release(_RELEASE_S)

    async def drain(self, deadline_s: float) -> None:
        """The process ends: commit everything."""
        await self._release(deadline_s)

    async def _release(self, deadline_s: float) -> None:
        assigned = self._assigned()
        await asyncio.gather(*(partition.release(deadline_s) for partition in assigned))
        now = self._shared.clock()
        for partition in assigned:
            self._released_at[partition.number] = now

    async def assigned(self, tps: Iterable[TopicPartition], generation: int) -> list[int]:
        """The group gave these; the numbers of the partitions that this worker has of every input."""
        await self._release(_RELEASE_S)  # nothing to do, unless Faust skipped the revocation
        of: dict[str, set[int]] = {topic: set() for topic in self._shared.logical}
        for tp in tps:
            if tp.topic in of:
                of[tp.topic].add(tp.partition)
        numbers = set.intersection(*of.values())
        self._incomplete = set.union(*of.values()) - numbers
        for number in sorted(numbers):
            partition = self._partitions.setdefault(number, Partition(number, self._shared))
            partition.assign(generation)
        self._joined = True
        return sorted(numbers)

    def deliver(self, batch: Batch) -> None:
        """A batch came from the consumer."""
        partition = self._partitions.get(batch.partition)
        if partition is not None:
            partition.deliver(batch)

    # -- health ------------------------------------------------------------------------------------------

    def not_ready(self) -> str | None:
        """What is missing, in a sentence."""
        if self._joined and not self._shared.group.reached():
            return "Kafka does not answer: the group's coordinator is not reached"
        if not self._joined:
            return f"the group {self._shared.group_id} has given no partitions yet"
        waiting = [found for found in self._assigned() if not found.working]
        if waiting:
            numbers = ", ".join(str(partition.number) for partition in waiting[:10])
            more = f" and {len(waiting) - 10} more" if len(waiting) > 10 else ""
            return f"partitions {numbers}{more} do not work yet: {waiting[0].trouble or 'being restored'}"
        if self._incomplete:
            numbers = ", ".join(str(number) for number in sorted(self._incomplete)[:10])
            return f"partitions {numbers} were not given for every input"
        return None

    async def watch(self) -> None:
        """Look after the partitions once a second, for ever."""
        while True:
            await asyncio.sleep(1.0)
            with contextlib.suppress(Exception):
                await self._look()

    async def _look(self) -> None:
        lag = 0
        now = self._shared.clock()
        for partition in list(self._partitions.values()):
            if partition.assigned:
                lag += await partition.check()
                since = partition.without_session_since
                if since is not None and now - since > _STUCK_S and now - self._rejoined_at > _STUCK_S:
                    self._rejoined_at = now
                    log.error(
                        "A partition does not work, the worker joins its group anew",
                        partition=partition.number,
                        seconds=round(now - since),
                        reason=partition.trouble,
                    )
                    await self._shared.group.rejoin()
            elif now - self._released_at.get(partition.number, now) > _KEEP_PARKED_S:
                del self._partitions[partition.number]
        self._shared.metrics.lag.set(lag)
