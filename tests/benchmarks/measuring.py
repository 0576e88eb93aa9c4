"""What a contender did, seen from outside: what it committed, and its read_committed output.

Nothing is asked of the contender, so that all are measured alike. Its rate is taken between two commits: the
first that is seen and the last before its input ran out, so that neither start-up nor waiting counts.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import GroupCoordinatorNotAvailableError

from pipeline.process.partitioning import partition_of
from tests.benchmarks.workload import Change, Reading

LOOK_EVERY_S = 0.05
START_S = 45.0
BATCH_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """How far the group was at one moment, and the processor time that its processes had used."""

    at: float
    committed: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Records a second, by the wall clock and by processor time, between two commits."""

    records: int
    per_second: float
    per_cpu_second: float
    finished: bool


async def create_topics(bootstrap: str, names: Iterable[str], partitions: int) -> None:
    """Topics with this many partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, readings: Iterable[Reading], partitions: int) -> None:
    """All readings, each vehicle's in order on the partition of its key."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, acks="all", max_batch_size=BATCH_BYTES, enable_idempotence=True
    ) as producer:
        batches = [producer.create_batch() for _ in range(partitions)]
        for reading in readings:
            key = reading.vehicle.encode()
            partition = partition_of(key, partitions)
            added = batches[partition].append(key=key, value=reading.value, timestamp=reading.received_at)
            if added is None:
                await producer.send_batch(batches[partition], topic, partition=partition)
                batches[partition] = producer.create_batch()
                batches[partition].append(key=key, value=reading.value, timestamp=reading.received_at)
        for partition, batch in enumerate(batches):
            if batch.record_count():
                await producer.send_batch(batch, topic, partition=partition)


Progress = Callable[[], Awaitable[int]]


@asynccontextmanager
async def offsets_of(bootstrap: str, group: str, topic: str) -> AsyncIterator[Progress]:
    """How many records of a topic a group has committed."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield lambda: committed(admin, group, topic)
    finally:
        await admin.close()


@asynccontextmanager
async def records_in(bootstrap: str, topic: str, partitions: int) -> AsyncIterator[Progress]:
    """How many records a topic has, of a producer without transactions."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer:
        asked = [TopicPartition(topic, number) for number in range(partitions)]

        async def count() -> int:
            return sum((await consumer.end_offsets(asked)).values())

        yield count


async def watch(progress: Progress, total: int, limit_s: float, process: psutil.Process) -> Pace:
    """Look at the progress until all is done, the process has ended, or the time is over.

    The time begins with the first progress: how long a contender takes to start is not what is measured.
    """
    samples: list[Sample] = []
    ends = time.monotonic() + START_S
    while time.monotonic() < ends and not _ended(process):
        reached = await progress()
        if reached > (samples[-1].committed if samples else 0):
            if not samples:
                ends = time.monotonic() + limit_s
            samples.append(Sample(time.monotonic(), reached, cpu_seconds(process)))
            if reached >= total:
                break
        await asyncio.sleep(LOOK_EVERY_S)
    return pace(samples, total)


async def committed(admin: AIOKafkaAdminClient, group: str, topic: str) -> int:
    """The sum of a group's offsets in a topic: the records that it is done with."""
    try:
        # Named partitions make it raise in this version of the client: it is asked for all.
        offsets = await admin.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:
        # A new Kafka makes the topic of groups when the first one appears.
        return 0
    return sum(each.offset for where, each in offsets.items() if where.topic == topic)


def pace(samples: list[Sample], total: int) -> Pace:
    """The rate between the first sample and the last but the closing one."""
    if not samples:
        return Pace(0, 0.0, 0.0, False)
    finished = samples[-1].committed >= total
    counted = samples[:-1] if finished and len(samples) > 2 else samples
    first, last = counted[0], counted[-1]
    records, seconds, cpu = last.committed - first.committed, last.at - first.at, last.cpu_s - first.cpu_s
    if not seconds or not cpu:
        return Pace(records, 0.0, 0.0, finished)
    return Pace(records, records / seconds, records / cpu, finished)


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of a process and of all below it."""
    used = 0.0
    for each in (process, *process.children(recursive=True)):
        try:
            times = each.cpu_times()
        except psutil.NoSuchProcess:
            continue
        used += times.user + times.system
    return used


def _ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def outputs(
    bootstrap: str, topic: str, partitions: int, change: Callable[[dict[str, str]], Change]
) -> list[Change]:
    """All committed records of an output topic."""
    assigned = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    consumer.assign(assigned)
    found = []
    await consumer.start()
    try:
        await consumer.seek_to_beginning(*assigned)
        # The log's own end, not that of what is committed: markers are written after a commit is answered.
        # They take offsets too, so that the position tells that the end is reached and the last record not.
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as uncommitted:
            ends = await uncommitted.end_offsets(assigned)
        while any([await consumer.position(each) < ends[each] for each in assigned]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [change(json.loads(record.value)) for record in records]
    finally:
        await consumer.stop()
    return found
