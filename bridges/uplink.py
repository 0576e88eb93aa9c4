"""MQTT to Kafka: a message is acknowledged when Kafka has its record, and not before.

    await outbox.send()                   # a crash here: the broker sends the messages again
    connection.acknowledge(packet_ids)    # and never forgets one that Kafka has not

Messages are taken in the order of arrival and sent in rounds, so a vehicle's order is the broker's. The
broker may send `receiveMaximum` messages ahead; while Kafka is slow or away it keeps the rest. Where the
producer gives up on a round, the connection is closed without acknowledging it and all of it comes again.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

from bridges import accounting
from bridges.kafka import BatchTooLarge, KafkaUnavailable, Outbox, SendFailed
from bridges.link import Link
from bridges.mqtt import Connection, Message, Session
from bridges.records import RecordMaker
from bridges.settings import ADDRESSES, UplinkSettings
from bridges.ticks import PERIOD_S, Ticks
from bridges.topics import Routes, Template
from pipeline.process import (
    ConfigurationError,
    Context,
    Process,
    TopicsDiffer,
    client_options,
    format_time,
    topic_name,
)

RAW = "vehicle.raw"
RESPONSES = "vehicle.command-responses"
OUTPUTS = (RAW, RESPONSES, "vehicle.dead-letter")
_TICK_CHECKS_A_PERIOD = 10
_DRAIN_SHARE = 0.8


@dataclass(slots=True)
class _Round:
    """What has been received and is acknowledged together."""

    unacknowledged: dict[Connection, list[int]] = field(default_factory=dict)
    produced: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    messages: int = 0
    size: int = 0
    began_at: float | None = None


class Uplink:
    """The way of messages from one connection to one outbox."""

    def __init__(self, maker: RecordMaker, outbox: Outbox, settings: UplinkSettings) -> None:
        self._maker = maker
        self._outbox = outbox
        self._partitions = settings.partitions
        self._names = {name: topic_name(settings.prefix, name) for name in OUTPUTS}
        self._limits = settings.uplink
        self._gathering = _Round()
        self._sending: _Round | None = None
        self._wake = asyncio.Event()
        self._finishing = False
        self._paused: Connection | None = None
        self.ticks = Ticks()

    @property
    def in_flight(self) -> int:
        """Messages that were received and are not acknowledged."""
        return self._gathering.messages + (self._sending.messages if self._sending else 0)

    @property
    def in_flight_bytes(self) -> int:
        """Their payloads' bytes."""
        return self._gathering.size + (self._sending.size if self._sending else 0)

    @property
    def oldest_at(self) -> float | None:
        """When (loop time) the oldest message not yet in Kafka was received."""
        return self._sending.began_at if self._sending else self._gathering.began_at

    def receive(self, connection: Connection, messages: list[Message]) -> None:
        """Take messages, in the order in which they came."""
        gathering = self._gathering
        if gathering.began_at is None:
            gathering.began_at = asyncio.get_running_loop().time()
        make, add, names = self._maker.make, self._outbox.add, self._names
        packet_ids = gathering.unacknowledged.setdefault(connection, [])
        size = duplicates = 0
        for message in messages:
            record = make(message)
            topic, partition, timestamp, key, value, headers, code = record
            add(names[topic], partition, timestamp=timestamp, key=key, value=value, headers=headers)
            if message.qos:
                packet_ids.append(message.packet_id)
                duplicates += message.duplicate
            size += len(value) + len(message.properties)
            if code is None:
                gathering.produced[topic] += 1
            else:
                gathering.dead_letters[code] += 1
        gathering.messages += len(messages)
        gathering.size += size
        accounting.UPLINK_RECEIVED.inc(len(messages))
        accounting.UPLINK_REDELIVERED.inc(duplicates)
        in_flight = self.in_flight
        accounting.UPLINK_IN_FLIGHT.set(in_flight)
        if in_flight >= self._limits.receive_maximum:
            self.ticks.window_full(asyncio.get_running_loop().time())
        # The window bounds neither the size of messages nor the number of those with QoS 0.
        if (
            in_flight > 2 * self._limits.receive_maximum
            or self.in_flight_bytes > self._limits.max_in_flight_bytes
        ):
            connection.pause()
            self._paused = connection
        self._wake.set()

    async def forward(self) -> None:
        """Send round after round, until `finish` was called and nothing is left. Raises SendFailed."""
        while not self._finishing or self._outbox.waiting:
            while self._outbox.waiting:
                await self._round()
            if not self._finishing:
                await self._wake.wait()
                self._wake.clear()

    def finish(self) -> None:
        """Let `forward` return when all that was received is in Kafka and acknowledged."""
        self._finishing = True
        self._wake.set()

    async def _round(self) -> None:
        loop = asyncio.get_running_loop()
        sending, self._gathering = self._gathering, _Round()
        self._sending = sending
        began = loop.time()
        await self._outbox.send()
        for connection, packet_ids in sending.unacknowledged.items():
            connection.acknowledge(packet_ids)
        self._sending = None
        accounting.UPLINK_ROUND_SECONDS.observe(loop.time() - began)
        for topic, count in sending.produced.items():
            accounting.UPLINK_PRODUCED.labels(topic).inc(count)
        for code, count in sending.dead_letters.items():
            accounting.UPLINK_DEAD_LETTERS.labels(code).inc(count)
        accounting.UPLINK_IN_FLIGHT.set(self.in_flight)
        if self._paused is not None:
            paused, self._paused = self._paused, None
            paused.resume()

    def forget(self) -> None:
        """Give up what is in flight: it was not acknowledged, so the broker sends it again."""
        accounting.UPLINK_ABANDONED.inc(self.in_flight)
        self._gathering, self._sending, self._paused = _Round(), None, None
        accounting.UPLINK_IN_FLIGHT.set(0)

    def tick(self) -> None:
        """Add a tick to every partition of vehicle.raw, behind everything that was received before it."""
        received_at = time.time_ns() // 1_000_000
        value = b'{"receivedAt":"%s"}' % format_time(received_at).encode()
        topic = self._names[RAW]
        for partition in range(self._partitions):
            self._outbox.add(topic, partition, timestamp=received_at, key=None, value=value)
        accounting.UPLINK_TICKS.inc()
        self._wake.set()


