"""Old samples in buckets, where a window holds more of them than are kept as they are.

A bucket leaves a window with the last of its samples. It may be as wide as a hundredth of the shortest window
that will still see it leave, so what is told of a window (t - duration, t] is exact of a window that reaches
back at most 1 % further. In number the buckets are bounded by the durations: some 200, and 200 more for each
factor of e between the longest window of the signal and the shortest.

For percentiles a bucket counts its samples in steps of 2 % (as DDSketch does; Masson, Rim, Lee: VLDB 2019): a
value is off by at most 1 % of itself, and the counts add up in any order. A bucket has at most 128 steps;
beyond that the values nearest to zero count as one.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

PARTS: Final = 100
"""The widest bucket is this part of a window."""
STEPS: Final = 128
_GAMMA: Final = 1.01 / 0.99
_LOG_GAMMA: Final = math.log(_GAMMA)
_MIDDLE: Final = 2.0 / (_GAMMA + 1.0)

Bins = tuple[tuple[float, int], ...]
"""(value, how many), ascending."""


class Bucket(NamedTuple):
    """Samples that lie next to each other. Totals are exact, in units of a power of two."""

    first_at: int
    last_at: int
    number: int
    low: float
    high: float
    first: float
    last: float
    scale: int
    total: int
    """In units of 2^-scale."""
    squares: int
    """In units of 4^-scale."""
    risen: int
    """In units of 2^-scale: what `increase` makes of these samples."""
    bins: Bins


class Tail(NamedTuple):
    """Some buckets up to the newest, together; `risen` with what lies between them."""

    number: int
    low: float
    high: float
    total: int
    squares: int
    risen: int


class Condensed:
    """The buckets of a ring. It never changes: the next condensing makes another one."""

    __slots__ = ("buckets", "last", "scale", "tails", "times")

    def __init__(self, buckets: list[Bucket]) -> None:
        """`buckets` is not empty."""
        self.buckets = buckets
        self.times = [bucket.last_at for bucket in buckets]
        self.scale = scale = max(bucket.scale for bucket in buckets)
        self.last = buckets[-1].last
        self.tails: list[Tail] = []
        """Of each bucket, with all that are newer."""
        tail = Tail(0, math.inf, -math.inf, 0, 0, 0)
        after: float | None = None
        for bucket in reversed(buckets):
            shift = scale - bucket.scale
            between = 0 if after is None else rise(bucket.last, after, scale)
            tail = Tail(
                tail.number + bucket.number,
                min(tail.low, bucket.low),
                max(tail.high, bucket.high),
                tail.total + (bucket.total << shift),
                tail.squares + (bucket.squares << 2 * shift),
                tail.risen + (bucket.risen << shift) + between,
            )
            after = bucket.first
            self.tails.append(tail)
        self.tails.reverse()

    def since(self, edge: int) -> Tail | None:
        """The buckets of which a sample is newer than `edge`."""
        place = bisect_right(self.times, edge)
        return self.tails[place] if place < len(self.tails) else None

    def bins_since(self, edge: int) -> list[tuple[float, int]]:
        """Their values, in no order, and how many there are of each."""
        place = bisect_right(self.times, edge)
        return [pair for bucket in self.buckets[place:] for pair in bucket.bins or _middle(bucket)]

    def first_from(self, time: int) -> int:
        """When the first bucket that ends at `time` or later ends. There must be one."""
        return self.times[bisect_left(self.times, time)]


def exact(value: float, scale: int) -> int:
    """A double in units of 2^-scale, which must be fine enough for it."""
    numerator, denominator = value.as_integer_ratio()
    return numerator << scale - denominator.bit_length() + 1


def rise(before: float, value: float, scale: int) -> int:
    """What a counter has counted from one sample to the next: a lower value means that it began at zero."""
    counted = exact(value, scale)
    return counted - exact(before, scale) if value >= before else counted


def condense(
    buckets: Sequence[Bucket],
    samples: Iterable[tuple[int, float]],
    now: int,
    durations: Sequence[int],
    functions: Collection[str],
) -> Condensed | None:
    """Buckets of what some window that ends now or later still sees; None if there is nothing."""
    has_bins = "percentile" in functions
    dead = now - durations[-1]
    groups: list[list[Bucket]] = []
    everything = [*buckets, *(_single(at, value, has_bins=has_bins) for at, value in samples)]
    for bucket in everything:
        if bucket.last_at <= dead:
            continue
        age = now - bucket.last_at
        widest = durations[bisect_right(durations, age)] // PARTS
        if groups and bucket.last_at - groups[-1][0].first_at <= widest:
            groups[-1].append(bucket)
        else:
            groups.append([bucket])
    return Condensed([_merged(group, has_bins=has_bins) for group in groups]) if groups else None


def _single(at: int, value: float, *, has_bins: bool) -> Bucket:
    numerator, denominator = value.as_integer_ratio()
    scale = denominator.bit_length() - 1
    bins = ((value, 1),) if has_bins else ()
    return Bucket(at, at, 1, value, value, value, value, scale, numerator, numerator * numerator, 0, bins)


def _merged(group: Sequence[Bucket], *, has_bins: bool) -> Bucket:
    if len(group) == 1:
        return group[0]
    scale = max(bucket.scale for bucket in group)
    total = squares = risen = 0
    before: float | None = None
    for bucket in group:
        shift = scale - bucket.scale
        total += bucket.total << shift
        squares += bucket.squares << 2 * shift
        risen += bucket.risen << shift
        if before is not None:
            risen += rise(before, bucket.first, scale)
        before = bucket.last
    return Bucket(
        first_at=group[0].first_at,
        last_at=group[-1].last_at,
        number=sum(bucket.number for bucket in group),
        low=min(bucket.low for bucket in group),
        high=max(bucket.high for bucket in group),
        first=group[0].first,
        last=group[-1].last,
        scale=scale,
        total=total,
        squares=squares,
        risen=risen,
        bins=_in_steps(group) if has_bins else (),
    )


def _in_steps(group: Iterable[Bucket]) -> Bins:
    counts: dict[float, int] = {}
    for bucket in group:
        for value, count in bucket.bins or _middle(bucket):
            step = step_of(value)
            counts[step] = counts.get(step, 0) + count
    if len(counts) > STEPS:
        by_size = sorted(counts, key=abs)
        small, kept = by_size[: -STEPS + 1], by_size[-STEPS + 1 :]
        counts = {
            small[-1]: sum(counts[value] for value in small),
            **{value: counts[value] for value in kept},
        }
    return tuple(sorted(counts.items()))


def step_of(value: float) -> float:
    """The middle of the step that a value lies in: at most 1 % of the value away from it."""
    if value == 0.0:
        return 0.0
    place = math.ceil(math.log(abs(value)) / _LOG_GAMMA)
    try:
        middle = _GAMMA**place * _MIDDLE
    except OverflowError:
        return value
    return math.copysign(middle, value)


def _middle(bucket: Bucket) -> Bins:
    """What stands for the samples of a bucket that was made when nobody asked for percentiles."""
    return ((bucket.total / bucket.number / (1 << bucket.scale), bucket.number),)
