"""A link is one vehicle's own MQTT session: it holds what is unconfirmed, and sends it again after a loss.

One session for each vehicle, because that is what makes the rest true: a vehicle without coverage is
a client that is gone while its subscription stays (the broker keeps its commands until they expire),
and one that never came is a command without a matching subscriber. A message keeps its publish-id
when it is sent again, so that everybody downstream can count what arrived twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from bridges.mqtt import REFUSED, Broker, Connection, Message, Session
from bridges.properties import MalformedProperties, MessageProperties, decode_properties
from bridges.simulator.answers import Answer, Cabin
from bridges.simulator.counters import Counters
from bridges.simulator.journeys import Kind, Publication
from pipeline.process import format_time, parse_time

SESSION_EXPIRY_S = 3_600
WINDOW = 1
"""So many of one vehicle's messages may be unconfirmed at once.

One, so that they stay in order: Artemis, which stores them side by side, was seen to pass on a newer one
first when more were under way (one drive of 310 messages in four, with a window of 50).
"""

BACK_OFF_S = (0.2, 0.5, 1.0, 2.0)
RECENT = 600
"""So many live samples a link remembers, to know how old a command's cause is."""

CAUSE_TIME = "cause-event-time"
"""The user property in which the downlink hands on the time of the event that caused a command."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to the broker; `kind` is None for an answer, which is not telemetry."""

    topic: str
    payload: bytes
    properties: MessageProperties
    kind: Kind | None
    sampled: int | None = None
    status: str | None = None


