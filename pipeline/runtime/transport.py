"""Faust delivers all records fetched from one partition as one message, and nothing of Faust moves an offset.

This is the only module that touches private parts of Faust 0.15.3, mode 0.7.1 and aiokafka 0.14.0's consumer;
tests/runtime/test_private_parts.py fails when one of them changes. What it replaces, and why:

- the fetch: records come with the positions before and after them, and a seek is noticed in what follows it;
- pausing: a batched partition is fetched if and only if its processor asked for it, whatever Faust resumes;
- seeking: processors seek, to their markers; Faust seeks to committed offsets, after it has resumed;
- the consumer's options: read committed, co-partitioned, static membership, short fetches;
- the directories, web server and producer that Faust would start.

Topics are batched unless Faust itself asks for others; those pass one record at a time, as ever.
Faust runs aiokafka's consumer in a thread of its own: methods named `_…_in_thread` run there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import aiokafka
import faust
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import IllegalStateError, KafkaError
from aiokafka.protocol.group import HeartbeatRequest
from faust.app.base import BootStrategy
from faust.serializers.schemas import Schema
from faust.transport.consumer import ensure_TP
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from yarl import URL

from pipeline.runtime.assignor import CopartitionAssignor
from pipeline.runtime.batches import Batch

T = TypeVar("T")

SPOKESMAN = logging.getLogger("faust.telltale")
"""What Faust says through a subclass of ours is Faust's: its level and its rate limit are for that too."""
MAX_BATCH_RECORDS = 2_000
_FETCH_WAIT_MS = 100
"""How long the broker may hold an empty fetch; also how long a partition that was just opened may wait."""


class GroupOptions(NamedTuple):
    """How the worker is known to Kafka and to its group."""

    client: dict[str, Any]
    """Arguments that every aiokafka client takes."""
    group: str
    instance: str | None
    """Static membership: a process that comes back with it within the session time-out moves nothing."""
    session_timeout_s: float = 10.0
    heartbeat_s: float = 1.0
    rebalance_timeout_s: float = 30.0


class _Fetched(NamedTuple):
    tp: TP
    start: int
    end: int
    seek: int
    last: int
    records: Sequence[Any]


