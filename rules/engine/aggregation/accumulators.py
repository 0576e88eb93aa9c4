"""What is kept of the samples of one pane: sums whose result does not depend on the order of anything.

Numbers are added up as whole multiples of 2**-1074, the least that a double can tell apart, so sums and
sums of squares are exact, whatever comes first, late or twice split; a result is rounded once. (Welford's
method, the usual answer, is right only to some digits and depends on the order in the last ones.)

Each has `add(value, ts, who)`, `merge(other)`, `pack()` to plain data, and `unpack` back.
"""

import math
from typing import Any, Protocol

from rules.engine.aggregation.distinct import Distinct
from rules.engine.aggregation.sketch import Sketch

_BITS = 1074
_ONE = 1 << _BITS


class Accumulator(Protocol):
    """The samples of one aggregate and pane."""

    def add(self, value: Any, ts: int, who: str) -> None:
        """Take one sample, said at `ts` by the vehicle `who`."""

    def merge(self, other: Any) -> None:
        """Take what another one of the same kind has."""

    def pack(self) -> Any:
        """Plain data that `unpack` of the class reads."""


class Counted:
    """How many."""

    __slots__ = ("number",)

    def __init__(self, number: int = 0) -> None:
        self.number = number

    def add(self, _value: Any, _ts: int, _who: str) -> None:
        self.number += 1

    def merge(self, other: "Counted") -> None:
        self.number += other.number

    def pack(self) -> int:
        return self.number

    unpack = classmethod(lambda cls, packed: cls(packed))


class Sums:
    """How many, and their sum."""

    __slots__ = ("number", "total")

    def __init__(self, number: int = 0, total: int = 0) -> None:
        self.number = number
        self.total = total

    def add(self, value: float, _ts: int, _who: str) -> None:
        numerator, denominator = float(value).as_integer_ratio()
        self.total += numerator << _BITS + 1 - denominator.bit_length()
        self.number += 1

    def merge(self, other: "Sums") -> None:
        self.number += other.number
        self.total += other.total

    def pack(self) -> list[Any]:
        return [self.number, *_packed(self.total)]

    @classmethod
    def unpack(cls, packed: Any) -> "Sums":
        number, shift, digits = packed
        return cls(number, _unpacked(shift, digits))

    def sum(self) -> float | None:
        """None of no samples."""
        return _quotient(self.total, _ONE) if self.number else None

    def mean(self) -> float | None:
        return _quotient(self.total, _ONE * self.number) if self.number else None


class Squares:
    """How many, their sum, and that of their squares."""

    __slots__ = ("number", "squares", "total")

    def __init__(self, number: int = 0, total: int = 0, squares: int = 0) -> None:
        self.number = number
        self.total = total
        self.squares = squares

    def add(self, value: float, _ts: int, _who: str) -> None:
        numerator, denominator = float(value).as_integer_ratio()
        shift = _BITS + 1 - denominator.bit_length()
        self.total += numerator << shift
        self.squares += numerator * numerator << 2 * shift
        self.number += 1

    def merge(self, other: "Squares") -> None:
        self.number += other.number
        self.total += other.total
        self.squares += other.squares

    def pack(self) -> list[Any]:
        return [self.number, *_packed(self.total), *_packed(self.squares)]

    @classmethod
    def unpack(cls, packed: Any) -> "Squares":
        number, shift, digits, squares_shift, squares_digits = packed
        return cls(number, _unpacked(shift, digits), _unpacked(squares_shift, squares_digits))

    def deviation(self) -> float | None:
        """The standard deviation of the population, as PromQL's stddev_over_time."""
        if not self.number:
            return None
        spread = self.number * self.squares - self.total * self.total
        variance = _quotient(spread, self.number * self.number << 2 * _BITS)
        return None if variance is None else math.sqrt(variance)


