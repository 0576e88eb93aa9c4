"""Durations and timestamps: their texts, and the parts that they are asked for.

Texts of durations follow Go's notation (`1h30m`, `-1.5s`, `250ms`), timestamps RFC 3339. A time zone is an
IANA name or an offset such as `+02:00`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules.language import operations
from rules.language.values import Duration, EvaluationError, Timestamp

_UNITS: Final = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
_PART: Final = re.compile(r"(\d*)(?:\.(\d*))?(ns|us|ms|s|m|h)", re.ASCII)
_RFC3339: Final = re.compile(
    r"(\d+)-(\d{1,2})-(\d{1,2})[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d+))?"
    r"(?:([Zz])|([+-])(\d{2}):?(\d{2}))",
    re.ASCII,
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LEAST: Final = Timestamp.LEAST // 10**9
_GREATEST: Final = Timestamp.GREATEST // 10**9
_MARGIN: Final = 2 * 86_400
_CYCLE: Final = 146_097 * 86_400
_OFFSET: Final = re.compile(r"([+-]?)(\d{1,4}):(\d{1,4})", re.ASCII)


def parse_duration(text: str) -> Duration:
    """`duration("1h30m")`. Raises EvaluationError."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return Duration(0)
    total = position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None or not (part.group(1) or part.group(2)):
            raise EvaluationError(f"{text!r} is not a duration: write 30s, 5m, 1h30m or 250ms")
        unit = _UNITS[part.group(3)]
        fraction = part.group(2) or ""
        total += int(part.group(1) or "0") * unit + int(fraction or "0") * unit // 10 ** len(fraction)
        position = part.end()
    if not rest:
        raise EvaluationError("an empty text is not a duration")
    return operations.duration(-total if text.startswith("-") else total)


def format_duration(value: Duration) -> str:
    """`string(duration)`: seconds with as many decimals as needed, in threes."""
    seconds, nanoseconds = divmod(abs(value.nanoseconds), 10**9)
    return f"{'-' if value.nanoseconds < 0 else ''}{seconds}{_fraction(nanoseconds)}s"


def parse_timestamp(text: str) -> Timestamp:
    """`timestamp("2026-01-01T00:00:00Z")`. Raises EvaluationError."""
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise EvaluationError(f"{text!r} is not a timestamp: write 2026-01-01T00:00:00Z")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    except ValueError:
        raise EvaluationError(f"{text!r} is not a timestamp: there is no such day or time") from None
    seconds = (moment - _EPOCH) // timedelta(seconds=1) + leap
    fraction = (match.group(7) or "")[:9].ljust(9, "0")
    if match.group(8) is None:
        hours, minutes = int(match.group(10)), int(match.group(11))
        if hours > 23 or minutes > 59:
            raise EvaluationError(f"{text!r} is not a timestamp: there is no such offset")
        seconds -= (hours * 3600 + minutes * 60) * (-1 if match.group(9) == "-" else 1)
    return operations.timestamp(seconds * 10**9 + (0 if leap else int(fraction)))


def format_timestamp(value: Timestamp) -> str:
    """`string(timestamp)`: RFC 3339 in UTC."""
    seconds, nanoseconds = divmod(value.nanoseconds, 10**9)
    moment = _EPOCH + timedelta(seconds=seconds)
    return f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}{_fraction(nanoseconds)}Z"


def _fraction(nanoseconds: int) -> str:
    if not nanoseconds:
        return ""
    digits = f"{nanoseconds:09}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


def part(name: str, value: Any, zone: Any = "UTC") -> int:
    """`value.getHours(zone)` and its kind, for timestamps; the same without a zone for durations."""
    if type(value) is Duration and name in _DURATION_PARTS:
        return _DURATION_PARTS[name](value.nanoseconds)
    if type(value) is not Timestamp or type(zone) is not str:
        raise operations.no_overload(name, value, zone)
    seconds, nanoseconds = divmod(value.nanoseconds, 10**9)
    # Local time can leave the years that Python's datetime knows: the calendar repeats every 400 years.
    cycles = (seconds < _LEAST + _MARGIN) - (seconds > _GREATEST - _MARGIN)
    moment = _local(seconds + cycles * _CYCLE, zone)
    if name == "getMilliseconds":
        return nanoseconds // 10**6
    if name == "getFullYear":
        return moment.year - 400 * cycles
    return _PARTS[name](moment)


def _local(seconds: int, zone: str) -> datetime:
    moment = _EPOCH + timedelta(seconds=seconds)
    if zone in ("UTC", ""):
        return moment
    offset = _OFFSET.fullmatch(zone)
    if offset is None:
        return moment.astimezone(_zone(zone))
    minutes = int(offset.group(2)) * 60 + int(offset.group(3))
    if minutes * 60 > _MARGIN:
        raise EvaluationError(f"{zone!r} is no offset of a time zone")
    return moment + timedelta(minutes=-minutes if offset.group(1) == "-" else minutes)


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone {name!r}") from None


def _towards_zero(nanoseconds: int, unit: int) -> int:
    whole = abs(nanoseconds) // unit
    return -whole if nanoseconds < 0 else whole


_PARTS: Final[Mapping[str, Callable[[datetime], int]]] = {
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
}
_DURATION_PARTS: Final[Mapping[str, Callable[[int], int]]] = {
    "getHours": lambda nanoseconds: _towards_zero(nanoseconds, _UNITS["h"]),
    "getMinutes": lambda nanoseconds: _towards_zero(nanoseconds, _UNITS["m"]),
    "getSeconds": lambda nanoseconds: _towards_zero(nanoseconds, _UNITS["s"]),
    "getMilliseconds": lambda nanoseconds: (
        _towards_zero(nanoseconds, _UNITS["ms"]) - 1000 * _towards_zero(nanoseconds, _UNITS["s"])
    ),
}
PARTS: Final = (*_PARTS, "getFullYear", "getMilliseconds")
"""Names of the functions that `part` answers."""
