"""The folds of the stages over a trace, each vehicle by itself, with the ticks that an uplink would send.

A tick comes at every whole second of receivedAt, as from an uplink that was never away; seconds in which no
timer is due are not gone through one by one. So a vehicle's outcomes hang on its own messages and on where
the trace ends, and not on who shares a worker with it. At the end time stands still: timers due later do
not fire, and alerts that are firing then have no end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pipeline.backtest.groups import Sample, sample_of
from pipeline.backtest.messages import Message
from pipeline.stages.duplicates import Memory, mark
from pipeline.stages.outcomes import Outputs
from rules import Engine, RuleSet
from rules.engine import AggregationEngine, Fold, Geofences, GroupSample, Registration, RuleFailure
from rules.engine.registration import NOTHING

_TICK_MS = 1000


class Told(NamedTuple):
    """A record that would have been written. `at` is its Kafka timestamp, in milliseconds."""

    at: int
    vehicle_id: str
    number: int
    """Of the records that the vehicle's messages brought about, in their order."""
    topic: str
    value: bytes


class Failure(NamedTuple):
    """A rule that had no value for some event."""

    rule: str
    vehicle_id: str
    at: int
    error: str


class Folded(NamedTuple):
    """What came of the messages of some vehicles."""

    told: list[Told]
    failures: dict[str, tuple[int, Failure]]
    """By rule: how often, and the first."""
    messages: int
    duplicates: int
    vehicles: int
    first: int | None
    last: int | None
    """The least and the greatest receivedAt."""
    seen: frozenset[str]
    """The signals that came."""
    samples: list[Sample]
    """What the messages say for rules of groups."""


def folds_of(rules: RuleSet, quiet_after_ms: int) -> Mapping[str, Fold[Any]]:
    """By stage, what runs the rules of its kinds."""
    folds: dict[str, Fold[Any]] = {"alerts": Engine(rules, quiet_after_ms=quiet_after_ms)}
    if rules.aggregations:
        folds["aggregations"] = AggregationEngine(rules, quiet_after_ms=quiet_after_ms)
    if rules.fence_rules:
        folds["geofences"] = Geofences(rules, quiet_after_ms=quiet_after_ms)
    return folds


class _Vehicle:
    """One vehicle in all stages."""

    __slots__ = ("deadline", "deadlines", "memory", "states", "ticked", "told")

    def __init__(self, states: list[Any]) -> None:
        self.states = states
        self.memory = Memory()
        self.deadlines: list[int | None] = [None] * len(states)
        """Of each stage, when time alone may bring something about."""
        self.deadline: int | None = None
        """The first of them."""
        self.ticked = 0
        """The last tick before the last message, or after it that of an advance."""
        self.told = 0

    def settle(self) -> None:
        """The deadlines have moved."""
        self.deadline = min((it for it in self.deadlines if it is not None), default=None)


class Replay:
    """A rule set over the messages of some vehicles. What comes of them is appended to `told`."""

    def __init__(
        self, folds: Mapping[str, Fold[Any]], registrations: Mapping[str, Registration] | None = None
    ) -> None:
        self._folds = [(fold, Outputs(stage)) for stage, fold in folds.items()]
        self._registrations = registrations or {}
        self._vehicles: dict[str, _Vehicle] = {}
        self._outcomes: list[Any] = []
        self._told: list[Told] = []
        self._samples: list[Sample] = []
        self._failures: dict[str, tuple[int, Failure]] = {}
        self._duplicates = 0
        self._first: int | None = None
        self._seen: set[str] = set()
        self.messages = 0
        self.last: int | None = None
        """The greatest receivedAt."""

    def result(self) -> Folded:
        """What came of it so far, without the state of the vehicles."""
        return Folded(
            self._told,
            self._failures,
            self.messages,
            self._duplicates,
            len(self._vehicles),
            self._first,
            self.last,
            frozenset(self._seen),
            self._samples,
        )

    def hear(self, message: Message) -> None:
        """One message, in the order in which its vehicle's arrived."""
        vehicle_id, event, sequence, content = message
        vehicle = self._vehicles.get(vehicle_id) or self._new(vehicle_id)
        received_at = event.received_at
        if vehicle.memory.seen(mark(event.ts, sequence, content), received_at):
            self._duplicates += 1
            return
        self.messages += 1
        if self.last is None or received_at > self.last:
            self.last = received_at
        if self._first is None or received_at < self._first:
            self._first = received_at
        second = received_at - received_at % _TICK_MS
        if vehicle.deadline is not None and vehicle.deadline < second:
            self._advance(vehicle_id, vehicle, second)
        vehicle.ticked = second  # what a late message makes due is due now, not at a tick that has been
        self._seen.update(event.signals)
        states, deadlines = vehicle.states, vehicle.deadlines
        for place, (fold, outputs) in enumerate(self._folds):
            state = states[place]
            fold.process(state, event, second, self._outcomes)
            if self._outcomes:
                self._write(vehicle_id, vehicle, outputs, received_at)
            deadlines[place] = fold.next_deadline(state)
        if len(deadlines) == 1:
            vehicle.deadline = deadlines[0]
        else:
            vehicle.settle()

    def finish(self, end: int) -> None:
        """No more messages come; time goes on to the trace's last receivedAt."""
        second = end - end % _TICK_MS
        for vehicle_id, vehicle in self._vehicles.items():
            self._advance(vehicle_id, vehicle, second)

    def _new(self, vehicle_id: str) -> _Vehicle:
        said = self._registrations.get(vehicle_id, NOTHING)
        vehicle = _Vehicle([fold.new_vehicle(vehicle_id, said) for fold, _ in self._folds])
        self._vehicles[vehicle_id] = vehicle
        return vehicle

    def _advance(self, vehicle_id: str, vehicle: _Vehicle, until: int) -> None:
        """All ticks up to one, as far as something is due at them."""
        while vehicle.deadline is not None and vehicle.deadline < until:
            tick = max(vehicle.deadline - vehicle.deadline % _TICK_MS, vehicle.ticked) + _TICK_MS
            if tick > until:
                return
            vehicle.ticked = tick
            for place, (fold, outputs) in enumerate(self._folds):
                due = vehicle.deadlines[place]
                if due is None or due >= tick:
                    continue
                state = vehicle.states[place]
                fold.advance(state, tick, tick, self._outcomes)
                if self._outcomes:
                    self._write(vehicle_id, vehicle, outputs, tick)
                vehicle.deadlines[place] = fold.next_deadline(state)
            vehicle.settle()

    def _write(self, vehicle_id: str, vehicle: _Vehicle, outputs: Outputs, received: int) -> None:
        for outcome in self._outcomes:
            if isinstance(outcome, RuleFailure):
                number, first = self._failures.get(outcome.rule, (0, Failure(*_parts(outcome))))
                self._failures[outcome.rule] = (number + 1, first)
            if isinstance(outcome, GroupSample):
                self._samples.append(sample_of(outcome, len(self._samples)))
                continue
            output = outputs.output(outcome, received)
            if output is not None and output.value is not None:
                self._told.append(Told(received, vehicle_id, vehicle.told, output.topic, output.value))
                vehicle.told += 1
        self._outcomes.clear()


def _parts(failure: RuleFailure) -> Iterable[Any]:
    return failure.rule, failure.vehicle_id, failure.ts, failure.error
