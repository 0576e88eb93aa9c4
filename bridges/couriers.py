"""Each vehicle's commands, one after another: the next is sent when the broker has acknowledged the last.

So a vehicle's order survives a lost connection, a refusal and a repetition. Vehicles do not wait for each
other, up to the bound of what is in flight. A command waits for the MQTT broker until it expires; one that
was in flight when the connection ended is sent again with the same id: nobody knows whether it arrived.

A command over which the broker closes the connection would close it for ever and for everybody. One that was
in flight at `SUSPECT_AFTER` ends of a connection is sent alone, and given up when it was alone at as many.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from bridges import accounting
from bridges.commands import Command, State
from bridges.link import Link
from bridges.mqtt import NO_MATCHING_SUBSCRIBERS, QUOTA_EXCEEDED, REFUSED, Connection, ConnectionEnded

SUSPECT_AFTER: Final = 3
_QUOTA_PAUSE_S: Final = 1.0
_PACKET_OVERHEAD: Final = 16
_REFUSALS: Final = {
    0x80: "unspecified error",
    0x83: "implementation specific error",
    0x87: "not authorized",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x99: "payload format invalid",
}


class _NotSent(Exception):
    """The connection had ended before the command was sent on it."""


Outcome = tuple[State, str | None]
OnDone = Callable[[Command, State, "str | None"], None]


def clock() -> int:
    """Now, in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Couriers:
    """One courier for each vehicle that has commands; it ends with the last of them."""

    def __init__(self, link: Link, max_in_flight: int) -> None:
        self._link = link
        self._max_in_flight = max_in_flight
        self._queues: dict[str, deque[tuple[Command, OnDone]]] = {}
        self._couriers: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(max_in_flight)
        self._slots_of: Connection | None = None
        self._in_flight = 0
        self._calm = asyncio.Event()
        self._calm.set()
        self._crowd = asyncio.Event()
        self._crowd.set()
        self._alone = asyncio.Lock()
        self._closing = False
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done with an exception when a courier failed for no reason of the world's."""

    def take(self, command: Command, on_done: OnDone) -> None:
        """Send it after the vehicle's others; `on_done` is called once, unless `stop` comes first."""
        queue = self._queues.get(command.vehicle_id)
        if queue is not None:
            queue.append((command, on_done))
            return
        self._queues[command.vehicle_id] = deque([(command, on_done)])
        courier = asyncio.create_task(self._carry(command.vehicle_id), name=f"courier {command.vehicle_id}")
        self._couriers[command.vehicle_id] = courier
        courier.add_done_callback(self._ended)

    async def stop(self, patience_s: float) -> None:
        """Let what is at the broker be acknowledged, and give the rest back: it is not done."""
        self._closing = True
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._calm.wait()
            couriers = set(self._couriers.values())
            for courier in couriers:
                courier.cancel()
            if couriers:
                await asyncio.wait(couriers)
            self._queues.clear()
            self._couriers.clear()
        finally:
            self._closing = False

    def _ended(self, courier: asyncio.Task[None]) -> None:
        if not courier.cancelled() and (error := courier.exception()) and not self.failure.done():
            self.failure.set_exception(error)

    async def _carry(self, vehicle_id: str) -> None:
        queue = self._queues[vehicle_id]
        while queue and not self._closing:
            command, on_done = queue[0]
            state, reason = await self._deliver(command)
            queue.popleft()
            on_done(command, state, reason)
        if not queue:
            del self._queues[vehicle_id]
            del self._couriers[vehicle_id]

    async def _deliver(self, command: Command) -> Outcome:
        losses = lonely_losses = 0
        while True:
            connection = await self._connected_before(command.expires_at)
            if connection is None:
                return State.EXPIRED, f"it expired before the MQTT broker could take it: {self._link.problem}"
            largest = connection.maximum_packet_bytes
            if largest is not None and command.packet_bytes > largest:
                return State.UNDELIVERABLE, f"the MQTT broker takes no packet of more than {largest} bytes"
            suspect = losses >= SUSPECT_AFTER
            try:
                code = await (self._publish_alone if suspect else self._publish)(connection, command)
            except _NotSent:
                continue
            except ConnectionEnded:
                losses += 1
                lonely_losses += suspect
                if lonely_losses >= SUSPECT_AFTER:
                    return State.UNDELIVERABLE, "the MQTT broker closes the connection on it"
                continue
            if code is None:
                return State.EXPIRED, "it expired while it waited for its turn"
            if code == NO_MATCHING_SUBSCRIBERS:
                return State.UNDELIVERABLE, "no matching subscribers"
            if code == QUOTA_EXCEEDED:
                await asyncio.sleep(_QUOTA_PAUSE_S)
                continue
            if code >= REFUSED:
                meaning = _REFUSALS.get(code, "unknown reason")
                return State.UNDELIVERABLE, f"the MQTT broker refuses it: {meaning} ({code:#04x})"
            return State.PUBLISHED, None

    async def _connected_before(self, expires_at: int) -> Connection | None:
        """The connection, as soon as there is one; None if the time is over before."""
        left_ms = expires_at - clock()
        if left_ms <= 0:
            return None
        if self._link.connection is not None:
            return self._link.connection
        try:
            async with asyncio.timeout(left_ms / 1000):
                return await self._link.wait_connected()
        except TimeoutError:
            return None

    async def _publish(self, connection: Connection, command: Command) -> int | None:
        """The broker's reason code; None if there was no more time. Raises ConnectionEnded."""
        if connection is not self._slots_of:
            self._slots_of = connection
            self._slots = asyncio.Semaphore(min(self._max_in_flight, connection.receive_maximum))
        async with self._slots:
            await self._crowd.wait()
            return await self._send(connection, command)

    async def _publish_alone(self, connection: Connection, command: Command) -> int | None:
        async with self._alone:
            self._crowd.clear()
            try:
                await self._calm.wait()
                return await self._send(connection, command)
            finally:
                self._crowd.set()

    async def _send(self, connection: Connection, command: Command) -> int | None:
        now = clock()
        if now >= command.expires_at:
            return None
        if connection.ended.done():
            raise _NotSent
        self._in_flight += 1
        self._calm.clear()
        began = time.monotonic()
        accounting.DOWNLINK_SENT.inc()
        try:
            code = await connection.publish(command.topic, command.payload, command.properties(now))
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._calm.set()
        accounting.DOWNLINK_PUBLISH_SECONDS.observe(time.monotonic() - began)
        return code
