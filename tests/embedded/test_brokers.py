"""Both brokers, for real: what clients were told is kept, through an orderly end and through kill -9."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridges.embedded import EmbeddedKafka

pytestmark = pytest.mark.integration


async def create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send(topic, value)


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        return [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(count)]


def test_kafka_keeps_records_through_kill_and_through_a_restart() -> None:
    asyncio.run(kill_and_restart())


async def kill_and_restart() -> None:
    values = [str(number).encode() for number in range(100)]
    async with EmbeddedKafka() as broker:
        address = broker.bootstrap
        await create(address, "kept")
        await produce(address, "kept", values)
        broker.kill()
        await asyncio.to_thread(broker.restart)
        assert broker.bootstrap == address
        assert await consume(address, "kept", 100) == values
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.restart)
        assert await consume(address, "kept", 100) == values
        data = broker.directory
        assert data.is_dir()
    assert not data.exists()


def test_named_directory_outlives_the_broker(tmp_path: Path) -> None:
    with EmbeddedKafka(directory=tmp_path):
        pass
    assert (tmp_path / "data" / "meta.properties").exists()
