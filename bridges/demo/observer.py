"""The observer reads what is in the topics and keeps books and board by it; it believes nobody's word."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bridges.demo.accounts import TOPICS, Accounts, Seen
from bridges.demo.board import Board
from bridges.demo.installation import PREFIX
from bridges.demo.log_reader import LogReader
from pipeline.process import group_id, topic_name

_DRAIN_S = 90.0
_LOOK_EVERY_S = 0.1


class NotDrained(Exception):
    """Something is still on its way after a long time; the message says what and where."""


class Observer:
    """Reads while it is open. `now` is the clock that the board is kept by."""

    def __init__(self, bootstrap: str, now: Callable[[], float]) -> None:
        options = {"bootstrap_servers": bootstrap, "client_id": "demo-observer"}
        self._reader = LogReader(options, [topic_name(PREFIX, topic) for topic in TOPICS])
        self._now = now
        self.accounts = Accounts()
        self.board = Board()

    async def open(self) -> None:
        """Connect."""
        await self._reader.open()

    async def close(self) -> None:
        """Disconnect."""
        await self._reader.close()

    async def read(self) -> None:
        """Keep the books, until cancelled."""
        while True:
            records = await self._reader.read()
            now = self._now()
            for record in records:
                seen = Seen(record.topic.removeprefix(PREFIX), record.key, record.value, dict(record.headers))
                self.accounts.take(seen)
                self.board.take(seen, now)

    # -- the end of a run ------------------------------------------------------------------------------

    async def all_arrived(self, published: int, answers: int) -> None:
        """Return when all that the fleet has confirmations for is in Kafka. Raises NotDrained."""

        async def missing() -> str | None:
            if self.accounts.distinct < published:
                return f"{published - self.accounts.distinct} of {published} messages have not reached Kafka"
            if self.accounts.responses < answers:
                return f"{answers - self.accounts.responses} of {answers} answers have not reached Kafka"
            return None

        await self._wait_for(missing)

    async def worked_off(self, stage: str, topic: str) -> None:
        """Return when the stage has committed behind the topic's last records. Raises NotDrained."""

        async def missing() -> str | None:
            if not await self._reader.is_read():
                return f"{topic} is still being read"
            lag = await self._reader.lag(group_id(PREFIX, stage), [topic_name(PREFIX, topic)])
            return f"{stage} lags {lag} records behind {topic}" if lag else None

        await self._wait_for(missing)

    async def all_read(self) -> None:
        """Return when nothing is in the topics that is not in the books. Raises NotDrained."""

        async def missing() -> str | None:
            return None if await self._reader.is_read() else "the topics are still being read"

        await self._wait_for(missing)

    async def _wait_for(self, missing: Callable[[], Awaitable[str | None]]) -> None:
        what: str | None = None
        try:
            async with asyncio.timeout(_DRAIN_S):
                while (what := await missing()) is not None:
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise NotDrained(f"After {_DRAIN_S:.0f} s {what}.") from None
