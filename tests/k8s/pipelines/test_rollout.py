"""An upgrade as a law: from any state, with at most one stage touched at a time, to wholly up or back."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.pipelines.deployments import Standing
from k8s.pipelines.names import CANARY, STABLE, fingerprint
from k8s.pipelines.readings import Counts
from k8s.pipelines.revisions import Revision
from k8s.pipelines.rollout import ORDER, Course, Situation, course_of
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import STAGES
from k8s.pipelines.workloads import pod_template
from tests.k8s.pipelines.specs import OWNER, spec

SECOND_MS = 1_000


def revision(number: int, **said: Any) -> Revision:
    return Revision(f"r{number}", number, spec(**said))


def template(read: RulePipelineSpec, stage: str, track: str = STABLE) -> str:
    return fingerprint(pod_template(OWNER, read, stage, track))


def standing(
    of: Revision, stage: str, track: str = STABLE, *, up: bool = True, stuck: str | None = None
) -> Standing:
    return Standing(
        template=template(of.spec, stage, track),
        revision=of.name,
        wanted=1,
        pods=1,
        ready=1,
        updated=1,
        image="",
        rolled_out=up,
        stuck=stuck,
    )


class World:
    """Deployments that do what they are told, one step at a time."""

    def __init__(self, good: Revision | None, target: Revision) -> None:
        self.situation = Situation(
            owner=OWNER,
            target=target,
            good=good,
            at_once=good is None,
            revisions={each.name: each for each in (good, target) if each is not None},
            standings={} if good is None else {(stage, STABLE): standing(good, stage) for stage in STAGES},
            topics="complete",
            topics_message="",
            counts={},
            canary=None,
            now_ms=0,
        )

    def course(self) -> Course:
        return course_of(self.situation)

    def obey(self, course: Course, **how: Any) -> None:
        """Every Deployment becomes what the course says; what is new is not up yet."""
        standings = dict(self.situation.standings)
        for stage, wanted in course.stages.items():
            if stage not in wanted.spec.stages.enabled:
                standings.pop((stage, STABLE), None)
            elif (now := standings.get((stage, STABLE))) is None or now.template != template(
                wanted.spec, stage
            ):
                standings[stage, STABLE] = standing(wanted, stage, up=False)
            else:
                standings[stage, STABLE] = replace(now, revision=wanted.name)
        for stage in STAGES:
            if stage not in course.canaries:
                standings.pop((stage, CANARY), None)
            elif (stage, CANARY) not in standings:
                standings[stage, CANARY] = standing(course.canaries[stage], stage, CANARY, up=False)
        now_ms = self.situation.now_ms + SECOND_MS
        self.situation = replace(
            self.situation, standings=standings, canary=course.canary, now_ms=now_ms, **how
        )

    def come_up(self) -> None:
        up = {place: replace(each, rolled_out=True) for place, each in self.situation.standings.items()}
        self.situation = replace(self.situation, standings=up)

    def unsettled(self) -> list[str]:
        return [stage for (stage, _), each in self.situation.standings.items() if not each.rolled_out]


def test_a_first_installation_is_made_at_once() -> None:
    world = World(None, revision(1))
    assert set(world.course().stages) == set(STAGES)
    world.obey(world.course())
    assert not world.course().complete
    world.come_up()
    assert world.course().complete


def test_one_stage_at_a_time_and_readers_before_writers() -> None:
    world = World(revision(1), revision(2, image="telltale:2"))
    order: list[str] = []
    while not (course := world.course()).complete:
        world.obey(course)
        (touched,) = world.unsettled()
        order.append(touched)
        # However often it is looked at meanwhile, nothing else is touched.
        world.obey(world.course())
        assert world.unsettled() == [touched]
        world.come_up()
    assert order == list(ORDER)


@given(st.data())
def test_from_any_state_between_two_revisions_an_upgrade_ends(data: st.DataObject) -> None:
    old, new = revision(1), revision(2, image="telltale:2", stages={"geofences": {"enabled": False}})
    world = World(old, new)
    standings: dict[tuple[str, str], Standing] = {}
    for stage in STAGES:
        of = {"old": old, "new": new, "none": None}[
            data.draw(st.sampled_from(["old", "new", "none"]), label=stage)
        ]
        if of is not None and stage in of.spec.stages.enabled:
            standings[stage, STABLE] = standing(of, stage, up=data.draw(st.booleans()))
    world.situation = replace(world.situation, standings=standings)
    for _ in range(3 * len(STAGES)):
        course = world.course()
        assert course.failure is None
        if course.complete:
            break
        world.obey(course)
        world.come_up()
    assert world.course().complete
    assert {stage for stage, _ in world.situation.standings} == set(STAGES) - {"geofences"}


def test_a_stage_that_stands_still_is_a_failure_and_the_way_back_is_for_all_at_once() -> None:
    old, new = revision(1), revision(2, image="telltale:2")
    world = World(old, new)
    world.obey(world.course())
    stuck = standing(new, ORDER[0], up=False, stuck="timed out")
    world.situation = replace(
        world.situation, standings={**world.situation.standings, (ORDER[0], STABLE): stuck}
    )
    failure = world.course().failure
    assert failure is not None
    assert (failure.revision, failure.stage, failure.message) == (2, ORDER[0], "timed out")
    world.situation = replace(world.situation, target=old, at_once=True)
    course = world.course()
    assert {each.name for each in course.stages.values()} == {"r1"}
    assert course.failure is None


def test_what_is_no_upgrade_is_no_failure() -> None:
    only = revision(1)
    world = World(only, only)
    stuck = standing(only, "alerts", up=False, stuck="no node has room")
    world.situation = replace(
        world.situation, standings={**world.situation.standings, ("alerts", STABLE): stuck}
    )
    assert world.course().failure is None
    assert not world.course().complete


@pytest.mark.parametrize("topics", ["running", "failed"])
def test_no_stage_is_touched_before_the_topics_are_made(topics: Any) -> None:
    world = World(revision(1), revision(2, image="telltale:2"))
    world.situation = replace(world.situation, topics=topics, topics_message="why")
    course = world.course()
    assert {each.name for each in course.stages.values()} == {"r1"}
    assert (course.failure is not None) == (topics == "failed")


def test_a_change_of_scale_waits_for_nobody() -> None:
    old = revision(1)
    world = World(old, revision(2, stages={"uplink": {"replicas": 5}}))
    assert {each.name for each in world.course().stages.values()} == {"r2"}
    assert world.course().complete


def test_a_stage_whose_revision_is_forgotten_is_left_alone() -> None:
    world = World(revision(1), revision(3, image="telltale:3"))
    unknown = replace(standing(revision(2, image="telltale:2"), "uplink"), revision="r2")
    world.situation = replace(
        world.situation, standings={**world.situation.standings, ("uplink", STABLE): unknown}
    )
    assert "uplink" not in world.course().stages


def test_a_canary_that_dies_again_after_it_was_up_is_not_promoted() -> None:
    canary = {"replicas": 1, "for": "10s"}
    upgrade = {"progressDeadline": "20s"}
    new = revision(2, image="telltale:2", upgrade=upgrade, stages={"alerts": {"canary": canary}})
    world = World(revision(1), new)
    seen: list[tuple[str, str]] = []
    for _ in range(120):
        course = world.course()
        if course.failure is not None:
            break
        if course.canary is not None:
            seen.append((course.canary.state, course.canary.message))
        counts = {("alerts", track): {track: Counts(500, 0, 50)} for track in (STABLE, CANARY)}
        world.obey(course, counts=counts)
        world.come_up()
        if course.canary is not None and course.canary.started_at is not None:
            standings = dict(world.situation.standings)
            standings["alerts", CANARY] = replace(standings["alerts", CANARY], rolled_out=False)
            world.situation = replace(world.situation, standings=standings)
    assert ("WaitingForRecords", "not all of its workers are ready any more") in seen
    assert "Promoted" not in {state for state, _ in seen}
    assert course.failure is not None
    assert course.failure.reason == "CanaryFailed"
    assert world.situation.now_ms > 30 * SECOND_MS


@pytest.mark.parametrize(("errors", "state"), [(0.0, "Promoted"), (0.5, "RolledBack")])
def test_a_canary_comes_before_its_stage(errors: float, state: str) -> None:
    canary = {"replicas": 1, "for": "10s"}
    old = revision(1)
    new = revision(2, image="telltale:2", stages={"alerts": {"canary": canary}})
    world = World(old, new)
    states: list[str] = []
    for _ in range(60):
        course = world.course()
        if course.complete or course.failure is not None:
            break
        stable = course.stages.get("alerts")
        if course.canary is not None:
            states.append(course.canary.state)
            if course.canary.state in ("Starting", "Comparing"):
                assert stable is old
                assert course.canaries == {"alerts": new}
        records = world.situation.now_ms
        counts = {
            ("alerts", STABLE): {"old": Counts(records, 0, records)},
            ("alerts", CANARY): {"new": Counts(records, errors * records, records)},
        }
        world.obey(course, counts=counts)
        world.come_up()
    last = world.course().canary
    assert last is not None
    assert last.state == state
    assert states[0] == "Starting"
    assert "Comparing" in states
    if state == "Promoted":
        assert world.course().complete
        assert (("alerts", CANARY)) not in world.situation.standings
    else:
        failure = world.course().failure
        assert failure is not None
        assert failure.reason == "CanaryFailed"
        assert world.situation.standings["alerts", STABLE].revision == "r1"
