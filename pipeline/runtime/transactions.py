"""One transactional producer: a checkpoint is committed as a whole, or its outcome is unknown.

Whatever goes wrong between begin and commit, nothing is tried again here: the caller throws the producer
away and starts at the marker, which tells what became of the transaction. Every step has a deadline, since a
transaction can stay stuck when its coordinator's broker goes away (aiokafka's issue 1145).

Records are packed into batches before the transaction begins: one call a record and no future for each
(aiokafka's `send` costs 8 us a record, this 1 us), and a record that Kafka would refuse is found in time.
aiokafka commits even if a batch was refused, so every batch's future is awaited before the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import OffsetAndMetadata

from pipeline.runtime.failpoints import Failpoints
from pipeline.runtime.failures import Fenced, OutcomeUnknown, TooLarge, TopicMissing

MOST_RECORDS = 2**30
"""Records to one partition after which a producer is replaced: aiokafka's sequence breaks at 2**31."""
OFFSET_METADATA = "telltale"
"""Stands beside each offset that was committed with a marker."""
_BATCH_BYTES = 512 * 1024
_NOBODY = b"telltale: aborted"
"""Key of a record that nobody reads; a compacted topic takes none without a key."""


class Packed:
    """The records of one checkpoint in batches, each for one partition of one topic."""

    def __init__(self, limits: Callable[[str], int]) -> None:
        """`limits`: most bytes of a batch, by topic."""
        self._limits = limits
        self._open: dict[tuple[str, int], BatchBuilder] = {}
        self.batches: list[tuple[TopicPartition, BatchBuilder]] = []
        self.records = 0

    def add(
        self,
        target: tuple[str, int],
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp: int | None = None,
    ) -> None:
        """Append a record to the target (Kafka's topic name, and partition). Raises TooLarge."""
        if type(headers) is not list:
            headers = list(headers)
        batch = self._open.get(target)
        if batch is None or batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            limit = self._limits(target[0])
            batch = BatchBuilder(min(limit, _BATCH_BYTES), 0, is_transactional=True)
            batch.append(timestamp=timestamp, key=key, value=value, headers=headers)
            if batch.size() > limit:
                raise TooLarge(f"a record of {batch.size()} bytes for {target[0]}, which takes {limit}")
            self._open[target] = batch
            self.batches.append((TopicPartition(*target), batch))
        self.records += 1