class Least:
    """The smallest."""

    __slots__ = ("value",)

    def __init__(self, value: float | None = None) -> None:
        self.value = value

    def add(self, value: float, _ts: int, _who: str) -> None:
        if self.value is None or value < self.value:
            self.value = value

    def merge(self, other: "Least") -> None:
        if other.value is not None:
            self.add(other.value, 0, "")

    def pack(self) -> float | None:
        return self.value

    unpack = classmethod(lambda cls, packed: cls(packed))


class Greatest:
    """The largest."""

    __slots__ = ("value",)

    def __init__(self, value: float | None = None) -> None:
        self.value = value

    def add(self, value: float, _ts: int, _who: str) -> None:
        if self.value is None or value > self.value:
            self.value = value

    def merge(self, other: "Greatest") -> None:
        if other.value is not None:
            self.add(other.value, 0, "")

    def pack(self) -> float | None:
        return self.value

    unpack = classmethod(lambda cls, packed: cls(packed))


class Earliest:
    """The first in event time; of several vehicles at one instant, the one whose id comes first."""

    __slots__ = ("at", "value")

    def __init__(self, at: tuple[int, str] | None = None, value: object = None) -> None:
        self.at = at
        self.value = value

    def add(self, value: object, ts: int, who: str) -> None:
        if self.at is None or (ts, who) < self.at:
            self.at, self.value = (ts, who), value

    def merge(self, other: "Earliest") -> None:
        if other.at is not None:
            self.add(other.value, *other.at)

    def pack(self) -> list[Any] | None:
        return None if self.at is None else [*self.at, self.value]

    @classmethod
    def unpack(cls, packed: Any) -> "Earliest":
        return cls() if packed is None else cls((packed[0], packed[1]), packed[2])


class Latest:
    """The last in event time; of one vehicle at one instant, the one that came last."""

    __slots__ = ("at", "value")

    def __init__(self, at: tuple[int, str] | None = None, value: object = None) -> None:
        self.at = at
        self.value = value

    def add(self, value: object, ts: int, who: str) -> None:
        if self.at is None or (ts, who) >= self.at:
            self.at, self.value = (ts, who), value

    def merge(self, other: "Latest") -> None:
        if other.at is not None:
            self.add(other.value, *other.at)

    def pack(self) -> list[Any] | None:
        return None if self.at is None else [*self.at, self.value]

    @classmethod
    def unpack(cls, packed: Any) -> "Latest":
        return cls() if packed is None else cls((packed[0], packed[1]), packed[2])


ACCUMULATORS: dict[str, Any] = {
    "count": Counted,
    "sum": Sums,
    "avg": Sums,
    "min": Least,
    "max": Greatest,
    "stddev": Squares,
    "percentile": Sketch,
    "distinct": Distinct,
    "first": Earliest,
    "last": Latest,
    "increase": Sums,
}
"""What each function keeps. `increase` adds up the growth from each sample to the next."""


def result(function: str, kept: Any, percent: float = 0.0) -> object:
    """What a function says of the samples; None if it has nothing to say of none."""
    match function:
        case "count":
            return kept.number
        case "sum" | "increase":
            return kept.sum()
        case "avg":
            return kept.mean()
        case "stddev":
            return kept.deviation()
        case "percentile":
            return kept.percentile(percent)
        case "distinct":
            return kept.estimate()
    return kept.value


def _quotient(numerator: int, denominator: int) -> float | None:
    """Correctly rounded; None beyond what a double can hold."""
    try:
        return numerator / denominator
    except OverflowError:
        return None


def _packed(number: int) -> tuple[int, bytes]:
    """The zeros at its end, and the bytes before them: most sums are short but for these."""
    shift = (number & -number).bit_length() - 1 if number else 0
    rest = number >> shift
    return shift, rest.to_bytes(rest.bit_length() // 8 + 1, signed=True)


def _unpacked(shift: int, digits: bytes) -> int:
    return int.from_bytes(digits, signed=True) << shift
