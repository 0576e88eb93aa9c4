"""One rule over one vehicle, with everything that moved it noted: the fold of the stages, looked at.

It is a Fold, so whoever drives the engine (a stage's logic, a backtest) drives this, and the story that it
notes is of the very run that gives the outcomes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rules.compile.parts import Vocabulary
from rules.engine import Engine, Event, Registration, RuleSet, VehicleState
from rules.engine.alerts import Alert, Phase
from rules.engine.memory import NEVER, Look
from rules.engine.registration import NOTHING
from rules.engine.ruleset import Absence, Compiled, Pattern, Rule
from rules.explain.judging import Judge, Judgement


@dataclass(frozen=True, slots=True)
class State:
    """How the rule stands. Times in milliseconds; None where there is none."""

    phase: str = "inactive"
    """inactive, pending, firing, or `not for this vehicle`."""
    since: int | None = None
    fired_at: int | None = None
    severity: str | None = None
    clearing_since: int | None = None
    unknown_since: int | None = None
    ended_at: int | None = None
    counted: int | None = None
    """Messages that count towards `forEvents`."""
    partials: tuple[tuple[int, int], ...] = ()
    """Of a sequence: for each partial match the instant of its beginning, and the place of its step."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something moved the rule. `at` is the vehicle's event time, or the instant of a timer."""

    at: int
    cause: str
    """`message`, `silence` or `registry`."""
    signals: Mapping[str, object]
    """Of the message: what the rule reads."""
    before: State
    after: State
    judgements: tuple[Judgement, ...]
    told: tuple[Any, ...]
    """The outcomes."""
    is_open: bool = True
    """Whether the rule's schedule is open."""


