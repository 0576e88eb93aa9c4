"""The specs that an installation has had: ControllerRevisions, numbered once and never renumbered.

A revision is its content, so that the same spec applied again is the same revision again, whatever came in
between. What says how the operator behaves (paused, rollbackTo, …), and how many workers all stages have, is
no part of it and always holds as it is written now: an autoscaler makes no revisions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from k8s.kinds import CONTROLLER_REVISION
from k8s.pipelines.checks import read_shape
from k8s.pipelines.names import Owner, fingerprint, labels_of
from k8s.pipelines.spec import RulePipelineSpec

BEHAVIOUR: Final = (
    "paused",
    "replicas",
    "rollback_to",
    "revision_history_limit",
    "deletion_policy",
    "upgrade",
)


@dataclass(frozen=True, slots=True)
class Revision:
    """One content of the spec; `name` is that of its ControllerRevision."""

    name: str
    number: int
    spec: RulePipelineSpec
    kept: bool = True
    """Whether the ControllerRevision exists."""


def content_of(spec: RulePipelineSpec) -> dict[str, Any]:
    """What a revision is made of: what was said, not what follows from defaults."""
    return spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=set(BEHAVIOUR))


def name_of(owner: Owner, spec: RulePipelineSpec) -> str:
    """The name that the revision with this content has."""
    return f"{owner.name}-{fingerprint(content_of(spec))}"


def read_revisions(
    found: Iterable[Mapping[str, Any]], behaviour: RulePipelineSpec | None
) -> dict[str, Revision]:
    """The revisions that are kept, by name, each with the behaviour that holds now.

    One that this version cannot read is left out: nothing can be made of it.
    """
    read = {}
    for each in found:
        spec, _ = read_shape(each.get("data"))
        if spec is not None:
            name = each["metadata"]["name"]
            read[name] = Revision(name, int(each["revision"]), with_behaviour(spec, behaviour))
    return read


def with_behaviour(spec: RulePipelineSpec, behaviour: RulePipelineSpec | None) -> RulePipelineSpec:
    """The content of `spec` with the behaviour of another."""
    if behaviour is None:
        return spec
    return spec.model_copy(update={name: getattr(behaviour, name) for name in BEHAVIOUR})


def scaled(revisions: Mapping[str, Revision], replicas: int | None) -> dict[str, Revision]:
    """The same revisions with another number of workers for all stages that say none."""
    return {
        name: replace(each, spec=each.spec.model_copy(update={"replicas": replicas}))
        for name, each in revisions.items()
    }


def revision_of(owner: Owner, spec: RulePipelineSpec, known: Mapping[str, Revision]) -> Revision:
    """The revision with this content: one that is known, or the next."""
    name = name_of(owner, spec)
    if name in known:
        return known[name]
    number = 1 + max((each.number for each in known.values()), default=0)
    return Revision(name, number, spec, kept=False)


def controller_revision(owner: Owner, revision: Revision) -> dict[str, Any]:
    """The ControllerRevision that keeps it."""
    return {
        **CONTROLLER_REVISION.head(),
        "metadata": {
            "name": revision.name,
            "namespace": owner.namespace,
            "labels": labels_of(owner, "pipeline"),
            "ownerReferences": [owner.reference()],
        },
        "revision": revision.number,
        "data": content_of(revision.spec),
    }


def superfluous(known: Iterable[Revision], in_use: Iterable[str], limit: int) -> Sequence[Revision]:
    """The oldest revisions beyond the limit; what is in use is not counted, and stays."""
    used = set(in_use)
    idle = sorted((each for each in known if each.name not in used), key=lambda each: each.number)
    return idle[: max(0, len(idle) - limit)]
