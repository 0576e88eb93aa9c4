"""What is recorded and acts on nothing: of rules in shadow mode, and of a revision that follows another.

A fold goes on as it does; only what it tells is wrapped. So a rule in shadow mode is evaluated by the same
code, at the same cost, as one that acts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rules.engine.aggregation.records import AggregateRecord, LateRecord
from rules.engine.events import Event
from rules.engine.fence_outcomes import FencePublish, FenceRecord
from rules.engine.fold import Fold, Ongoing
from rules.engine.outcomes import AlertRecord, CommandRecord, PublishRecord
from rules.engine.registration import Registration

S = TypeVar("S")
SHADOW = "shadow"
"""The track of rules in shadow mode."""


@dataclass(frozen=True, slots=True)
class Shadowed:
    """An outcome that goes nowhere but on record."""

    outcome: Any
    """AlertRecord, CommandRecord, PublishRecord, AggregateRecord, LateRecord, FenceRecord or FencePublish."""
    track: str
    """`shadow`, or `stable` for what a revision would have done that follows a candidate."""

    @property
    def rule(self) -> str:
        """Whose it is."""
        return rule_of(self.outcome) or ""

    @property
    def revision(self) -> int:
        """The revision that it is of."""
        match self.outcome:
            case PublishRecord(alert=told) | FencePublish(record=told):
                return told.revision
        revision: int = self.outcome.revision
        return revision


def rule_of(outcome: Any) -> str | None:
    """The rule that an outcome is told of; None for what is told of none."""
    match outcome:
        case Shadowed():
            return outcome.rule
        case AlertRecord() | CommandRecord() | AggregateRecord() | LateRecord() | FenceRecord():
            return outcome.rule
        case PublishRecord():
            return outcome.alert.rule
        case FencePublish():
            return outcome.record.rule
    return None


def shadow(outcomes: list[Any], first: int, names: Collection[str]) -> None:
    """Wrap those of `outcomes`, from the first on, that are of the rules of these names."""
    for place in range(first, len(outcomes)):
        if rule_of(outcomes[place]) in names:
            outcomes[place] = Shadowed(outcomes[place], SHADOW)


class Shadowing(Generic[S]):
    """A fold of which some rules are in shadow mode."""

    def __init__(self, fold: Fold[S], names: Collection[str]) -> None:
        self._fold = fold
        self._names = frozenset(names)
        self.new_vehicle, self.ongoing, self.unselected = fold.new_vehicle, fold.ongoing, fold.unselected
        self.next_deadline, self.deadline_of = fold.next_deadline, fold.deadline_of
        self.snapshot, self.changed, self.restore = fold.snapshot, fold.changed, fold.restore

    def process(self, vehicle: S, event: Event, live_clock: int, out: list[Any]) -> None:
        first = len(out)
        self._fold.process(vehicle, event, live_clock, out)
        if len(out) > first:
            shadow(out, first, self._names)

    def advance(self, vehicle: S, live_clock: int, received_clock: int, out: list[Any]) -> None:
        first = len(out)
        self._fold.advance(vehicle, live_clock, received_clock, out)
        shadow(out, first, self._names)

    def register(
        self, vehicle: S, registration: Registration, live_clock: int, received_clock: int, out: list[Any]
    ) -> None:
        first = len(out)
        self._fold.register(vehicle, registration, live_clock, received_clock, out)
        shadow(out, first, self._names)

    def forget(self, vehicle: S, live_clock: int, received_clock: int, out: list[Any]) -> None:
        first = len(out)
        self._fold.forget(vehicle, live_clock, received_clock, out)
        shadow(out, first, self._names)

    def retire(
        self,
        vehicle: S,
        names: Collection[str],
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        first = len(out)
        self._fold.retire(vehicle, names, reason, live_clock, received_clock, out)
        shadow(out, first, self._names)

    def hand_over(
        self, vehicle: S, others: Ongoing, reason: str, live_clock: int, received_clock: int, out: list[Any]
    ) -> None:
        first = len(out)
        self._fold.hand_over(vehicle, others, reason, live_clock, received_clock, out)
        shadow(out, first, self._names)

    def take_over(
        self, vehicle: S, others: Ongoing, reason: str, live_clock: int, received_clock: int, out: list[Any]
    ) -> None:
        first = len(out)
        self._fold.take_over(vehicle, others, reason, live_clock, received_clock, out)
        shadow(out, first, self._names)

    def firing_of(self, parts: Mapping[str, bytes], /) -> list[str]:
        """The rules that act whose alert fires."""
        return [name for name in self._fold.firing_of(parts) if name not in self._names]
