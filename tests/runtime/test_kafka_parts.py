"""The parts that talk to Kafka, one by one, on a real one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import ProducerFenced

from bridges.embedded import EmbeddedKafka
from pipeline.runtime.batches import Batch
from pipeline.runtime.failpoints import Failpoints
from pipeline.runtime.failures import Fenced, OutcomeUnknown, RestoreStuck, TopicMissing
from pipeline.runtime.reader import Reader
from pipeline.runtime.transactions import OFFSET_METADATA, Packed, Transactions
from pipeline.runtime.transport import BatchApp, GroupOptions
from tests.runtime.real import World

pytestmark = pytest.mark.integration

OUT, LOG = "out", "log"


@pytest.fixture
def small(world: World) -> World:
    world.create_topics(only=(OUT, LOG))
    return world


@asynccontextmanager
async def transactions(world: World) -> AsyncIterator[Transactions]:
    client = {"bootstrap_servers": world.bootstrap}
    made = await Transactions.start(client, world.prefix + "tx", 10.0, Failpoints({}))
    try:
        yield made
    finally:
        await made.close()


def offsets(world: World) -> dict[TopicPartition, int]:
    return {TopicPartition(world.prefix + OUT, 0): 7}


def packed(world: World, count: int, size: int = 10) -> Packed:
    batches = Packed(lambda _: 1_048_588)
    for index in range(count):
        batches.add((world.prefix + OUT, 0), str(index).encode(), b"x" * size)
    batches.add((world.prefix + LOG, 0), b"key", b"value")
    return batches


def run(work: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(work())  # type: ignore[arg-type]


def test_a_transaction_writes_records_and_offsets_and_tells_where_the_changelog_stands(small: World) -> None:
    async def scenario() -> None:
        changelog = TopicPartition(small.prefix + LOG, 0)
        group = small.prefix + "telltale.counting"
        async with transactions(small) as open_one:
            assert await open_one.commit(packed(small, 5_000, 300), offsets(small), group, changelog) == 1
            assert await open_one.commit(packed(small, 10), offsets(small), group, changelog) == 3
        reader = Reader({"bootstrap_servers": small.bootstrap}, group)
        assert await reader.committed([small.prefix + OUT], 0) == {small.prefix + OUT: (7, OFFSET_METADATA)}
        await reader.close()

    run(scenario)
    assert [record.key for record in small.read(OUT)] == [
        str(n).encode() for n in [*range(5_000), *range(10)]
    ]


def test_a_refused_batch_refuses_the_whole_transaction(small: World) -> None:
    narrow = small.prefix + "narrow"

    async def scenario() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=small.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(narrow, 4, 1, topic_configs={"max.message.bytes": "1000"})])
        await admin.close()
        batches = packed(small, 5)
        batches.add((narrow, 0), b"key", b"x" * 5_000)
        async with transactions(small) as open_one:
            with pytest.raises(OutcomeUnknown, match="MessageSizeTooLarge"):
                await open_one.commit(
                    batches, offsets(small), small.prefix + "g", TopicPartition(small.prefix + LOG, 0)
                )
            open_one.abandon()
        async with transactions(small) as again:
            await again.commit(
                packed(small, 1), offsets(small), small.prefix + "g", TopicPartition(small.prefix + LOG, 0)
            )

    run(scenario)
    assert len(small.read(OUT)) == 1


def test_a_producer_that_is_started_fences_the_one_before(small: World) -> None:
    async def scenario() -> None:
        changelog = TopicPartition(small.prefix + LOG, 0)
        async with transactions(small) as old:
            await old.commit(packed(small, 1), offsets(small), small.prefix + "g", changelog)
            async with transactions(small) as new:
                with pytest.raises(Fenced):
                    await old.commit(packed(small, 1), offsets(small), small.prefix + "g", changelog)
                await new.commit(packed(small, 1), offsets(small), small.prefix + "g", changelog)
            old.abandon()

    run(scenario)
    assert len(small.read(OUT)) == 2


def test_a_missing_topic_is_told_from_a_missing_kafka(small: World) -> None:
    async def scenario() -> None:
        async with transactions(small) as open_one:
            assert await open_one.partitions(small.prefix + OUT) == 4
        client = {"bootstrap_servers": small.bootstrap}
        short = await Transactions.start(client, small.prefix + "short", 1.0, Failpoints({}))
        with pytest.raises(TopicMissing, match="create it"):
            await short.partitions(small.prefix + "nowhere")
        await short.close()

    run(scenario)


def test_a_restore_does_not_pass_over_a_transaction_that_hangs(small: World) -> None:
    async def scenario() -> None:
        client = {"bootstrap_servers": small.bootstrap}
        topic = small.prefix + LOG
        hanging = AIOKafkaProducer(**client, transactional_id=small.prefix + "hanging")
        await hanging.start()
        await hanging.begin_transaction()
        await (await hanging.send(topic, b"never", key=b"k", partition=0))
        async with transactions(small) as open_one:
            await open_one.commit(
                packed(small, 1), offsets(small), small.prefix + "g", TopicPartition(topic, 0)
            )
        reader = Reader(client, "group", stuck_after_s=1.0)
        end = (await reader.span([topic], 0))[topic][1]
        assert end == 3
        with pytest.raises(RestoreStuck, match="cannot be read beyond 0"):
            async for _ in reader.records(topic, 0, 0, end):
                pass
        await hanging.abort_transaction()
        await hanging.stop()
        end = (await reader.span([topic], 0))[topic][1]
        found = [record.value async for records in reader.records(topic, 0, 0, end) for record in records]
        assert found == [b"value"]
        await reader.close()

    run(scenario)


def test_a_transaction_that_kafka_forgot_is_ended_by_the_next_owner_and_stays_aborted() -> None:
    """The coordinator does not know that the first owner wrote: it writes no marker when it is fenced."""

    async def scenario(bootstrap: str) -> None:
        client = {"bootstrap_servers": bootstrap}
        admin = AIOKafkaAdminClient(**client)
        await admin.start()
        await admin.create_topics([NewTopic("log", 1, 1, topic_configs={"cleanup.policy": "compact"})])
        await admin.close()
        log = TopicPartition("log", 0)

        forgotten = AIOKafkaProducer(**client, transactional_id="tx")
        await forgotten.start()
        await forgotten.begin_transaction()
        forgotten._txn_manager._txn_partitions.add(log)  # as if the coordinator had been told
        await (await forgotten.send("log", b"never", key=b"k", partition=0))

        reader = Reader(client, "group", stuck_after_s=1.0)
        owner = await Transactions.start(client, "tx", 10.0, Failpoints({}))
        assert await reader.held_back([log]) == [log]
        await owner.abort_in([log])
        async with asyncio.timeout(30):
            while await reader.held_back([log]):  # Kafka answers before the markers are written
                await asyncio.sleep(0.05)
        batches = Packed(lambda _: 1_048_588)
        batches.add(("log", 0), b"k", b"value")
        await owner.commit(batches, {log: 1}, "group", log)
        end = (await reader.span(["log"], 0))["log"][1]
        found = [record.value async for records in reader.records("log", 0, 0, end) for record in records]
        assert found == [b"value"]
        await owner.close()
        await reader.close()
        forgotten._txn_manager._txn_partitions.clear()
        with contextlib.suppress(ProducerFenced):
            await forgotten.stop()

    # With the check that newer Kafkas make, this way to make one hang is closed; a restart still has another.
    with EmbeddedKafka(settings={"transaction.partition.verification.enable": "false"}) as kafka:
        asyncio.run(scenario(kafka.bootstrap))


def test_a_producer_does_not_start_where_there_is_no_kafka() -> None:
    async def scenario() -> None:
        with pytest.raises(OutcomeUnknown, match="did not start"):
            await Transactions.start({"bootstrap_servers": "127.0.0.1:9"}, "t", 1.0, Failpoints({}))

    run(scenario)


def test_only_declared_topics_are_batched_and_the_rest_of_faust_stays_as_it_is(
    small: World, tmp_path: Path
) -> None:
    """Batches of one topic and records of another, by ordinary agents; Faust commits the other's offsets."""
    got: list[Any] = []

    async def scenario() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=small.bootstrap)
        await producer.start()
        for index in range(20):
            for topic in (OUT, LOG):
                await producer.send(small.prefix + topic, str(index).encode(), partition=0)
        await producer.stop()
        group = small.prefix + "mixed"
        options = GroupOptions({"bootstrap_servers": [small.bootstrap]}, group, None)
        app = BatchApp("mixed", [small.prefix + OUT], options)
        plain: faust.TopicT = app.topic(small.prefix + LOG, value_type=bytes, value_serializer="raw")

        @app.agent(app.batches)
        async def batches(stream: Any) -> None:
            async for batch in stream:
                got.append(batch)  # noqa: PERF401 (the stream has no end)

        @app.agent(plain)
        async def records(stream: Any) -> None:
            async for value in stream:
                got.append(value)  # noqa: PERF401 (the stream has no end)

        async def open_when_assigned(*_: Any, **__: Any) -> None:
            for partition in range(4):
                await app.position(small.prefix + OUT, partition, 0)
                app.open_partition(small.prefix + OUT, partition)

        app.on_partitions_assigned.connect(open_when_assigned)
        await app.start()
        async with asyncio.timeout(20):
            while sum(len(found.records) if isinstance(found, Batch) else 1 for found in got) < 40:
                await asyncio.sleep(0.05)
            await app.consumer.commit()
        await app.leave_on_stop()
        await app.stop()
        reader = Reader({"bootstrap_servers": small.bootstrap}, group)
        committed = await reader.committed([small.prefix + OUT, small.prefix + LOG], 0)
        await reader.close()
        assert {topic: offset for topic, (offset, _) in committed.items()} == {small.prefix + LOG: 20}

    run(scenario)
    batched = [batch for batch in got if isinstance(batch, Batch)]
    assert [record.value for batch in batched for record in batch.records] == [
        str(n).encode() for n in range(20)
    ]
    assert (batched[0].start, batched[-1].end) == (0, 20)
    assert [value for value in got if not isinstance(value, Batch)] == [str(n).encode() for n in range(20)]
