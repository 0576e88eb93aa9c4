"""The life of one alert: resting, pending, firing, and back.

Time is an argument, and so is the truth of the conditions: True, False, or None where it is unknown. The
words are Prometheus's; where an event says exactly at the end of a hold that the condition is over, the event
wins.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Protocol


class Phase(IntEnum):
    """Resting is what other engines call inactive; a resting alert is kept while it remembers something."""

    RESTING = 0
    PENDING = 1
    FIRING = 2


class Change(Enum):
    """What an observation did; `value` is the reason of a resolve."""

    BEGAN = "began"
    DROPPED = "dropped"
    COUNTED = "counted"
    FIRED = "fired"
    CLEARED = "cleared"
    STALE = "stale"
    CORRECTED = "corrected"
    DESELECTED = "deselected"
    FORGOTTEN = "forgotten"
    DELETED = "deleted"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolledBack"

    @property
    def ends(self) -> bool:
        """Whether a firing alert is resolved by it."""
        return self in _ENDS


_ENDS = frozenset(Change) - {Change.BEGAN, Change.DROPPED, Change.COUNTED, Change.FIRED}


class Times(Protocol):
    """What the life of an alert needs to know of its rule, in milliseconds."""

    @property
    def for_ms(self) -> int: ...
    @property
    def count(self) -> int | None: ...
    @property
    def within_ms(self) -> int | None: ...
    @property
    def keep_ms(self) -> int: ...
    @property
    def cooldown_ms(self) -> int: ...
    @property
    def stale_grace_ms(self) -> int: ...


@dataclass(slots=True)
class Alert:
    """The state of one rule for one vehicle. Times in milliseconds; None where there is none."""

    phase: Phase = Phase.RESTING
    since: int = 0
    """When the condition turned true: startsAt."""
    seen: int = 0
    """Messages in a row for which it was."""
    hits: list[int] = field(default_factory=list)
    """The instants of such messages, for `forEvents` within a time; at most `count` of them."""
    id: bytes = b""
    ordinal: int = 0
    records: int = 0
    """The number of the next record; not 0 where another set may have told of the alert before it fires."""
    fired_at: int = 0
    by_silence: bool = False
    rung: int = 0
    clear_since: int | None = None
    unknown_since: int | None = None
    value: object = None
    peak: float | None = None
    moved: int | None = None
    """The last time it fired or was resolved: nothing is dated before that."""
    last_since: int | None = None
    ended_at: int | None = None

    @property
    def name(self) -> str:
        """The id as records have it."""
        return str(uuid.UUID(bytes=self.id))


@dataclass(slots=True)
class Observation:
    """What is known at one instant."""

    at: int
    when: bool | None
    clear: bool | None = None
    is_message: bool = True
    is_silence: bool = False


def observe(alert: Alert, rule: Times, seen: Observation) -> Change | None:
    """Apply one observation. Returns what changed, None where nothing but the holds did."""
    match alert.phase, seen.when:
        case Phase.FIRING, False | None if alert.by_silence and seen.is_message and seen.at <= alert.fired_at:
            return _resolve(alert, seen.at, Change.CORRECTED)
        case Phase.FIRING, _:
            return _clear(alert, rule, seen)
        case Phase.RESTING, True:
            start = seen.at if alert.moved is None else max(seen.at, alert.moved)
            if alert.ended_at is not None and start < alert.ended_at + rule.cooldown_ms:
                return None
            _begin(alert, start)
            return _hold(alert, rule, seen) or Change.BEGAN
        case Phase.PENDING, True:
            return _hold(alert, rule, seen)
        case Phase.PENDING, _:
            alert.phase = Phase.RESTING
            return Change.DROPPED
    return None


def end(alert: Alert, at: int, reason: Change) -> Change | None:
    """The rule no longer concerns the vehicle: a firing alert is resolved, and nothing stays pending.

    What ended stays known as long as usual, so that an alert that begins at the same instant is another one.
    """
    was_firing = alert.phase is Phase.FIRING
    alert.phase = Phase.RESTING
    alert.seen = 0
    alert.hits.clear()
    return _resolve(alert, at, reason) if was_firing else None


def _begin(alert: Alert, start: int) -> None:
    alert.phase = Phase.PENDING
    alert.since = start
    alert.seen = 0
    alert.value = alert.peak = None


def _hold(alert: Alert, rule: Times, seen: Observation) -> Change | None:
    """Count a message for which the condition holds, and fire when hold and count are reached."""
    counted = None
    if rule.count is not None and seen.is_message:
        counted = Change.COUNTED
        alert.seen = min(alert.seen + 1, rule.count)
        if rule.within_ms is not None:
            alert.hits.append(seen.at)
            del alert.hits[: -rule.count]
    held = max(seen.at - alert.since, 0)  # a hold may begin after data that contradict silence
    if held < rule.for_ms or not _enough(alert, rule, seen.at):
        return counted
    alert.phase = Phase.FIRING
    alert.fired_at = alert.moved = max(seen.at, alert.since)
    alert.by_silence = seen.is_silence
    alert.ordinal = alert.ordinal + 1 if alert.last_since == alert.since else 0
    alert.last_since = alert.since
    alert.clear_since = alert.unknown_since = alert.ended_at = None
    alert.hits.clear()
    return Change.FIRED


def _enough(alert: Alert, rule: Times, at: int) -> bool:
    """Whether `forEvents` is met at an instant: in a row, or in the window (at - within, at]."""
    if rule.count is None:
        return True
    if rule.within_ms is None:
        return alert.seen >= rule.count
    return sum(at - rule.within_ms < hit <= at for hit in alert.hits) >= rule.count


def _clear(alert: Alert, rule: Times, seen: Observation) -> Change | None:
    """A firing alert ends when its clear condition has held unbroken; unknown, it waits for its grace."""
    match seen.clear:
        case True:
            alert.unknown_since = None
            if alert.clear_since is None:
                alert.clear_since = seen.at
            if seen.at - alert.clear_since >= rule.keep_ms:
                return _resolve(alert, seen.at, Change.CLEARED)
        case False:
            alert.clear_since = alert.unknown_since = None
        case None:
            alert.clear_since = None
            if alert.unknown_since is None:
                alert.unknown_since = seen.at
            if seen.at - alert.unknown_since >= rule.stale_grace_ms:
                return _resolve(alert, seen.at, Change.STALE)
    return None


def _resolve(alert: Alert, at: int, reason: Change) -> Change:
    alert.phase = Phase.RESTING
    alert.ended_at = alert.moved = max(at, alert.fired_at)
    alert.clear_since = alert.unknown_since = None
    return reason


def due(alert: Alert, rule: Times) -> int | None:
    """The instant at which time alone moves the alert, None if it waits for data."""
    if alert.phase is Phase.PENDING:
        if rule.for_ms and _enough(alert, rule, alert.since + rule.for_ms):
            return alert.since + rule.for_ms
    elif alert.phase is Phase.FIRING:
        if alert.clear_since is not None:
            return alert.clear_since + rule.keep_ms
        if alert.unknown_since is not None:
            return alert.unknown_since + rule.stale_grace_ms
    return None


def forgotten_after(alert: Alert, rule: Times) -> int | None:
    """The last instant at which a resting alert still means something; None if it already means nothing."""
    ends: Sequence[int] = [
        *([] if alert.ended_at is None else [alert.ended_at + rule.cooldown_ms]),
        *([alert.hits[-1] + rule.within_ms] if alert.hits and rule.within_ms is not None else []),
    ]
    return max(ends, default=None)
