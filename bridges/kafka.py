"""Kafka as the bridges need it; the only module of theirs that knows aiokafka.

`Outbox` sends records in rounds: what was added since the last round goes out as one batch for each
partition, and the round is over when all replicas have all of it. So acknowledgements go back in the order
of arrival, and a round grows by itself while Kafka is slow. The producer is idempotent: it repeats for as
long as Kafka is away, in order and without doubles. A failure that it gives up on leaves an unknown part of
the round in the log; whoever sent it starts again with a new producer, and what is sent twice carries the
same bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from pipeline.process import TopicsDiffer, TopicsMissing
from pipeline.process.kafka import stop_client

BATCH_BYTES = 128 * 1024
LEAST_BATCH_BYTES = 4 * 1024
_REQUEST_TIMEOUT_MS = 15_000
_SESSION_TIMEOUT_MS = 10_000
_ANSWER_S = 5.0
_GOODBYE_S = 1.0

Header = tuple[str, bytes]


class KafkaUnavailable(ConnectionError):
    """Kafka does not answer, or does not let us in: try again."""


class SendFailed(Exception):
    """The producer has given up on a round: abandon it and open a new one."""


class BatchTooLarge(SendFailed):
    """Kafka refuses a batch of this many bytes and records, however often it is sent."""

    def __init__(self, topic: str, size: int, records: int) -> None:
        super().__init__(f"Kafka finds a batch of {size} bytes too large for {topic}")
        self.size = size
        self.records = records


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise KafkaUnavailable(str(error) or type(error).__name__) from error


class Outbox:
    """Records on their way to Kafka, in the order in which they were added."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options` are the client's (pipeline.process.client_options)."""
        self._options = dict(options)
        self._producer: AIOKafkaProducer | None = None
        self._building: dict[tuple[str, int], list[Any]] = {}
        self._deliveries: list[asyncio.Task[None]] = []
        self._batch_bytes = BATCH_BYTES
        self.waiting = 0
        """Records that were added since the last round began."""

    @property
    def is_open(self) -> bool:
        """Whether there is a producer to send with."""
        return self._producer is not None

    async def open(self) -> None:
        """Connect. Raises KafkaUnavailable."""
        assert self._producer is None, "the outbox is open"
        producer = AIOKafkaProducer(
            **self._options,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=self._batch_bytes,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            with _translated():
                await producer.start()
        except BaseException:
            await stop_client(producer)
            raise
        self._producer = producer

    async def partitions_of(self, topic: str) -> int | None:
        """How many partitions a topic has; None where there is no such topic. Raises KafkaUnavailable."""
        assert self._producer is not None
        try:
            with _translated():
                async with asyncio.timeout(2.0):
                    return len(await self._producer.partitions_for(topic))
        except TimeoutError:  # aiokafka asks again and again for a topic that is not there
            return None

    def add(
        self,
        topic: str,
        partition: int,
        *,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[Header] | None = None,
    ) -> None:
        """Take a record for the next round; `timestamp` in ms."""
        place = (topic, partition)
        headers = headers or []
        builders = self._building.get(place)
        if builders is None:
            builders = self._building[place] = [self._builder()]
        if builders[-1].append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            builders.append(self._builder())
            builders[-1].append(timestamp=timestamp, key=key, value=value, headers=headers)
        self.waiting += 1

    def _builder(self) -> Any:
        assert self._producer is not None, "the outbox is closed"
        return self._producer.create_batch()

    async def send(self) -> None:
        """Send what was added so far and return when all of it is in Kafka. Raises SendFailed."""
        building, self._building = self._building, {}
        self.waiting = 0
        if not building:
            return
        deliveries = [
            asyncio.create_task(self._deliver(topic, partition, builders))
            for (topic, partition), builders in building.items()
        ]
        for delivery in deliveries:
            delivery.add_done_callback(_look_away)
        self._deliveries = deliveries
        done, _ = await asyncio.wait(deliveries, return_when=asyncio.FIRST_EXCEPTION)
        failures = [error for delivery in done if (error := delivery.exception()) is not None]
        if failures:
            raise failures[0]

    async def _deliver(self, topic: str, partition: int, builders: Sequence[Any]) -> None:
        assert self._producer is not None
        for builder in builders:
            records, size = builder.record_count(), builder.size()
            try:
                await (await self._producer.send_batch(builder, topic, partition=partition))
            except MessageSizeTooLargeError:
                raise BatchTooLarge(topic, size, records) from None
            except KafkaError as error:
                raise SendFailed(f"{topic}: {error or type(error).__name__}") from error

    def shrink(self, batch_bytes: int) -> None:
        """Make smaller batches from the next `open` on."""
        self._batch_bytes = max(min(batch_bytes, self._batch_bytes), LEAST_BATCH_BYTES)

    async def abandon(self) -> None:
        """Close at once; what was on its way may or may not be in Kafka."""
        producer, self._producer = self._producer, None
        self._forget()
        if producer is None:
            return
        for delivery in self._deliveries:
            delivery.cancel()
        # aiokafka's own stop() waits until Kafka has everything, which may be never.
        await producer.client.close()
        with contextlib.suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_GOODBYE_S):
                await producer._sender.close()
        await producer.client.close()  # the sender may have connected once more
        producer._closed = True

    def _forget(self) -> None:
        self._building.clear()
        self.waiting = 0


