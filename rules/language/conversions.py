"""CEL's explicit conversions: `int(x)`, `string(x)`, `timestamp(x)` and their kind.

Texts of numbers are read as cel-cpp reads them (decimal only, blanks around are allowed) and doubles are
written as it writes them.
"""

import math
import re
from decimal import Decimal
from typing import Any, Final

from rules.language import moments, operations
from rules.language.operations import no_overload
from rules.language.values import INT_MAX, INT_MIN, UINT_MAX, Duration, EvaluationError, Timestamp, Uint

_TRUE: Final = frozenset({"true", "True", "TRUE", "t", "1"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "f", "0"})
_INTEGER: Final = re.compile(r"[+-]?\d+", re.ASCII)
_DOUBLE: Final = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)", re.IGNORECASE | re.ASCII
)
_HEXADECIMAL: Final = re.compile(
    r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?\d+)?", re.IGNORECASE | re.ASCII
)
_BLANKS: Final = " \t\n\v\f\r"


def to_bool(value: Any) -> bool:
    """`bool(value)`."""
    if type(value) is bool:
        return value
    if type(value) is str:
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise EvaluationError(f"{value!r} is not a bool")
    raise no_overload("bool()", value)


def to_int(value: Any) -> int:
    """`int(value)`."""
    match value:
        case bool():
            return int(value)
        case int():
            return operations.int64(int(value))
        case float():
            # The greatest double below 2^63 is far from it; the least double of the range is left out too.
            if math.isfinite(value) and INT_MIN < value < INT_MAX:
                return int(value)
            raise EvaluationError(f"{value} is outside the range of an int")
        case str():
            return _integer(value, INT_MIN, INT_MAX)
        case Timestamp():
            return value.nanoseconds // 10**9
    raise no_overload("int()", value)


def to_uint(value: Any) -> Uint:
    """`uint(value)`."""
    match value:
        case bool():
            pass
        case int():
            return operations.uint64(int(value))
        case float():
            if math.isfinite(value) and 0 <= value < UINT_MAX:
                return Uint(int(value))
            raise EvaluationError(f"{value} is outside the range of a uint")
        case str() if "-" not in value:
            return Uint(_integer(value, 0, UINT_MAX))
        case str():
            raise EvaluationError(f"{value!r} is not an unsigned integer")
    raise no_overload("uint()", value)


def to_double(value: Any) -> float:
    """`double(value)`."""
    if type(value) in (int, float, Uint):
        return float(value)
    if type(value) is str:
        text = value.strip(_BLANKS)
        if _DOUBLE.fullmatch(text):
            return float(text)
        if _HEXADECIMAL.fullmatch(text):
            return float.fromhex(text)
        raise EvaluationError(f"{value!r} is not a number")
    raise no_overload("double()", value)


def to_string(value: Any) -> str:
    """`string(value)`."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return format_double(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvaluationError("the bytes are not UTF-8") from None
        case Duration():
            return moments.format_duration(value)
        case Timestamp():
            return moments.format_timestamp(value)
    raise no_overload("string()", value)


def to_bytes(value: Any) -> bytes:
    """`bytes(value)`."""
    if type(value) is bytes:
        return value
    if type(value) is str:
        return value.encode()
    raise no_overload("bytes()", value)


def to_duration(value: Any) -> Duration:
    """`duration(value)`."""
    if type(value) is Duration:
        return value
    if type(value) is str:
        return moments.parse_duration(value)
    raise no_overload("duration()", value)


def to_timestamp(value: Any) -> Timestamp:
    """`timestamp(value)`: RFC 3339, or whole seconds since 1970."""
    if type(value) is Timestamp:
        return value
    if type(value) is str:
        return moments.parse_timestamp(value)
    if type(value) is int:
        return operations.timestamp(value * 10**9)
    raise no_overload("timestamp()", value)


def format_double(value: float) -> str:
    """Write the shortest digits that mean `value`, as C++'s std::to_chars does in its general format.

    That is 0.1 and 123456, but 1.234567e+06. NaN has no sign here: there it has the processor's.
    """
    if value != value:
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    shown = "".join(map(str, digits)).rstrip("0") or "0"
    magnitude = len(digits) + int(exponent) - 1 if shown != "0" else 0
    if -4 <= magnitude < 6:
        text = f"{abs(value):.{max(0, len(shown) - 1 - magnitude)}f}"
    else:
        text = f"{shown[0]}{'.' if shown[1:] else ''}{shown[1:]}e{magnitude:+03}"
    return f"-{text}" if sign else text


def _integer(text: str, least: int, greatest: int) -> int:
    stripped = text.strip(_BLANKS)
    if len(stripped) < 100 and _INTEGER.fullmatch(stripped):
        value = int(stripped)
        if least <= value <= greatest:
            return value
    raise EvaluationError(f"{text!r} is not an integer between {least} and {greatest}")
