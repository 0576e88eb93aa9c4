"""The samples of one signal as far as some window still reads them: one ring for all windows over the signal.

A window (t - duration, t] ends at the newest sample, so every window of a signal is an end of the same row,
and what is kept once serves all durations: running totals (a window's sum is a difference of two), and the
samples that no later one undercuts or exceeds (a window's minimum is the first of them in it). A sample costs
the same few steps however many windows read it, a question a search by time, and nothing is ever moved by a
question: the answer is a function of the samples and the instant, so time that silence ran ahead can go back.

Totals are integers in units of a power of two fine enough for every sample, so they are exact: no drift,
whatever came and went, and the answer is what adding up the window anew and rounding once would give.

Up to MOST samples are kept as they are. Then the older half becomes buckets (`condensing`).
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Final

from rules.engine.condensing import Bucket, Condensed, condense, rise
from rules.engine.ranks import Ranked

CHUNK: Final = 64
"""Samples that are dropped together, and written together once there are so many."""
PIECE: Final = 8
"""Samples that are written together before; each part of them is written again until it is full."""
MOST: Final = 2048
"""Samples that are kept as they are; at least the newest half of them always. Two CHUNKs, or a multiple."""
_SCALE: Final = 60
"""Doubles that are no less than 2^-8 need no finer unit than 2^-60."""
NONE: Final = 2**62


@dataclass(frozen=True, slots=True)
class Kept:
    """What the windows over one signal need."""

    durations: tuple[int, ...]
    """Of all of them, in milliseconds, ascending."""
    functions: frozenset[str]
    timed: tuple[int, ...] = ()
    """Of those whose samples' leaving is an instant at which something is judged, ascending."""
    most: int = MOST
    longest: int = field(init=False)
    """Samples older than this are in no window."""
    lows: bool = field(init=False)
    highs: bool = field(init=False)
    sums: bool = field(init=False)
    squares: bool = field(init=False)
    rises: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "longest", self.durations[-1])
        object.__setattr__(self, "lows", "min" in self.functions)
        object.__setattr__(self, "highs", "max" in self.functions)
        object.__setattr__(self, "squares", "stddev" in self.functions)
        object.__setattr__(self, "sums", self.squares or not self.functions.isdisjoint({"avg", "sum"}))
        object.__setattr__(self, "rises", "increase" in self.functions)


