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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerClosed

BATCH_BYTES = 128 * 1024
LEAST_BATCH_BYTES = 4 * 1024
_REQUEST_TIMEOUT_MS = 15_000
_GOODBYE_S = 2.0

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
            await producer.stop()
            raise
        self._producer = producer

    async def partitions_of(self, topic: str) -> int:
        """How many partitions a topic has. Raises KafkaUnavailable, also where there is no such topic."""
        assert self._producer is not None
        try:
            with _translated():
                async with asyncio.timeout(2.0):
                    return len(await self._producer.partitions_for(topic))
        except TimeoutError:
            raise KafkaUnavailable(
                f"there is no topic {topic!r}; `telltale topics create` makes it"
            ) from None

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
        done, pending = await asyncio.wait(deliveries, return_when=asyncio.FIRST_EXCEPTION)
        failures = [error for delivery in done if (error := delivery.exception()) is not None]
        for delivery in pending:
            delivery.add_done_callback(_look_away)
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

    async def close(self) -> None:
        """Close, after what was sent is in Kafka; call `abandon` where nobody waits for it."""
        producer, self._producer = self._producer, None
        self._forget()
        if producer is not None:
            await producer.stop()

    async def abandon(self) -> None:
        """Close at once; what was on its way may or may not be in Kafka."""
        producer, self._producer = self._producer, None
        self._forget()
        if producer is None:
            return
        # aiokafka's own stop() waits until Kafka has everything, which may be never.
        producer._message_accumulator.fail_all(ProducerClosed())
        await producer.client.close()
        with contextlib.suppress(TimeoutError, KafkaError):
            async with asyncio.timeout(_GOODBYE_S):
                await producer.stop()

    def _forget(self) -> None:
        self._building.clear()
        self.waiting = 0


def _look_away(delivery: asyncio.Future[Any]) -> None:
    """Take the exception of a delivery that nobody waits for any more."""
    if not delivery.cancelled():
        delivery.exception()
