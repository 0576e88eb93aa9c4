"""The way of one vehicle's state from one revision of the rules to another.

What a deleted rule left open ends under the rules that it was of; everything else goes on. Where a candidate
runs beside a stable revision there are two states, and it is decided here which becomes which:

    before      after       the state of the stable      the state of the candidate
    plain       plain       its own                      -
    plain       candidate   its own                      a copy of the stable's
    candidate   candidate   its own                      its own; a copy, for a vehicle that it takes in
    candidate   promoted    the candidate's, if any      -
    candidate   rolled back its own                      -

Whoever acts afterwards and did not before takes over from whoever did (rules.engine.tracks.switch).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from pipeline.stages.versions import Version, names_gone
from rules.engine import Registration
from rules.engine.fold import Ongoing
from rules.engine.shadows import Shadowed
from rules.engine.tracks import STABLE, Pair, prefixed, split, switch

S = TypeVar("S")


class Moment(NamedTuple):
    """When vehicles go over: by the partition's clocks, in milliseconds, and to which revision."""

    live: int
    received: int
    revision: int


@dataclass(slots=True)
class Moved(Generic[S]):
    """A vehicle as it is afterwards."""

    state: Any
    parts: dict[str, bytes]
    """The whole state in parts, as `state` would pack it."""
    changed: dict[str, bytes | None] = field(default_factory=dict)
    """What of it is not as it was before."""
    is_marked: bool = False
    """Whether it is to be remembered which revision the state is of: another form than before."""


class Passage(Generic[S]):
    """From one version to another."""

    def __init__(self, before: Version[S], after: Version[S]) -> None:
        self.before, self.after = before, after
        self._found: dict[tuple[int, int], frozenset[str]] = {}
        self.has_won = before.stable is not None and before.revision in after.winners
        """The candidate of before has become what all vehicles run."""
        is_same = after.stable is not None and after.stable.revision == before.base.revision
        self._candidate_goes_on = self.has_won or (before.stable is not None and is_same)
        self.reason = "promoted" if before.stable is None or self.has_won else "rolledBack"

    def move(
        self,
        vehicle_id: str,
        state: Any | None,
        parts: Mapping[str, bytes],
        known: Registration,
        moment: Moment,
        out: list[Any],
    ) -> Moved[S]:
        """Bring a vehicle over: its state, or its parts if it is packed."""
        if state is not None:
            parts = self.before.fold.snapshot(state)
        old, candidate = split(parts)
        taken = self.after.tracks is not None and self.after.tracks.rollout.takes(vehicle_id)
        if candidate is None and not taken:
            base = _Track(self.before.base, old, state.stable if isinstance(state, Pair) else state)
            moved = self._bring(vehicle_id, base, self.after.base, known, moment, out)
            if self.after.tracks is None:
                return moved
            return Moved(Pair(vehicle_id, moved.state), moved.parts, moved.changed)
        return self._move_tracks(vehicle_id, (old, candidate), known, moment, out)

    def _move_tracks(
        self,
        vehicle_id: str,
        parts: tuple[dict[str, bytes], dict[str, bytes] | None],
        known: Registration,
        moment: Moment,
        out: list[Any],
    ) -> Moved[S]:
        """A vehicle that has a candidate's state, or is to have one."""
        before, after = self.before, self.after
        stable = _Track(before.base, parts[0])
        theirs = None if parts[1] is None else _Track(before, parts[1])
        acting = theirs or stable
        takes = after.tracks is not None and after.tracks.rollout.takes(vehicle_id)
        base = theirs if theirs is not None and self.has_won else stable
        heir = base
        if takes:
            heir = theirs if theirs is not None and self._candidate_goes_on else stable
        aside: list[Any] = []
        told = out if heir is acting else aside
        moved = self._bring(vehicle_id, base, after.base, known, moment, aside if takes else told)
        state: Any = moved.state
        version, acts = after.base, moved.state
        if takes:
            version, acts = after, self._bring(vehicle_id, heir, after, known, moment, told).state
        if heir is not acting:
            left = acting.version.alone.restore(vehicle_id, acting.parts, known)
            switch((acting.version.alone, left), (version.alone, acts), self.reason, moment, out)
        if self.has_won and theirs is not None:
            self._end_shadow(vehicle_id, stable, version.alone.ongoing(acts), known, moment, out)
        if after.tracks is not None:
            state = Pair(vehicle_id, moved.state, acts if takes else None)
        after.fold.changed(state)  # what has changed is found by comparison
        now = after.fold.snapshot(state)
        was = {**parts[0], **prefixed(parts[1] or {})}
        changed: dict[str, bytes | None] = dict.fromkeys(was.keys() - now.keys())
        changed.update({part: packed for part, packed in now.items() if was.get(part) != packed})
        return Moved(state, now, changed, is_marked=True)

    def _end_shadow(
        self,
        vehicle_id: str,
        loser: _Track[S],
        winner: Ongoing,
        known: Registration,
        moment: Moment,
        out: list[Any],
    ) -> None:
        """What followed in the shadow of a candidate that won ends there, unless the winner has it too."""
        fold = loser.version.alone
        state = fold.restore(vehicle_id, loser.parts, known)
        told: list[Any] = []
        fold.hand_over(state, winner, "promoted", moment.live, moment.received, told)
        out += [it if isinstance(it, Shadowed) else Shadowed(it, STABLE) for it in told]

    def _bring(
        self,
        vehicle_id: str,
        track: _Track[S],
        to: Version[S],
        known: Registration,
        moment: Moment,
        out: list[Any],
    ) -> Moved[S]:
        """One state under one set of rules to another: what is gone ends."""
        gone = self._gone(track.version, to)
        fold, parts, state = track.version.alone, dict(track.parts), track.state
        changed: dict[str, bytes | None] = {}

        def end(names: Collection[str], reason: str) -> None:
            nonlocal state
            if state is None:
                state = fold.restore(vehicle_id, parts, known)
            fold.retire(state, names, reason, moment.live, moment.received, out)
            for part, packed in fold.changed(state).items():
                changed[part] = packed
                parts.pop(part, None)
            parts.update(fold.snapshot(state))

        if gone and any(_named(part) in gone for part in parts):
            end(gone, "deleted")
        moved = to.alone.restore(vehicle_id, parts, known)
        if to is not track.version and (others := to.alone.unselected(moved, parts)):
            end(others, "deselected")
            moved = to.alone.restore(vehicle_id, parts, known)
        return Moved(moved, parts, changed)

    def _gone(self, before: Version[S], after: Version[S]) -> frozenset[str]:
        """What is gone between two of the versions at hand."""
        way = (before.revision, after.revision)
        if way not in self._found:
            self._found[way] = names_gone(before, after)
        return self._found[way]


def _named(part: str) -> str:
    """The rule that a part of a state is of: kind/NAME, or kind/NAME/more; empty for what is of none."""
    _, _, name = part.partition("/")
    return name.partition("/")[0]


@dataclass(frozen=True, slots=True)
class _Track(Generic[S]):
    """A state and the version that it is of."""

    version: Version[S]
    parts: dict[str, bytes]
    state: S | None = None
