"""The line to the MQTT broker: one connection after another, for as long as the process lives.

Whoever uses it sees a connection or none, and why. A connection that ends is opened anew with growing pauses;
`hold` closes it and keeps it closed, which gives the broker back what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence

import structlog

from bridges.mqtt import Broker, Connection, OnMessages, Session

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_STABLE_S = 10.0
_log = structlog.get_logger(__name__)


class Link:
    """Keeps connected; `connected_at` is when (loop time) the open connection was opened."""

    def __init__(
        self,
        broker: Broker,
        session: Session,
        *,
        filters: Sequence[str] = (),
        on_messages: OnMessages | None = None,
        on_change: Callable[[bool], None] | None = None,
    ) -> None:
        """`on_change` is told when a connection has been opened, and when it has ended."""
        self._broker = broker
        self._session = session
        self._filters = filters
        self._on_messages = on_messages
        self._on_change = on_change or _nothing
        self._released = asyncio.Event()
        self._open = asyncio.Event()
        self._reason = "not tried yet"
        self._connection: Connection | None = None
        self.connected_at: float | None = None

    @property
    def connection(self) -> Connection | None:
        """The open connection."""
        connection = self._connection
        return None if connection is None or connection.ended.done() else connection

    @property
    def problem(self) -> str | None:
        """Why there is no connection; None while there is one."""
        if self.connection is not None:
            return None
        return f"no connection to the MQTT broker {self._broker.host}:{self._broker.port}: {self._reason}"

    async def run(self) -> None:
        """Open, watch, open again; until cancelled, which closes."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE_S
        try:
            while True:
                await self._released.wait()
                opened_at = await self._once()
                if opened_at is not None and loop.time() - opened_at > _STABLE_S:
                    pause = _FIRST_PAUSE_S
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE_S)
        finally:
            if self._connection is not None:
                await self._connection.close()
                self._forget("closed")

    async def _once(self) -> float | None:
        """One connection from its beginning to its end; when it was open, None if it never was."""
        where = f"{self._broker.host}:{self._broker.port}"
        try:
            connection = await Connection.open(
                self._broker, self._session, filters=self._filters, on_messages=self._on_messages
            )
        except OSError as error:
            reason = str(error) or type(error).__name__
            if reason != self._reason:
                _log.warning(f"No connection to the MQTT broker {where}", reason=reason)
            self._reason = reason
            return None
        opened_at = asyncio.get_running_loop().time()
        self._connection = connection
        self.connected_at = opened_at
        self._open.set()
        self._on_change(True)
        _log.info(f"Connected to the MQTT broker {where}", client_id=self._broker.client_id)
        if not self._released.is_set():  # held while it was being opened
            await connection.close()
        reason = await asyncio.shield(connection.ended)
        self._forget(reason)
        if self._released.is_set():
            _log.warning(f"Lost the MQTT broker {where}", reason=reason, client_id=self._broker.client_id)
        return opened_at

    def _forget(self, reason: str) -> None:
        if self._connection is not None:
            self._connection = None
            self.connected_at = None
            self._on_change(False)
        self._reason = reason

    def release(self) -> None:
        """Connect, from now on."""
        self._released.set()

    async def hold(self, reason: str) -> None:
        """Close, and stay closed until released."""
        self._released.clear()
        if self._connection is not None:
            connection = self._connection
            self._forget(reason)
            await connection.close()
        self._reason = reason

    async def wait_connected(self) -> Connection:
        """The open connection, when there is one."""
        while (connection := self.connection) is None:
            self._open.clear()
            await self._open.wait()
        return connection


def _nothing(_connected: bool) -> None:
    """Nobody wants to know."""
