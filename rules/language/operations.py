"""CEL's operators on values: what Python's own operators do otherwise, or do without a check.

Every function takes and returns the values of `values.py` and raises EvaluationError where CEL has an error,
UnknownValue where an operand is the poison. Source: CEL's language definition, and cel-cpp where that leaves
room; a differential test holds these to cel-cpp.
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from rules.language.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    UNKNOWN,
    Duration,
    EvaluationError,
    Map,
    Timestamp,
    TypeValue,
    Uint,
    UnknownValue,
)

TEXT_LIMIT: Final = 65_536
"""Longest text or bytes that an expression may build, and LIST_LIMIT the longest list: a rule that doubles
its text at each step must not take the worker with it."""
LIST_LIMIT: Final = 1_000

_NAMES: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    Map: "map",
    type(None): "null_type",
    Duration: "google.protobuf.Duration",
    Timestamp: "google.protobuf.Timestamp",
    TypeValue: "type",
}
_ORDERED: Final = (str, bytes, bool, Duration, Timestamp)


def known(value: Any) -> Any:
    """Return `value`, which something is about to keep without looking at it."""
    if value is UNKNOWN:
        raise UnknownValue
    return value


def boolean(value: Any) -> bool:
    """Return a value that must be a bool and is only known to be dyn."""
    if value is True or value is False:
        return bool(value)
    raise no_overload("a condition", value)


def no_overload(what: str, *values: object) -> Exception:
    """Return the error of an operation that does not exist for these types."""
    if any(value is UNKNOWN for value in values):
        return UnknownValue()
    return EvaluationError(f"{what} is not defined for {', '.join(map(type_name, values))}")


def type_name(value: object) -> str:
    """Return the name of the value's CEL type."""
    return _NAMES.get(type(value), type(value).__name__)


def type_value(value: object) -> TypeValue:
    """`type(value)`."""
    return TypeValue(type_name(known(value)))


# Logic, where an error of one side gives way to an answer of the other.


def conjunction(*terms: Callable[[], object]) -> bool:
    """`a && b && …`: false if any is false, else the error of one that has none, else true."""
    return _junction(terms, decisive=False)


def disjunction(*terms: Callable[[], object]) -> bool:
    """`a || b || …`."""
    return _junction(terms, decisive=True)


def every(items: Iterable[object], holds: Callable[[Any], object]) -> bool:
    """`items.all(x, holds)`."""
    return _junction((partial(holds, item) for item in items), decisive=False)


def some(items: Iterable[object], holds: Callable[[Any], object]) -> bool:
    """`items.exists(x, holds)`."""
    return _junction((partial(holds, item) for item in items), decisive=True)


def _junction(terms: Iterable[Callable[[], object]], *, decisive: bool) -> bool:
    failure: Exception | None = None
    for term in terms:
        try:
            value = term()
        except UnknownValue as unknown:
            failure = unknown
        except EvaluationError as error:
            failure = failure or error
        else:
            if value is decisive:
                return decisive
            if value is not (not decisive) and not isinstance(failure, UnknownValue):
                failure = no_overload("&& and ||", value)
    if failure is not None:
        raise failure
    return not decisive


# Equality and order.


def equal(left: Any, right: Any) -> bool:
    """`left == right` for any two values: different kinds are unequal, numbers compare by value."""
    if isinstance(left, int | float) and isinstance(right, int | float):
        if isinstance(left, bool) or isinstance(right, bool):
            return left is right
        return _numbers_equal(left, right)
    kind = type(left)
    if kind is not type(right):
        known(left), known(right)
        return False
    if kind is list:
        return len(left) == len(right) and all(map(equal, left, right))
    if kind is Map:
        return len(left) == len(right) and all(key in right and equal(left[key], right[key]) for key in left)
    return bool(left == right)


def _numbers_equal(left: Any, right: Any) -> bool:
    # CEL compares an integer with a double as doubles, so 2^53 + 1 equals 2.0^53; Python would not.
    if isinstance(left, float) is not isinstance(right, float):
        return float(left) == float(right) and not _out_of_range(left, right)
    return bool(left == right)


def _out_of_range(left: Any, right: Any) -> bool:
    number, double = (left, right) if isinstance(right, float) else (right, left)
    if isinstance(number, Uint):
        return double < 0 or double > 2.0**64
    return double < -(2.0**63) or double > 2.0**63


def order(left: Any, right: Any) -> float:
    """Return less than, equal to or greater than zero; NaN if the two numbers have no order."""
    first, second = type(left), type(right)
    if first in (int, float, Uint) and second in (int, float, Uint):
        if (first is float) is not (second is float) and not _out_of_range(left, right):
            left, right = float(left), float(right)
        if left != left or right != right:
            return math.nan
    elif first not in _ORDERED or first is not second:
        raise no_overload("an order", left, right)
    return int(left > right) - int(left < right)


