"""Which revision each stage is to have now: a pure function of where the stages stand.

Readers before writers: an upgrade begins at the end of the data's way and goes against it, since records gain
keys and lose none, and whoever is to understand a new key should run before whoever writes it. A stage is
touched when all before it are wholly up; the others keep what they have. The first installation, and the way
back from a failure, are for all stages at once: there is nothing left to protect by waiting.

    for a stage            pod as wanted     else, all before it up       else
    it is to have          the target        the target, after its        what it has
                                             canary if it has one
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from k8s.pipelines.canary import Verdict, baseline_of, judge
from k8s.pipelines.deployments import Standing
from k8s.pipelines.names import CANARY, STABLE, TOPICS, Owner, fingerprint
from k8s.pipelines.readings import Counts
from k8s.pipelines.revisions import Revision
from k8s.pipelines.stages import STAGES
from k8s.pipelines.status import CanaryStatus, Failure
from k8s.pipelines.topic_resources import TopicsState
from k8s.pipelines.workloads import pod_template
from rules.instants import format_instant, parse_instant

ORDER = tuple(reversed(STAGES))


@dataclass(frozen=True, slots=True)
class Situation:
    """Where everything stands."""

    owner: Owner
    target: Revision
    good: Revision | None
    """The last that was wholly up."""
    at_once: bool
    """All stages together, without canaries."""
    revisions: Mapping[str, Revision]
    standings: Mapping[tuple[str, str], Standing]
    """Deployments by stage and track."""
    topics: TopicsState
    """The Job that makes the target's topics; complete, where there is none."""
    topics_message: str
    counts: Mapping[tuple[str, str], Mapping[str, Counts]]
    """What workers have counted, by stage and track, and by the pod's name."""
    canary: CanaryStatus | None
    now_ms: int

    @property
    def is_upgrade(self) -> bool:
        """Whether there is something good to go back to."""
        return self.good is not None and self.good.name != self.target.name


@dataclass(slots=True)
class Course:
    """What each stage is to have, and how far the way is."""

    stages: dict[str, Revision] = field(default_factory=dict)
    """A stage that is missing here is left as it is: nobody knows any more what it was made from."""
    canaries: dict[str, Revision] = field(default_factory=dict)
    canary: CanaryStatus | None = None
    states: dict[str, str] = field(default_factory=dict)
    at: str | None = None
    """The stage that everything waits for."""
    failure: Failure | None = None
    complete: bool = False


def course_of(situation: Situation) -> Course:
    """Decide for each stage, in the order of an upgrade."""
    return _Walk(situation).walk()