class Ring:
    """One signal's samples of one vehicle, oldest first; times never fall."""

    __slots__ = (
        "began",
        "changed_from",
        "condensed",
        "condensed_changed",
        "dropped",
        "first_chunk",
        "gone",
        "high_times",
        "highs",
        "kept",
        "low_times",
        "lows",
        "old_parts",
        "ranked",
        "rises",
        "scale",
        "squares",
        "sums",
        "times",
        "values",
    )

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.began = 0
        """The first sample's time: greater than the number of any chunk of an earlier ring of the signal."""
        self.first_chunk = 0
        self.times: list[int] = []
        self.values: list[float] = []
        self.condensed: Condensed | None = None
        self.scale = _SCALE
        self.sums = [0]
        """In units of 2^-scale: before the first sample, and after each."""
        self.squares = [0]
        """In units of 4^-scale, likewise."""
        self.rises: list[int] = []
        """In units of 2^-scale: how much the signal has risen up to each sample."""
        self.low_times: list[int] = []
        self.lows: list[float] = []
        """The samples that no later one undercuts."""
        self.high_times: list[int] = []
        self.highs: list[float] = []
        self.dropped = 0
        """So many samples were here and are not any more."""
        self.ranked: dict[int, Ranked] = {}
        """By duration, the samples of a window in order, where percentiles were asked for."""
        self.changed_from = 0
        """Samples from this place on are in no part that was written."""
        self.condensed_changed = False
        self.old_parts = 0
        """So many parts of buckets were written."""
        self.gone: list[str] = []
        """The names of written parts that are no more."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ring):
            return NotImplemented
        mine = self.began, self.first_chunk, self.times, self.values, self.buckets
        return mine == (other.began, other.first_chunk, other.times, other.values, other.buckets)

    __hash__ = None  # type: ignore[assignment]

    @property
    def buckets(self) -> list[Bucket]:
        """What the samples before the first of `times` have become."""
        return [] if self.condensed is None else self.condensed.buckets

    def take(self, at: int, value: object) -> None:
        """A sample that is not older than the last one. What is no finite number is none."""
        if type(value) is not float:
            if type(value) is not int:
                return
            try:
                value = float(value)
            except OverflowError:
                return
        if value - value != 0.0:
            return
        times = self.times
        if not times:
            self.began = self.first_chunk = max(at, 0)
        self._add(at, value)
        if len(times) > CHUNK and times[CHUNK - 1] <= at - self.kept.longest:
            self._drop_dead(at)
        elif len(times) >= self.kept.most:
            self._condense(at)

    def _add(self, at: int, value: float) -> None:
        kept = self.kept
        if kept.sums or kept.rises:
            numerator, denominator = value.as_integer_ratio()
            bits = denominator.bit_length() - 1
            if bits > self.scale:
                self._refine(bits)
            exact = numerator << self.scale - bits
            if kept.sums:
                self.sums.append(self.sums[-1] + exact)
            if kept.squares:
                self.squares.append(self.squares[-1] + exact * exact)
            if kept.rises:
                self.rises.append(self._risen(value))
        if kept.lows:
            lows = self.lows
            while lows and lows[-1] >= value:
                lows.pop()
                self.low_times.pop()
            lows.append(value)
            self.low_times.append(at)
        if kept.highs:
            highs = self.highs
            while highs and highs[-1] <= value:
                highs.pop()
                self.high_times.pop()
            highs.append(value)
            self.high_times.append(at)
        self.times.append(at)
        self.values.append(value)

    def _risen(self, value: float) -> int:
        """How much the signal has risen in all, with this sample."""
        if not self.values:
            return 0
        return self.rises[-1] + rise(self.values[-1], value, self.scale)

    def _refine(self, bits: int) -> None:
        """A sample needs a finer unit."""
        shift = bits - self.scale
        self.sums = [total << shift for total in self.sums]
        self.squares = [total << 2 * shift for total in self.squares]
        self.rises = [total << shift for total in self.rises]
        self.scale = bits

    def _drop_dead(self, at: int) -> None:
        """Drop the chunks that no window at this instant or later reaches, and what is older."""
        dead = at - self.kept.longest
        chunks = bisect_right(self.times, dead) // CHUNK
        self._drop(chunks)
        self._drop_condensed()
        for times, values in ((self.low_times, self.lows), (self.high_times, self.highs)):
            left = bisect_right(times, dead)
            del times[:left], values[:left]

    def _drop(self, chunks: int) -> None:
        count = chunks * CHUNK
        for chunk in range(chunks):
            self.gone += names_of(self.first_chunk + chunk, self.changed_from - chunk * CHUNK)
        self.first_chunk += chunks
        self.dropped += count
        self.changed_from = max(0, self.changed_from - count)
        del self.times[:count], self.values[:count], self.rises[: count if self.kept.rises else 0]
        if self.kept.sums:
            del self.sums[:count]
        if self.kept.squares:
            del self.squares[:count]

    def _drop_condensed(self) -> None:
        if self.condensed is not None:
            self.condensed = None
            self.condensed_changed = True

    def _condense(self, at: int) -> None:
        """Turn the older half of the samples into buckets, with the buckets that are there."""
        count = self.kept.most // 2
        samples = zip(self.times[:count], self.values[:count], strict=True)
        self.condensed = condense(self.buckets, samples, at, self.kept.durations, self.kept.functions)
        self.condensed_changed = True
        self._drop(count // CHUNK)
        self._rank()

    def _rank(self) -> None:
        """Find the extremes of the samples anew."""
        self.low_times, self.lows, self.high_times, self.highs = [], [], [], []
        for at, value in zip(reversed(self.times), reversed(self.values), strict=True):
            if self.kept.lows and (not self.lows or value < self.lows[-1]):
                self.lows.append(value)
                self.low_times.append(at)
            if self.kept.highs and (not self.highs or value > self.highs[-1]):
                self.highs.append(value)
                self.high_times.append(at)
        for row in (self.low_times, self.lows, self.high_times, self.highs):
            row.reverse()

    def condense_to(self, buckets: list[Bucket]) -> None:
        """Take the buckets of a snapshot."""
        self.condensed = Condensed(buckets)
        self.scale = max(self.scale, self.condensed.scale)

    def refill(self, began: int, first_chunk: int, times: list[int], values: list[float]) -> None:
        """Take the samples of a snapshot."""
        self.began, self.first_chunk = began, first_chunk
        self.times, self.values = times, values
        self.changed_from = len(times)
        kept = self.kept
        if kept.sums or kept.rises:
            self._total()
        if kept.lows or kept.highs:
            self._rank()

    def _total(self) -> None:
        """Add the samples up anew, all at once."""
        ratios = [value.as_integer_ratio() for value in self.values]
        self.scale = max(self.scale, max((bottom.bit_length() for _, bottom in ratios), default=0) - 1)
        exacts = [top << self.scale - bottom.bit_length() + 1 for top, bottom in ratios]
        if self.kept.sums:
            self.sums = list(accumulate(exacts, initial=0))
        if self.kept.squares:
            self.squares = list(accumulate((exact * exact for exact in exacts), initial=0))
        if self.kept.rises and exacts:
            steps = [after - before if after >= before else after for before, after in pairwise(exacts)]
            self.rises = list(accumulate(steps, initial=0))

    def next_leave(self, frontier: int) -> int:
        """The first instant from `frontier` on at which a sample leaves a timed window; NONE if none does."""
        soonest = NONE
        for duration in self.kept.timed:
            edge = frontier - duration
            if self.condensed is not None and self.condensed.times[-1] >= edge:
                soonest = min(soonest, self.condensed.first_from(edge) + duration)
                continue
            place = bisect_left(self.times, edge)
            if place < len(self.times):
                soonest = min(soonest, self.times[place] + duration)
        return soonest


class Rings(dict[int, Ring]):
    """The rings of a vehicle by slot: of the signals that it has said, and no others."""

    __slots__ = ("_kept",)

    def __init__(self, kept: Mapping[int, Kept]) -> None:
        super().__init__()
        self._kept = kept

    def __missing__(self, slot: int) -> Ring:
        ring = self[slot] = Ring(self._kept[slot])
        return ring


NO_SAMPLES: Final = Ring(Kept((1,), frozenset()))
"""What windows over a signal see that was never said."""


def names_of(chunk: int, count: int) -> list[str]:
    """The names of the parts of a chunk's first samples: of a whole chunk one, else one a piece."""
    if count >= CHUNK:
        return [f"{chunk:x}"]
    return [f"{chunk:x}.{piece}" for piece in range(-(-count // PIECE))]
