"""The partial matches of one sequence for one vehicle: what a message or a timer makes of them.

Time is an argument, and so is the truth of each step's condition. The words and meanings are Flink's (its
CEP library): contiguity, `times`, `within`, skip strategies. Two differ, because an alert is not to wait: a
match is told with the message that completes it, where Flink holds it back as long as an earlier partial
match could still complete; and a match that time completes ends when it does, so that `pastLastEvent` drops
what began meanwhile.

Partial matches stand in the order in which they began, those of one beginning with the most eager first (one
that takes a message before one that passes it over, one that repeats a step before one that goes on): of
several that one message completes the first of them is told first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

MOST_PARTIALS = 64
"""The oldest is dropped for one more: hostile data cannot make a vehicle's state grow."""

Holds = Callable[[int], bool]
"""Whether the condition of a step, by its place, is known to be true now."""


class Contiguity(Enum):
    """What may lie between two messages of a match."""

    STRICT = "strict"
    """Nothing."""
    RELAXED = "relaxed"
    """Messages that do not fit; the first that fits is taken."""
    RELAXED_ANY = "relaxedAny"
    """Any; a message that fits is taken, and passed over as well."""


class Skip(Enum):
    """Which other partial matches a match drops: those that began ..."""

    PAST_LAST_EVENT = "pastLastEvent"
    """... before it ended."""
    NO_SKIP = "noSkip"
    """None."""
    TO_NEXT = "toNext"
    """... with the same message."""
    TO_FIRST = "toFirst"
    """... before its first message of a step."""
    TO_LAST = "toLast"
    """... before its last message of a step."""


@dataclass(frozen=True, slots=True)
class Station:
    """What a partial match waits for: messages of a step, or that something stays away for a time."""

    step: int
    least: int = 1
    most: int = 1
    within_ms: int | None = None
    """From the step before; for the first step, from its own first message."""
    away_ms: int | None = None
    """Not for messages: the step's condition must not hold for so long."""
    guards: tuple[int, ...] = ()
    """The steps whose condition ends the partial match while it waits for its first message here."""
    guards_on_arrival: tuple[int, ...] = ()
    """Those of them that are judged at once, too; others hold for single messages, the later ones."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A sequence. Durations in milliseconds."""

    stations: tuple[Station, ...]
    within_ms: int
    contiguity: Contiguity = Contiguity.RELAXED
    skip: Skip = Skip.PAST_LAST_EVENT
    skip_step: int = -1
    cooldown_ms: int = 0
    tells_timeouts: bool = False


class Mark(NamedTuple):
    """The first and the last message of a step: their numbers and instants."""

    step: int
    first: int
    first_at: int
    last: int
    last_at: int


class Partial(NamedTuple):
    """A match so far."""

    station: int
    taken: int
    """Messages of this station."""
    start: int
    """The number of its first message."""
    started_at: int
    entered_at: int
    marks: tuple[Mark, ...]


class Ending(NamedTuple):
    """A match, or a partial match that ran out of time. `ordinal` tells apart those of one instant."""

    is_match: bool
    started_at: int
    at: int
    ordinal: int
    marks: tuple[Mark, ...]


@dataclass(slots=True)
class Matching:
    """The state of one sequence for one vehicle."""

    partials: list[Partial] = field(default_factory=list)
    messages: int = 0
    """The number of the last message."""
    matched: set[int] = field(default_factory=set)
    """The beginnings of partial matches of which another one has matched: they do not time out."""
    told_at: int | None = None
    """The instant of the last ending: none is dated before."""
    told: int = 0
    rests_until: int | None = None
    """Nothing begins before."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remember."""
        return not self.partials and self.told_at is None and self.rests_until is None


def observe(plan: Plan, matching: Matching, at: int, holds: Holds) -> tuple[list[Ending], int, bool]:
    """Apply a message. What ended, how many partial matches were dropped for room, and whether one began.

    Timers that were due before the instant have fired.
    """
    if not matching.partials:
        matching.messages = 0
    if matching.told_at is not None and matching.told_at < at:
        matching.told_at, matching.told = None, 0
    if matching.rests_until is not None and matching.rests_until <= at:
        matching.rests_until = None
    matching.messages += 1
    grown: list[Partial] = []
    whole: list[Partial] = []
    for partial in matching.partials:
        if at >= _over(plan, partial):
            if plan.tells_timeouts:
                grown.append(partial)  # its timer comes after the messages of this instant
            continue
        _grow(plan, partial, matching.messages, at, holds, grown, whole)
    begins = matching.rests_until is None and holds(plan.stations[0].step)
    if begins:
        number = matching.messages
        _take(plan, Partial(0, 0, number, at, at, ()), number, at, holds, grown, whole)
    matching.partials = grown
    endings = _tell(plan, matching, whole, [], at)
    dropped = max(0, len(matching.partials) - MOST_PARTIALS)
    del matching.partials[:dropped]
    _tidy(plan, matching)
    return endings, dropped, begins


def fire(plan: Plan, matching: Matching, at: int, holds: Holds) -> list[Ending]:
    """Let time reach an instant at which something is due."""
    grown: list[Partial] = []
    whole: list[Partial] = []
    late: list[Partial] = []
    for partial in matching.partials:
        over = _over(plan, partial)
        passed = _passed(plan, partial)
        if passed is not None and passed <= at and passed < over:
            _enter(plan, partial, passed, holds, grown, whole)
        elif over <= at and plan.tells_timeouts:
            late.append(partial)
        else:
            grown.append(partial)  # out of time for a message of this instant, not for an earlier one to come
    matching.partials = grown
    endings = _tell(plan, matching, whole, late, at)
    if plan.tells_timeouts:
        going_on = {partial.start for partial in matching.partials} | matching.matched
        for start in dict.fromkeys(partial.start for partial in late):
            if start in going_on:
                continue
            if matching.rests_until is not None:
                break
            first = next(each for each in late if each.start == start)
            endings.append(_ending(matching, first, at, is_match=False))
            _rest(plan, matching, at)
    _tidy(plan, matching)
    return endings


