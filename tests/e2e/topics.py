"""An installation's topics: made as `telltale topics create` does, and read to their ends."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from pipeline.process.settings import ProcessSettings
from pipeline.topics import Admin, wanted_topics
from pipeline.topics_page import published_topics
from tests.e2e.processes import DEADLINE_S


def create_topics(settings: ProcessSettings, *rules: Path) -> None:
    """In this process: a second less than the command takes to start."""

    async def create() -> None:
        async with Admin(settings) as admin:
            await admin.create(wanted_topics(settings, publish=published_topics(rules) if rules else ()))

    asyncio.run(create())


def read_topic(bootstrap: str, topic: str, *, committed: bool = True) -> list[Any]:
    """Every record up to the end as it was at the call; aborted ones only if not `committed`."""
    return asyncio.run(_read(bootstrap, topic, committed))


async def _read(bootstrap: str, topic: str, committed: bool) -> list[Any]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level="read_committed" if committed else "read_uncommitted",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        known = await consumer._client.fetch_all_metadata()
        partitions = [TopicPartition(topic, number) for number in known.partitions_for_topic(topic) or ()]
        assert partitions, f"no topic {topic}"
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        records: list[Any] = []
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            for fetched in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(fetched)
        return records
    finally:
        await consumer.stop()


def write_records(bootstrap: str, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    """Plain records, key and value, on partition 0."""
    asyncio.run(_write(bootstrap, topic, records))


async def _write(bootstrap: str, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for key, value in records:
            await producer.send_and_wait(topic, value, key, partition=0)


def latest(records: Sequence[Any]) -> dict[bytes, bytes]:
    """What a compacted topic means: the last value of each key, without the deleted."""
    values: dict[bytes, bytes] = {}
    for record in sorted(records, key=lambda one: (one.partition, one.offset)):
        if record.value is None:
            values.pop(record.key, None)
        else:
            values[record.key] = record.value
    return values


def wait_for_group(bootstrap: str, group: str, topic: str) -> None:
    """Return when the group's committed offsets have reached what is the topic's end now."""
    asyncio.run(_wait_for_group(bootstrap, group, topic))


async def _wait_for_group(bootstrap: str, group: str, topic: str) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, isolation_level="read_committed")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await consumer.start()
    await admin.start()
    try:
        known = await consumer._client.fetch_all_metadata()
        partitions = [TopicPartition(topic, number) for number in known.partitions_for_topic(topic) or ()]
        assert partitions, f"no topic {topic}"
        ends = await consumer.end_offsets(partitions)
        ends_at = time.monotonic() + DEADLINE_S
        while True:
            committed = await admin.list_consumer_group_offsets(group)
            behind = {
                partition.partition: (committed[partition].offset if partition in committed else None, end)
                for partition, end in ends.items()
                if end > 0 and (partition not in committed or committed[partition].offset < end)
            }
            if not behind:
                return
            assert time.monotonic() < ends_at, f"{group} does not reach the end of {topic}: {behind}"
            await asyncio.sleep(0.2)
    finally:
        await admin.close()
        await consumer.stop()
