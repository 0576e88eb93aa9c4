"""How a rule stands for a vehicle right now: for tests and for people; no part of what the fold yields."""

from dataclasses import dataclass
from typing import Literal

from rules.engine.alerts import Phase
from rules.engine.vehicle import VehicleState

State = Literal["inactive", "pending", "firing"]
_STATES: dict[Phase, State] = {
    Phase.RESTING: "inactive",
    Phase.PENDING: "pending",
    Phase.FIRING: "firing",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """The state of a rule's alert; a sequence is pending while it has begun. `since` in milliseconds."""

    state: State
    since: int | None = None
    severity: str | None = None
    """Of an alert that fires."""
    value: object = None


def standing(vehicle: VehicleState, name: str) -> Standing:
    """How the rule or sequence of this name stands; one that is not for the vehicle is inactive."""
    for index, alert in vehicle.alerts.items():
        rule = vehicle.program.rules[index]
        if rule.rule.name == name and alert.phase is not Phase.RESTING:
            severity = rule.ladder[alert.rung][0] if alert.phase is Phase.FIRING else None
            return Standing(_STATES[alert.phase], alert.since, severity, alert.value)
    for absence in vehicle.program.absences:
        told = vehicle.absences.get(absence.index)
        if absence.rule.name == name and told is not None and told.alert.phase is Phase.FIRING:
            alert = told.alert
            return Standing("firing", alert.since, absence.ladder[alert.rung][0], alert.value)
    for index, matching in vehicle.sequences.items():
        if vehicle.program.programs.sequences[index].pattern.name == name and matching.partials:
            return Standing("pending", matching.partials[0].started_at)
    return Standing("inactive")
