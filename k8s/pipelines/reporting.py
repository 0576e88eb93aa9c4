"""The status of an installation: conditions as Kubernetes defines them, and each stage as it is.

Ready         every stage that is enabled has the workers that it wants
Progressing   something is on its way: created, upgraded, compared, rolled back
Degraded      something is wrong that a person should look at, whatever runs in the meantime
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from k8s.pipelines.deployments import Standing, Trouble
from k8s.pipelines.names import COMPONENT, INSTANCE, STABLE, TRACK
from k8s.pipelines.readings import Counts
from k8s.pipelines.revisions import Revision
from k8s.pipelines.rollout import Course
from k8s.pipelines.stages import STAGES
from k8s.pipelines.status import Condition, RulePipelineStatus, StageStatus
from k8s.pipelines.target import Target
from k8s.pipelines.topic_resources import TopicsState

_LONGEST = 2_000


@dataclass(frozen=True, slots=True)
class Report:
    """What is known at the end of a pass."""

    name: str
    """Of the RulePipeline."""
    generation: int
    target: Target
    course: Course
    standings: Mapping[tuple[str, str], Standing]
    revisions: Mapping[str, Revision]
    troubles: Mapping[str, Sequence[Trouble]] = field(default_factory=dict)
    """Pods that do not come up, by stage."""
    counts: Mapping[tuple[str, str], Mapping[str, Counts]] = field(default_factory=dict)
    paused: bool = False
    topics: TopicsState = "complete"
    topics_message: str = ""
    refused: Sequence[str] = ()
    """What the API server did not take, in its words."""


def status_of(report: Report, before: RulePipelineStatus, now: str) -> RulePipelineStatus:
    """The status that follows; a condition keeps the time of its last change."""
    target, course = report.target, report.course
    stages = _stages(report)
    good = target.revision if course.complete and target.revision is not None else target.good
    conditions = (
        _ready(report, stages),
        _progressing(report),
        _degraded(report),
    )
    lags = [stage.lag for stage in stages.values() if stage.lag is not None]
    return RulePipelineStatus(
        observed_generation=report.generation,
        conditions=tuple(_kept(before, each, report.generation, now) for each in conditions),
        revision=good.number if good is not None else before.revision,
        target_revision=target.revision.number if target.revision is not None else before.target_revision,
        target_replicas=(
            target.revision.spec.replicas if target.revision is not None else before.target_replicas
        ),
        failed=_still_failed(report),
        stages=stages,
        ready_stages=f"{len(_up(stages))}/{len(_enabled(stages))}",
        lag=sum(lags) if lags else None,
        replicas=_replicas(report),
        selector=_selector(report),
        canary=course.canary,
    )


def leaving(
    before: RulePipelineStatus,
    standings: Mapping[tuple[str, str], Standing],
    generation: int,
    now: str,
    *,
    waits_for: str,
    trouble: str = "",
) -> RulePipelineStatus:
    """The status of an installation that is being deleted; `trouble` says why it cannot go."""
    stages = {
        name: stage.model_copy(
            update={
                "replicas": 0,
                "ready": standings[name, STABLE].ready if (name, STABLE) in standings else 0,
                "updated": 0,
                "lag": None,
                "state": stage.state if stage.state == "Disabled" else "Deleting",
            }
        )
        for name, stage in before.stages.items()
    }
    enabled = _enabled(stages)
    conditions: tuple[Said, ...] = (
        ("Ready", "False", "Deleting", "the pipeline is being deleted"),
        ("Progressing", "True", "Deleting", f"waiting for {waits_for}"),
        ("Degraded", "True", "TopicsNotDeleted", _cut(trouble))
        if trouble
        else ("Degraded", "False", "AsExpected", ""),
    )
    return before.model_copy(
        update={
            "observed_generation": generation,
            "conditions": tuple(_kept(before, each, generation, now) for each in conditions),
            "stages": stages,
            "ready_stages": f"{sum(stages[name].ready > 0 for name in enabled)}/{len(enabled)}",
            "lag": None,
            "canary": None,
        }
    )


def _enabled(stages: Mapping[str, StageStatus]) -> list[str]:
    return [name for name, stage in stages.items() if stage.state != "Disabled"]


def _up(stages: Mapping[str, StageStatus]) -> list[str]:
    return [name for name in _enabled(stages) if stages[name].ready >= stages[name].replicas]


def _still_failed(report: Report) -> Any:
    """A failure is remembered until another revision is wholly up."""
    failed, target = report.target.failed, report.target
    if failed is None or target.revision is None:
        return failed
    if report.course.complete and target.revision.number == failed.revision:
        return None
    return failed


def _stages(report: Report) -> dict[str, StageStatus]:
    by_name = report.revisions
    found = {}
    for name in STAGES:
        standing = report.standings.get((name, STABLE))
        state = report.course.states.get(name)
        if standing is None:
            if state is not None or report.target.revision is not None:
                found[name] = StageStatus(replicas=_wanted(report, name), state=state or "Disabled")
            continue
        counts = [
            each.lag
            for (stage, _), workers in report.counts.items()
            if stage == name
            for each in workers.values()
            if each.lag is not None
        ]
        revision = by_name.get(standing.revision)
        found[name] = StageStatus(
            replicas=standing.wanted,
            ready=standing.ready,
            updated=standing.updated,
            image=standing.image,
            revision=revision.number if revision is not None else None,
            state=state or ("Running" if standing.rolled_out else "Upgrading"),
            lag=int(sum(counts)) if counts else None,
        )
    return found


def _wanted(report: Report, name: str) -> int:
    revision = report.target.revision
    if revision is None or name not in revision.spec.stages.enabled:
        return 0
    replicas = revision.spec.replicas_of(name)
    return 1 if replicas is None else replicas


def _replicas(report: Report) -> int | None:
    """The pods of the stage that is furthest from `spec.replicas`: once they are as many, scaling is done.

    They count whether they are ready or not, as for a Deployment: an autoscaler that took a broken worker
    for none would scale down.
    """
    revision = report.target.revision
    if revision is None:
        return None
    standings = [report.standings.get((name, STABLE)) for name in revision.spec.scaled_together]
    pods = [each.pods if each is not None else 0 for each in standings]
    wanted = revision.spec.replicas
    if wanted is None:
        return min(pods, default=0)
    return max(pods, key=lambda count: abs(count - wanted), default=0)


def _selector(report: Report) -> str:
    revision = report.target.revision
    stage = revision.spec.measured if revision is not None else None
    return f"{INSTANCE}={report.name},{COMPONENT}={stage},{TRACK}={STABLE}" if stage is not None else ""


Said = tuple[str, Literal["True", "False", "Unknown"], str, str]
"""Type, status, reason and message."""


def _ready(report: Report, stages: Mapping[str, StageStatus]) -> Said:
    if report.target.revision is None:
        return "Ready", "False", "NothingRuns", "no valid spec has been applied yet"
    if report.topics != "complete" and report.target.good is None:
        return "Ready", "False", "TopicsMissing", "the Kafka topics are not made yet"
    enabled, ready = _enabled(stages), _up(stages)
    missing = [_not_up(report, name, stages[name]) for name in enabled if name not in ready]
    if missing:
        return "Ready", "False", "StagesNotReady", f"not ready: {', '.join(missing)}"
    if not enabled:
        return "Ready", "False", "NothingRuns", "no stage is enabled"
    told = f"{len(ready)} of {len(enabled)} stages"
    zero = [name for name in enabled if stages[name].replicas == 0]
    if len(zero) == len(enabled):
        return "Ready", "True", "ScaledToZero", f"{told}, all of them scaled to zero"
    stopped = f", of which {', '.join(zero)} are scaled to zero" if zero else ""
    return "Ready", "True", "AllStagesReady", told + stopped


def _not_up(report: Report, name: str, stage: StageStatus) -> str:
    """Such as: alerts 1 of 3 (CrashLoopBackOff)."""
    found = report.troubles.get(name)
    return f"{name} {stage.ready} of {stage.replicas}" + (f" ({found[0].reason})" if found else "")


def _progressing(report: Report) -> Said:
    target, course = report.target, report.course
    if report.paused:
        return "Progressing", "False", "Paused", "spec.paused is true: nothing is changed"
    if target.revision is None:
        return "Progressing", "False", "NothingRuns", ""
    number = target.revision.number
    if course.complete:
        return "Progressing", "False", "Complete", f"revision {number} is wholly up"
    at = f"; waiting for {course.at}" if course.at is not None else ""
    if target.failed is not None and target.revision is target.good:
        return "Progressing", "True", "RollingBack", f"back to revision {number}{at}"
    if target.good is None:
        return "Progressing", "True", "Creating", f"revision {number}{at}"
    if target.good.name == target.revision.name:
        return "Progressing", "True", "Recovering", f"revision {number}{at}"
    if course.canary is not None and course.at is not None and course.states.get(course.at) == "Canary":
        message = f"revision {number}, {course.at}: {course.canary.message or 'starting'}"
        return "Progressing", "True", f"Canary{course.canary.state}", message
    return "Progressing", "True", "Upgrading", f"to revision {number}{at}"


def _degraded(report: Report) -> Said:
    target = report.target
    told = _troubles(report)
    if target.problems:
        text = "; ".join(map(str, target.problems))
        return "Degraded", "True", "InvalidSpec", _cut(f"the spec has no effect: {text}")
    if target.failed is not None:
        failed = target.failed
        text = f"revision {failed.revision}, {failed.stage}: {failed.reason}: {failed.message}"
        rolled_back = target.revision is target.good and target.good is not None
        back = f"; revision {target.good.number} runs" if rolled_back and target.good else ""
        return "Degraded", "True", "RolledBack" if rolled_back else "UpgradeFailed", _cut(text + back)
    if report.refused:
        return "Degraded", "True", "Refused", _cut("; ".join(report.refused))
    if report.topics == "failed":
        return "Degraded", "True", "TopicsFailed", _cut(report.topics_message)
    if told:
        reason = next(iter(report.troubles.values()))[0].reason
        return "Degraded", "True", reason, _cut(told)
    stuck = [
        f"{stage}: {standing.stuck}"
        for (stage, _), standing in report.standings.items()
        if standing.stuck is not None
    ]
    if stuck:
        return "Degraded", "True", "ProgressDeadlineExceeded", _cut("; ".join(stuck))
    return "Degraded", "False", "AsExpected", ""


def _troubles(report: Report) -> str:
    return "; ".join(f"{stage}: {each}" for stage, found in report.troubles.items() for each in found[:2])


def _kept(before: RulePipelineStatus, said: Said, generation: int, now: str) -> Condition:
    kind, status, reason, message = said
    same = next((each for each in before.conditions if each.type == kind and each.status == status), None)
    return Condition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_transition_time=same.last_transition_time if same is not None else now,
        observed_generation=generation,
    )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def merge_patch(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON merge patch that makes `after` of `before`; empty where they are equal."""
    patch: dict[str, Any] = dict.fromkeys(before.keys() - after.keys())
    for key, value in after.items():
        there = before.get(key)
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            if inner := merge_patch(there, value):
                patch[key] = inner
        elif key not in before or there != value:
            patch[key] = value
    return patch
