"""When a rule is open: while the wall clock of a place shows a time in one of its spans.

The meaning is that of Alertmanager's time intervals: an instant is looked up on the wall clock. So what a
clock skips in spring is in no span, and what it shows twice in autumn is in a span twice. Spans are half
open. Time zones are asked once for a day, not for an event: the edges of a day are kept.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from rules.engine.memory import FOREVER, NEVER
from rules.engine.ruleset import Opening
from rules.instants import EARLIEST, LATEST

DAY_MS = 86_400_000
_HOUR_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WEEKDAY = 3
"""1970 began on a Thursday; Monday is 0."""
_SEARCHED_DAYS = 16
"""A weekly span comes again in seven days, or in fourteen if a clock skips it once."""
_KEPT_DAYS = 256


class Span(NamedTuple):
    """A part of some days: weekdays (Monday is 0) on which it begins, and milliseconds after midnight.

    It ends on the next day if its end is not after its start.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str


class Schedule:
    """The spans of one rule; instants in milliseconds since the epoch."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self._spans = tuple(spans)
        self._zones: dict[str, list[Span]] = {}
        for span in self._spans:
            self._zones.setdefault(span.zone, []).append(span)
        self._days: dict[int, list[int]] = {}
        self._from, self._until, self._state = 0, 0, False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and other._spans == self._spans

    def __hash__(self) -> int:
        return hash(self._spans)

    def is_open(self, at: int) -> bool:
        """Whether the rule applies at an instant."""
        if not self._from <= at < self._until:
            self._state = bisect_right(self._bounds(at // DAY_MS), at) % 2 == 1
            self._from, self._until = self.last_edge(at), self.next_edge(at + 1)
        return self._state

    def next_edge(self, at: int) -> int:
        """The first instant, from `at` on, at which the rule opens or closes; FOREVER if there is none."""
        day = at // DAY_MS
        for number in range(day, day + _SEARCHED_DAYS):
            edges = self._edges(number)
            place = bisect_left(edges, at)
            if place < len(edges):
                return edges[place]
        return FOREVER

    def last_edge(self, at: int) -> int:
        """The last instant, up to `at`, at which the rule opened or closed; NEVER if there is none."""
        day = at // DAY_MS
        for number in range(day, day - _SEARCHED_DAYS, -1):
            edges = self._edges(number)
            place = bisect_right(edges, at)
            if place:
                return edges[place - 1]
        return NEVER

    def longest(self) -> int:
        """The longest time for which it is open without a break, in an ordinary fortnight; or FOREVER."""
        begin = 20_500 * DAY_MS  # in February 2026, when hardly a clock is changed
        at = self.next_edge(begin)
        if at == FOREVER:
            return FOREVER if self.is_open(begin) else 0
        longest = 0
        while at < begin + 15 * DAY_MS:
            after = self.next_edge(at + 1)
            if self.is_open(at):
                longest = max(longest, after - at)
            at = after
        return longest

    def _edges(self, day: int) -> list[int]:
        """The edges in a day of UTC, its midnight included; two that fall together are none."""
        bounds, begin = self._bounds(day), day * DAY_MS
        before = self._bounds(day - 1)
        was_open, is_open = before[-1:] == [begin], bounds[:1] == [begin]
        inside = [bound for bound in bounds if begin < bound < begin + DAY_MS]
        return [begin, *inside] if was_open != is_open else inside

    def _bounds(self, day: int) -> list[int]:
        """Beginnings and ends, in turn, of the times within a day of UTC at which it is open."""
        bounds = self._days.get(day)
        if bounds is None:
            if len(self._days) >= _KEPT_DAYS:
                self._days.clear()
            bounds = self._days[day] = self._compute(day)
        return bounds

    def _compute(self, day: int) -> list[int]:
        open_times: list[tuple[int, int]] = []
        for zone, spans in self._zones.items():
            for begin, end, offset in _segments(ZoneInfo(zone), day * DAY_MS, (day + 1) * DAY_MS):
                for span in spans:
                    for opens, closes in _on_the_wall(span, begin + offset, end + offset):
                        open_times.append((opens - offset, closes - offset))
        merged: list[int] = []
        for opens, closes in sorted(open_times):
            if merged and opens <= merged[-1]:
                merged[-1] = max(merged[-1], closes)
            else:
                merged += [opens, closes]
        return merged


def _on_the_wall(span: Span, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """The parts of a span within [begin, end) of a wall clock that is not changed meanwhile."""
    for day in range(begin // DAY_MS, (end - 1) // DAY_MS + 1):
        midnight, weekday = day * DAY_MS, (day + _EPOCH_WEEKDAY) % 7
        parts = []
        if span.end > span.start:
            parts = [(span.start, span.end)] if weekday in span.days else []
        else:
            parts += [(0, span.end)] if (weekday - 1) % 7 in span.days else []
            parts += [(span.start, DAY_MS)] if weekday in span.days else []
        for start, stop in parts:
            opens, closes = max(midnight + start, begin), min(midnight + stop, end)
            if opens < closes:
                yield opens, closes


def _segments(zone: ZoneInfo, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The parts of [begin, end) between changes of the clock, each with its offset from UTC."""
    start, offset = begin, _offset(zone, begin)
    for hour in range(begin, end, _HOUR_MS):
        after = _offset(zone, hour + _HOUR_MS)
        if after != offset:
            low, high = hour, hour + _HOUR_MS  # the clock is changed after low, at high at the latest
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
            if high < end:
                yield start, high, offset
                start, offset = high, after
    yield start, end, offset


def _offset(zone: ZoneInfo, at: int) -> int:
    """What a wall clock is ahead of UTC. Beyond the years that can be written nothing is changed."""
    at = min(max(at, EARLIEST + 2 * DAY_MS), LATEST - 2 * DAY_MS)
    moment = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone)
    offset = moment.utcoffset()
    return 0 if offset is None else offset // timedelta(milliseconds=1)


class Timetable:
    """The schedules of a rule set: which of its rules are closed, as a mask, and when that changes."""

    def __init__(self, schedules: Sequence[Opening | None]) -> None:
        masks: dict[Opening, int] = {}
        for index, schedule in enumerate(schedules):
            if schedule is not None:
                masks[schedule] = masks.get(schedule, 0) | 1 << index
        self._schedules = list(masks.items())
        self.mask = sum(mask for _, mask in self._schedules)
        """The rules that have a schedule."""
        self._from, self._until, self._closed = 0, 0, 0

    def closed(self, at: int) -> int:
        """The rules that do not apply at an instant."""
        if not self._from <= at < self._until:
            self._closed = sum(mask for schedule, mask in self._schedules if not schedule.is_open(at))
            self._from = max(schedule.last_edge(at) for schedule, _ in self._schedules)
            self._until = min(schedule.next_edge(at + 1) for schedule, _ in self._schedules)
        return self._closed

    def next_edge(self, at: int, rules: int) -> int:
        """The first instant, from `at` on, at which one of these rules opens or closes."""
        edges = (schedule.next_edge(at) for schedule, mask in self._schedules if mask & rules)
        return min(edges, default=FOREVER)

    def edge_at(self, at: int, rules: int) -> int:
        """Those of these rules that open or close at exactly this instant."""
        return sum(
            mask & rules
            for schedule, mask in self._schedules
            if mask & rules and schedule.next_edge(at) == at
        )
