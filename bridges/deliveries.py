"""What the downlink writes: deliveries and dead letters; a command is marked when its record is in Kafka.

A round that Kafka gives up on is sent again whole by a new producer, in the same order and with the same ids:
a record may then be there twice, a mark is never set too early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from bridges.kafka import BatchTooLarge, Header, KafkaUnavailable, Outbox, SendFailed

_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 10.0
_log = structlog.get_logger(__name__)


class Entry(NamedTuple):
    """A record on its way; `on_written` is called when it is in Kafka. `topic` is Kafka's name."""

    topic: str
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: list[Header]
    on_written: Callable[[], None]


class Ledger:
    """Writes entries in the order in which they came."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._entries: list[Entry] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.problem: str | None = None
        """What keeps entries from being written."""

    def write(self, entry: Entry) -> None:
        """Take an entry."""
        self._entries.append(entry)
        self._idle.clear()
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._entries:
                entries, self._entries = self._entries, []
                await self._write(entries)
            self._idle.set()

    async def written(self) -> None:
        """Return when nothing is left to write."""
        await self._idle.wait()

    async def _write(self, entries: list[Entry]) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                if not self._outbox.is_open:
                    await self._outbox.open()
                for entry in entries:
                    self._outbox.add(
                        entry.topic,
                        entry.partition,
                        timestamp=entry.timestamp,
                        key=entry.key,
                        value=entry.value,
                        headers=entry.headers,
                    )
                await self._outbox.send()
            except (SendFailed, KafkaUnavailable) as failure:
                self.problem = f"deliveries cannot be written: {failure}"
                _log.error("Kafka gave up on a round of deliveries; it is sent again", reason=str(failure))
                if isinstance(failure, BatchTooLarge):
                    self._outbox.shrink(failure.size // 2)
                await self._outbox.abandon()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                break
        self.problem = None
        for entry in entries:
            entry.on_written()
