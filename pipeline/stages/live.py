"""The live rules of one worker: telltale.rules followed, compiled beside the work, told of when they run.

Before the first revision was applied the stage runs the files of its setting `rules`. A revision that this
version refuses changes nothing: the last good one goes on, and the status says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any, TypeVar

import structlog
from aiokafka.errors import KafkaError

from pipeline.process import Context
from pipeline.process.failures import PartyMissing, TopicsDiffer, TopicsMissing
from pipeline.process.names import topic_name
from pipeline.stages.documents import load_rules
from pipeline.stages.rule_status import RuleStatus
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import Version, Versions, version_of
from pipeline.store import Revisions, RulesLog, StoreDamaged, roll_back_rollout
from pipeline.store.log import RULES
from rules import RuleSet
from rules.engine import Fold

log = structlog.get_logger(__name__)

S = TypeVar("S")
_PAUSE_S = 2.0
_LOOK_MS = 500
_TURN_S = 0.0005


@contextlib.asynccontextmanager
async def live_rules(
    context: Context[RuleStageSettings], make: Callable[[RuleSet], Fold[S]]
) -> AsyncIterator[Versions[S]]:
    """The versions of the rules, followed until the end of the block. Raises ConfigurationError."""
    follower = Follower(context, make)
    await follower.begin()
    task = asyncio.create_task(follower.run(), name="live rules")
    try:
        yield follower.versions
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def _short_turns() -> Iterator[None]:
    """Meanwhile a thread that computes gives way after half a millisecond instead of five.

    The event loop lets go of the interpreter each time it asks for what is ready, hundreds of times a second,
    and would wait so long for it each time.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Follower:
    """Follows the log for one worker of one stage."""

    def __init__(self, context: Context[RuleStageSettings], make: Callable[[RuleSet], Fold[Any]]) -> None:
        self._settings = context.settings
        self._context = context
        files = load_rules(context.settings.rules)
        self.versions: Versions[Any] = Versions(make, version_of(0, files, make))
        self._refused: str | None = None
        self._unread: set[str] = set()
        self._status = RuleStatus(context)
        self._judged = 0
        """The candidate that was judged last, so that it is judged once."""

    async def begin(self) -> None:
        """Read the log to its end, and compile its head: what runs is known before anything is processed."""

        async def ask() -> TopicsMissing | None:
            try:
                async with RulesLog(self._settings) as found:
                    await self._settle(await found.read())
            except TopicsDiffer:
                return TopicsMissing([topic_name(self._settings.prefix, RULES)])
            return None

        async def look() -> None:
            missing = await ask()
            if missing is not None:
                raise missing

        retry_on = (KafkaError, OSError, PartyMissing)
        if await self._context.reach("Kafka", ask, retry_on) is not None:
            await self._context.reach("the topics in Kafka", look, retry_on)
        await self._tell()

    async def run(self) -> None:
        """Follow, for ever: what fails is tried again."""
        async with self._status:
            await self._follow()

    async def _follow(self) -> None:
        while True:
            try:
                async with RulesLog(self._settings) as found:
                    while True:
                        await self._settle(await found.poll(_LOOK_MS))
                        await self._tell()
                        await self._judge()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("The live rules cannot be followed", reason=str(error) or type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    async def _settle(self, revisions: Revisions) -> None:
        """Compile what is new, and what partitions have asked for."""
        versions = self.versions
        for name in revisions.unread.keys() - self._unread:
            log.warning(
                "A record of telltale.rules is none of ours", record=name, reason=revisions.unread[name]
            )
        self._unread = set(revisions.unread)
        for number in versions.wanted():
            if number not in revisions.manifests:
                if number < revisions.head:
                    versions.replace_missing(number)
                continue
            try:
                versions.know(await self._compiled(revisions, number))
            except StoreDamaged as error:
                log.warning("State of a revision that is refused goes to the current one", reason=str(error))
                versions.replace_missing(number)
        if revisions.head == versions.newest or not revisions.head:
            return
        versions.newest = revisions.head
        try:
            version = await self._compiled(revisions, revisions.head)
        except StoreDamaged as error:
            self._refused = str(error)
            log.error("A revision of the rules is refused; the last good one goes on", reason=str(error))
        else:
            self._refused = None
            versions.switch(version)
            log.info("The rules have changed", revision=version.revision)

    async def _compiled(self, revisions: Revisions, number: int) -> Version[Any]:
        """A revision, and of a candidate the stable one beside it. Raises StoreDamaged."""
        manifest = revisions.manifest(number)
        stable = None
        if manifest.stable:
            stable = self.versions.known(manifest.stable)
            if stable is None:
                stable = await self._compiled(revisions, manifest.stable)
                self.versions.know(stable)
        with _short_turns():
            rules = await asyncio.to_thread(revisions.rule_set, number)
            make = partial(self.versions.compile, number, rules, stable=stable, winners=revisions.winners())
            version = await asyncio.to_thread(make)
            # The first vehicle makes what all of them share, which takes a tenth of a second.
            await asyncio.to_thread(version.fold.new_vehicle, "")
        return version

    async def _tell(self) -> None:
        """Say what this worker runs, to whoever asks and on telltale.rule-status."""
        current = self.versions.current
        self._context.about["ruleRevision"] = current.revision
        await self._status.tell(self.versions, self._refused)

    async def _judge(self) -> None:
        """Take a candidate back that breaks its limits on the vehicles that this worker has."""
        current = self.versions.current
        tracks = current.tracks
        if tracks is None or self._judged == current.revision:
            return
        verdict = tracks.comparison.verdict(tracks.rollout.limits)
        if verdict is None:
            return
        reason = f"revision {current.revision}: {verdict}"
        if await roll_back_rollout(self._settings, current.revision, reason):
            log.error("The candidate is taken back", revision=current.revision, reason=verdict)
        self._judged = current.revision
