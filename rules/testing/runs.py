"""A script is run: the folds hear it as a partition's stage would, ticks and silence included.

An uplink that is there ticks once a second, from the test's start to its end. So a timer without a message is
noticed as it would be in the cluster: when silence has lasted longer than `quietAfter`.
"""

from dataclasses import dataclass, field
from typing import Any

from rules.engine import (
    NOTHING,
    AggregationEngine,
    Engine,
    Event,
    Fold,
    Geofences,
    Registration,
    RuleSet,
    Standing,
)
from rules.engine.aggregation.alone import Groups
from rules.engine.memory import FOREVER
from rules.testing.entries import Message, Question, Registry, Restart, Script, Uplink

TICK_MS = 1_000
_LONGEST_GAP_MS = 5_000
"""As in the stages' clocks: after a longer one a second has passed, as far as anybody could hear."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Something that a rule brought about, and when this was known: milliseconds since the epoch."""

    at: int
    outcome: Any


@dataclass(slots=True)
class Ran:
    """What came of a script."""

    heard: list[Heard] = field(default_factory=list)
    standings: dict[int, Standing] = field(default_factory=dict)
    """The answers, by the index of their expectation."""


@dataclass(slots=True)
class _Vehicle:
    """A vehicle's state for each fold, and the parts that a changelog would hold."""

    states: list[Any]
    parts: list[dict[str, bytes]]
    known: Registration = NOTHING
    """Of the registry."""


def run(script: Script, rules: RuleSet, **options: Any) -> Ran:
    """Run a script; `options` are the engine's."""
    return _Stage(script, rules, options).run()


class _Stage:
    def __init__(self, script: Script, rules: RuleSet, options: dict[str, Any]) -> None:
        self._script = script
        quiet_after_ms = script.quiet_after_ms
        self._engine = Engine(rules, quiet_after_ms=quiet_after_ms, **options)
        self._folds: list[Fold[Any]] = [self._engine]
        if rules.fence_rules:
            self._folds.append(Geofences(rules, quiet_after_ms=quiet_after_ms))
        self._groups: Groups | None = None
        if rules.aggregations:
            aggregations = AggregationEngine(rules, quiet_after_ms=quiet_after_ms)
            self._folds.append(aggregations)
            if any(rule.groups is not None for rule in rules.aggregations):
                self._groups = Groups(aggregations, quiet_after_ms)
        self._vehicles: dict[str, _Vehicle] = {}
        self._ran = Ran()
        self._ticked = script.start
        """The last tick. The first one is at the start, before everything."""
        self._live = 0
        self._is_away = False
        self._waiting: list[Message] = []

    def run(self) -> Ran:
        self._pass_time(self._script.start)
        for entry in self._script.entries:
            self._tick_until(entry.received_at)
            match entry:
                case Message():
                    if self._is_away:
                        self._waiting.append(entry)
                    else:
                        self._hear(entry, entry.received_at)
                case Question():
                    vehicle = self._vehicle(entry.vehicle)
                    self._ran.standings[entry.index] = self._engine.standing(vehicle.states[0], entry.rule)
                case Registry():
                    self._register(entry)
                case Restart():
                    self._restart()
                case Uplink(is_back=True) if self._is_away:
                    self._is_away = False
                    self._tick(entry.received_at)
                    for message in self._waiting:
                        self._hear(message, entry.received_at)
                    self._waiting.clear()
                case Uplink(is_back=False):
                    self._is_away = True
        self._tick_until(self._script.end)
        return self._ran

    def _vehicle(self, name: str) -> _Vehicle:
        vehicle = self._vehicles.get(name)
        if vehicle is None:
            states = [fold.new_vehicle(name) for fold in self._folds]
            vehicle = self._vehicles[name] = _Vehicle(states, [{} for _ in states])
        return vehicle

    def _hear(self, message: Message, received_at: int) -> None:
        self._pass_time(received_at)
        vehicle = self._vehicle(message.vehicle)
        event = Event(message.at, received_at, message.signals, message.position)
        for fold, state in zip(self._folds, vehicle.states, strict=True):
            out: list[Any] = []
            fold.process(state, event, self._live, out)
            self._note(out, received_at)

    def _register(self, entry: Registry) -> None:
        vehicle = self._vehicle(entry.vehicle)
        vehicle.known = NOTHING if entry.known is None else entry.known
        for fold, state in zip(self._folds, vehicle.states, strict=True):
            out: list[Any] = []
            if entry.known is None:
                fold.forget(state, self._live, entry.received_at, out)
            else:
                fold.register(state, entry.known, self._live, entry.received_at, out)
            self._note(out, entry.received_at)

    def _tick_until(self, instant: int) -> None:
        """Tick up to an instant; seconds in which nothing can happen pass at once."""
        while not self._is_away and self._ticked + TICK_MS <= instant:
            deadline = self._deadline()
            wanted = (instant - self._ticked) // TICK_MS
            if deadline < FOREVER:
                wanted = min(wanted, max(deadline - self._live, 0) // TICK_MS + 1)
            if self._groups is not None:
                wanted = min(wanted, max(-(-(self._groups.next_due - self._ticked) // TICK_MS), 1))
            self._ticked += (wanted - 1) * TICK_MS
            self._live += (wanted - 1) * TICK_MS
            self._tick(self._ticked + TICK_MS)

    def _deadline(self) -> int:
        """The live clock that must be passed before anything can happen."""
        deadlines = [
            fold.next_deadline(state)
            for vehicle in self._vehicles.values()
            for fold, state in zip(self._folds, vehicle.states, strict=True)
        ]
        return min((deadline for deadline in deadlines if deadline is not None), default=FOREVER)

    def _tick(self, at: int) -> None:
        passed = at - self._ticked
        self._live += passed if passed <= _LONGEST_GAP_MS else TICK_MS
        self._ticked = at
        self._pass_time(at)
        for name in sorted(self._vehicles):
            for fold, state in zip(self._folds, self._vehicles[name].states, strict=True):
                deadline = fold.next_deadline(state)
                if deadline is not None and deadline < self._live:
                    out: list[Any] = []
                    fold.advance(state, self._live, at, out)
                    self._note(out, at)

    def _pass_time(self, received_at: int) -> None:
        """The partition's own clock goes on, by which groups are told of."""
        if self._groups is not None:
            self._note(self._groups.pass_time(received_at), received_at)

    def _note(self, out: list[Any], at: int) -> None:
        told = out if self._groups is None else self._groups.without_samples(out)
        self._ran.heard += (Heard(at, outcome) for outcome in told)

    def _restart(self) -> None:
        """As a take-over does: what `changed` told since the last one is laid over what it told before."""
        if self._groups is not None:
            self._groups.restart()
        for name, vehicle in self._vehicles.items():
            for place, fold in enumerate(self._folds):
                parts = vehicle.parts[place]
                for part, packed in fold.changed(vehicle.states[place]).items():
                    if packed is None:
                        parts.pop(part, None)
                    else:
                        parts[part] = packed
                vehicle.states[place] = fold.restore(name, parts, vehicle.known)