class BatchConsumerThread(AIOKafkaConsumerThread):
    """aiokafka's consumer in Faust's thread, drained by position."""

    logger = SPOKESMAN
    app: Any
    consumer: Any
    _consumer: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        self.assignor = CopartitionAssignor()
        self.seeks: dict[TP, int] = {}
        self.last_drain = time.monotonic()
        self._waiter: asyncio.Future[None] | None = None

    def _create_worker_consumer(self, _transport: Any) -> Any:
        options: GroupOptions = self.app.group_options
        self._assignor = self.assignor
        return aiokafka.AIOKafkaConsumer(
            **options.client,
            group_id=options.group,
            group_instance_id=options.instance,
            partition_assignment_strategy=[self.assignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_poll_records=MAX_BATCH_RECORDS,
            session_timeout_ms=int(options.session_timeout_s * 1000),
            heartbeat_interval_ms=int(options.heartbeat_s * 1000),
            rebalance_timeout_ms=int(options.rebalance_timeout_s * 1000),
            request_timeout_ms=int(max(options.session_timeout_s, 20.0) * 1000),
        )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Run it in the consumer's thread; to be awaited in the main one."""
        return asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop))

    def wake(self) -> None:
        """Look again at what is fetched: a partition was opened."""
        self.thread_loop.call_soon_threadsafe(self._wake_in_thread)

    def _wake_in_thread(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _drain_in_thread(self, timeout: float) -> list[_Fetched]:
        """What has arrived, a batch for each partition; waits until there is some, at most `timeout` s."""
        consumer = self._ensure_consumer()
        fetcher = consumer._fetcher
        subscriptions = fetcher._subscriptions
        self.last_drain = time.monotonic()
        with subscriptions.fetch_context():
            if not subscriptions.reassignment_in_progress:
                drained = self._take_in_thread(fetcher)
                if drained:
                    return drained
            if consumer._closed or fetcher._closed:
                raise aiokafka.errors.ConsumerStoppedError()
            self._waiter = fetcher._create_fetch_waiter()
            await asyncio.wait([self._waiter], timeout=timeout)
            if not self._waiter.done():
                self._waiter.cancel()
                return []
            self._waiter.result()
            if subscriptions.reassignment_in_progress:
                await asyncio.sleep(0.01)
                return []
            return self._take_in_thread(fetcher)

    def _take_in_thread(self, fetcher: Any) -> list[_Fetched]:
        active = self.consumer.fetching()
        drained: list[_Fetched] = []
        for key in list(fetcher._records):
            found = fetcher._records[key]
            tp = ensure_TP(key)
            if tp not in active:
                if not fetcher._subscriptions.is_assigned(key):
                    del fetcher._records[key]
                elif found.calculate_backoff():
                    # aiokafka asks a broker for no more while something of it waits to be read. That is as
                    # it should be for what is read in a moment: the rest, which may have nothing, would be
                    # asked for alone, and whoever has much would wait for the end of that. This is not read.
                    found._backoff = 0
                    fetcher._notify(fetcher._wait_consume_future)
                continue
            if type(found) is not FetchResult:
                if drained:
                    break
                del fetcher._records[key]
                fetcher._notify(fetcher._wait_consume_future)
                found.check_raise()
            state = found._assignment.state_value(key)
            start = state.position if state is not None and state.has_valid_position else None
            records = found.getall(MAX_BATCH_RECORDS)
            if not found.has_more():
                del fetcher._records[key]
                fetcher._notify(fetcher._wait_consume_future)
            if start is None or not state.has_valid_position or state.position == start:
                continue
            drained.append(_Fetched(tp, start, state.position, self.seeks.get(tp, 0), _end(state), records))
        return drained

    async def _seek_in_thread(self, tp: TP, offset: int) -> int | None:
        try:
            self._ensure_consumer().seek(tp, offset)
        except IllegalStateError:
            return None
        self.seeks[tp] = self.seeks.get(tp, 0) + 1
        return self.seeks[tp]

    async def _where_in_thread(self, tp: TP) -> tuple[int, int, int] | None:
        subscription = self._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription is not None else None
        state = assignment.state_value(tp) if assignment is not None else None
        if state is None or not state.has_valid_position:
            return None
        return state.position, self.seeks.get(tp, 0), _end(state)

    async def _seek_others_in_thread(self, tps: Iterable[TP]) -> Any:
        return await self._ensure_consumer().seek_to_committed(*(aiokafka.TopicPartition(*tp) for tp in tps))

    async def _heartbeat_in_thread(self, generation: int) -> str | None:
        """None if the coordinator confirms this member in this generation, else what it says."""
        coordinator = self._ensure_consumer()._coordinator
        if coordinator.generation != generation:
            return f"the group is in generation {coordinator.generation}, not {generation}"
        if coordinator._rejoin_needed_fut.done():
            return "the group is rebalancing"
        request = HeartbeatRequest(coordinator.group_id, generation, coordinator.member_id)
        try:
            response = await coordinator._send_req(request)
        except KafkaError as error:
            return str(error) or type(error).__name__
        kind = aiokafka.errors.for_code(response.error_code)
        return None if kind is aiokafka.errors.NoError else kind.__name__

    async def _rejoin_in_thread(self) -> None:
        self._ensure_consumer()._coordinator.request_rejoin()

    async def _be_dynamic_in_thread(self) -> None:
        # aiokafka leaves the group when it closes, but lets a static member stay in it.
        self._ensure_consumer()._coordinator._group_instance_id = None

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's watch over streams; the runtime has its own, which acts instead of logging."""


def _end(state: Any) -> int:
    """End of what is committed, as the last fetch told; the position where none did."""
    if state.lso is not None and state.lso >= 0:
        return int(state.lso)
    return int(state.highwater) if state.highwater is not None else int(state.position)


class BatchConsumer(Consumer):
    """Faust's consumer, in batches."""

    logger = SPOKESMAN
    app: Any
    _thread: BatchConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: frozenset[TP] = frozenset()
        self._others: frozenset[TP] = frozenset()

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _batched(self, topic: str) -> bool:
        return topic in self.app.batched_topics

    def fetching(self) -> frozenset[TP]:
        """Partitions that may be drained now; read by the consumer's thread."""
        return (self._open | self._others) if self.flow_active else frozenset()

    def open_partition(self, tp: TP) -> None:
        """Fetch from the partition, from where it was last positioned."""
        self._open = self._open | {tp}
        self._thread.wake()

    def close_partition(self, tp: TP) -> None:
        """Fetch no more from the partition."""
        self._open = self._open - {tp}

    def pause_partitions(self, tps: Iterable[TP]) -> None:
        """Faust pauses at the start of a rebalance; batched partitions are their processors' affair."""
        super().pause_partitions({tp for tp in tps if not self._batched(tp.topic)})
        self._others = frozenset(tp for tp in self._active_partitions if not self._batched(tp.topic))

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Faust resumes everything after a rebalance; batched partitions are their processors' affair."""
        super().resume_partitions({tp for tp in tps if not self._batched(tp.topic)})
        self._others = frozenset(tp for tp in self._active_partitions if not self._batched(tp.topic))
        self._thread.wake()

    def resume_flow(self) -> None:
        """The rebalance is over."""
        super().resume_flow()
        self._thread.wake()

    async def perform_seek(self) -> None:
        """Faust would go to the committed offsets; processors go to their markers."""
        others = {tp for tp in self.assignment() if not self._batched(tp.topic)}
        if others:
            committed = await self._thread.run(self._thread._seek_others_in_thread(others))
            for tp, offset in committed.items():
                self._read_offset[ensure_TP(tp)] = offset or None
                if offset:
                    self._committed_offset[ensure_TP(tp)] = offset

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Batches as they arrive, one message each; records of other topics one by one."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        generation = self.app.consumer_generation_id
        drained = await self._thread.run(self._thread._drain_in_thread(timeout))
        for tp, start, end, seek, last, records in drained:
            if self.should_stop or not self.flow_active or generation != self.app.consumer_generation_id:
                return  # the processors notice the gap
            if self._batched(tp.topic):
                batch = Batch(tp.topic, tp.partition, start, end, seek, generation, last, records)
                self._read_offset[tp] = None  # Faust drops what lies before it: not after a seek back
                yield tp, self._batch_message(tp, batch)
            else:
                for record in records:
                    yield tp, self._to_message(tp, record)

    def _batch_message(self, tp: TP, batch: Any) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            batch.end - 1,
            time.time(),
            0,
            {},
            None,
            batch,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )


