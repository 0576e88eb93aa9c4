"""Whole topics from their beginning, read committed, in no group; and how far the groups have come.

A group has worked off a topic when its committed position lies behind the last record that was read
here: end offsets would not do, since a transaction's marker takes an offset that nobody commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

Place = tuple[str, int]


class LogReader:
    """Reads some topics for as long as it is open; `last` is the offset of each partition's last record."""

    def __init__(self, options: Mapping[str, Any], topics: Iterable[str]) -> None:
        self._options = dict(options)
        self._topics = tuple(topics)
        self._consumer: Any = None
        self._admin: Any = None
        self.last: dict[Place, int] = {}

    async def open(self) -> None:
        """Connect, and stand at the beginning of every partition of the topics, which exist."""
        self._consumer = AIOKafkaConsumer(
            *self._topics,
            **self._options,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        await self._consumer.start()
        self._admin = AIOKafkaAdminClient(**self._options)
        await self._admin.start()

    async def read(self, timeout_s: float = 0.2) -> list[Any]:
        """Return what has arrived: records as the client gives them, each partition in its order."""
        fetched = await self._consumer.getmany(timeout_ms=round(timeout_s * 1000))
        records = []
        for place, batch in fetched.items():
            self.last[place.topic, place.partition] = batch[-1].offset
            records += batch
        return records

    async def is_read(self) -> bool:
        """Tell whether everything that is in the topics now has been read here."""
        places = self._consumer.assignment()
        ends = await self._consumer.end_offsets(places)
        for place, end in ends.items():
            if await self._consumer.position(place) < end:
                return False
        return True

    async def lag(self, group: str, topics: Iterable[str]) -> int:
        """How many offsets the group has to go until it is behind every record that was read here."""
        committed = await self._admin.list_consumer_group_offsets(group)
        positions = {(place.topic, place.partition): entry.offset for place, entry in committed.items()}
        wanted = set(topics)
        return sum(
            max(0, last + 1 - max(0, positions.get(place, 0)))
            for place, last in self.last.items()
            if place[0] in wanted
        )

    async def close(self) -> None:
        """Disconnect."""
        if self._admin is not None:
            await self._admin.close()
        if self._consumer is not None:
            await self._consumer.stop()
