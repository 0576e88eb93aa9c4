"""The values of CEL while a condition runs, in the types that make the common ones free.

double, bool, string, bytes, int, list and null are Python's own. Python has nothing that behaves as the
rest does: uint (a different type than int for `type()` and arithmetic, the same number for `==`), duration
and timestamp (nanoseconds, with protobuf's limits), maps (where 1, 1u and 1.0 are one key and true is
another) and types as values.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


class EvaluationError(Exception):
    """CEL's error value: the condition has no value for these inputs. Trying again changes nothing."""


class UnknownValue(Exception):
    """The condition depends on a signal without a known value."""


class Unknown:
    """The poison that stands for a value not known: whoever looks at it raises UnknownValue.

    So the fast code needs no test of its inputs: an expression that finishes without an exception has not
    used an unknown value.
    """

    __slots__ = ()

    def _raise(self, *_: object) -> NoReturn:
        raise UnknownValue

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _raise
    __hash__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __call__ = _raise
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _raise
    __truediv__ = __rtruediv__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = _raise
    __neg__ = __pos__ = __abs__ = __int__ = __float__ = __index__ = __str__ = _raise

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            # Python's own protocols (copy, pickle, inspect) ask for what is not there.
            raise AttributeError(name)
        raise UnknownValue

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


class Uint(int):
    """An unsigned 64-bit integer: equal to the int of the same value, but of another type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A signed span of time. Source of the limits: google/protobuf/duration.proto, 10,000 years."""

    nanoseconds: int

    LIMIT = 315_576_000_000 * 10**9 + 999_999_999


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """An instant, in nanoseconds since 1970-01-01T00:00:00Z; from year 1 to the end of year 9999."""

    nanoseconds: int

    LEAST = -62_135_596_800 * 10**9
    GREATEST = 253_402_300_799 * 10**9 + 999_999_999


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: `int`, `type(1)`. At run time list(int) and list(string) are the same type."""

    name: str


class Map:
    """A map of CEL. Keys are bool, int, uint or string; a number finds the key of its value in any type."""

    __slots__ = ("_entries",)

    def __init__(self, pairs: Iterable[tuple[object, object]]) -> None:
        entries: dict[object, tuple[object, object]] = {}
        for key, value in pairs:
            if not isinstance(key, int | str):  # a bool and a Uint are ints too
                raise EvaluationError("a map key must be a bool, an int, a uint or a string")
            place = _places(key)[0]
            if place in entries:
                raise EvaluationError(f"the map has the key {key!r} twice")
            entries[place] = (key, value)
        self._entries: Mapping[object, tuple[object, object]] = entries

    def __contains__(self, key: object) -> bool:
        return any(place in self._entries for place in _places(key))

    def __getitem__(self, key: object) -> Any:
        for place in _places(key):
            if place in self._entries:
                return self._entries[place][1]
        raise EvaluationError(f"the map has no key {key!r}")

    def __iter__(self) -> Iterator[object]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Map({list(self._entries.values())!r})"


def _places(key: object) -> tuple[object, ...]:
    """Where a key may be held, its own place first. Python would hold True, 1 and 1.0 for one key."""
    match key:
        case bool():
            return ((bool, key),)
        case Uint():
            return (Uint, int(key)), int(key)
        case float():
            return (int(key), (Uint, int(key))) if key.is_integer() else ()
        case int():
            return key, (Uint, key)
    return (key,)
