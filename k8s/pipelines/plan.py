"""From what should be and what is to what is to be done: pure, in the order in which it is done.

Only what differs is touched, so that an installation at rest costs no request. Only what has us as its owner
is deleted: labels alone prove nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8s.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    CONTROLLER_REVISION,
    DEPLOYMENT,
    JOB,
    KAFKA_TOPIC,
    SCALED_OBJECT,
    Kind,
)
from k8s.pipelines.comparison import is_as_wanted
from k8s.pipelines.deployments import stage_of
from k8s.pipelines.desired import KINDS, MANAGED, Manifests
from k8s.pipelines.names import OPERATOR, Owner, Ref

_SCALERS = (AUTOSCALER, SCALED_OBJECT)
_RANK = {kind.resource: rank for rank, kind in enumerate(MANAGED)}


@dataclass(frozen=True, slots=True)
class Apply:
    """Say what a resource should be."""

    ref: Ref
    kind: Kind
    manifest: Mapping[str, Any]
    exists: bool
    hand_over: int | None = None
    """Replicas that are left to somebody else from now on, and must not fall to one in between."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Take a resource away."""

    ref: Ref
    kind: Kind
    uid: str


Change = Apply | Delete


def plan(
    owner: Owner,
    desired: Manifests,
    found: Mapping[Ref, Mapping[str, Any]],
    *,
    in_use: Collection[str] = (),
    untouched: Collection[str] = (),
) -> Iterator[Change]:
    """Yield what to do. `in_use` are ConfigMaps that pods still read, `untouched` stages to be left alone."""
    superfluous = [
        Delete(reference, KINDS[reference.resource], found[reference]["metadata"]["uid"])
        for reference in sorted(found.keys() - desired.keys(), key=lambda it: -_RANK.get(it.resource, 0))
        if is_owned(owner, found[reference]) and not _stays(reference, found[reference], in_use, untouched)
    ]
    # One autoscaler goes before the other comes: KEDA refuses a stage that has an HPA.
    yield from (each for each in superfluous if each.kind in _SCALERS)
    for reference in sorted(desired, key=lambda each: (_RANK[each.resource], each.name)):
        manifest = desired[reference]
        there = found.get(reference)
        if there is not None and (_is_going(there) or is_as_wanted(manifest, there)):
            continue
        yield Apply(
            reference,
            KINDS[reference.resource],
            manifest,
            exists=there is not None,
            hand_over=_hand_over(reference, manifest, there),
        )
    yield from (each for each in superfluous if each.kind not in _SCALERS)


def is_owned(owner: Owner, resource: Mapping[str, Any]) -> bool:
    """Whether the owner of a resource is this pipeline, and not an earlier one of its name."""
    references = resource["metadata"].get("ownerReferences") or ()
    return any(each.get("uid") == owner.uid for each in references)


def _stays(
    reference: Ref, resource: Mapping[str, Any], in_use: Collection[str], untouched: Collection[str]
) -> bool:
    if reference.resource in (KAFKA_TOPIC.resource, CONTROLLER_REVISION.resource) or _is_going(resource):
        return True
    if reference.resource == CONFIG_MAP.resource and reference.name in in_use:
        return True
    if reference.resource == JOB.resource and "-topics-delete-" in reference.name:
        return True
    return stage_of(resource) in untouched


def _is_going(resource: Mapping[str, Any]) -> bool:
    return bool(resource["metadata"].get("deletionTimestamp"))


def _hand_over(reference: Ref, manifest: Mapping[str, Any], there: Mapping[str, Any] | None) -> int | None:
    if reference.resource != DEPLOYMENT.resource or there is None or "replicas" in manifest["spec"]:
        return None
    ours = any(
        entry.get("manager") == OPERATOR
        and entry.get("operation") == "Apply"
        and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in there["metadata"].get("managedFields") or ()
    )
    return int(there["spec"].get("replicas", 1)) if ours else None
