"""The log follows the resources: changes are gathered for a moment, and become one revision.

Killed between any two lines it loses nothing: what is to be done follows from the resources and the log.
No finalizer holds a deleted resource for that: what carries our mark in the log and is asked for by nobody
goes with the next revision, whoever saw the deletion.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any, TypeVar

import structlog
from prometheus_client import Gauge

from k8s.resources.index import Index, quiet
from k8s.resources.planning import Plan, history, plan, texts_at
from k8s.resources.settings import RuleResources
from k8s.resources.topics import topicless
from pipeline.process.failures import TelltaleError
from pipeline.process.settings import ProcessSettings
from pipeline.store import Conflict, Revisions, RulesLog
from rules import Loaded
from rules.documents import Parser
from rules.instants import format_instant

log = structlog.get_logger(__name__)

T = TypeVar("T")

REVISION = Gauge("telltale_operator_rules_revision", "The head of telltale.rules, as the operator knows it")
ASKED = Gauge("telltale_operator_rule_resources", "Rule resources in the cluster")
HELD = Gauge("telltale_operator_rule_resources_held", "Rule resources that are wrong or held back")
_LOOK_MS = 100
_KAFKA_S = 20.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0


class Writer:
    """Keeps telltale.rules as the resources of an index ask for."""

    def __init__(self, settings: ProcessSettings, options: RuleResources, index: Index) -> None:
        self._settings = settings
        self._options = options
        self._index = index
        self._parser = Parser()
        self._looked: tuple[int, int] | None = None
        self.settled: Plan | None = None
        """What the resources last came to."""
        self.head = 0
        self.trouble: str | None = None
        """Why the log cannot be reached."""
        self.told = asyncio.Event()
        """Set where `settled` or `trouble` is another one."""

    async def run(self) -> None:
        """For ever: whatever fails is tried again, from the beginning, with growing pauses."""
        pause_s = _PAUSE_S
        while True:
            try:
                async with RulesLog(self._settings) as rules:
                    rules.revisions.parse = self._parser.parse
                    try:
                        await _in_time(rules.read())
                        self._is_reached()
                        pause_s = _PAUSE_S
                        while True:
                            await self._turn(rules)
                    except TelltaleError as error:
                        # Told before the client is closed, which may wait for the broker, too.
                        self.trouble = None if isinstance(error, Conflict) else str(error)
                        self.told.set()
                        raise
            except Conflict as error:
                log.info("Somebody else has changed the rules at the same time; again", reason=str(error))
            except asyncio.CancelledError:
                raise
            except Exception as error:  # Kafka's failures, and what no resource may end us with
                reason = str(error) or type(error).__name__
                unexpected = (
                    not isinstance(error, TelltaleError | OSError) and "Kafka" not in type(error).__module__
                )
                log.warning("The rules cannot be written yet", reason=reason, exc_info=unexpected)
                self.trouble = reason
                self.told.set()
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _is_reached(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self.told.set()

    async def _turn(self, rules: RulesLog) -> None:
        """Wait for something to do, and do it."""
        if self._looked == (self._index.version, rules.revisions.head):
            waiting = asyncio.create_task(self._index.changed.wait())
            try:
                while not waiting.done() and self._looked[1] == rules.revisions.head:
                    await rules.poll(_LOOK_MS)
            finally:
                waiting.cancel()
            if self._index.changed.is_set():
                await quiet(
                    self._index.changed, quiet_s=self._options.quiet_s, longest_s=self._options.longest_s
                )
        if not self._index.is_whole:
            await self._index.changed.wait()
            self._index.changed.clear()
            return
        await self._settle(rules)

    async def _settle(self, rules: RulesLog) -> None:
        revisions = await _in_time(rules.read())
        version = self._index.version
        asked = list(self._index.asked.values())
        at = format_instant(time.time_ns() // 1_000_000)
        think = partial(plan, revisions, asked, origin=self._options.origin, at=at, before=self.settled)
        made = await asyncio.to_thread(think)
        if made.change is not None and (
            unfit := await _in_time(topicless(self._settings, made.judged.loaded))
        ):
            made = await asyncio.to_thread(think, unfit=unfit)
        is_first = not revisions.head
        if made.change is not None:
            await _in_time(rules.write(made.change))
            manifest = made.change.manifest
            revisions = await _in_time(rules.read())
            log.info("The rules have changed", revision=manifest.revision, message=manifest.message)
            made.running, made.began = await asyncio.to_thread(_at_head, revisions)
            made.change = None
        made.judged.loaded = Loaded()  # large, and written
        for place, found in made.judged.blocked.items():
            log.error(
                "A document of somebody else is wrong: no resource can be written",
                document=str(place),
                reason=found[0].message,
            )
        REVISION.set(revisions.head)
        ASKED.set(len(asked))
        HELD.set(len({*made.demand.wrong, *(made.demand.keys.get(place) for place in made.judged.held)}))
        # A rollout that came with the first rules was left out: it is looked at again, at once.
        self._looked = None if is_first and revisions.head else (version, revisions.head)
        self.settled, self.head = made, revisions.head
        self.told.set()


async def _in_time(work: Awaitable[T]) -> T:
    """What Kafka answers; its client would wait for a broker for ever, and nobody would be told."""
    try:
        async with asyncio.timeout(_KAFKA_S):
            return await work
    except TimeoutError:
        raise TelltaleError(f"Kafka has not answered for {_KAFKA_S:.0f} s") from None


def _at_head(revisions: Revisions) -> tuple[Any, Any]:
    return texts_at(revisions, revisions.head), history(revisions)
