"""What windows must say, worked out the slow way: all samples kept, every millisecond visited.

Written from docs/aggregations.md and sharing nothing with the engine: windows are found by trying every
start, sums are fractions, percentiles sort. Durations are a few milliseconds, so this is affordable.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from tests.engine.model import Entry, Message

Get = Callable[[str, str], object]
"""(kind, signal) -> value or None."""


def more(value: object, limit: float) -> bool | None:
    return None if value is None else value > limit  # type: ignore[operator]


def added(left: object, right: object) -> object:
    return None if left is None or right is None else left + right  # type: ignore[operator]


WHERES: dict[str, Callable[[Get], bool | None]] = {
    "a > 3.0": lambda get: more(get("value", "a"), 3),
    "b > 4.0": lambda get: more(get("value", "b"), 4),
    "changed(a)": lambda get: get("changed", "a"),  # type: ignore[return-value]
}
ARGUMENTS: dict[str, tuple[str, Callable[[Get], object]]] = {
    "a": ("a", lambda get: get("value", "a")),
    "b": ("b", lambda get: get("value", "b")),
    "a + b": ("ab", lambda get: added(get("value", "a"), get("value", "b"))),
    "delta(a)": ("a", lambda get: get("delta", "a")),
    "prev(b)": ("b", lambda get: get("prev", "b")),
}


class MeasureModel(NamedTuple):
    name: str
    function: str
    argument: str | None = None
    percent: float = 0.0


@dataclass(frozen=True)
class AggregationModel:
    window: tuple[str, int, int]
    """Kind; length or gap; every."""
    measures: tuple[MeasureModel, ...]
    where: str | None = None
    least_samples: int | None = None
    """`having: samples > n`, where `samples` is the first measure."""
    lateness: int = 0
    emit: str = "onClose"
    every: int = 0
    alarmed: bool = False
    """Whether there is an alert on `samples > 1`."""


class Told(NamedTuple):
    start: int
    end: int
    values: dict[str, object]
    final: bool
    update: int
    by: str | None


@dataclass
class _Window:
    start: int
    end: int
    samples: list[tuple[int, dict[str, object]]] = field(default_factory=list)
    told: int = 0
    closed: bool = False
    dirty: bool = True


class Model:
    """One vehicle and one rule."""

    def __init__(
        self, rule: AggregationModel, stale_after: int, quiet_after: int, corrected_after: int
    ) -> None:
        self.rule, self.stale_after = rule, stale_after
        self.quiet_after, self.corrected_after = quiet_after, corrected_after
        self.samples: dict[str, list[tuple[int, object]]] = {}
        self.time: int | None = None
        self.live = 0
        self.windows: list[_Window] = []
        self.final: list[tuple[int, int]] = []
        self.tell_at: int | None = None
        self.told: list[Told] = []
        self.late: list[int] = []
        self.alerts: list[tuple[str, int, int, int | None, object]] = []
        """State, startsAt, firedAt, endsAt, value."""
        self._firing: tuple[int, int] | None = None
        self._judged: int | None = None
        self._slid: list[tuple[int, dict[str, object]]] = []

    def step(self, entry: Entry) -> None:
        if isinstance(entry, Message):
            self._message(entry)
        elif self.time is not None:
            self._pass(self._clock(entry.live), "silence")

    def _clock(self, live: int) -> int:
        assert self.time is not None
        return self.time + max(0, live - self.live - self.quiet_after)

    def _message(self, message: Message) -> None:
        ts = message.ts
        if self.time is None or ts >= self.time:
            if self.time is not None:
                self._pass(ts, None)
            self.time, self.live = ts, message.live
        fresh = {
            name for name, _ in message.signals.items() if ts >= self.samples.get(name, [(-1, None)])[-1][0]
        }
        if ts < self.time:
            fresh = {
                name for name in message.signals if name not in self.samples or ts > self.samples[name][-1][0]
            }
        for name in fresh:
            self.samples.setdefault(name, []).append((ts, message.signals[name]))

        def get(kind: str, name: str) -> object:
            if name in message.signals and name not in fresh:
                return message.signals[name] if kind == "value" else None
            if kind == "changed" and name not in message.signals:
                return False
            taken = self.samples.get(name)
            if not taken or taken[-1][0] > ts or ts > taken[-1][0] + self.stale_after:
                return None
            if kind == "value":
                return taken[-1][1]
            if len(taken) < 2:
                return None
            before, now = taken[-2][1], taken[-1][1]
            return {"prev": before, "delta": now - before, "changed": now != before}[kind]  # type: ignore[operator]

        if self.rule.where is not None and WHERES[self.rule.where](get) is not True:
            return
        values: dict[str, object] = {}
        for measure in self.rule.measures:
            if measure.argument is None:
                values[measure.name] = True
                continue
            reads, function = ARGUMENTS[measure.argument]
            if not set(reads) & message.signals.keys():
                continue
            if measure.function == "increase":
                grown = get("delta", measure.argument)
                value = grown if grown is None or grown >= 0 else get("value", measure.argument)  # type: ignore[operator]
            else:
                value = function(get)
            if value is not None:
                values[measure.name] = value
        if values:
            self._count(ts, values)

    def _count(self, ts: int, values: dict[str, object]) -> None:
        assert self.time is not None
        kind, size, every = self.rule.window
        if kind == "sliding":
            self._slide(ts, values, size)
            return
        usable = []
        if kind == "session":
            window = self.windows[0] if self.windows else None
            if window is not None and (ts >= self.time or ts > window.start - size):
                window.start, window.end = min(window.start, ts), max(window.end, ts + size)
                usable = [window]
            elif ts >= self.time:
                self.windows = usable = [_Window(ts, ts + size)]
        else:
            step = size if kind == "tumbling" else every
            for start in range(ts - size + 1, ts + 1):
                if start % step:
                    continue
                end = start + size
                known = [it for it in self.windows if it.start == start]
                if (
                    not known
                    and end + self.rule.lateness > self.time
                    and all(end > it[1] for it in self.final)
                ):
                    known = [_Window(start, end, closed=end <= self.time)]
                    self.windows += known
                usable += known
        if not usable:
            self.late.append(ts)
            return
        for window in usable:
            window.samples.append((ts, values))
            window.dirty = True
        for window in sorted(usable, key=lambda it: it.end):
            if self.rule.emit == "onUpdate":
                self._tell(window, None, final=False)
        if self.rule.emit == "every" and self.tell_at is None:
            self.tell_at = (self.time // self.rule.every + 1) * self.rule.every - 1
        if self.rule.emit == "onClose" and self.tell_at is None and any(it.closed for it in usable):
            self.tell_at = self.time + self.corrected_after

    def _slide(self, ts: int, values: dict[str, object], size: int) -> None:
        assert self.time is not None
        if ts <= self.time - size:
            self.late.append(ts)
            return
        self._slid.append((ts, values))
        if ts == self.time:
            samples = [it for it in self._slid if ts - size < it[0] <= ts]
            window = _Window(ts - size + 1, ts + 1, samples, closed=True)
            self._tell(window, None, final=True)

    def _pass(self, limit: int, by: str | None) -> None:
        """Visit every instant that is before `limit` and not yet passed."""
        assert self.time is not None
        for instant in range(self.time, limit):
            ordered = sorted(self.windows, key=lambda it: it.end)
            for window in ordered:
                if window.end - 1 == instant and not window.closed and self.rule.lateness:
                    window.closed = True
                    if window.dirty:
                        self._tell(window, by, final=False)
            for window in ordered:
                if window.end - 1 + self.rule.lateness == instant:
                    if window.dirty or window.told:
                        self._tell(window, by, final=True)
                    self.windows.remove(window)
                    if self.rule.window[0] != "session":
                        self.final.append((window.start, window.end))
            if self.tell_at == instant:
                self.tell_at = None
                for window in sorted(self.windows, key=lambda it: it.end):
                    if window.dirty and (window.closed or self.rule.emit == "every"):
                        self._tell(window, by, final=False)

    def _tell(self, window: _Window, by: str | None, *, final: bool) -> None:
        window.dirty = False
        values = {measure.name: _value(measure, window.samples) for measure in self.rule.measures}
        least = self.rule.least_samples
        if not window.told and least is not None:
            first = values[self.rule.measures[0].name]
            if first is None or first <= least:  # type: ignore[operator]
                return
        self.told.append(Told(window.start, window.end, values, final, window.told, by))
        window.told += 1
        if self.rule.alarmed and (window.closed or final) and window.end >= (self._judged or window.end):
            self._judge(window, values[self.rule.measures[0].name])

    def _judge(self, window: _Window, samples: object) -> None:
        """The last window that has closed says whether there is an alert."""
        self._judged = window.end
        holds = samples > 1  # type: ignore[operator]
        if holds and self._firing is None:
            self._firing = window.start, window.end
            self.alerts.append(("firing", *self._firing, None, samples))
        elif not holds and self._firing is not None:
            self.alerts.append(("resolved", *self._firing, window.end, samples))
            self._firing = None


def _value(measure: MeasureModel, samples: Sequence[tuple[int, dict[str, object]]]) -> object:
    taken = [(ts, values[measure.name]) for ts, values in samples if measure.name in values]
    numbers = sorted(Fraction(value) for _, value in taken)  # type: ignore[arg-type]
    match measure.function:
        case "count":
            return len(taken)
        case "distinct":
            return len(set(numbers))
    if not taken:
        return None
    match measure.function:
        case "sum" | "increase":
            return float(sum(numbers))
        case "avg":
            return float(sum(numbers) / len(numbers))
        case "min":
            return float(numbers[0])
        case "max":
            return float(numbers[-1])
        case "stddev":
            mean = sum(numbers) / len(numbers)
            return math.sqrt(float(sum((it - mean) ** 2 for it in numbers) / len(numbers)))
        case "percentile":
            return float(numbers[max(1, math.ceil(measure.percent * len(numbers) / 100)) - 1])
        case "first":
            return min(taken, key=lambda it: it[0])[1]
    last = max(ts for ts, _ in taken)
    return [value for ts, value in taken if ts == last][-1]
