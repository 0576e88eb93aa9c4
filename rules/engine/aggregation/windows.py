"""Where windows lie on the line of event time. All are half open: a message at the end is in the next one.

A fixed window is made of panes that no other pane overlaps, so a message is added up once, however many
windows it is in; a window's result is that of its panes together. Sessions have no panes: they grow.
"""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from rules.instants import EARLIEST

Span = tuple[int, int]
"""Start and end in milliseconds since the epoch, the end exclusive."""


class Fixed(Protocol):
    """Windows whose place does not depend on data."""

    def pane_of(self, instant: int) -> int:
        """Start of the pane that an instant is in."""

    def windows_of(self, pane: int) -> list[Span]:
        """The windows that a pane is part of, the earliest first."""

    def first_end(self, pane: int) -> int:
        """Where the first of these windows ends."""

    def last_end(self, pane: int) -> int:
        """Where the last of them ends."""

    def boundary_after(self, instant: int) -> int:
        """The first end of a window after an instant."""


@dataclass(frozen=True, slots=True)
class Tumbling:
    """Windows of one length, one after the other, counted from the epoch."""

    size: int

    def pane_of(self, instant: int) -> int:
        return instant - instant % self.size

    def windows_of(self, pane: int) -> list[Span]:
        return [(pane, pane + self.size)]

    def first_end(self, pane: int) -> int:
        return pane + self.size

    def last_end(self, pane: int) -> int:
        return pane + self.size

    def boundary_after(self, instant: int) -> int:
        return instant - instant % self.size + self.size


@dataclass(frozen=True, slots=True)
class Hopping:
    """Windows of one length, a new one `every` so often, counted from the epoch."""

    size: int
    every: int

    @property
    def pane(self) -> int:
        """A pane's length: what both length and distance of the windows are multiples of."""
        return math.gcd(self.size, self.every)

    def pane_of(self, instant: int) -> int:
        return instant - instant % self.pane

    def windows_of(self, pane: int) -> list[Span]:
        last = pane - pane % self.every
        first = self._first_start(pane)
        return [(start, start + self.size) for start in range(first, last + 1, self.every)]

    def first_end(self, pane: int) -> int:
        return self._first_start(pane) + self.size

    def last_end(self, pane: int) -> int:
        return pane - pane % self.every + self.size

    def boundary_after(self, instant: int) -> int:
        return self._first_start(instant) + self.size

    def _first_start(self, instant: int) -> int:
        """The first start after `instant - size`."""
        behind = instant - self.size
        return behind - behind % self.every + self.every


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days, weeks (from Monday), months, quarters and years of a time zone.

    A day begins at the first instant of its date there: 23 or 25 hours where clocks are changed, and at one
    o'clock where the change takes midnight away.
    """

    unit: str
    time_zone: str

    def pane_of(self, instant: int) -> int:
        return _calendar_window(self.unit, self.time_zone, instant // _CACHED_MS, instant)[0]

    def windows_of(self, pane: int) -> list[Span]:
        return [(pane, self.first_end(pane))]

    def first_end(self, pane: int) -> int:
        return _calendar_window(self.unit, self.time_zone, pane // _CACHED_MS, pane)[1]

    def last_end(self, pane: int) -> int:
        return self.first_end(pane)

    def boundary_after(self, instant: int) -> int:
        return self.first_end(self.pane_of(instant))


@dataclass(frozen=True, slots=True)
class Session:
    """Messages with less than `gap` between each other."""

    gap: int


@dataclass(frozen=True, slots=True)
class Sliding:
    """For each message the time `size` before it, up to and with it."""

    size: int


_CACHED_MS = 900_000
"""No zone changes its offset by, or at, anything finer since 1972."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def _calendar_window(unit: str, time_zone: str, quarter: int, instant: int) -> Span:
    """The window of an instant; looked up where the whole quarter of an hour is in it."""
    span = _window_at(unit, time_zone, quarter * _CACHED_MS)
    return span if span[0] <= instant < span[1] else _window_at(unit, time_zone, instant)


@lru_cache(maxsize=4096)
def _window_at(unit: str, time_zone: str, instant: int) -> Span:
    zone = ZoneInfo(time_zone)
    moment = _EPOCH + timedelta(milliseconds=max(instant, EARLIEST + 2 * 366 * 86_400_000))
    first = _first_day(unit, moment.astimezone(zone).date())
    start, end = _begin(first, zone), _begin(_next(unit, first), zone)
    while instant >= end:  # where clocks go back over midnight, a date may come twice
        first = _next(unit, first)
        start, end = end, _begin(_next(unit, first), zone)
    while instant < start:
        first = _first_day(unit, first - timedelta(days=1))
        start, end = _begin(first, zone), start
    return start, end


def _begin(day: date, zone: ZoneInfo) -> int:
    """The first instant of a date. A midnight that is not there stands for the instant of the change."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return (midnight.astimezone(UTC) - _EPOCH) // _MILLISECOND


def _first_day(unit: str, day: date) -> date:
    match unit:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def _next(unit: str, first: date) -> date:
    match unit:
        case "week":
            return first + timedelta(days=7)
        case "month":
            return _first_day("month", first + timedelta(days=31))
        case "quarter":
            return _first_day("month", first + timedelta(days=93))
        case "year":
            return first.replace(year=first.year + 1)
    return first + timedelta(days=1)