def close(plan: Plan, matching: Matching, since: int, due_at: int | None = None) -> None:
    """Drop the partial matches that began before the sequence's schedule last opened or closed.

    Where time alone has come to an instant (`due_at`) only those for which something is due: messages from
    before the others closed may still come.
    """
    kept = []
    for partial in matching.partials:
        due = None if due_at is None else _due(plan, partial)
        if partial.started_at >= since or (due_at is not None and (due is None or due > due_at)):
            kept.append(partial)
    if len(kept) < len(matching.partials):
        matching.partials = kept
        _tidy(plan, matching)


def due(plan: Plan, matching: Matching) -> int | None:
    """The first instant at which time alone brings something about that is told or goes on."""
    return min((at for it in matching.partials if (at := _due(plan, it)) is not None), default=None)


def _due(plan: Plan, partial: Partial) -> int | None:
    over = _over(plan, partial)
    passed = _passed(plan, partial)
    if passed is not None and passed < over:
        return passed
    return over if plan.tells_timeouts else None


def _over(plan: Plan, partial: Partial) -> int:
    """The instant at which a partial match is out of time: a message then is too late already."""
    over = partial.started_at + plan.within_ms
    within = plan.stations[partial.station].within_ms
    return over if within is None else min(over, partial.entered_at + within)


def _passed(plan: Plan, partial: Partial) -> int | None:
    """The instant at which something has stayed away for long enough."""
    away = plan.stations[partial.station].away_ms
    return None if away is None else partial.entered_at + away


def _grow(
    plan: Plan,
    partial: Partial,
    number: int,
    at: int,
    holds: Holds,
    grown: list[Partial],
    whole: list[Partial],
) -> None:
    """What a message makes of one partial match: none, one or more."""
    station = plan.stations[partial.station]
    if partial.taken == 0 and any(holds(step) for step in station.guards):
        return
    if station.away_ms is not None:
        grown.append(partial)
        return
    if holds(station.step):
        _take(plan, partial, number, at, holds, grown, whole)
        if plan.contiguity is not Contiguity.RELAXED_ANY:
            return
    elif plan.contiguity is Contiguity.STRICT:
        return
    grown.append(partial)


def _take(
    plan: Plan,
    partial: Partial,
    number: int,
    at: int,
    holds: Holds,
    grown: list[Partial],
    whole: list[Partial],
) -> None:
    """The message belongs to the match: the step goes on, or the next one comes, or (`times`) either."""
    station = plan.stations[partial.station]
    taken = partial.taken + 1
    if partial.taken == 0:
        marks = (*partial.marks, Mark(station.step, number, at, number, at))
    else:
        last = partial.marks[-1]
        marks = (*partial.marks[:-1], last._replace(last=number, last_at=at))
    longer = partial._replace(taken=taken, marks=marks)
    if taken < station.most:
        grown.append(longer)
    if taken >= station.least:
        _enter(plan, longer, at, holds, grown, whole)


def _enter(
    plan: Plan, partial: Partial, at: int, holds: Holds, grown: list[Partial], whole: list[Partial]
) -> None:
    """The match is done with its station."""
    after = partial.station + 1
    if after == len(plan.stations):
        whole.append(partial)
    elif not any(holds(step) for step in plan.stations[after].guards_on_arrival):
        grown.append(partial._replace(station=after, taken=0, entered_at=at))


def _tell(plan: Plan, matching: Matching, whole: list[Partial], late: list[Partial], at: int) -> list[Ending]:
    """The matches that count; of all others only what they leave remains."""
    endings: list[Ending] = []
    while whole:
        match = whole.pop(0)
        endings.append(_ending(matching, match, at, is_match=True))
        matching.matched.add(match.start)
        if plan.cooldown_ms:
            _rest(plan, matching, at)
            break
        for others in (whole, matching.partials, late):
            others[:] = [other for other in others if _stays(plan, other, match)]
    return endings


def _stays(plan: Plan, other: Partial, match: Partial) -> bool:
    """Whether a match leaves another one alone."""
    if plan.skip is Skip.NO_SKIP or plan.skip is Skip.PAST_LAST_EVENT:
        return plan.skip is Skip.NO_SKIP
    if plan.skip is Skip.TO_NEXT:
        return other.start != match.start
    mark = next(mark for mark in match.marks if mark.step == plan.skip_step)
    return other.start >= (mark.first if plan.skip is Skip.TO_FIRST else mark.last)


def _rest(plan: Plan, matching: Matching, at: int) -> None:
    if plan.cooldown_ms:
        matching.partials.clear()
        matching.rests_until = at + plan.cooldown_ms


def _ending(matching: Matching, partial: Partial, at: int, *, is_match: bool) -> Ending:
    if matching.told_at is None or at > matching.told_at:
        matching.told_at, matching.told = at, 0
    ending = Ending(is_match, partial.started_at, matching.told_at, matching.told, partial.marks)
    matching.told += 1
    return ending


def _tidy(plan: Plan, matching: Matching) -> None:
    if plan.tells_timeouts and matching.partials:
        matching.matched &= {partial.start for partial in matching.partials}
    else:
        matching.matched.clear()