class Watch:
    """A Fold of one rule, which notes what moves it."""

    def __init__(self, rules: RuleSet, name: str, vocabulary: Vocabulary, *, quiet_after_ms: int) -> None:
        """Raises KeyError where no rule of the set has the name."""
        self.rule = _rule_of(rules, name)
        alone = replace(
            rules,
            rules=tuple(it for it in rules.rules if it is self.rule),
            sequences=tuple(it for it in rules.sequences if it is self.rule),
            absences=tuple(it for it in rules.absences if it is self.rule),
        )
        engine = self._engine = Engine(alone, quiet_after_ms=quiet_after_ms)
        self.ongoing, self.firing_of = engine.ongoing, engine.firing_of
        self.hand_over, self.take_over, self.unselected = (
            engine.hand_over,
            engine.take_over,
            engine.unselected,
        )
        self._vocabulary = vocabulary
        self._judge: Judge | None = None
        self.moments: list[Moment] = []
        self.messages = 0
        self.vehicle: VehicleState | None = None
        """The vehicle that is watched: the last that was made or restored."""

    # -- the fold ------------------------------------------------------------------------------------------

    def new_vehicle(self, vehicle_id: str, registration: Registration = NOTHING) -> VehicleState:
        self.vehicle = self._engine.new_vehicle(vehicle_id, registration)
        return self.vehicle

    def process(self, vehicle: VehicleState, event: Event, live_clock: int, out: list[Any]) -> None:
        self.messages += 1
        self._noted(
            vehicle, "message", event, out, lambda new: self._engine.process(vehicle, event, live_clock, new)
        )

    def advance(self, vehicle: VehicleState, live_clock: int, received_clock: int, out: list[Any]) -> None:
        self._noted(
            vehicle,
            "silence",
            None,
            out,
            lambda new: self._engine.advance(vehicle, live_clock, received_clock, new),
        )

    def register(
        self,
        vehicle: VehicleState,
        registration: Registration,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        self._noted(
            vehicle,
            "registry",
            None,
            out,
            lambda new: self._engine.register(vehicle, registration, live_clock, received_clock, new),
        )

    def forget(self, vehicle: VehicleState, live_clock: int, received_clock: int, out: list[Any]) -> None:
        self._engine.forget(vehicle, live_clock, received_clock, out)

    def retire(
        self,
        vehicle: VehicleState,
        names: Collection[str],
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        self._engine.retire(vehicle, names, reason, live_clock, received_clock, out)

    def next_deadline(self, vehicle: VehicleState) -> int | None:
        return self._engine.next_deadline(vehicle)

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        return self._engine.deadline_of(parts)

    def snapshot(self, vehicle: VehicleState) -> dict[str, bytes]:
        return self._engine.snapshot(vehicle)

    def changed(self, vehicle: VehicleState) -> dict[str, bytes | None]:
        return self._engine.changed(vehicle)

    def restore(
        self, vehicle_id: str, parts: Mapping[str, bytes], registration: Registration = NOTHING
    ) -> VehicleState:
        self.vehicle = self._engine.restore(vehicle_id, parts, registration)
        return self.vehicle

    # -- what is seen --------------------------------------------------------------------------------------

    def state(self, vehicle: VehicleState) -> State:
        """How the rule stands for the vehicle."""
        rule = self.rule
        if not vehicle.program.enabled:
            return State("not for this vehicle")
        if isinstance(rule, Pattern):
            matching = vehicle.sequences.get(0)
            if matching is None or not matching.partials:
                return State(ended_at=None if matching is None else matching.rests_until)
            partials = tuple((it.started_at, it.station) for it in matching.partials)
            return State("pending", partials[0][0], partials=partials)
        if isinstance(rule, Absence):
            told = vehicle.absences.get(0)
            alert = None if told is None else told.alert
        else:
            alert = vehicle.alerts.get(0)
        return State() if alert is None else _of_alert(alert, rule)

    def judge(
        self, vehicle: VehicleState, at: int, signals: Mapping[str, object] | None = None
    ) -> tuple[Judgement, ...]:
        """The conditions of the rule at an instant; `signals` are those of a message that just came."""
        memory = vehicle.memory
        if self._judge is None:
            self._judge = Judge(self._vocabulary, _conditions(self.rule), memory.layout)
        slots = memory.layout.slots
        carried = frozenset(slots[name] for name in signals or () if name in slots)
        return self._judge.judge(Look(memory, vehicle.vehicle_id, at, carried))

    def last_heard(self, vehicle: VehicleState) -> int | None:
        """The vehicle's event time; None before its first message."""
        return None if vehicle.time == NEVER else vehicle.time

    def _noted(
        self, vehicle: VehicleState, cause: str, event: Event | None, out: list[Any], move: Any
    ) -> None:
        before = self.state(vehicle)
        new: list[Any] = []
        move(new)
        out += new
        after = self.state(vehicle)
        if replace(before, ended_at=None) == replace(after, ended_at=None) and not new:
            return
        instants = [it.ends_at or it.fired_at for it in new if hasattr(it, "fired_at")]
        at = event.ts if event is not None else max(instants, default=vehicle.time)
        known = vehicle.memory.layout.slots
        signals = {} if event is None else {key: it for key, it in event.signals.items() if key in known}
        judgements = self.judge(vehicle, at, signals)
        schedule = None if isinstance(self.rule, Absence) else self.rule.schedule
        is_open = schedule is None or schedule.is_open(at)
        self.moments.append(Moment(at, cause, signals, before, after, judgements, tuple(new), is_open))


def _rule_of(rules: RuleSet, name: str) -> Rule | Pattern | Absence:
    every: tuple[Rule | Pattern | Absence, ...] = (*rules.rules, *rules.sequences, *rules.absences)
    for rule in every:
        if rule.name == name:
            return rule
    raise KeyError(name)


def _of_alert(alert: Alert, rule: Any) -> State:
    if alert.phase is Phase.RESTING:
        return State(ended_at=alert.ended_at)
    firing = alert.phase is Phase.FIRING
    counts = getattr(rule, "count", None) is not None
    return State(
        "firing" if firing else "pending",
        alert.since,
        alert.fired_at if firing else None,
        rule.ladder[alert.rung].severity if firing else None,
        alert.clear_since,
        alert.unknown_since,
        counted=alert.seen if counts and not firing else None,
    )


def _conditions(rule: Rule | Pattern | Absence) -> dict[str, Compiled]:
    found: dict[str, Compiled] = {}
    if isinstance(rule, Pattern):
        return {f"step {name}": condition for name, condition in rule.steps}
    if isinstance(rule, Rule):
        found["when"] = rule.when
        if rule.clear_when is not None:
            found["clearWhen"] = rule.clear_when
    for rung in rule.ladder:
        if rung.condition is not None:
            found[f"severity {rung.severity}"] = rung.condition
    return found
