"""Which revision is to run: a failed one is tried again when the spec is edited, not when it is scaled."""

from dataclasses import replace
from typing import Any

from k8s.pipelines.checks import read_spec
from k8s.pipelines.revisions import Revision, name_of
from k8s.pipelines.status import Failure, RulePipelineStatus
from k8s.pipelines.target import Target, edit_of, target_of
from tests.k8s.pipelines.specs import OWNER, spec, written

GOOD = Revision("good", 1, spec())


def resource(generation: int, **said: Any) -> dict[str, Any]:
    said = written(image="telltale:bad", **said)
    return {"metadata": {"name": OWNER.name, "generation": generation}, "spec": said}


def chosen(it: dict[str, Any], failed: Failure) -> Target:
    read = read_spec(it)
    assert read[0] is not None
    bad = Revision(name_of(OWNER, read[0]), 2, read[0])
    status = RulePipelineStatus(revision=1, target_revision=1, failed=failed)
    return target_of(OWNER, it, read, status, {"good": GOOD, bad.name: bad})


def failed_at(it: dict[str, Any]) -> Failure:
    generation = it["metadata"]["generation"]
    return Failure(revision=2, reason="CanaryFailed", generation=generation, edit=edit_of(it))


def test_what_failed_is_not_tried_again_by_scaling() -> None:
    failed = failed_at(resource(3, replicas=2))
    for it in (resource(3, replicas=2), resource(4, replicas=5), resource(5)):
        assert chosen(it, failed) == Target(GOOD, GOOD, failed=failed)


def test_an_edit_tries_it_again() -> None:
    target = chosen(resource(4, replicas=2, upgrade={"minReady": "1s"}), failed_at(resource(3, replicas=2)))
    assert target.revision is not None
    assert (target.revision.number, target.failed) == (2, None)


def test_a_pause_and_its_end_are_edits_too() -> None:
    paused = chosen(resource(4, paused=True), failed_at(resource(3)))
    assert paused.revision is GOOD
    assert paused.failed is not None
    going_on = chosen(resource(5), paused.failed)
    assert going_on.revision is not None
    assert going_on.revision.number == 2


def test_a_failure_that_an_older_operator_told_is_tried_again_by_any_edit() -> None:
    failed = Failure(revision=2, reason="CanaryFailed", generation=3)
    assert chosen(resource(3), failed).revision is GOOD
    again = chosen(resource(4, replicas=5), failed).revision
    assert again is not None
    assert again.number == 2


def test_a_revision_whose_canary_has_no_room_today_is_not_returned_to() -> None:
    status = RulePipelineStatus(revision=1, target_revision=1)
    crowded = Revision("crowded", 2, spec(stages={"alerts": {"canary": {"replicas": 2}}}, replicas=7))
    roomy = replace(crowded, spec=crowded.spec.model_copy(update={"replicas": 6}))
    for returned, runs in ((crowded, 1), (roomy, 2)):
        it = resource(3, rollbackTo=2)
        target = target_of(OWNER, it, read_spec(it), status, {"good": GOOD, "crowded": returned})
        assert target.revision is not None
        assert target.revision.number == runs
        told = "; ".join(map(str, target.problems))
        crowd = (
            "spec.rollbackTo: revision 2 has 7 workers and 2 of the canary "
            "for 8 partitions (scale down first)"
        )
        assert told == (crowd if runs == 1 else "")
