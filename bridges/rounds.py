"""Messages on their way to Kafka: gathered while a round is under way, sent with the next one.

    await outbox.send()                   # a crash here: the broker sends the messages again
    connection.acknowledge(packet_ids)    # and never forgets one that Kafka has not

Messages are taken in the order of arrival and acknowledged in it, so a vehicle's order is the broker's. What
is in flight is bounded by the receive maximum, and by reading no further where that does not bound it. A
round stays in memory until Kafka has it: one that a producer gave up on is sent again, whole and in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridges import accounting
from bridges.kafka import Outbox
from bridges.mqtt import Connection, Message
from bridges.records import Record, RecordMaker
from bridges.settings import UplinkGroup
from bridges.ticks import Ticks
from pipeline.process import format_time


@dataclass(slots=True)
class _Round:
    """What has been received and is acknowledged together; ticks are records too, but no messages."""

    records: list[Record] = field(default_factory=list)
    unacknowledged: dict[Connection, list[int]] = field(default_factory=dict)
    messages: int = 0
    size: int = 0
    began_at: float | None = None


class Rounds:
    """The way of messages from one connection to one outbox."""

    def __init__(
        self, maker: RecordMaker, outbox: Outbox, names: Mapping[str, str], limits: UplinkGroup
    ) -> None:
        """`names` are Kafka's for the topics that `maker` names."""
        self._maker = maker
        self._outbox = outbox
        self._names = names
        self._limits = limits
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
    def waiting_since(self) -> float | None:
        """Since when (loop time) something waits for Kafka: the oldest message, or the round under way."""
        return self._sending.began_at if self._sending else self._gathering.began_at

    def receive(self, connection: Connection, messages: list[Message]) -> None:
        """Take messages, in the order in which they came."""
        gathering = self._gathering
        if gathering.began_at is None:
            gathering.began_at = asyncio.get_running_loop().time()
        make, add = self._maker.make, gathering.records.append
        packet_ids = gathering.unacknowledged.setdefault(connection, [])
        size = duplicates = 0
        for message in messages:
            add(make(message))
            if message.qos:
                packet_ids.append(message.packet_id)
                duplicates += message.duplicate
            size += len(message.payload) + len(message.properties)
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
        while not self._finishing or self._waiting:
            while self._waiting:
                await self._round()
            if not self._finishing:
                await self._wake.wait()
                self._wake.clear()

    @property
    def _waiting(self) -> bool:
        return self._sending is not None or bool(self._gathering.records)

    def finish(self) -> None:
        """Let `forward` return when all that was received is in Kafka and acknowledged."""
        self._finishing = True
        self._wake.set()

    async def _round(self) -> None:
        loop = asyncio.get_running_loop()
        sending = self._sending
        if sending is None:  # else it is one that was given up on
            sending, self._gathering = self._gathering, _Round()
            self._sending = sending
        began = loop.time()
        if sending.began_at is None:  # nothing but ticks
            sending.began_at = began
        if self._maker.lowered:
            sending.records = [self._maker.fit(record) for record in sending.records]
        add, names = self._outbox.add, self._names
        produced: Counter[str] = Counter()
        dead_letters: Counter[str] = Counter()
        for topic, partition, timestamp, key, value, headers, code in sending.records:
            add(names[topic], partition, timestamp=timestamp, key=key, value=value, headers=headers)
            if code is not None:
                dead_letters[code] += 1
            elif key is not None:
                produced[topic] += 1
        await self._outbox.send()
        for connection, packet_ids in sending.unacknowledged.items():
            connection.acknowledge(packet_ids)
        self._sending = None
        accounting.UPLINK_ROUND_SECONDS.observe(loop.time() - began)
        for topic, count in produced.items():
            accounting.UPLINK_PRODUCED.labels(topic).inc(count)
        for code, count in dead_letters.items():
            accounting.UPLINK_DEAD_LETTERS.labels(code).inc(count)
        accounting.UPLINK_IN_FLIGHT.set(self.in_flight)
        if self._paused is not None and not self._finishing:
            paused, self._paused = self._paused, None
            paused.resume()

    def forget(self) -> None:
        """Give up what is in flight, at the end: it is not acknowledged, so the broker sends it again."""
        accounting.UPLINK_ABANDONED.inc(self.in_flight)
        self._gathering, self._sending, self._paused = _Round(), None, None
        accounting.UPLINK_IN_FLIGHT.set(0)

    def tick(self, topic: str, partitions: int) -> None:
        """Add a tick to every partition, behind everything that was received before it."""
        received_at = time.time_ns() // 1_000_000
        text = format_time(received_at).encode()
        value, headers = b'{"receivedAt":"%s"}' % text, [("received-at", text)]
        self._gathering.records += [
            Record(topic, partition, received_at, None, value, headers) for partition in range(partitions)
        ]
        accounting.UPLINK_TICKS.inc()
        self._wake.set()