class Transactions:
    """The producer of one partition of a stage."""

    def __init__(self, producer: AIOKafkaProducer, deadline_s: float, failpoints: Failpoints) -> None:
        self._producer = producer
        self._deadline_s = deadline_s
        self._failpoints = failpoints
        self._sent: dict[TopicPartition, int] = {}

    @classmethod
    async def start(
        cls, client: Mapping[str, Any], transactional_id: str, deadline_s: float, failpoints: Failpoints
    ) -> Transactions:
        """Fence whoever had this transactional id, and be the one that has it. Raises OutcomeUnknown."""
        options = dict(client)
        producer = AIOKafkaProducer(
            **options,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(deadline_s * 1000),
            max_batch_size=_BATCH_BYTES,
            max_request_size=2**31 - 1,
            request_timeout_ms=int(deadline_s * 1000),
            retry_backoff_ms=20,
        )
        try:
            async with asyncio.timeout(deadline_s):
                await producer.start()
        except BaseException as error:
            _abandon(producer)
            if isinstance(error, KafkaError | TimeoutError | OSError):
                raise OutcomeUnknown(
                    f"the producer {transactional_id} did not start: {_say(error)}"
                ) from error
            raise
        return cls(producer, deadline_s, failpoints)

    @property
    def worn(self) -> bool:
        """Whether it has to be replaced before it can send much more."""
        return any(count > MOST_RECORDS for count in self._sent.values())

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has. TopicMissing if Kafka does not tell."""
        try:
            return len(await self._producer.partitions_for(topic))
        except KafkaError as error:
            raise TopicMissing(f"Kafka knows no topic {topic}: create it ({_say(error)})") from error

    async def commit(
        self, packed: Packed, offsets: Mapping[TopicPartition, int], group: str, changelog: TopicPartition
    ) -> int | None:
        """Everything or, after an exception, who knows. The changelog's position behind what was written."""
        async with self._bounded():
            return await self._commit(packed, offsets, group, changelog)

    async def abort_in(self, partitions: Sequence[TopicPartition]) -> None:
        """Begin a transaction in these partitions and abort it: what of this producer hangs there ends.

        The marker of an aborted transaction ends all that its producer id has open in the partition, also
        what an earlier epoch left behind. The record that it needs is aborted with it: nobody reads it.
        """
        async with self._bounded():
            await self._producer.begin_transaction()
            waiting = [
                await self._producer.send(tp.topic, b"", key=_NOBODY, partition=tp.partition)
                for tp in partitions
            ]
            await asyncio.gather(*waiting)
            await self._producer.abort_transaction()

    @contextlib.asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """A transaction within its deadline; whatever else happens to it is a failure of the runtime's."""
        try:
            async with asyncio.timeout(self._deadline_s):
                yield
        except ProducerFenced as error:
            raise Fenced("another producer of this partition was started") from error
        except (KafkaError, TimeoutError, OSError, AssertionError) as error:
            raise OutcomeUnknown(f"the transaction did not end: {_say(error)}") from error

    async def _commit(
        self, packed: Packed, offsets: Mapping[TopicPartition, int], group: str, changelog: TopicPartition
    ) -> int | None:
        producer = self._producer
        await producer.begin_transaction()
        waiting: list[asyncio.Future[Any]] = []
        try:
            for tp, batch in packed.batches:
                batch.close()
                waiting.append(await producer.send_batch(batch, tp.topic, partition=tp.partition))
                if len(waiting) == 1 and self._failpoints.due("begin"):
                    await waiting[0]
                    self._failpoints.die("begin")
            delivered = await asyncio.gather(*waiting)
        except BaseException:
            for future in waiting:
                future.add_done_callback(_seen)
            raise
        # Not beside the batches: while the coordinator adds the offsets it cannot vouch for the transaction,
        # and a leader then refuses a batch for one back-off (NotEnoughReplicas, to a client like aiokafka).
        await producer.send_offsets_to_transaction(
            {tp: OffsetAndMetadata(offset, OFFSET_METADATA) for tp, offset in offsets.items()}, group
        )
        self._failpoints.pass_by("produced")
        await producer.commit_transaction()
        self._failpoints.pass_by("committed")
        end: int | None = None
        for (tp, batch), metadata in zip(packed.batches, delivered, strict=True):
            self._sent[tp] = self._sent.get(tp, 0) + batch.record_count()
            if tp == changelog and metadata.offset >= 0:
                end = metadata.offset + batch.record_count()
        return end

    async def close(self) -> None:
        """Close it in good order; nothing is open."""
        try:
            async with asyncio.timeout(2.0):
                await self._producer.stop()
        except (TimeoutError, KafkaError, OSError):
            _abandon(self._producer)

    def abandon(self) -> None:
        """Throw it away without a word to the broker, which aborts what was open."""
        _abandon(self._producer)


def _say(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _seen(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


_abandoned: set[asyncio.Task[None]] = set()


def _abandon(producer: AIOKafkaProducer) -> None:
    """Aiokafka's `stop` would first wait for what can no longer be sent."""
    producer._closed = True
    task = asyncio.get_running_loop().create_task(_tear_down(producer))
    _abandoned.add(task)
    task.add_done_callback(_abandoned.discard)


async def _tear_down(producer: AIOKafkaProducer) -> None:
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.wait([sender], timeout=5.0)
    with contextlib.suppress(Exception):
        await producer.client.close()
    for batches in list(producer._message_accumulator._batches.values()):
        for batch in batches:
            batch.future.add_done_callback(_seen)
