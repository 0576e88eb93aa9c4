"""The embedded Kafka for real: what it acknowledged is kept, through an orderly end and through kill -9."""

import asyncio
import re
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from bridges.embedded import BrokerFailed, EmbeddedKafka, PortBusy
from tests.conftest import KafkaAddress

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
        await asyncio.gather(*[await producer.send(topic, value) for value in values])


async def consume(bootstrap: str, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer:
        return [(await asyncio.wait_for(consumer.getone(), 30)).value for _ in range(count)]


def test_records_are_kept_through_kill_and_through_a_restart() -> None:
    values = [str(number).encode() for number in range(100)]

    async def run() -> Path:
        async with EmbeddedKafka() as broker:
            address = broker.bootstrap
            await create(address, "kept")
            await produce(address, "kept", values)
            broker.kill()
            await asyncio.to_thread(broker.restart)
            assert broker.bootstrap == address
            assert await consume(address, "kept", 100) == values
            await asyncio.to_thread(broker.restart)
            assert await consume(address, "kept", 100) == values
            assert broker.directory.is_dir()
            return broker.directory

    assert not asyncio.run(run()).exists()


def test_topic_that_nobody_created_stays_away(kafka: KafkaAddress, prefix: str) -> None:
    async def run() -> None:
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, request_timeout_ms=1000, metadata_max_age_ms=200
        ) as producer:
            await producer.send_and_wait(f"{prefix}misspelt", b"value")

    with pytest.raises(KafkaError):
        asyncio.run(run())


def test_transaction_is_seen_whole_or_not_at_all(kafka: KafkaAddress, prefix: str) -> None:
    topic = f"{prefix}atomic"

    async def run() -> list[bytes]:
        await create(kafka.bootstrap, topic)
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, transactional_id=f"{prefix}producer"
        ) as producer:
            await producer.begin_transaction()
            await producer.send(topic, b"taken back")
            await producer.abort_transaction()
            async with producer.transaction():
                await producer.send(topic, b"kept")
        return await consume(kafka.bootstrap, topic, 1)

    assert asyncio.run(run()) == [b"kept"]


def test_named_directory_outlives_the_broker_and_its_port_is_told_when_busy(tmp_path: Path) -> None:
    with EmbeddedKafka(directory=tmp_path) as broker:
        second = EmbeddedKafka(port=broker.port)
        with pytest.raises(PortBusy, match="already in use"):
            second.start()
        second.close()
        assert not second.directory.exists()
    assert (tmp_path / "data" / "meta.properties").exists()


def test_broker_that_cannot_start_shows_why() -> None:
    broker = EmbeddedKafka(settings={"num.io.threads": "many"})
    with pytest.raises(BrokerFailed, match=r"num\.io\.threads"), broker:
        pass
    assert not broker.directory.exists()


def test_brokers_share_a_formatted_directory_and_no_id(tmp_path: Path) -> None:
    ids = re.compile(r"^(?:cluster|directory)\.id=(.+)$", re.MULTILINE)
    seen = []
    for name in ("one", "other"):
        with EmbeddedKafka(directory=tmp_path / name):
            seen += ids.findall((tmp_path / name / "data" / "meta.properties").read_text())
    assert len(set(seen)) == 4
