"""What a worker says of its rules on telltale.rule-status: the revision, what fires, how a candidate does.

That it cannot be said stops nothing: the next time it is said again. A worker that ends says so by a null.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline.process import Context
from pipeline.process.envelope import Envelope
from pipeline.process.kafka import client_options, stop_client
from pipeline.process.names import topic_name
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import Versions
from rules.instants import format_instant

log = structlog.get_logger(__name__)

_STATUS = "telltale.rule-status"
_EVERY_S = 5.0
_AGAIN_S = 30.0
"""A worker that has nothing new to say says it again: one that is silent for longer is gone."""
_GOODBYE_S = 2.0


class RuleStatus:
    """The status of one worker of one stage, for the time of an `async with`."""

    def __init__(self, context: Context[RuleStageSettings]) -> None:
        self._settings = context.settings
        self._stage = context.name
        self._key = f"{context.name}/{context.settings.client_id}"
        self._envelope = Envelope(_STATUS, context.name)
        self._producer: Any = None
        self._said: dict[str, object] = {}
        self._due = self._again = 0.0

    async def __aenter__(self) -> RuleStatus:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._said:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_S):
                    await self._write(None)
        await self._close()

    async def tell(self, versions: Versions[Any], refused: str | None) -> None:
        """Say it if it has changed: a revision at once, figures every few seconds."""
        record = status(versions, refused)
        is_new = any(record[key] != self._said.get(key) for key in ("revision", "error"))
        now = time.monotonic()
        is_due = now >= (self._again if record == self._said else self._due)
        if not is_new and not is_due:
            return
        self._due, self._again = now + _EVERY_S, now + _AGAIN_S
        if await self._write(record):
            self._said = record

    async def _write(self, record: dict[str, object] | None) -> bool:
        now = time.time_ns() // 1_000_000
        who = {"stage": self._stage, "worker": self._settings.client_id, "at": format_instant(now)}
        said = None if record is None else json.dumps({**who, **record}).encode()
        headers = self._envelope.headers(f"{self._key}/{now}", subject=self._key, time_ms=now)
        try:
            if self._producer is None:
                producer = AIOKafkaProducer(**client_options(self._settings, "rule-status"), acks="all")
                self._producer = producer
                await producer.start()
            await self._producer.send_and_wait(
                topic_name(self._settings.prefix, _STATUS),
                said,
                self._key.encode(),
                headers=list(headers),
            )
        except (KafkaError, OSError) as error:
            log.warning("The status of the rules was not written", reason=str(error))
            await self._close()
            return False
        return True

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            await stop_client(producer)


def status(versions: Versions[Any], refused: str | None) -> dict[str, object]:
    """What there is to say, without who says it and when."""
    version = versions.current
    rules = version.rules
    kinds = (rules.rules, rules.sequences, rules.absences, rules.aggregations, rules.fence_rules)
    record: dict[str, object] = {
        "revision": version.revision,
        "fingerprint": rules.fingerprint,
        "rules": sum(map(len, kinds)),
        "error": refused,
        "firing": versions.firing.by_rule(),
        "failing": versions.failing.to_records(),
    }
    tracks = version.tracks
    if tracks is not None:
        comparison = tracks.comparison
        record |= {
            "stable": version.base.revision,
            "percent": tracks.rollout.percent,
            "comparison": {
                "candidate": comparison.candidate.to_record(),
                "stable": comparison.stable.to_record(),
            },
        }
    return record
