"""A candidate beside the stable revision, as one fold: for its share of the vehicles it acts.

The stable follows there: it sees the same events, what it would have done is recorded as a shadow, and its
state stays warm for the way back. For all other vehicles there is the stable alone.

The state of the stable has the names of parts that it would have alone; those of the candidate stand behind
a prefix of their own.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from rules.engine.aggregation.sources import GroupSample
from rules.engine.comparing import Comparison, Figures
from rules.engine.events import Event
from rules.engine.fence_outcomes import FencePublish, FenceRecord
from rules.engine.fold import Fold, Ongoing
from rules.engine.outcomes import AlertRecord, CommandRecord, PublishRecord, RuleFailure
from rules.engine.registration import NOTHING, Registration
from rules.engine.rollouts import Rollout
from rules.engine.shadows import Shadowed, rule_of

S = TypeVar("S")
CANDIDATE = "candidate/"
"""Before the names of the candidate's parts."""
STABLE = "stable"
"""The track of what the stable revision would have done."""


@dataclass(slots=True)
class Pair(Generic[S]):
    """The state of one vehicle under both revisions."""

    vehicle_id: str
    stable: S
    candidate: S | None = None
    """Of the vehicles that the candidate has: it acts for them."""


@dataclass(slots=True)
class Tracks(Generic[S]):
    """Both folds, and who acts for whom. `clock` tells nanoseconds, for the comparison of what they cost."""

    stable: Fold[S]
    candidate: Fold[S]
    rollout: Rollout
    clock: Callable[[], int] = field(default=lambda: 0)
    comparison: Comparison = field(default_factory=Comparison)

    def new_vehicle(self, vehicle_id: str, registration: Registration = NOTHING) -> Pair[S]:
        candidate = None
        if self.rollout.takes(vehicle_id):
            candidate = self.candidate.new_vehicle(vehicle_id, registration)
        return Pair(vehicle_id, self.stable.new_vehicle(vehicle_id, registration), candidate)

    def process(self, vehicle: Pair[S], event: Event, live_clock: int, out: list[Any]) -> None:
        if vehicle.candidate is None:
            self.stable.process(vehicle.stable, event, live_clock, out)
            return
        acting: list[Any] = []
        following: list[Any] = []
        began = self.clock()
        self.candidate.process(vehicle.candidate, event, live_clock, acting)
        between = self.clock()
        self.stable.process(vehicle.stable, event, live_clock, following)
        ours, theirs = self.comparison.candidate, self.comparison.stable
        ours.events += 1
        theirs.events += 1
        ours.cost_ns += between - began
        theirs.cost_ns += self.clock() - between
        if acting or following:
            self._tell(acting, following, out)

    def advance(self, vehicle: Pair[S], live_clock: int, received_clock: int, out: list[Any]) -> None:
        for fold, state, told in self._each(vehicle, out):
            fold.advance(state, live_clock, received_clock, told)

    def register(
        self,
        vehicle: Pair[S],
        registration: Registration,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        for fold, state, told in self._each(vehicle, out):
            fold.register(state, registration, live_clock, received_clock, told)

    def forget(self, vehicle: Pair[S], live_clock: int, received_clock: int, out: list[Any]) -> None:
        for fold, state, told in self._each(vehicle, out):
            fold.forget(state, live_clock, received_clock, told)

    def retire(
        self,
        vehicle: Pair[S],
        names: Collection[str],
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        for fold, state, told in self._each(vehicle, out):
            fold.retire(state, names, reason, live_clock, received_clock, told)

    def unselected(self, vehicle: Pair[S], parts: Mapping[str, bytes], /) -> frozenset[str]:
        fold, state = self._acting(vehicle)
        return fold.unselected(state, parts)

    def ongoing(self, vehicle: Pair[S]) -> Ongoing:
        """What is open of whoever acts."""
        fold, state = self._acting(vehicle)
        return fold.ongoing(state)

    def hand_over(
        self,
        vehicle: Pair[S],
        others: Ongoing,
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        fold, state = self._acting(vehicle)
        fold.hand_over(state, others, reason, live_clock, received_clock, out)

    def take_over(
        self,
        vehicle: Pair[S],
        others: Ongoing,
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        fold, state = self._acting(vehicle)
        fold.take_over(state, others, reason, live_clock, received_clock, out)

    def firing_of(self, parts: Mapping[str, bytes]) -> list[str]:
        """The rules of whoever acts whose alert fires."""
        stable, candidate = split(parts)
        return self.stable.firing_of(stable) if candidate is None else self.candidate.firing_of(candidate)

    def next_deadline(self, vehicle: Pair[S]) -> int | None:
        deadline = self.stable.next_deadline(vehicle.stable)
        if vehicle.candidate is None:
            return deadline
        return _sooner(deadline, self.candidate.next_deadline(vehicle.candidate))

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        stable, candidate = split(parts)
        deadline = self.stable.deadline_of(stable)
        return deadline if candidate is None else _sooner(deadline, self.candidate.deadline_of(candidate))

    def snapshot(self, vehicle: Pair[S]) -> dict[str, bytes]:
        parts = self.stable.snapshot(vehicle.stable)
        if vehicle.candidate is not None:
            parts.update(prefixed(self.candidate.snapshot(vehicle.candidate)))
        return parts

    def changed(self, vehicle: Pair[S]) -> dict[str, bytes | None]:
        parts = self.stable.changed(vehicle.stable)
        if vehicle.candidate is not None:
            parts.update(prefixed(self.candidate.changed(vehicle.candidate)))
        return parts

    def restore(
        self, vehicle_id: str, parts: Mapping[str, bytes], registration: Registration = NOTHING
    ) -> Pair[S]:
        stable, candidate = split(parts)
        pair = Pair(vehicle_id, self.stable.restore(vehicle_id, stable, registration))
        if self.rollout.takes(vehicle_id):
            pair.candidate = self.candidate.restore(vehicle_id, candidate or {}, registration)
        return pair

    def _acting(self, vehicle: Pair[S]) -> tuple[Fold[S], S]:
        if vehicle.candidate is None:
            return self.stable, vehicle.stable
        return self.candidate, vehicle.candidate

    def _each(self, vehicle: Pair[S], out: list[Any]) -> Iterator[tuple[Fold[S], S, list[Any]]]:
        """Each fold, its state, and the list for what it tells; written when both have told."""
        if vehicle.candidate is None:
            yield self.stable, vehicle.stable, out
            return
        acting: list[Any] = []
        following: list[Any] = []
        yield self.candidate, vehicle.candidate, acting
        yield self.stable, vehicle.stable, following
        self._tell(acting, following, out)

    def _tell(self, acting: list[Any], following: list[Any], out: list[Any]) -> None:
        """Groups are of many vehicles, so they stay with the stable revision until the candidate has all."""
        _count(self.comparison.candidate, acting)
        _count(self.comparison.stable, following)
        out += [outcome for outcome in acting if not isinstance(outcome, GroupSample)]
        for outcome in following:
            if isinstance(outcome, GroupSample):
                out.append(outcome)
            elif isinstance(outcome, Shadowed):
                out.append(Shadowed(outcome.outcome, STABLE))
            elif not isinstance(outcome, RuleFailure):
                out.append(Shadowed(outcome, STABLE))


def split(parts: Mapping[str, bytes]) -> tuple[dict[str, bytes], dict[str, bytes] | None]:
    """The parts of the stable, and those of the candidate by their own names; None if it has none."""
    stable = {name: packed for name, packed in parts.items() if not name.startswith(CANDIDATE)}
    if len(stable) == len(parts):
        return stable, None
    first = len(CANDIDATE)
    return stable, {name[first:]: packed for name, packed in parts.items() if name.startswith(CANDIDATE)}


P = TypeVar("P")


def prefixed(parts: Mapping[str, P]) -> dict[str, P]:
    """Parts as the candidate's."""
    return {CANDIDATE + name: packed for name, packed in parts.items()}


def switch(
    leaving: tuple[Fold[S], S],
    taking: tuple[Fold[S], S],
    reason: str,
    moment: tuple[int, int, int],
    out: list[Any],
) -> None:
    """Another fold acts for a vehicle from now on: by the clocks, live and received, and at a revision.

    What fires under both goes on without a word. Where a rule fires under both as another alert, the one
    ends, the other begins, and neither acts: what is to be done about that rule has been done.
    """
    (old, left), (new, taken), (live, received, revision) = leaving, taking, moment
    old.advance(left, live, received, out)
    unheard: list[Any] = []
    new.advance(taken, live, received, unheard)
    before, after = (
        replace(old.ongoing(left), revision=revision),
        replace(new.ongoing(taken), revision=revision),
    )
    told: list[Any] = []
    old.hand_over(left, after, reason, live, received, told)
    new.take_over(taken, before, reason, live, received, told)
    settled = {it.rule for it in before.open.values()} & {it.rule for it in after.open.values()}
    acts = (CommandRecord, PublishRecord, FencePublish)
    out += [it for it in told if not (isinstance(it, acts) and rule_of(it) in settled)]


def _count(figures: Figures, outcomes: list[Any]) -> None:
    for outcome in outcomes:
        match outcome.outcome if isinstance(outcome, Shadowed) else outcome:
            case AlertRecord(state="firing") | FenceRecord():
                figures.fired += 1
            case RuleFailure():
                figures.errors += 1


def _sooner(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