class _Running:
    """One uplink process: who starts after whom, and what happens when Kafka gives up."""

    def __init__(self, context: Context[UplinkSettings]) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._outbox = Outbox(client_options(settings, "uplink"))
        routes = routes_of(settings)
        share = f"{settings.prefix}telltale"
        self._maker = RecordMaker(routes, settings.partitions, settings.uplink.max_record_bytes)
        self._uplink = Uplink(self._maker, self._outbox, settings)
        self._link = Link(
            settings.mqtt.broker(f"{settings.prefix}telltale-uplink-{settings.client_id}"),
            Session(
                expiry_s=round(settings.uplink.session_expiry_s),
                receive_maximum=settings.uplink.receive_maximum,
                clean_start=False,
            ),
            filters=routes.filters(share),
            on_messages=self._uplink.receive,
            on_change=_count_connection,
        )
        self._kafka_problem: str | None = None

    async def main(self) -> None:
        context = self._context
        await context.reach("Kafka", self._outbox.open)
        try:
            await context.reach("the topics in Kafka", self._check_topics)
            context.health.check("mqtt", lambda: self._link.problem)
            context.health.check("kafka", self._ask_kafka)
            line = asyncio.create_task(self._link.run(), name="link")
            work = asyncio.create_task(self._forward(), name="forward")
            ticks = asyncio.create_task(self._tick(), name="ticks")
            drain = asyncio.create_task(self._drain(ticks, work), name="drain")
            tasks = {line, work, ticks, drain}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if context.stopping.is_set():
                    await asyncio.wait({drain})
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            for task in (line, work, ticks):
                if not task.cancelled():
                    task.result()
        finally:
            self._uplink.forget()
            await self._outbox.abandon()

    async def _drain(self, ticks: asyncio.Task[None], work: asyncio.Task[None]) -> None:
        """When asked to stop: read nothing more, finish what was read, say goodbye to both sides."""
        await self._context.stopping.wait()
        ticks.cancel()
        if self._link.connection is not None:
            self._link.connection.pause()
        self._uplink.finish()
        await asyncio.wait({work}, timeout=self._settings.drain_timeout_s * _DRAIN_SHARE)
        left = self._uplink.in_flight
        if left:
            self._context.log.warning(
                "Ending with messages that Kafka has not taken; the MQTT broker keeps them", messages=left
            )
        await self._link.hold("draining")

    async def _forward(self) -> None:
        """Rounds, and a new beginning on both sides where Kafka gives up on one."""
        while True:
            self._link.release()
            try:
                await self._uplink.forward()
            except SendFailed as failure:
                reason = f"Kafka gave up on a round: {failure}"
                self._learn(failure)
            else:
                return
            self._kafka_problem = reason
            self._context.log.error(f"{reason}; its messages are read from the MQTT broker again")
            await self._link.hold(reason)
            self._uplink.forget()
            await self._outbox.abandon()
            await self._reopen()
            self._kafka_problem = None

    async def _reopen(self) -> None:
        pause_s = 0.25
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 10.0)
            try:
                await self._outbox.open()
            except KafkaUnavailable as error:
                self._kafka_problem = f"Kafka is not reached: {error}"
            else:
                return

    def _learn(self, failure: SendFailed) -> None:
        """Kafka's limits may be lower than ours; what is refused whole would be refused for ever."""
        if not isinstance(failure, BatchTooLarge):
            return
        if failure.records > 1:
            self._outbox.shrink(failure.size // 2)
        else:
            self._maker.largest = min(self._maker.largest, failure.size * 3 // 4)
            self._context.log.warning(
                "Kafka takes less than uplink.maxRecordBytes; what is larger becomes a dead letter",
                bytes=self._maker.largest,
            )

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        ticks = self._uplink.ticks
        while True:
            await asyncio.sleep(PERIOD_S / _TICK_CHECKS_A_PERIOD)
            due = ticks.due(
                loop.time(), connected_at=self._link.connected_at, oldest_at=self._uplink.oldest_at
            )
            if due and self._outbox.is_open:
                self._uplink.tick()
            elif ticks.withheld is not None:
                accounting.UPLINK_TICKS_WITHHELD.labels(ticks.withheld).inc()

    async def _check_topics(self) -> None:
        differences = []
        for logical in OUTPUTS:
            name = topic_name(self._settings.prefix, logical)
            count = await self._outbox.partitions_of(name)
            if count != self._settings.partitions:
                differences.append(
                    f"{name} has {count} partitions, the settings say {self._settings.partitions}"
                )
        if differences:
            raise TopicsDiffer(
                "Topics do not fit; set `partitions`, or take a new `prefix` and create its topics:",
                differences,
            )

    def _ask_kafka(self) -> str | None:
        if self._kafka_problem is not None:
            return self._kafka_problem
        oldest_at = self._uplink.oldest_at
        if oldest_at is not None:
            waited = asyncio.get_running_loop().time() - oldest_at
            if waited > 5.0:
                return f"a message waits for Kafka since {waited:.0f} s"
        return None


def routes_of(settings: UplinkSettings) -> Routes:
    """The templates of the settings. Raises ConfigurationError where two take the same topics."""
    templates = [
        (Template.parse(text, ADDRESSES), target)
        for texts, target in (
            (settings.uplink.telemetry_topics, RAW),
            (settings.uplink.response_topics, RESPONSES),
        )
        for text in texts
    ]
    try:
        return Routes(templates, settings.partitions)
    except ValueError as error:
        raise ConfigurationError(f"uplink.telemetryTopics, uplink.responseTopics: {error}") from None


def _count_connection(connected: bool) -> None:
    accounting.UPLINK_CONNECTED.set(connected)
    if connected:
        accounting.UPLINK_CONNECTIONS.inc()


async def _main(context: Context[UplinkSettings]) -> None:
    await _Running(context).main()


process = Process("uplink", UplinkSettings, _main, "MQTT to Kafka: nothing lost, each vehicle in order")
