"""One look at an installation, from the cache alone: everything that a pass decides by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from k8s.kinds import DEPLOYMENT, JOB
from k8s.operator.cache import Cache, Key
from k8s.pipelines.checks import Problem, read_spec
from k8s.pipelines.deployments import Standing, Trouble, stage_of, standing_of, track_of, troubles
from k8s.pipelines.desired import Manifests
from k8s.pipelines.environment import HTTP_PORT
from k8s.pipelines.names import TOPICS, Owner, Ref, owner_of
from k8s.pipelines.plan import is_owned
from k8s.pipelines.readings import Counts, Worker
from k8s.pipelines.revisions import Revision, read_revisions
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import STAGES
from k8s.pipelines.status import RulePipelineStatus
from k8s.pipelines.topic_resources import TopicsState, job_outcome
from rules.instants import parse_instant

Counted = Mapping[tuple[str, str], Mapping[str, Counts]]
"""By stage and track, and by the pod's name."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    resource: Mapping[str, Any]
    owner: Owner
    spec: RulePipelineSpec | None
    problems: Sequence[Problem]
    status: RulePipelineStatus
    revisions: Mapping[str, Revision]
    found: Mapping[Ref, Mapping[str, Any]]
    pods: Sequence[Mapping[str, Any]]

    @property
    def generation(self) -> int:
        """That of the RulePipeline."""
        return int(self.resource["metadata"].get("generation", 0))

    @property
    def standings(self) -> dict[tuple[str, str], Standing]:
        """Where its Deployments stand, by stage and track."""
        return {
            (stage_of(each), track_of(each)): standing_of(each)
            for reference, each in self.found.items()
            if reference.resource == DEPLOYMENT.resource
            and is_owned(self.owner, each)
            and not each["metadata"].get("deletionTimestamp")
        }

    @property
    def troubles(self) -> dict[str, list[Trouble]]:
        """Pods that do not come up, by stage."""
        by_stage = {
            stage: troubles(pod for pod in self.pods if stage_of(pod) == stage) for stage in (*STAGES, TOPICS)
        }
        return {stage: found for stage, found in by_stage.items() if found}

    def topics(self, shared: Manifests, deadline_ms: int, now_ms: int) -> tuple[TopicsState, str]:
        """How the Job among the shared manifests stands; complete, where there is none.

        One that is not done within the deadline has failed for now, though it may still succeed.
        """
        reference = next((each for each in shared if each.resource == JOB.resource), None)
        if reference is None:
            return "complete", ""
        job = self.found.get(reference)
        if job is None:
            return "running", ""
        outcome, words = job_outcome(job)
        age_ms = now_ms - parse_instant(job["metadata"]["creationTimestamp"])
        if outcome == "running" and age_ms > deadline_ms:
            why = "; ".join(map(str, troubles(pod for pod in self.pods if stage_of(pod) == TOPICS)))
            return "failed", f"{reference} is not done in time" + (f": {why}" if why else "")
        return outcome, words


def look(cache: Cache, key: Key) -> Look | None:
    """Look at a pipeline; None if there is none."""
    resource = cache.pipeline(key)
    if resource is None:
        return None
    spec, problems = read_spec(resource)
    return Look(
        resource=resource,
        owner=owner_of(resource),
        spec=spec,
        problems=problems,
        status=read_status(resource),
        revisions=read_revisions(cache.revisions(key), spec),
        found=cache.resources(key),
        pods=cache.pods(key),
    )


def read_status(resource: Mapping[str, Any]) -> RulePipelineStatus:
    """The status as we wrote it; an empty one where somebody else has."""
    try:
        return RulePipelineStatus.model_validate(resource.get("status") or {})
    except ValidationError as error:
        structlog.get_logger(__name__).warning(
            "A status that is not ours is written anew",
            pipeline=resource["metadata"]["name"],
            errors=error.error_count(),
        )
        return RulePipelineStatus()


def workers_of(pods: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Worker]]:
    """The pods whose metrics can be read, by stage and track."""
    found: dict[tuple[str, str], list[Worker]] = {}
    for pod in pods:
        address, stage = pod.get("status", {}).get("podIP"), stage_of(pod)
        running = pod.get("status", {}).get("phase") == "Running" and not pod["metadata"].get(
            "deletionTimestamp"
        )
        if stage in STAGES and address and running:
            host = f"[{address}]" if ":" in address else address
            worker = Worker(pod["metadata"]["name"], stage, f"{host}:{HTTP_PORT}")
            found.setdefault((stage, track_of(pod)), []).append(worker)
    return found