def less(left: Any, right: Any) -> bool:
    """`left < right`."""
    return order(left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    """`left <= right`."""
    return order(left, right) <= 0


def greater(left: Any, right: Any) -> bool:
    """`left > right`."""
    return order(left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    """`left >= right`."""
    return order(left, right) >= 0


# Arithmetic.


def int64(value: int) -> int:
    """Return an integer result that must fit 64 bits."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def uint64(value: int) -> Uint:
    """Return an unsigned result that must fit 64 bits."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")


def add(left: Any, right: Any) -> Any:
    """`left + right`."""
    match left, right:
        case (float(), float()):
            return left + right
        case (bool(), _) | (_, bool()):
            pass
        case (Uint(), Uint()):
            return uint64(int(left) + int(right))
        case (int(), int()) if type(left) is type(right):
            return int64(left + right)
        case (str(), str()) | (bytes(), bytes()):
            return concatenate(left, right)
        case (list(), list()):
            if len(left) + len(right) > LIST_LIMIT:
                raise EvaluationError(f"a list of more than {LIST_LIMIT} elements")
            return left + right
        case (Duration(), Duration()):
            return Duration(int64(int64(left.nanoseconds) + int64(right.nanoseconds)))
        case (Duration(), Timestamp()) | (Timestamp(), Duration()):
            return timestamp(left.nanoseconds + right.nanoseconds)
    raise no_overload("+", left, right)


def subtract(left: Any, right: Any) -> Any:
    """`left - right`."""
    match left, right:
        case (float(), float()):
            return left - right
        case (bool(), _) | (_, bool()):
            pass
        case (Uint(), Uint()):
            return uint64(int(left) - int(right))
        case (int(), int()) if type(left) is type(right):
            return int64(left - right)
        case (Duration(), Duration()) | (Timestamp(), Timestamp()) if type(left) is type(right):
            # Like Go, CEL computes with durations of 64 bits, 292 years, though it can hold longer ones.
            return Duration(int64(_nanoseconds(left) - _nanoseconds(right)))
        case (Timestamp(), Duration()):
            return timestamp(left.nanoseconds - int64(right.nanoseconds))
    raise no_overload("-", left, right)


def _nanoseconds(value: Duration | Timestamp) -> int:
    return int64(value.nanoseconds) if isinstance(value, Duration) else value.nanoseconds


def multiply(left: Any, right: Any) -> Any:
    """`left * right`."""
    match left, right:
        case (float(), float()):
            return left * right
        case (bool(), _) | (_, bool()):
            pass
        case (Uint(), Uint()):
            return uint64(int(left) * int(right))
        case (int(), int()) if type(left) is type(right):
            return int64(left * right)
    raise no_overload("*", left, right)


def divide(left: Any, right: Any) -> Any:
    """`left / right`: doubles as IEEE 754 does, integers towards zero."""
    match left, right:
        case (float(), float()):
            return _divide_doubles(left, right)
        case (bool(), _) | (_, bool()):
            pass
        case (int(), int()) if type(left) is type(right):
            if right == 0:
                raise EvaluationError("division by zero")
            quotient = abs(int(left)) // abs(int(right))
            if type(left) is Uint:
                return Uint(quotient)
            return int64(quotient if (left < 0) is (right < 0) else -quotient)
    raise no_overload("/", left, right)


def _divide_doubles(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left != left or left == 0:
        return math.nan
    return math.copysign(math.inf, math.copysign(1.0, left) * math.copysign(1.0, right))


def modulo(left: Any, right: Any) -> Any:
    """`left % right`: the sign is the dividend's."""
    match left, right:
        case (bool(), _) | (_, bool()):
            pass
        case (int(), int()) if type(left) is type(right):
            if right == 0:
                raise EvaluationError("modulus by zero")
            if left == INT_MIN and right == -1:
                raise EvaluationError("integer overflow")
            rest = abs(int(left)) % abs(int(right))
            if type(left) is Uint:
                return Uint(rest)
            return -rest if left < 0 else rest
    raise no_overload("%", left, right)


def negate(value: Any) -> Any:
    """`-value`."""
    if type(value) is float:
        return -value
    if type(value) is int:
        return int64(-value)
    raise no_overload("unary -", value)


def concatenate(left: Any, right: Any) -> Any:
    """`left + right` for texts and bytes, bounded."""
    if len(left) + len(right) > TEXT_LIMIT:
        raise EvaluationError(f"a text of more than {TEXT_LIMIT} characters")
    return left + right


def duration(nanoseconds: int) -> Duration:
    """Return a duration that must be within protobuf's limits."""
    if -Duration.LIMIT <= nanoseconds <= Duration.LIMIT:
        return Duration(nanoseconds)
    raise EvaluationError("duration out of range")


def timestamp(nanoseconds: int) -> Timestamp:
    """Return a timestamp that must be within years 1 to 9999."""
    if Timestamp.LEAST <= nanoseconds <= Timestamp.GREATEST:
        return Timestamp(nanoseconds)
    raise EvaluationError("timestamp out of range")


# Lists and maps.


def index(container: Any, key: Any) -> Any:
    """`container[key]`."""
    if type(container) is list:
        if type(key) is float and key.is_integer():
            key = int(key)
        if type(key) not in (int, Uint):
            raise no_overload("an index", container, key)
        if 0 <= key < len(container):
            return container[key]
        raise EvaluationError(f"index {key} is outside a list of {len(container)}")
    if type(container) is Map:
        return container[_key(key)]
    raise no_overload("an index", container, key)


def contains(element: Any, container: Any) -> bool:
    """`element in container`."""
    if type(container) is list:
        return any(equal(element, other) for other in container)
    if type(container) is Map:
        return _key(element) in container
    raise no_overload("in", element, container)


def has(container: Any, key: str) -> bool:
    """`has(container.key)`."""
    if type(container) is Map:
        return key in container
    raise no_overload("has()", container)


def _key(key: Any) -> Any:
    if isinstance(key, bool | int | float | str):
        return key
    raise no_overload("a map key", key)


def certain(condition: Callable[[], object]) -> bool:
    """True where the condition is known to be true, false where it is false, unknown or an error."""
    try:
        return condition() is True
    except Exception:
        return False


def items(container: Any) -> Iterable[Any]:
    """What a macro runs over: a list's elements or a map's keys."""
    if type(container) is list:
        return container
    if type(container) is Map:
        return list(container)
    raise no_overload("a macro", container)


def size(value: Any) -> int:
    """`size(value)`: code points, bytes, elements or entries."""
    if type(value) in (str, bytes, list, Map):
        return len(value)
    raise no_overload("size()", value)