class BatchTransport(Transport):
    """Faust's aiokafka transport with a `BatchConsumer`."""

    Consumer = BatchConsumer


class _BatchSchema(Schema):  # type: ignore[type-arg]
    """A batch is delivered as it is."""

    def compile(self, app: Any, **_: Any) -> Any:
        create_event = app.create_event

        async def decode(message: Any, *, propagate: bool = False) -> Any:  # noqa: ARG001
            return create_event(None, message.value, {}, message)

        return decode


class _ConsumerOnly(BootStrategy):
    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False


class BatchApp(faust.App):
    """A Faust app whose `batches` is a stream of `Batch`; its agents are ordinary ones.

    It writes no files, opens no port, has no producer, and commits no offset of a batched topic.
    """

    logger = SPOKESMAN
    BootStrategy = _ConsumerOnly

    def __init__(self, name: str, topics: Sequence[str], options: GroupOptions) -> None:
        """`topics` are Kafka's names."""
        self.group_options = options
        self.batched_topics = frozenset(topics)
        super().__init__(
            options.group,
            broker=URL("kafka://" + str(options.client["bootstrap_servers"][0])),
            broker_session_timeout=options.session_timeout_s,
            broker_max_poll_records=MAX_BATCH_RECORDS,
            store="memory://",
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            autodiscover=False,
        )
        self.batches = self.topic(*topics, schema=_BatchSchema(), acks=False)
        self.stage_name = name

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Faust would make one in the working directory, which may be read-only."""

    # -- what processors need of the consumer ----------------------------------------------------------

    @property
    def _batch_consumer(self) -> BatchConsumer:
        return cast(BatchConsumer, self.consumer)

    @property
    def _thread(self) -> BatchConsumerThread:
        return self._batch_consumer._thread

    @property
    def generation(self) -> int:
        """The group's generation that the current assignment belongs to."""
        return int(self.consumer_generation_id)

    def open_partition(self, topic: str, partition: int) -> None:
        """Fetch from the partition, from where it was last positioned."""
        self._batch_consumer.open_partition(TP(topic, partition))

    def close_partition(self, topic: str, partition: int) -> None:
        """Fetch no more from the partition."""
        self._batch_consumer.close_partition(TP(topic, partition))

    async def position(self, topic: str, partition: int, offset: int) -> int | None:
        """Continue at `offset`; how often this was done for the partition, None if it is not assigned."""
        return await self._thread.run(self._thread._seek_in_thread(TP(topic, partition), offset))

    async def where(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        """Where the consumer stands, how often it was positioned, and the end of the committed log."""
        return await self._thread.run(self._thread._where_in_thread(TP(topic, partition)))

    async def confirm(self, generation: int) -> str | None:
        """A heartbeat of this generation: None if the coordinator confirms it, else what it says."""
        return await self._thread.run(self._thread._heartbeat_in_thread(generation))

    async def rejoin(self) -> None:
        """Ask for a new assignment."""
        await self._thread.run(self._thread._rejoin_in_thread())

    async def leave_on_stop(self) -> None:
        """Leave the group when the app stops: this process will not be back, others may have its share."""
        await self._thread.run(self._thread._be_dynamic_in_thread())

    def reached(self) -> bool:
        """Whether the group's coordinator is known and answers."""
        consumer = self._thread._consumer
        return consumer is not None and consumer._coordinator.coordinator_id is not None

    def hold(self, partitions: Iterable[int]) -> None:
        """Tell the group, at the next join, what this worker holds."""
        self._thread.assignor.hold(self.generation, partitions)

    def since_last_fetch(self) -> float:
        """Seconds since the poll last moved."""
        return float(time.monotonic() - self._thread.last_drain)
