"""Topics of one test on the shared Kafka: made, read whole, and written to."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PARTITIONS = 4
LOGICAL = (
    "vehicle.raw",
    "vehicle.command-responses",
    "vehicle.dead-letter",
    "vehicle.commands",
    "vehicle.command-deliveries",
)


async def create_topics(
    bootstrap: str, prefix: str, partitions: int = PARTITIONS, configs: dict[str, str] | None = None
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics(
            [NewTopic(prefix + name, partitions, 1, topic_configs=configs or {}) for name in LOGICAL]
        )
    finally:
        await admin.close()


@asynccontextmanager
async def reading(bootstrap: str, *topics: str) -> AsyncIterator["Reader"]:
    """Read topics from their beginning, committed records only."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        places = []
        for topic in topics:
            while not (partitions := consumer.partitions_for_topic(topic)):
                await consumer._client.force_metadata_update()
            places += [TopicPartition(topic, partition) for partition in partitions]
        consumer.assign(places)
        await consumer.seek_to_beginning()
        yield Reader(consumer)
    finally:
        await consumer.stop()


class Reader:
    """All records of some topics, in the order of each partition; ticks apart."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer
        self.records: list[ConsumerRecord] = []
        self.ticks: list[ConsumerRecord] = []

    async def until(self, enough: Callable[["Reader"], bool], timeout_s: float = 60.0) -> "Reader":
        """Read on until it is enough; AssertionError with what there is when the time is over."""
        deadline = time.monotonic() + timeout_s
        while not enough(self):
            assert time.monotonic() < deadline, (
                f"not enough after {timeout_s} s: {len(self.records)} records, {len(self.ticks)} ticks;"
                f" last: {self.records[-3:]}"
            )
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    tick = record.key is None and record.value.startswith(b'{"receivedAt"')
                    (self.ticks if tick else self.records).append(record)
        return self

    async def count(self, count: int, timeout_s: float = 60.0) -> list[ConsumerRecord]:
        await self.until(lambda reader: len(reader.records) >= count, timeout_s)
        return self.records


async def write(
    bootstrap: str, topic: str, records: Iterable[tuple[bytes | None, bytes | None, int]]
) -> None:
    """Write (key, value, partition) records."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        sent = [
            await producer.send(topic, value, key=key, partition=partition)
            for key, value, partition in records
        ]
        await asyncio.gather(*sent)
