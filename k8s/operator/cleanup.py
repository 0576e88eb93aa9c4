"""The end of an installation: its workers drain first, then its topics go, if they are to go at all.

A finalizer holds the RulePipeline until then. What else belongs to it has it as its owner, and the garbage
collector takes it away. A Job that cannot delete the topics keeps the resource, and says so; whoever wants it
gone nevertheless sets deletionPolicy: Keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from k8s.kinds import AUTOSCALER, DEPLOYMENT, KAFKA_TOPIC, SCALED_OBJECT
from k8s.operator.acting import Hands
from k8s.operator.observing import Look
from k8s.operator.telling import Telling
from k8s.pipelines.deployments import stage_of
from k8s.pipelines.desired import KINDS, Capabilities, Revised, owned, shared_manifests
from k8s.pipelines.plan import Apply, Change, Delete, is_owned
from k8s.pipelines.stages import STAGES
from k8s.pipelines.topic_resources import job_outcome, topics_job, topics_settings

FINALIZER: Final = "telltale.dev/clean-up"
_LOOK_S: Final = 5.0
_FIRST: Final = (SCALED_OBJECT.resource, AUTOSCALER.resource, DEPLOYMENT.resource)


@dataclass(frozen=True, slots=True)
class Cleanup:
    """Puts the finalizer on, and works it off."""

    hands: Hands
    telling: Telling

    async def stand_by(self, seen: Look) -> None:
        """Put the finalizer on; nothing is made before it stands."""
        await self._set(seen, [*(seen.resource["metadata"].get("finalizers") or ()), FINALIZER])

    async def go_on(self, seen: Look) -> float | None:
        """Take the next step; in how many seconds again, None when it is done."""
        finalizers = seen.resource["metadata"].get("finalizers") or ()
        if FINALIZER not in finalizers:
            return None
        if stages := await self._drain(seen):
            await self.telling.leaving(seen, f"the workers of {', '.join(stages)} to end")
            return _LOOK_S
        is_done, trouble = await self._topics(seen)
        if not is_done:
            await self.telling.leaving(seen, "the topics to be deleted", trouble)
            return _LOOK_S
        await self._set(seen, [each for each in finalizers if each != FINALIZER])
        self.telling.events.forget(seen.owner)
        return None

    async def _drain(self, seen: Look) -> list[str]:
        """Stages that still have workers."""
        changes: list[Change] = [
            Delete(reference, KINDS[reference.resource], found["metadata"]["uid"])
            for reference, found in sorted(seen.found.items(), key=lambda each: _rank(each[0].resource))
            if reference.resource in _FIRST
            and is_owned(seen.owner, found)
            and not found["metadata"].get("deletionTimestamp")
        ]
        await self.hands.make(seen.owner, changes)
        left = {stage_of(pod) for pod in seen.pods}
        left |= {stage_of(seen.found[each.ref]) for each in changes}
        return [stage for stage in STAGES if stage in left]

    async def _topics(self, seen: Look) -> tuple[bool, str]:
        """Whether the topics are as deletionPolicy says, and why they cannot be."""
        spec = seen.spec
        if spec is None:
            # Nothing is deleted on the word of a spec that cannot be read.
            return True, ""
        manifests = shared_manifests(
            seen.owner, Revised("", spec), Capabilities(frozenset({KAFKA_TOPIC.resource}))
        )
        topics = {
            each: found
            for each, found in seen.found.items()
            if each.resource == KAFKA_TOPIC.resource and (is_owned(seen.owner, found) or each in manifests)
        }
        if spec.deletion_policy == "Keep":
            kept = [
                Apply(each, KAFKA_TOPIC, manifests[each], exists=True)
                for each, found in topics.items()
                if each in manifests and is_owned(seen.owner, found)
            ]
            await self.hands.make(seen.owner, kept)
            return True, ""
        if spec.topics.manage == "Strimzi":
            going = [
                Delete(each, KAFKA_TOPIC, found["metadata"]["uid"])
                for each, found in topics.items()
                if not found["metadata"].get("deletionTimestamp")
            ]
            await self.hands.make(seen.owner, going)
            return True, ""
        if spec.topics.manage == "None":
            return True, ""
        return await self._delete_by_job(seen, Revised("", spec))

    async def _delete_by_job(self, seen: Look, revised: Revised) -> tuple[bool, str]:
        settings = topics_settings(seen.owner, revised.spec)
        job = topics_job(seen.owner, revised.spec, "delete")
        manifests = owned(seen.owner, revised.revision, [settings, job])
        changes = [
            Apply(reference, KINDS[reference.resource], manifest, exists=False)
            for reference, manifest in manifests.items()
            if reference not in seen.found
        ]
        refused = await self.hands.make(seen.owner, changes)
        there = seen.found.get(next(each for each in manifests if each.name == job["metadata"]["name"]))
        outcome, words = job_outcome(there) if there is not None else ("running", "")
        if outcome == "failed" or refused:
            why = words or "; ".join(refused)
            return False, f"the topics are not deleted: {why}; deletionPolicy: Keep leaves them"
        return outcome == "complete", ""

    async def _set(self, seen: Look, finalizers: list[str]) -> None:
        # With the version that was read: somebody else's finalizer is not lost.
        version = seen.resource["metadata"]["resourceVersion"]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": version}}
        await self.hands.patch_pipeline(seen.owner, patch)


def _rank(resource: str) -> int:
    return _FIRST.index(resource) if resource in _FIRST else len(_FIRST)
