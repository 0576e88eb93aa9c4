"""The life of one vehicle's visit to one fence: entering, inside, exiting. Outside there is none.

Time is an argument, and so is where a fix lies. A vehicle is believed to have come or gone when a fix at or
after the time of `enterAfter` or `exitAfter` agrees, or when no fix has come for so long that the last one
must stand: until then it may turn round without a word.
"""

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import NamedTuple, Protocol


class Phase(IntEnum):
    """Outside is no phase: nothing is kept of it."""

    ENTERING = 1
    INSIDE = 2
    EXITING = 3


class Lies(Enum):
    """Where a fix is, seen from a fence."""

    WITHIN = "within"
    NEAR = "near"
    """Outside, but not farther than the exit buffer."""
    BEYOND = "beyond"


class Times(Protocol):
    """What the life of a visit needs to know of its rule, in milliseconds."""

    @property
    def enter_after_ms(self) -> int: ...
    @property
    def exit_after_ms(self) -> int: ...
    @property
    def dwell_ms(self) -> int | None: ...
    @property
    def stale_after_ms(self) -> int: ...


class Happening(NamedTuple):
    """An event in the life of a visit. Milliseconds."""

    event: str
    starts_at: int
    confirmed_at: int
    visit_ms: int | None = None
    """Of an exit; None where nobody saw the beginning."""
    reason: str | None = None


@dataclass(slots=True)
class Visit:
    """Times in milliseconds; None where there is none."""

    phase: Phase
    since: int
    """The first fix inside."""
    digest: bytes
    """Of the fence's shape that it was judged by."""
    is_quiet: bool = False
    """It began before anybody looked."""
    entered_at: int = 0
    """When the entry was confirmed."""
    by_silence: bool = False
    left_at: int | None = None
    """The first fix of those outside that may be the end."""
    has_dwelled: bool = False
    is_within: bool = True
    """Whether the last fix was inside."""
    fast_since: int | None = None
    is_speeding: bool = False
    """Whether it was told that the vehicle is too fast."""

    def length(self, until: int) -> int | None:
        """Milliseconds from its beginning."""
        return None if self.is_quiet else max(0, until - self.since)


def quiet(at: int, digest: bytes) -> Visit:
    """The visit of a vehicle that was inside when it was first seen."""
    return Visit(Phase.INSIDE, at, digest, is_quiet=True, entered_at=at)


def observe(
    visit: Visit, times: Times, lies: Lies, at: int, *, contradicts: bool = False
) -> tuple[Visit | None, list[Happening]]:
    """Apply a fix. The visit as it is now, None when it is over; and what happened.

    `contradicts` says that the fix is not later than the entry, which silence had confirmed.
    """
    visit.is_within = lies is Lies.WITHIN
    match visit.phase, lies:
        case Phase.ENTERING, Lies.WITHIN:
            if at - visit.since < times.enter_after_ms:
                return visit, []
            return visit, [_enter(visit, at), *_dwell(visit, times, at)]
        case Phase.ENTERING, _:
            return None, [Happening("cross", visit.since, at)]
        case Phase.INSIDE, Lies.BEYOND if contradicts:
            return None, [Happening("exit", at, at, visit.length(at), "corrected")]
        case Phase.INSIDE | Phase.EXITING, Lies.BEYOND:
            _slow_down(visit)
            visit.phase = Phase.EXITING
            visit.left_at = at if visit.left_at is None else visit.left_at
            return (None, [_exit(visit, at)]) if at - visit.left_at >= times.exit_after_ms else (visit, [])
    visit.phase = Phase.INSIDE
    visit.left_at = None
    return visit, _dwell(visit, times, at)


def due(visit: Visit, times: Times, fix_at: int) -> int | None:
    """The instant at which no fix since `fix_at` moves the visit; None if it waits for fixes only."""
    match visit.phase:
        case Phase.ENTERING:
            held = visit.since + times.enter_after_ms
        case Phase.EXITING:
            held = (visit.left_at or 0) + times.exit_after_ms
        case Phase.INSIDE:
            if times.dwell_ms is None or visit.has_dwelled:
                return None
            held = visit.since + times.dwell_ms
    return max(held, fix_at + times.stale_after_ms)


def fire(visit: Visit, times: Times, at: int, *, is_silence: bool) -> tuple[Visit | None, list[Happening]]:
    """The last fix has stood for long enough: what it says is so."""
    match visit.phase:
        case Phase.ENTERING:
            visit.by_silence = is_silence
            return visit, [_enter(visit, at), *_dwell(visit, times, at)]
        case Phase.EXITING:
            return None, [_exit(visit, at)]
    return visit, _dwell(visit, times, at)


def drive(visit: Visit, speed: object, limit: float, for_ms: int, at: int) -> list[Happening]:
    """Apply a speed. It tells once until the vehicle is slow again, or out."""
    is_fast = visit.phase is Phase.INSIDE and visit.is_within and isinstance(speed, float) and speed > limit
    if not is_fast:
        _slow_down(visit)
        return []
    if visit.fast_since is None:
        visit.fast_since = at
    if visit.is_speeding or at - visit.fast_since < for_ms:
        return []
    visit.is_speeding = True
    return [Happening("speeding", visit.fast_since, at)]


def close(visit: Visit, at: int, reason: str) -> list[Happening]:
    """The fence is not what it was: a visit that was told of ends."""
    if visit.phase is Phase.ENTERING:
        return []
    return [Happening("exit", at, at, visit.length(at), reason)]


def _enter(visit: Visit, at: int) -> Happening:
    visit.phase = Phase.INSIDE
    visit.entered_at = at
    return Happening("enter", visit.since, at)


def _exit(visit: Visit, at: int) -> Happening:
    left_at = at if visit.left_at is None else visit.left_at
    return Happening("exit", left_at, at, visit.length(left_at))


def _dwell(visit: Visit, times: Times, at: int) -> list[Happening]:
    if times.dwell_ms is None or visit.has_dwelled or at - visit.since < times.dwell_ms:
        return []
    visit.has_dwelled = True
    return [Happening("dwell", visit.since, at)]


def _slow_down(visit: Visit) -> None:
    visit.fast_since, visit.is_speeding = None, False
