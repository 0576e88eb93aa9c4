"""The status of each resource: what became of its document, who runs it, what fires. Pure.

Accepted   True: Valid
           False: Invalid, HeldBack (right by itself, and wrong for what runs), NameTaken
           Unknown: Waiting (the log or the catalog is missing)
Ready      True: Running
           False: NotAccepted (nothing runs), OlderVersionRuns, Overridden (somebody else has rolled back),
                  RollingOut, Refused (by a worker), Failing
           Unknown: NoWorkers, Waiting
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from k8s.crds import Problem
from k8s.crds.rule_status import MOST_ERRORS
from k8s.resources.documents import Asked
from k8s.resources.planning import Plan
from pipeline.store.statuses import Worker
from rules import Diagnostic

STAGES: Mapping[str, str] = {
    "AlertRule": "alerts",
    "SequenceRule": "alerts",
    "GeofenceRule": "geofences",
    "AggregationRule": "aggregations",
}
"""The stage whose workers run rules of a kind; what is no rule is everywhere."""
_LONGEST = 8_000

Status = dict[str, Any]
Truth = Literal["True", "False", "Unknown"]
Said = tuple[Truth, str, str]
"""Of a condition: status, reason, message."""


class Fleet:
    """What the workers say, counted once for all resources."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self.firing: Counter[str] = Counter()
        self.failing: dict[str, str] = {}
        for worker in workers:
            self.firing.update(worker.firing)
            for each in worker.failing:
                said = f"{each.count} failures in {worker.worker}, the last one: {each.error}"
                self.failing.setdefault(each.rule, said)

    def of(self, kind: str) -> list[Worker]:
        """Those that run documents of a kind."""
        stage = STAGES.get(kind)
        return [worker for worker in self._workers if stage is None or worker.stage == stage]


def status_of(asked: Asked, plan: Plan | None, fleet: Fleet, trouble: str | None = None) -> Status | None:
    """The status, without times of transitions; None where there is nothing new to say of it."""
    if plan is None or plan.asked.get(asked.key) is not asked:
        if trouble is None:
            return None
        return _status(asked, ("Unknown", "Waiting", trouble), ("Unknown", "Waiting", trouble))
    wrong = plan.demand.wrong.get(asked.key) or plan.judged.held.get(asked.place, ())
    accepted = _acceptance(asked, plan, wrong)
    findings = [*wrong, *plan.judged.warnings.get(asked.place, ())]
    owns = plan.demand.keys.get(asked.place) == asked.key
    runs = plan.running.get(asked.place) if owns else None
    if runs is None:
        match accepted:
            case ("True", _, _):
                ready = _overridden(plan)
            case ("False", _, message):
                ready = ("False", "NotAccepted", message)
            case (_, _, message):
                ready = ("Unknown", "Waiting", message)
        return _status(asked, accepted, ready, findings)
    began = plan.began[asked.place].revision
    workers = fleet.of(asked.place.kind)
    current = [worker for worker in workers if worker.revision >= began]
    ready = _readiness(asked, began, workers, fleet)
    if wrong:
        message = f"the version of revision {began} runs on: {accepted[2]}"
        ready = ("False", "OlderVersionRuns", message)
    elif runs != asked.canonical:
        ready = _overridden(plan)
    status = _status(asked, accepted, ready, findings)
    status |= {"revision": began, "workers": f"{len(current)}/{len(workers)}"}
    if asked.place.kind in STAGES:
        status["firing"] = fleet.firing[asked.place.name]
    return status


def _acceptance(asked: Asked, plan: Plan, wrong: Sequence[Diagnostic]) -> Said:
    if wrong:
        reason = "Invalid"
        if asked.canonical is not None:
            reason = "NameTaken" if plan.demand.keys.get(asked.place) != asked.key else reason
            reason = "HeldBack" if not wrong[0].path else reason
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return ("False", reason, f"{wrong[0].message}{more}")
    if plan.judged.lacks_catalog:
        return ("Unknown", "Waiting", "there is no SignalCatalog yet, without which no rule has signals")
    if plan.judged.blocked:
        place, found = next(iter(plan.judged.blocked.items()))
        return ("Unknown", "Waiting", f"{place}, which no resource has written, is wrong: {found[0].message}")
    return ("True", "Valid", "")


def _overridden(plan: Plan) -> Said:
    head = plan.overridden
    if head is None:
        return "Unknown", "Waiting", "it is not written yet"
    said = f" ({head.message})" if head.message else ""
    message = (
        f"{head.author} has written revision {head.revision}{said}; the next change of a resource ends that"
    )
    return "False", "Overridden", message


def _readiness(asked: Asked, began: int, workers: Sequence[Worker], fleet: Fleet) -> Said:
    stage = STAGES.get(asked.place.kind)
    if not workers:
        return (
            "Unknown",
            "NoWorkers",
            f"no worker {f'of the stage {stage} ' if stage else ''}has been heard of lately",
        )
    older = [worker for worker in workers if worker.revision < began]
    refusing = next((worker for worker in older if worker.error), None)
    if refusing is not None:
        return "False", "Refused", f"{refusing.worker} refuses it: {refusing.error}"
    if older:
        return "False", "RollingOut", f"{len(workers) - len(older)} of {len(workers)} workers run it"
    failing = fleet.failing.get(asked.place.name)
    if failing is not None and stage:
        return "False", "Failing", failing
    return "True", "Running", ""


def _status(
    asked: Asked,
    accepted: Said,
    ready: Said,
    findings: Sequence[Diagnostic] = (),
) -> Status:
    def condition(type_: str, said: Said) -> dict[str, Any]:
        status, reason, message = said
        return {
            "type": type_,
            "status": status,
            "reason": reason,
            "message": message[:_LONGEST],
            "observedGeneration": asked.generation,
        }

    return {
        "observedGeneration": asked.generation,
        "conditions": [condition("Accepted", accepted), condition("Ready", ready)],
        "errors": [problem_of(each) for each in findings[:MOST_ERRORS]],
        "revision": None,
        "workers": None,
    }


def problem_of(finding: Diagnostic) -> dict[str, Any]:
    """A finding as the CRDs' schema has it."""
    problem = Problem(
        code=finding.code,
        severity=finding.severity,
        line=finding.line,
        column=finding.column,
        path=finding.path[:1_024],
        message=finding.message[:_LONGEST],
        hint=finding.hint and finding.hint[:_LONGEST],
    )
    return problem.model_dump(mode="json", by_alias=True, exclude_none=True)


def patch_of(before: Mapping[str, Any], status: Status, now: str) -> Status | None:
    """The merge patch that makes `before` the status; None where it says the same. `now` is RFC 3339."""
    held = {each.get("type"): each for each in before.get("conditions") or ()}
    conditions = []
    for each in status["conditions"]:
        was = held.get(each["type"], {})
        is_same = was.get("status") == each["status"] and was.get("lastTransitionTime")
        conditions.append({**each, "lastTransitionTime": was["lastTransitionTime"] if is_same else now})
    after = {**status, "conditions": conditions}
    kept = {key: before.get(key) for key in after}
    same = {key: value if value is not None else None for key, value in after.items()}
    if {**kept, "errors": kept.get("errors") or []} == {**same, "errors": same.get("errors") or []}:
        return None
    return after