class Link:
    """One vehicle at the broker. `run` lives until `close`; the rest is called from the event loop."""

    def __init__(
        self,
        vehicle_id: str,
        cabin: Cabin,
        *,
        broker: Callable[[str], Broker],
        counters: Counters,
        publish_id: Callable[[], str],
        report: Callable[[str], None],
    ) -> None:
        self.vehicle_id = vehicle_id
        self._cabin = cabin
        self._broker = broker(vehicle_id)
        self._counters = counters
        self._publish_id = publish_id
        self._report = report
        self._outbox: deque[Outgoing] = deque()
        self._unconfirmed: OrderedDict[int, Outgoing] = OrderedDict()
        self._serial = 0
        self._covered = False
        self._closing = False
        self._wake = asyncio.Event()
        self._published_at: OrderedDict[int, float] = OrderedDict()
        self._thinking: set[asyncio.TimerHandle] = set()

    @property
    def is_idle(self) -> bool:
        """Tell whether everything that was handed over is confirmed, and no answer is being thought of."""
        return not (self._outbox or self._unconfirmed or self._thinking)

    def publish(self, publication: Publication) -> None:
        """Hand over one message; it leaves in its turn, once the vehicle is connected."""
        live = publication.kind is Kind.LIVE
        properties = MessageProperties(
            content_type=b"application/json", user=(("publish-id", self._publish_id().encode()),)
        )
        topic = f"vehicles/{self.vehicle_id}/telemetry"
        sampled = publication.sampled if live else None
        self._hand_over(Outgoing(topic, publication.payload, properties, publication.kind, sampled))

    def cover(self, *, online: bool) -> None:
        """The vehicle enters or leaves the network."""
        self._covered = online
        self._wake.set()

    def close(self) -> None:
        """Say goodbye; what is unconfirmed by then stays so."""
        self._closing = True
        for timer in self._thinking:
            timer.cancel()
        self._wake.set()

    async def run(self) -> None:
        """Connects whenever there is coverage, and again after every loss, until closed."""
        failures = 0
        while not self._closing:
            if not self._covered:
                await self._woken()
                continue
            try:
                connection = await Connection.open(
                    self._broker,
                    Session(expiry_s=SESSION_EXPIRY_S, clean_start=False),
                    filters=(f"vehicles/{self.vehicle_id}/commands/+",),
                    on_messages=self._on_messages,
                )
            except OSError as error:  # TimeoutError is one
                if failures == len(BACK_OFF_S):
                    self._report(f"{self.vehicle_id} cannot connect: {error}")
                await asyncio.sleep(BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)])
                failures += 1
                continue
            failures = 0
            self._counters.connected += 1
            try:
                await self._serve(connection)
            finally:
                self._counters.connected -= 1
                await connection.close()

    async def _serve(self, connection: Connection) -> None:
        self._outbox.extendleft(reversed(self._unconfirmed.values()))
        self._unconfirmed.clear()
        window = min(WINDOW, connection.receive_maximum)
        connection.ended.add_done_callback(lambda _: self._wake.set())
        while not connection.ended.done():
            while self._outbox and len(self._unconfirmed) < window:
                self._send(connection, self._outbox.popleft())
            if self._closing or not self._covered:
                return
            await self._woken()

    async def _woken(self) -> None:
        await self._wake.wait()
        self._wake.clear()

    # -- to the broker -------------------------------------------------------------------------------------

    def _hand_over(self, outgoing: Outgoing) -> None:
        self._outbox.append(outgoing)
        self._counters.waiting += 1
        self._wake.set()

    def _send(self, connection: Connection, outgoing: Outgoing) -> None:
        self._serial += 1
        serial = self._serial
        self._unconfirmed[serial] = outgoing
        if outgoing.sampled is not None:
            self._published_at.setdefault(outgoing.sampled, time.time())
            if len(self._published_at) > RECENT:
                self._published_at.popitem(last=False)
        done = connection.publish(outgoing.topic, outgoing.payload, outgoing.properties)
        done.add_done_callback(lambda future: self._on_confirmed(serial, future))

    def _on_confirmed(self, serial: int, future: asyncio.Future[int]) -> None:
        if future.cancelled() or future.exception() is not None:
            return  # the connection was lost: it is sent again on the next one
        outgoing = self._unconfirmed.pop(serial, None)
        if outgoing is None:
            return
        self._counters.waiting -= 1
        if future.result() >= REFUSED:
            self._counters.refused += 1
            self._report(f"the broker refuses a message of {self.vehicle_id}: reason {future.result():#04x}")
        elif outgoing.kind is not None:
            self._counters.published[outgoing.kind] += 1
        elif outgoing.status is not None:
            self._counters.answered[outgoing.status] += 1
        self._wake.set()

    # -- from the broker -----------------------------------------------------------------------------------

    def _on_messages(self, connection: Connection, messages: list[Message]) -> None:
        arrived = time.time()
        for message in messages:
            self._take(message, arrived)
        connection.acknowledge([message.packet_id for message in messages if message.qos])

    def _take(self, message: Message, arrived: float) -> None:
        try:
            properties = decode_properties(message.properties)
        except MalformedProperties as error:
            self._report(f"{self.vehicle_id} got a command that it cannot read: {error}")
            return
        if properties.correlation is None:
            self._report(f"{self.vehicle_id} got a command without an id on {message.topic.decode()}")
            return
        new, answer = self._cabin.receive(properties.correlation.decode(errors="replace"))
        if not new:
            self._counters.repeated += 1
            return
        self._counters.command(answer)
        self._measure(properties, arrived)
        if answer is not None:
            topic = properties.response_topic or f"vehicles/{self.vehicle_id}/responses".encode()
            self._think(answer, topic.decode())

    def _measure(self, properties: MessageProperties, arrived: float) -> None:
        """How long ago the message was published that made this command, if it was a live one."""
        caused = dict(properties.user).get(CAUSE_TIME)
        if caused is None:
            return
        published_at = self._published_at.get(parse_time(caused.decode()))
        if published_at is not None:
            self._counters.latencies_ms.append((arrived - published_at) * 1000)

    def _think(self, answer: Answer, topic: str) -> None:
        loop = asyncio.get_running_loop()

        def say() -> None:
            self._thinking.discard(timer)
            document = {
                "id": answer.command_id,
                "status": answer.status,
                "at": format_time(time.time_ns() // 1_000_000),
            }
            if answer.reason is not None:
                document["reason"] = answer.reason
            properties = MessageProperties(
                content_type=b"application/json", correlation=answer.command_id.encode()
            )
            self._hand_over(Outgoing(topic, orjson.dumps(document), properties, None, status=answer.status))

        timer = loop.call_later(answer.after_ms / 1000, say)
        self._thinking.add(timer)
