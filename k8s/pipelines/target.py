"""Which revision an installation is to have: the spec as it is written, unless something speaks against it.

An invalid spec has no effect at all: what was on its way before it goes on. A revision that has failed is not
tried again, and the last good one runs in its place, until the spec is edited; scaling is no edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8s.pipelines.checks import Problem, scale_problems
from k8s.pipelines.names import Owner, fingerprint
from k8s.pipelines.revisions import Revision, revision_of
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.status import Failure, RulePipelineStatus


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be made so."""

    revision: Revision | None
    """None: nothing that could be made is known."""
    good: Revision | None
    """The last that was wholly up."""
    problems: Sequence[Problem] = ()
    """Why the spec as it is written has no effect."""
    failed: Failure | None = None
    """Why the revision that is asked for does not run."""

    @property
    def at_once(self) -> bool:
        """Whether there is nothing to protect by going stage by stage."""
        return self.good is None or (self.failed is not None and self.revision is self.good)


def target_of(
    owner: Owner,
    resource: Mapping[str, Any],
    read: tuple[RulePipelineSpec | None, Sequence[Problem]],
    status: RulePipelineStatus,
    revisions: Mapping[str, Revision],
) -> Target:
    """Choose."""
    spec, problems = read
    by_number = {each.number: each for each in revisions.values()}
    good = by_number.get(status.revision or 0)
    if spec is None or problems:
        return _what_was_on_its_way(by_number, good, status, problems)
    if spec.rollback_to is not None:
        asked = by_number.get(spec.rollback_to)
        if asked is None:
            known = ", ".join(map(str, sorted(by_number))) or "none"
            missing = Problem(
                ("spec", "rollbackTo"), f"there is no revision {spec.rollback_to}", f"there are: {known}"
            )
            return _what_was_on_its_way(by_number, good, status, (missing,))
        if crowded := tuple(scale_problems(asked.spec)):
            # Its canary may get no partition, and would wait for records for ever.
            words = f"revision {asked.number} has {crowded[0].message}"
            crowd = Problem(("spec", "rollbackTo"), words, "scale down first")
            return _what_was_on_its_way(by_number, good, status, (crowd,))
    else:
        asked = revision_of(owner, spec, revisions)
    failed = status.failed
    generation = int(resource["metadata"].get("generation", 0))
    if failed is None or failed.revision != asked.number:
        return Target(asked, good)
    if failed.generation is not None and failed.generation != generation and failed.edit != edit_of(resource):
        if not spec.paused:
            return Target(asked, good)
        failed = failed.model_copy(update={"edit": ""})
    if good is None or good.number == asked.number or not spec.upgrade.roll_back:
        return Target(asked, good, failed=failed)
    return Target(good, good, failed=failed)


def edit_of(resource: Mapping[str, Any]) -> str:
    """By which an edit is told from a change of scale, which an autoscaler makes whenever it likes."""
    return fingerprint({key: value for key, value in resource["spec"].items() if key != "replicas"})


def _what_was_on_its_way(
    by_number: Mapping[int, Revision],
    good: Revision | None,
    status: RulePipelineStatus,
    problems: Sequence[Problem],
) -> Target:
    failed = status.failed
    before = by_number.get(status.target_revision or 0)
    if before is None or (failed is not None and failed.revision == before.number and good is not None):
        return Target(good, good, tuple(problems), failed)
    return Target(before, good, tuple(problems), failed)
