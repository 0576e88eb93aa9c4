"""Reading outside the group: a partition's changelog to its end, ends of logs, and what the group committed.

The end is asked for without regard to transactions, and reached with it: a transaction that hangs in the
changelog makes the restore wait, and then fail, instead of passing over what was committed behind it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pipeline.process.kafka import stop_client
from pipeline.runtime.failures import OutcomeUnknown, RestoreStuck

_STUCK_AFTER_S = 15.0
_AT_ONCE = 6
"""Restores that read at the same time."""


class Reader:
    """What a worker wants to know of Kafka beside its inputs."""

    def __init__(
        self, client: Mapping[str, Any], group: str, *, stuck_after_s: float = _STUCK_AFTER_S
    ) -> None:
        self._client = dict(client)
        self._group = group
        self._stuck_after_s = stuck_after_s
        self._lookups: dict[str, AIOKafkaConsumer] = {}
        self._lock = asyncio.Lock()
        self._few = asyncio.Semaphore(_AT_ONCE)

    async def close(self) -> None:
        """Close its connections."""
        while self._lookups:
            await stop_client(self._lookups.popitem()[1])

    async def _consumer(self, isolation: str = "read_uncommitted") -> AIOKafkaConsumer:
        async with self._lock:
            if isolation not in self._lookups:
                consumer = AIOKafkaConsumer(
                    **self._client, enable_auto_commit=False, isolation_level=isolation
                )
                try:
                    await consumer.start()
                except BaseException:
                    await stop_client(consumer)
                    raise
                self._lookups[isolation] = consumer
            return self._lookups[isolation]

    async def span(self, topics: Sequence[str], partition: int) -> dict[str, tuple[int, int]]:
        """First offset and end of one partition of each topic, transactions or not."""
        tps = [TopicPartition(topic, partition) for topic in topics]
        try:
            consumer = await self._consumer()
            firsts = await consumer.beginning_offsets(tps)
            ends = await consumer.end_offsets(tps)
        except (KafkaError, OSError) as error:
            raise OutcomeUnknown(f"the ends of {', '.join(topics)} cannot be read: {error}") from error
        return {tp.topic: (firsts[tp], ends[tp]) for tp in tps}

    async def held_back(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Those whose committed log ends before the log does: a transaction is open in them, or hangs."""
        try:
            # In this order, so that a transaction that ends in between is not taken for one that hangs.
            ends = await (await self._consumer()).end_offsets(partitions)
            stable = await (await self._consumer("read_committed")).end_offsets(partitions)
        except (KafkaError, OSError) as error:
            raise OutcomeUnknown(f"the ends of {_names(partitions)} cannot be read: {error}") from error
        return [tp for tp in partitions if stable[tp] < ends[tp]]

    async def committed(self, topics: Sequence[str], partition: int) -> dict[str, tuple[int, str]]:
        """The group's offset and its metadata, for topics that have one."""
        admin = AIOKafkaAdminClient(**self._client)
        async with self._few:
            try:
                await admin.start()
                offsets = await admin.list_consumer_group_offsets(self._group)
            except (KafkaError, OSError) as error:
                raise OutcomeUnknown(f"the offsets of {self._group} cannot be read: {error}") from error
            finally:
                await admin.close()
        return {
            tp.topic: (found.offset, found.metadata)
            for tp, found in offsets.items()
            if tp.partition == partition and tp.topic in topics and found.offset >= 0
        }

    async def records(
        self, topic: str, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        """The committed records from `start` until the consumer's position is `end`."""
        if start >= end:
            return
        async with self._few, aclosing(self._records(topic, partition, start, end)) as found:
            async for records in found:
                yield records

    async def _records(
        self, topic: str, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        tp = TopicPartition(topic, partition)
        consumer = AIOKafkaConsumer(
            **self._client,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=4 * 1024 * 1024,
        )
        try:
            try:
                await consumer.start()
                consumer.assign([tp])
                consumer.seek(tp, start)
                position, moved = start, time.monotonic()
                while position < end:
                    fetched = await consumer.getmany(tp, timeout_ms=50, max_records=2_000)
                    records = fetched.get(tp)
                    if records:
                        yield records
                    reached = await consumer.position(tp)
                    if reached > position:
                        position, moved = reached, time.monotonic()
                    elif time.monotonic() - moved > self._stuck_after_s:
                        raise RestoreStuck(
                            f"{topic}[{partition}] cannot be read beyond {position}, its end is {end}:"
                            " a transaction hangs in it, or its broker does not answer"
                        )
            except (KafkaError, OSError) as error:
                raise OutcomeUnknown(f"{topic}[{partition}] cannot be read: {error}") from error
        finally:
            await stop_client(consumer)


def _names(partitions: Sequence[TopicPartition]) -> str:
    return ", ".join(f"{tp.topic}[{tp.partition}]" for tp in partitions)
