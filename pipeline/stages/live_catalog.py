"""How payloads are read: by the catalog of telltale.rules' head, by the files' before anything was applied.

One catalog for all vehicles, also while a candidate runs for a share of them: a payload is read once. A new
one is in force from a partition's next batch; one that this version refuses changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import structlog
from aiokafka.errors import KafkaError

from pipeline.process import Context
from pipeline.process.failures import PartyMissing, TopicsDiffer, TopicsMissing
from pipeline.process.names import topic_name
from pipeline.stages.documents import load_catalog
from pipeline.stages.payloads import PayloadShape, shape_of
from pipeline.stages.settings import NormalizeSettings
from pipeline.store import Revisions, RulesLog, StoreDamaged
from pipeline.store.log import RULES

log = structlog.get_logger(__name__)

_PAUSE_S = 2.0
_LOOK_MS = 500


@dataclass(slots=True)
class Shape:
    """The shape of payloads that is in force now."""

    current: PayloadShape


@contextlib.asynccontextmanager
async def live_catalog(context: Context[NormalizeSettings]) -> AsyncIterator[Shape]:
    """The shape, kept up to date until the end of the block. Raises ConfigurationError."""
    follower = _Follower(context)
    await follower.begin()
    task = asyncio.create_task(follower.run(), name="live catalog")
    try:
        yield follower.shape
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


class _Follower:
    """Follows the log for one worker."""

    def __init__(self, context: Context[NormalizeSettings]) -> None:
        self._context, self._settings = context, context.settings
        self.shape = Shape(shape_of(load_catalog(context.settings.rules)))
        self._head = 0

    async def begin(self) -> None:
        """Read the log to its end: how payloads are read is known before the first one is."""

        async def look() -> None:
            try:
                async with RulesLog(self._settings) as found:
                    self._settle(await found.read())
            except TopicsDiffer:
                raise TopicsMissing([topic_name(self._settings.prefix, RULES)]) from None

        async def ask() -> bool:
            with contextlib.suppress(TopicsMissing):
                await look()
                return True
            return False

        retry_on = (KafkaError, OSError, PartyMissing)
        if not await self._context.reach("Kafka", ask, retry_on):
            await self._context.reach("the topics in Kafka", look, retry_on)

    async def run(self) -> None:
        """Follow, for ever: what fails is tried again."""
        while True:
            try:
                async with RulesLog(self._settings) as found:
                    while True:
                        self._settle(await found.poll(_LOOK_MS))
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("The live catalog cannot be followed", reason=str(error) or type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    def _settle(self, revisions: Revisions) -> None:
        if revisions.head in (0, self._head):
            return
        self._head = revisions.head
        try:
            catalog = revisions.catalog(self._head)
        except StoreDamaged as error:
            log.error("A catalog is refused; the last good one goes on", reason=str(error))
            return
        self._context.about["ruleRevision"] = self._head
        if catalog is None or (shape := shape_of(catalog)) == self.shape.current:
            return
        self.shape.current = shape
        log.info("The catalog has changed", revision=self._head)
