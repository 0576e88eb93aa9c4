"""Percentiles of any number of samples from a few hundred counters, off by at most 0.4 % of the value.

A DDSketch (Masson, Rim, Lee, VLDB 2019) with linear buckets in each octave instead of logarithms: an octave
has 128, so the middle of a bucket is within 1/256 of whatever is in it, and no platform's `log` decides where
a sample goes. What is kept is a function of the samples alone, in any order and however they were merged,
which t-digest and KLL cannot say. The libraries that there are either depend on the order or are abandoned.
"""

import math
from typing import Any

BUCKETS = 128
"""Of one octave."""
MOST = 32 * BUCKETS
"""Buckets on each side of zero. What is smaller than the greatest by 32 octaves (4e9) counts as just that."""


class _Side:
    """Counters by bucket, none of them further than `MOST` below the top one."""

    __slots__ = ("counts", "low", "top")

    def __init__(self, counts: dict[int, int]) -> None:
        self.counts = counts
        self.top = max(counts, default=-(2**62))
        self.low = min(counts, default=2**62)

    def add(self, bucket: int, count: int) -> None:
        """Count in the lowest bucket that there may be what lies below it.

        Where that is depends on the top bucket alone, so the order changes nothing.
        """
        counts = self.counts
        floor = max(self.top, bucket) - MOST + 1
        bucket = max(bucket, floor)
        counts[bucket] = counts.get(bucket, 0) + count
        if bucket > self.top:
            self.top = bucket
        if bucket < self.low:
            self.low = bucket
        if self.low < floor:
            for below in [each for each in counts if each < floor]:
                counts[floor] = counts.get(floor, 0) + counts.pop(below)
            self.low = min(counts)


class Sketch:
    """Counters on both sides of zero, by the size of the value."""

    __slots__ = ("above", "below", "greatest", "least", "zeros")

    def __init__(self) -> None:
        self.above = _Side({})
        self.below = _Side({})
        self.zeros = 0
        self.least = math.inf
        self.greatest = -math.inf

    def add(self, value: float, _ts: int, _who: str) -> None:
        if value < self.least:
            self.least = value
        if value > self.greatest:
            self.greatest = value
        if value == 0:
            self.zeros += 1
        else:
            (self.above if value > 0 else self.below).add(_bucket(abs(value)), 1)

    def merge(self, other: "Sketch") -> None:
        self.zeros += other.zeros
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        for side, theirs in ((self.above, other.above), (self.below, other.below)):
            for bucket, count in theirs.counts.items():
                side.add(bucket, count)

    def percentile(self, percent: float) -> float | None:
        """The value of nearest rank: at least `percent` of the samples are not above it. None of none."""
        above, below = self.above.counts, self.below.counts
        number = self.zeros + sum(above.values()) + sum(below.values())
        if not number:
            return None
        rank = max(1, math.ceil(percent * number / 100))
        ascending = [(-_middle(bucket), below[bucket]) for bucket in sorted(below, reverse=True)]
        ascending.append((0.0, self.zeros))
        ascending += [(_middle(bucket), above[bucket]) for bucket in sorted(above)]
        for value, count in ascending:
            rank -= count
            if rank <= 0:
                return min(max(value, self.least), self.greatest)
        return self.greatest

    def pack(self) -> list[Any]:
        sides = (_runs(self.above.counts), _runs(self.below.counts))
        return [self.zeros, self.least, self.greatest, *sides]

    @classmethod
    def unpack(cls, packed: Any) -> "Sketch":
        sketch = cls()
        sketch.zeros, sketch.least, sketch.greatest, above, below = packed
        sketch.above, sketch.below = _Side(_from_runs(above)), _Side(_from_runs(below))
        return sketch


def _bucket(size: float) -> int:
    mantissa, exponent = math.frexp(size)
    return exponent * BUCKETS + int((mantissa * 2 - 1) * BUCKETS)


def _middle(bucket: int) -> float:
    exponent, place = divmod(bucket, BUCKETS)
    try:
        return math.ldexp(1 + (place + 0.5) / BUCKETS, exponent - 1)
    except OverflowError:
        return math.inf


def _runs(side: dict[int, int]) -> list[int]:
    """Distance to the bucket before, count, and so on: small numbers, and the same for the same counters."""
    flat, before = [], 0
    for bucket in sorted(side):
        flat += [bucket - before, side[bucket]]
        before = bucket
    return flat


def _from_runs(flat: list[int]) -> dict[int, int]:
    side, bucket = {}, 0
    for distance, count in zip(flat[::2], flat[1::2], strict=True):
        bucket += distance
        side[bucket] = count
    return side
