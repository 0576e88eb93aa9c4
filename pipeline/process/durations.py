"""A duration in settings is text with units (`25s`, `1m30s`, `250ms`) or a bare number of seconds.

The field says its unit in its name (`drain_timeout_s`), the key that a person writes does not
(`drainTimeout`, `TELLTALE_DRAIN_TIMEOUT`), because the value carries it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator

_UNITS_MS = {"ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0, "d": 86_400_000.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"(?:{_PART.pattern})+")
_ADVICE = "write 25s, 1m30s, 250ms, or a number of seconds"


def parse_duration(value: object) -> float:
    """Milliseconds of `25s`, `1m30s`, `250ms`, or of a number of seconds; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"is not a duration; {_ADVICE}")
    text = str(value).strip()
    if _WHOLE.fullmatch(text):
        return sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(text))
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"is not a duration; {_ADVICE}") from None
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration is finite and not negative; {_ADVICE}")
    return seconds * 1000


def format_duration(milliseconds: float) -> str:
    """Return the shortest text that `parse_duration` reads as the same: 90000 is `1m30s`."""
    rest = round(milliseconds)
    if rest == 0:
        return "0s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, int(_UNITS_MS[unit]))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


class DurationMark:
    """Marks a field whose value carries its unit, and says in what unit the code holds it."""

    def __init__(self, unit_ms: float) -> None:
        self.unit_ms = unit_ms


def _in_unit(unit_ms: float) -> Callable[[object], float]:
    """Reads a text as a person writes it, and takes a number from code as it is: in the field's unit."""

    def read(value: object) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        milliseconds = parse_duration(value)
        return milliseconds / 1000 if number else milliseconds / unit_ms

    return read


Seconds = Annotated[float, BeforeValidator(_in_unit(1000.0)), DurationMark(1000.0)]
Milliseconds = Annotated[int, BeforeValidator(lambda value: round(_in_unit(1.0)(value))), DurationMark(1.0)]
