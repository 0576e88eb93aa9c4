"""One pass over one installation: observe, validate, plan, act, and say what was found.

A pass begins with what is there and not with what the last one did, so that it makes no difference where the
operator was killed. It asks the API server nothing, and tells it only what is not so already.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from k8s.api_errors import Forbidden, Refused
from k8s.operator.acting import Hands
from k8s.operator.cache import Cache, Key
from k8s.operator.cleanup import FINALIZER, Cleanup
from k8s.operator.observing import Look, look
from k8s.operator.telling import Telling
from k8s.operator.workers import Workers
from k8s.pipelines.checks import Problem
from k8s.pipelines.deployments import settings_in_use
from k8s.pipelines.desired import (
    Capabilities,
    Manifests,
    Revised,
    canary_manifests,
    shared_manifests,
    stage_manifests,
)
from k8s.pipelines.names import TOPICS
from k8s.pipelines.plan import plan
from k8s.pipelines.reporting import Report
from k8s.pipelines.revisions import Revision, controller_revision, scaled, superfluous
from k8s.pipelines.rollout import Course, Situation, course_of
from k8s.pipelines.stages import STAGES
from k8s.pipelines.target import Target, edit_of, target_of
from k8s.pipelines.topic_resources import TopicsState

_RESYNC_S: Final = 600.0
"""A pass over an installation at rest: it costs no request."""
_ON_THE_WAY_S: Final = 15.0
_AFTER_CHANGES_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Passes:
    """The passes of one operator."""

    cache: Cache
    hands: Hands
    telling: Telling
    workers: Workers
    cleanup: Cleanup
    capabilities: Callable[[], Capabilities]
    canary_interval_s: float
    changing: dict[Key, int] = field(default_factory=dict)
    """How many passes in a row had something to change."""

    async def over(self, key: Key) -> float | None:
        """Look after a pipeline; in how many seconds again, at the latest."""
        seen = look(self.cache, key)
        if seen is None:
            return None
        if seen.resource["metadata"].get("deletionTimestamp"):
            return await self.cleanup.go_on(seen)
        if FINALIZER not in (seen.resource["metadata"].get("finalizers") or ()):
            await self.cleanup.stand_by(seen)
            return 0.0
        try:
            return await self._look_after(key, seen)
        except (Forbidden, Refused) as error:
            await self.telling.trouble(seen, error)
            raise

    async def _look_after(self, key: Key, seen: Look) -> float | None:
        target = target_of(seen.owner, seen.resource, (seen.spec, seen.problems), seen.status, seen.revisions)
        paused = seen.spec is not None and seen.spec.paused
        if target.revision is not None and not target.revision.kept and not paused:
            target = await self._admit(seen, target)
        if target.problems:
            seen, target = _without_effect(seen, target)
        if target.revision is None:
            await self.telling.tell(seen, _report(seen, target, Course(), paused))
            return _RESYNC_S
        if seen.status.canary is not None and seen.status.canary.state in ("Comparing", "WaitingForRecords"):
            await self.workers.read(key)
        shared = shared_manifests(seen.owner, _revised(target.revision), self.capabilities())
        now_ms = int(time.time() * 1000)
        topics, words = seen.topics(shared, target.revision.spec.upgrade.progress_deadline_ms, now_ms)
        course = course_of(self._situation(key, seen, target, (topics, words), now_ms))
        if course.failure is not None and target.failed is None and not paused:
            told = {"generation": seen.generation, "edit": edit_of(seen.resource)}
            failure = course.failure.model_copy(update=told)
            await self.telling.failed(seen, failure, course.canary)
            return 0.0
        refused: list[str] = []
        if not paused:
            changed, refused = await self._act(seen, course, shared)
            # What was just changed is not up yet, whatever the pods of before say.
            course.complete = course.complete and not changed
            self.changing[key] = self.changing.get(key, 0) + 1 if changed else 0
        report = replace(
            _report(look(self.cache, key) or seen, target, course, paused),
            topics=topics,
            topics_message=words,
            refused=refused,
            counts=self.workers.counts(key),
        )
        await self.telling.tell(seen, report)
        if course.complete and not paused:
            await self._prune(seen, target.revision)
        return self._again(key, course, paused)

    async def _admit(self, seen: Look, target: Target) -> Target:
        """A revision that is new is tried out as a whole, before anything of it is made so."""
        assert target.revision is not None
        revised = _revised(target.revision)
        manifests = shared_manifests(seen.owner, revised, self.capabilities())
        for stage in STAGES:
            manifests |= stage_manifests(seen.owner, revised, stage, self.capabilities())
        refused = await self.hands.try_out(manifests)
        if refused:
            problems = tuple(Problem(("spec",), words) for words in refused[:3])
            return target_of(seen.owner, seen.resource, (seen.spec, problems), seen.status, seen.revisions)
        await self.hands.keep_revision(controller_revision(seen.owner, target.revision))
        return target

    def _situation(
        self, key: Key, seen: Look, target: Target, topics: tuple[TopicsState, str], now_ms: int
    ) -> Situation:
        assert target.revision is not None
        return Situation(
            owner=seen.owner,
            target=target.revision,
            good=target.good,
            at_once=target.at_once,
            revisions=seen.revisions,
            standings=seen.standings,
            topics=topics[0],
            topics_message=topics[1],
            counts=self.workers.counts(key),
            canary=seen.status.canary,
            now_ms=now_ms,
        )

    async def _act(self, seen: Look, course: Course, shared: Manifests) -> tuple[bool, list[str]]:
        desired = dict(shared)
        capabilities = self.capabilities()
        for stage, revision in course.stages.items():
            desired |= stage_manifests(seen.owner, _revised(revision), stage, capabilities)
        for stage, revision in course.canaries.items():
            desired |= canary_manifests(seen.owner, _revised(revision), stage)
        changes = list(
            plan(
                seen.owner,
                desired,
                seen.found,
                in_use=settings_in_use(seen.pods),
                untouched=set(STAGES) - course.stages.keys(),
            )
        )
        await self.telling.put_right(seen, changes)
        return bool(changes), await self.hands.make(seen.owner, changes)

    async def _prune(self, seen: Look, runs: Revision) -> None:
        spec = seen.spec
        if spec is None:
            return
        in_use = {runs.name, *(standing.revision for standing in seen.standings.values())}
        failed = seen.status.failed
        in_use |= {
            each.name
            for each in seen.revisions.values()
            if failed is not None and each.number == failed.revision
        }
        for revision in superfluous(seen.revisions.values(), in_use, spec.revision_history_limit):
            await self.hands.drop_revision(seen.owner.namespace, revision.name)

    def _again(self, key: Key, course: Course, paused: bool) -> float:
        if paused or course.complete:
            return _RESYNC_S
        if count := self.changing.get(key, 0):
            # Somebody who undoes what we do is not fought at full speed.
            return min(_AFTER_CHANGES_S * 2.0 ** min(count - 1, 10), _ON_THE_WAY_S)
        return self.canary_interval_s if course.canaries or course.at == TOPICS else _ON_THE_WAY_S


def _revised(revision: Revision) -> Revised:
    return Revised(revision.name, revision.spec)


def _without_effect(seen: Look, target: Target) -> tuple[Look, Target]:
    """An invalid spec has no effect, its number of workers included: the last valid one holds."""
    kept = replace(seen, revisions=scaled(seen.revisions, seen.status.target_replicas))
    read = (kept.spec, target.problems)
    return kept, target_of(kept.owner, kept.resource, read, kept.status, kept.revisions)


def _report(seen: Look, target: Target, course: Course, paused: bool) -> Report:
    return Report(
        name=seen.owner.name,
        generation=seen.generation,
        target=target,
        course=course,
        standings=seen.standings,
        revisions=seen.revisions,
        troubles=seen.troubles,
        paused=paused,
    )