async def check_partitions(outbox: Outbox, topics: Iterable[str], partitions: int) -> None:
    """Raises TopicsDiffer where a topic has another number, else TopicsMissing where there is none."""
    names = list(topics)
    counts = dict(zip(names, await asyncio.gather(*map(outbox.partitions_of, names)), strict=True))
    differences = [
        f"{topic} has {count} partitions, the settings say {partitions}"
        for topic, count in counts.items()
        if count is not None and count != partitions
    ]
    if differences:
        raise TopicsDiffer(
            "Topics do not fit; set `partitions`, or take a new `prefix` and create its topics:", differences
        )
    missing = [topic for topic, count in counts.items() if count is None]
    if missing:
        raise TopicsMissing(missing)


def _look_away(delivery: asyncio.Future[Any]) -> None:
    """Take the exception of a delivery, since nobody may be waiting for it any more."""
    if not delivery.cancelled():
        delivery.exception()


class Inbox:
    """The committed records of one topic, shared by a consumer group; offsets are committed by hand."""

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        group: str,
        topic: str,
        on_assigned: Callable[[set[int]], Awaitable[None]],
        on_revoked: Callable[[set[int]], Awaitable[None]],
    ) -> None:
        """Both are awaited before the group goes on: `on_revoked` may commit for the last time."""
        self._options = dict(options)
        self._group = group
        self._topic = topic
        self._listener = _Listener(on_assigned, on_revoked)
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        """Join the group. Raises KafkaUnavailable."""
        consumer = AIOKafkaConsumer(
            **self._options,
            group_id=self._group,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=_SESSION_TIMEOUT_MS // 5,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            with _translated():
                await consumer.start()
        except BaseException:
            await stop_client(consumer)
            raise
        consumer.subscribe([self._topic], listener=self._listener)
        self._consumer = consumer

    @property
    def assigned(self) -> set[int]:
        """The partitions that are ours now."""
        return {place.partition for place in self._consumer.assignment()} if self._consumer else set()

    async def get(self, limit: int, timeout_s: float) -> list[Any]:
        """Up to `limit` records, each partition's in order; none when the time is over.

        Raises KafkaUnavailable. To be called often, with a limit of 0 where there is no room: it also
        says that we live.
        """
        assert self._consumer is not None, "the inbox is closed"
        with _translated():
            if limit > 0:
                batches = await self._consumer.getmany(timeout_ms=round(timeout_s * 1000), max_records=limit)
                return [record for records in batches.values() for record in records]
            paused = self._consumer.assignment()
            self._consumer.pause(*paused)
            try:
                await self._consumer.getmany(timeout_ms=0)
            finally:
                self._consumer.resume(*(paused & self._consumer.assignment()))
        return []

    async def positions(self) -> dict[int, int]:
        """Where the next `get` goes on in each partition. Raises KafkaUnavailable."""
        assert self._consumer is not None, "the inbox is closed"
        with _translated():
            return {
                place.partition: await self._consumer.position(place) for place in self._consumer.assignment()
            }

    async def lag(self) -> int:
        """Offsets of our partitions that `get` has not passed; Kafka is asked. Raises KafkaUnavailable."""
        assert self._consumer is not None, "the inbox is closed"
        places = self._consumer.assignment()
        try:
            async with asyncio.timeout(_ANSWER_S):
                with _translated():
                    ends = await self._consumer.end_offsets(places)
                    return sum(
                        [max(0, ends[place] - await self._consumer.position(place)) for place in places]
                    )
        except TimeoutError:
            raise KafkaUnavailable(f"Kafka has not answered for {_ANSWER_S:g} s") from None

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit the offset of the next record of each partition. Raises KafkaUnavailable."""
        assert self._consumer is not None, "the inbox is closed"
        with _translated():
            await self._consumer.commit(
                {TopicPartition(self._topic, partition): offset for partition, offset in offsets.items()}
            )

    async def close(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await stop_client(consumer)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(
        self,
        on_assigned: Callable[[set[int]], Awaitable[None]],
        on_revoked: Callable[[set[int]], Awaitable[None]],
    ) -> None:
        self._on_assigned = on_assigned
        self._on_revoked = on_revoked

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        await self._on_revoked({place.partition for place in revoked})

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        await self._on_assigned({place.partition for place in assigned})


async def read_tails(
    options: Mapping[str, Any], topic: str, partitions: Iterable[int], count: int
) -> list[Any]:
    """The records at the last `count` offsets of some partitions of a topic. Raises KafkaUnavailable."""
    places = [TopicPartition(topic, partition) for partition in partitions]
    consumer = AIOKafkaConsumer(**options, enable_auto_commit=False, request_timeout_ms=_REQUEST_TIMEOUT_MS)
    records: list[Any] = []
    try:
        with _translated():
            await consumer.start()
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            begins = await consumer.beginning_offsets(places)
            for place in places:
                consumer.seek(place, max(begins[place], ends[place] - count))
            left = {place for place in places if begins[place] < ends[place]}
            while left:
                for batch in (await consumer.getmany(*left, timeout_ms=1000)).values():
                    records += batch
                for place in tuple(left):
                    if await consumer.position(place) >= ends[place]:
                        left.discard(place)
    finally:
        await stop_client(consumer)
    return records
