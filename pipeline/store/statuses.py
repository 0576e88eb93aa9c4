"""telltale.rule-status, read: which revision each worker says that it runs, and how it fares with the rules.

A worker says so when something changes, and every half minute; one that says null, or is silent for
`ALIVE_S`, is gone. `Workers` is a fold over the topic's records; `StatusLog` is the topic in Kafka.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.process.failures import TopicsDiffer
from pipeline.process.kafka import client_options, stop_client
from pipeline.process.names import topic_name
from pipeline.process.settings import ProcessSettings
from pipeline.topics import Admin, LastWords, not_reached
from rules.instants import parse_instant

STATUS = "telltale.rule-status"
ALIVE_S = 95.0
_MOST_WORKERS = 20_000


class Failing(msgspec.Struct, frozen=True):
    """A rule that fails repeatedly in a worker."""

    rule: str
    count: int
    error: str


class Worker(msgspec.Struct, frozen=True):
    """What one worker last said."""

    stage: str
    worker: str
    revision: int
    at: str
    error: str | None = None
    failing: tuple[Failing, ...] = ()
    firing: dict[str, int] = {}

    @property
    def at_ms(self) -> int:
        """When it said so; 0 where that cannot be read."""
        try:
            return parse_instant(self.at)
        except ValueError:
            return 0


class Workers:
    """What all workers last said."""

    def __init__(self) -> None:
        self._said: dict[bytes, Worker] = {}

    def take(self, key: bytes | None, value: bytes | None) -> bool:
        """One record; whether it says anything new beside the time. What cannot be read says nothing."""
        if not key:
            return False
        if value is None:
            return self._said.pop(key, None) is not None
        try:
            said = msgspec.json.decode(value, type=Worker)
        except (msgspec.MsgspecError, RecursionError):
            return False
        before = self._said.get(key)
        if before is None and len(self._said) >= _MOST_WORKERS:
            return False
        self._said[key] = said
        return before is None or msgspec.structs.replace(before, at=said.at) != said

    def alive(self, now_ms: int) -> list[Worker]:
        """Those that were heard of lately, in the order of their names; the others are forgotten."""
        since = now_ms - int(ALIVE_S * 1_000)
        self._said = {key: worker for key, worker in self._said.items() if worker.at_ms >= since}
        return sorted(self._said.values(), key=lambda it: (it.stage, it.worker))


class StatusLog:
    """The topic of one installation, for the time of an `async with`. TopicsDiffer where there is none."""

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._topic = topic_name(settings.prefix, STATUS)
        self._partition = TopicPartition(self._topic, 0)
        self._consumer: Any = None
        self.workers = Workers()

    async def __aenter__(self) -> StatusLog:
        async with Admin(self._settings) as admin:
            if self._topic not in await admin.observe([self._topic]):
                raise TopicsDiffer(f"there is no topic {self._topic}: `telltale topics create` makes it")
        self._consumer = AIOKafkaConsumer(
            **client_options(self._settings, "rule-status"),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        with LastWords() as words:
            try:
                await self._consumer.start()
            except (KafkaError, OSError) as error:
                raise not_reached(self._settings, words[-1:] or [str(error)]) from error
        self._consumer.assign([self._partition])
        await self._consumer.seek_to_beginning(self._partition)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await stop_client(self._consumer)

    async def poll(self, timeout_ms: int) -> bool:
        """Take what has come, after waiting so long for it; whether it says anything new."""
        batches = await self._consumer.getmany(self._partition, timeout_ms=timeout_ms)
        is_new = False
        for records in batches.values():
            for record in records:
                is_new = self.workers.take(record.key, record.value) or is_new
        if not batches:
            await asyncio.sleep(0)
        return is_new