class _Walk:
    """One walk over the stages; `open` is whether the next one may be touched."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._course = Course(canary=situation.canary)
        self._open = True
        self._complete = True

    def walk(self) -> Course:
        situation, course = self._situation, self._course
        if situation.is_upgrade and not situation.at_once and situation.topics != "complete":
            self._open = False
            course.at = TOPICS
            if situation.topics == "failed":
                course.failure = self._failed(TOPICS, "TopicsFailed", situation.topics_message)
        for stage in ORDER:
            self._decide(stage)
        course.complete = self._complete and situation.topics == "complete" and course.failure is None
        return course

    def _decide(self, stage: str) -> None:
        situation, course = self._situation, self._course
        standing = situation.standings.get((stage, STABLE))
        target = situation.target
        if stage not in target.spec.stages.enabled:
            if self._open or standing is None:
                course.stages[stage] = target
                course.states[stage] = "Disabled"
                # Its Deployment is taken away in this pass, and is gone in the next.
                self._complete = self._complete and standing is None
            else:
                self._keep(stage, standing, "Waiting")
            return
        if standing is None:
            # New, or somebody deleted it.
            self._go(stage, "Creating")
            return
        if standing.template == self._wanted(stage, STABLE):
            self._stay(stage, standing)
        elif situation.at_once:
            self._go(stage, "Upgrading")
        elif not self._open:
            self._keep(stage, standing, "Waiting")
        elif self._needs_canary(stage, standing):
            self._try(stage, standing)
        else:
            self._go(stage, "Upgrading")

    def _stay(self, stage: str, standing: Standing) -> None:
        """The pod is as wanted, and either up or on its way."""
        course, situation = self._course, self._situation
        course.stages[stage] = situation.target
        if standing.rolled_out:
            course.states[stage] = "Running" if standing.wanted else "ScaledToZero"
            return
        self._wait(stage)
        course.states[stage] = (
            "Failed" if standing.stuck else "Upgrading" if situation.is_upgrade else "Creating"
        )
        if self._promoted(stage):
            course.canaries[stage] = situation.target
        if standing.stuck is not None and situation.is_upgrade and self._differs_from_good(stage):
            course.failure = course.failure or self._failed(stage, "ProgressDeadlineExceeded", standing.stuck)

    def _go(self, stage: str, state: str) -> None:
        self._course.stages[stage] = self._situation.target
        self._course.states[stage] = state
        if self._promoted(stage):
            self._course.canaries[stage] = self._situation.target
        self._wait(stage)

    def _keep(self, stage: str, standing: Standing, state: str) -> None:
        self._complete = False
        revision = self._situation.revisions.get(standing.revision)
        if revision is not None:
            self._course.stages[stage] = revision
        self._course.states[stage] = state

    def _wait(self, stage: str) -> None:
        self._complete = False
        if self._open:
            self._course.at = stage
        self._open = False

    def _try(self, stage: str, standing: Standing) -> None:
        """The canary of a stage: starting, compared, and then promoted or rolled back."""
        situation, course = self._situation, self._course
        self._keep(stage, standing, "Canary")
        self._wait(stage)
        course.canaries[stage] = situation.target
        before = self._canary_of(stage)
        if before is None:
            course.canary = CanaryStatus(stage=stage, revision=situation.target.number, state="Starting")
            return
        canary = situation.standings.get((stage, CANARY))
        if canary is None or canary.template != self._wanted(stage, CANARY):
            return
        if canary.stuck is not None:
            self._roll_back(stage, before, f"it does not come up: {canary.stuck}")
        elif before.started_at is None:
            if canary.rolled_out:
                course.canary = before.model_copy(
                    update={
                        "state": "Comparing",
                        "started_at": format_instant(situation.now_ms),
                        "baseline": baseline_of(situation.counts.get((stage, STABLE), {})),
                    }
                )
        else:
            self._judge(stage, before, canary)

    def _judge(self, stage: str, before: CanaryStatus, standing: Standing) -> None:
        situation, course = self._situation, self._course
        said = situation.target.spec.stages.of(stage).canary
        assert said is not None
        assert before.started_at is not None
        elapsed_ms = situation.now_ms - parse_instant(before.started_at)
        verdict = judge(
            said.checks,
            canary=situation.counts.get((stage, CANARY), {}),
            stable=situation.counts.get((stage, STABLE), {}),
            baseline=before.baseline,
            elapsed_ms=elapsed_ms,
            for_ms=said.for_ms,
        )
        if verdict.decision == "promote" and not standing.rolled_out:
            # It was up when it began. One that dies again and again counts from zero each time.
            deadline_ms = said.for_ms + situation.target.spec.upgrade.progress_deadline_ms
            is_late = elapsed_ms >= deadline_ms
            why = "not all of its workers are ready any more"
            verdict = Verdict("rollBack" if is_late else "waitForRecords", why)
        match verdict.decision:
            case "rollBack":
                self._roll_back(stage, before, verdict.message)
            case "promote":
                course.canary = before.model_copy(
                    update={"state": "Promoted", "message": verdict.message, "baseline": {}}
                )
                course.stages[stage] = situation.target
                course.states[stage] = "Upgrading"
            case decision:
                state = "WaitingForRecords" if decision == "waitForRecords" else "Comparing"
                course.canary = before.model_copy(update={"state": state, "message": verdict.message})

    def _roll_back(self, stage: str, before: CanaryStatus, message: str) -> None:
        course = self._course
        course.canary = before.model_copy(update={"state": "RolledBack", "message": message, "baseline": {}})
        course.failure = course.failure or self._failed(stage, "CanaryFailed", message)

    def _needs_canary(self, stage: str, standing: Standing) -> bool:
        situation = self._situation
        said = situation.target.spec.stages.of(stage).canary
        if said is None or not situation.is_upgrade or standing.wanted == 0:
            return False
        return not self._promoted(stage)

    def _canary_of(self, stage: str) -> CanaryStatus | None:
        """What is known of this stage's canary of this target."""
        canary = self._situation.canary
        fits = canary is not None and (canary.stage, canary.revision) == (
            stage,
            self._situation.target.number,
        )
        return canary if fits and canary is not None and canary.state != "RolledBack" else None

    def _promoted(self, stage: str) -> bool:
        canary = self._canary_of(stage)
        return canary is not None and canary.state == "Promoted"

    def _wanted(self, stage: str, track: str) -> str:
        situation = self._situation
        return fingerprint(pod_template(situation.owner, situation.target.spec, stage, track))

    def _differs_from_good(self, stage: str) -> bool:
        situation = self._situation
        if situation.good is None or stage not in situation.good.spec.stages.enabled:
            return True
        good = fingerprint(pod_template(situation.owner, situation.good.spec, stage, STABLE))
        return good != self._wanted(stage, STABLE)

    def _failed(self, stage: str, reason: str, message: str) -> Failure:
        return Failure(
            revision=self._situation.target.number, stage=stage, reason=reason, message=message[:1_000]
        )
