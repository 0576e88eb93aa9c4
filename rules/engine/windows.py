"""What a window says: the functions avg, min, max, sum, count, stddev, percentile and increase of a ring.

The window is (at - duration, at], and no sample is newer than `at`. A window without samples is UNKNOWN, and
so is the increase of a single sample. Everything is computed exactly and rounded once, to the nearest double
(`stddev` twice: the variance, then its root); what is beyond the doubles is infinite.

- `stddev` is that of the samples as a whole population, as Prometheus's `stddev_over_time`.
- `percentile` lies between the two samples next to the rank p/100 * (count - 1), in proportion, as
  Prometheus's `quantile_over_time`.
- `increase` adds up what the signal rose from each sample to the next; a sample lower than the one before is
  a reset, and counts from zero. Nothing is extrapolated to the window's edges.
"""

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Final

from rules.engine.condensing import Condensed, Tail, rise
from rules.engine.ranks import Ranked
from rules.engine.rings import Ring
from rules.language.values import UNKNOWN
from rules.language.windows import Window


def avg(ring: Ring, at: int, duration: int) -> object:
    """The mean."""
    times = ring.times
    edge = at - duration
    head = bisect_right(times, edge)
    total, count = ring.sums[-1] - ring.sums[head], len(times) - head
    if head == 0 and (tail := _older(ring, edge)) is not None:
        total += _scaled(ring, tail.total)
        count += tail.number
    return _ratio(total, count << ring.scale) if count else UNKNOWN


def total(ring: Ring, at: int, duration: int) -> object:
    """The sum."""
    times = ring.times
    edge = at - duration
    head = bisect_right(times, edge)
    if head == len(times):
        return UNKNOWN
    found = ring.sums[-1] - ring.sums[head]
    if head == 0 and (tail := _older(ring, edge)) is not None:
        found += _scaled(ring, tail.total)
    return _ratio(found, 1 << ring.scale)


def count(ring: Ring, at: int, duration: int) -> object:
    """How many samples there are."""
    edge = at - duration
    head = bisect_right(ring.times, edge)
    found = len(ring.times) - head
    if head == 0 and (tail := _older(ring, edge)) is not None:
        found += tail.number
    return float(found) if found else UNKNOWN


def low(ring: Ring, at: int, duration: int) -> object:
    """The least value."""
    edge = at - duration
    place = bisect_right(ring.low_times, edge)
    if place == len(ring.lows):
        return UNKNOWN
    found = ring.lows[place]
    if place == 0 and (tail := _older(ring, edge)) is not None and tail.low < found:
        return tail.low
    return found


def high(ring: Ring, at: int, duration: int) -> object:
    """The greatest value."""
    edge = at - duration
    place = bisect_right(ring.high_times, edge)
    if place == len(ring.highs):
        return UNKNOWN
    found = ring.highs[place]
    if place == 0 and (tail := _older(ring, edge)) is not None and tail.high > found:
        return tail.high
    return found


def stddev(ring: Ring, at: int, duration: int) -> object:
    """The standard deviation."""
    times = ring.times
    edge = at - duration
    head = bisect_right(times, edge)
    found, squares, number = (
        ring.sums[-1] - ring.sums[head],
        ring.squares[-1] - ring.squares[head],
        len(times) - head,
    )
    if head == 0 and (tail := _older(ring, edge)) is not None:
        found += _scaled(ring, tail.total)
        squares += _scaled(ring, _scaled(ring, tail.squares))
        number += tail.number
    if not number:
        return UNKNOWN
    variance = _ratio(number * squares - found * found, number * number << 2 * ring.scale)
    return math.sqrt(variance)


def increase(ring: Ring, at: int, duration: int) -> object:
    """How much the signal has risen."""
    times = ring.times
    edge = at - duration
    head = bisect_right(times, edge)
    number = len(times) - head
    if not number:
        return UNKNOWN
    risen = ring.rises[-1] - ring.rises[head]
    condensed = ring.condensed
    if head == 0 and condensed is not None and (tail := condensed.since(edge)) is not None:
        risen += _scaled(ring, tail.risen) + rise(condensed.last, ring.values[0], ring.scale)
    return _ratio(risen, 1 << ring.scale) if number > 1 else UNKNOWN  # beside buckets there are always many


def percentile(ring: Ring, at: int, duration: int, percent: float) -> object:
    """The value that so many percent of the samples do not exceed."""
    edge = at - duration
    head = bisect_right(ring.times, edge)
    if head == len(ring.times):
        return UNKNOWN
    ranked = ring.ranked.get(duration)
    if ranked is None:
        ranked = ring.ranked[duration] = Ranked()
    values = ranked.move(ring.values, ring.dropped, head)
    if head == 0 and ring.condensed is not None and _older(ring, edge) is not None:
        return _weighted(ring.condensed, edge, values, percent)
    place, share = _rank(percent, len(values))
    return _between(values[place], values[min(place + 1, len(values) - 1)], share)


def _weighted(condensed: Condensed, edge: int, values: list[float], percent: float) -> float:
    pairs = sorted([*condensed.bins_since(edge), *((value, 1) for value in values)])
    place, share = _rank(percent, sum(number for _, number in pairs))
    passed = 0
    left: float | None = None
    for value, number in pairs:
        passed += number
        if left is None and passed > place:
            left = value
        if passed > place + 1:
            return _between(left if left is not None else value, value, share)
    return pairs[-1][0] + 0.0


def _rank(percent: float, number: int) -> tuple[int, float]:
    """The place of the sample below the rank, and how far the rank is from it to the next one."""
    share, place = math.modf(percent / 100.0 * (number - 1))
    return int(place), share


def _between(left: float, right: float, share: float) -> float:
    if share == 0.0 or left == right:
        return left + 0.0  # of equal zeros it is chance which one comes first: none is negative here
    return left * (1.0 - share) + right * share + 0.0


def _older(ring: Ring, edge: int) -> Tail | None:
    return None if ring.condensed is None else ring.condensed.since(edge)


def _scaled(ring: Ring, number: int) -> int:
    """A number of the buckets in the unit of the ring."""
    assert ring.condensed is not None
    return number << ring.scale - ring.condensed.scale


def _ratio(numerator: int, denominator: int) -> float:
    """The double next to a fraction."""
    try:
        return numerator / denominator
    except OverflowError:
        return math.inf if numerator > 0 else -math.inf


FUNCTIONS: Final[Mapping[str, Callable[..., object]]] = {
    "avg": avg,
    "min": low,
    "max": high,
    "sum": total,
    "count": count,
    "stddev": stddev,
    "percentile": percentile,
    "increase": increase,
}


def ask(ring: Ring, at: int, window: Window) -> object:
    """What a window says at an instant; UNKNOWN where it holds no samples."""
    function = FUNCTIONS[window.function]
    if window.function == "percentile":
        return function(ring, at, window.duration_ms, window.percent)
    return function(ring, at, window.duration_ms)


def code(window: Window, ring: str, at: str) -> str:
    """The same as Python source, over the names of FUNCTIONS with `_w_` before them."""
    percent = f", {window.percent!r}" if window.function == "percentile" else ""
    return f"_w_{window.function}({ring}, {at}, {window.duration_ms}{percent})"
