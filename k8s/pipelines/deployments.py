"""What a Deployment and its pods say about themselves, read once and in one place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8s.pipelines.names import CANARY, COMPONENT, REVISION, STABLE, TEMPLATE, TRACK

_RESTARTS: Final = 2
"""A container that has died so often and waits again is in a loop."""
_HOPELESS: Final = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a Deployment stands."""

    template: str
    revision: str
    wanted: int
    pods: int
    """That there are, ready or not."""
    ready: int
    updated: int
    image: str
    rolled_out: bool
    """All wanted pods are of the newest template and available, and no other is left."""
    stuck: str | None
    """What Kubernetes says when the roll-out has stood still for the progress deadline."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A pod that does not come up."""

    pod: str
    reason: str
    message: str

    def __str__(self) -> str:
        return f"{self.pod}: {self.reason}" + (f": {self.message}" if self.message else "")


def standing_of(deployment: Mapping[str, Any]) -> Standing:
    """Read a Deployment."""
    metadata, spec, status = (
        deployment["metadata"],
        deployment["spec"],
        deployment.get("status") or {},
    )
    annotations = metadata.get("annotations") or {}
    # An absent number is 1 to the API server, which writes it at creation.
    wanted = int(spec.get("replicas", 1))
    pods = int(status.get("replicas", 0))
    updated, available = int(status.get("updatedReplicas", 0)), int(status.get("availableReplicas", 0))
    observed = int(status.get("observedGeneration", 0)) >= int(metadata.get("generation", 1))
    rolled_out = observed and updated == wanted and pods == wanted and available == wanted
    containers = spec.get("template", {}).get("spec", {}).get("containers") or [{}]
    return Standing(
        template=annotations.get(TEMPLATE, ""),
        revision=annotations.get(REVISION, ""),
        wanted=wanted,
        pods=pods,
        ready=int(status.get("readyReplicas", 0)),
        updated=updated,
        image=str(containers[0].get("image", "")),
        rolled_out=rolled_out,
        stuck=_stuck(status) if observed and not rolled_out else None,
    )


def _stuck(status: Mapping[str, Any]) -> str | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "it has stood still for the progress deadline")
    return None


def stage_of(resource: Mapping[str, Any]) -> str:
    """The stage that a resource or a pod belongs to; empty where it is none of ours."""
    return str((resource["metadata"].get("labels") or {}).get(COMPONENT, ""))


def track_of(resource: Mapping[str, Any]) -> str:
    """The track of a Deployment or a pod: stable or canary."""
    track = (resource["metadata"].get("labels") or {}).get(TRACK, STABLE)
    return CANARY if track == CANARY else STABLE


def troubles(pods: Iterable[Mapping[str, Any]]) -> list[Trouble]:
    """Pods that wait for something that does not come by itself, in the order of their names."""
    found = []
    for pod in pods:
        name = pod["metadata"]["name"]
        status = pod.get("status") or {}
        for container in status.get("containerStatuses") or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            reason = str(waiting.get("reason", ""))
            if reason in _HOPELESS:
                found.append(Trouble(name, reason, _last_words(container) or str(waiting.get("message", ""))))
        found += [
            Trouble(name, "Unschedulable", str(condition.get("message", "")))
            for condition in status.get("conditions") or ()
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable"
        ]
    return sorted(found, key=lambda each: each.pod)


def _last_words(container: Mapping[str, Any]) -> str:
    """How the container ended, where it did."""
    ended = (container.get("lastState") or {}).get("terminated") or {}
    if not ended:
        return ""
    restarts = int(container.get("restartCount", 0))
    times = f", {restarts} restarts" if restarts >= _RESTARTS else ""
    return f"exit code {ended.get('exitCode')}{times}"


def settings_in_use(pods: Iterable[Mapping[str, Any]]) -> set[str]:
    """The ConfigMaps that pods read when they start again."""
    return {
        source["configMapRef"]["name"]
        for pod in pods
        for container in (pod.get("spec") or {}).get("containers") or ()
        for source in container.get("envFrom") or ()
        if "configMapRef" in source
    }
