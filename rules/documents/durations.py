"""A duration as an author writes it, `30s`, `5m`, `1h30m`, `250ms`, is a whole number of milliseconds.

Milliseconds because that is the resolution of time everywhere in the product. The notation is the one of
Prometheus (its units `ms s m h d w`, greatest first, each at most once), so that a rule moved from there
reads the same. A bare number is refused: whether `for: 30` meant seconds or minutes is not ours to guess.
"""

import re
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

UNITS: dict[str, int] = {
    "w": 7 * 24 * 3_600_000,
    "d": 24 * 3_600_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1_000,
    "ms": 1,
}
"""Milliseconds of each unit, greatest first."""

LONGEST_MS = 10 * 366 * UNITS["d"]
"""Ten years. What is longer is a slip of the pen, and would overflow sums further on."""

PATTERN = r"^(?:[0-9]+w)?(?:[0-9]+d)?(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?(?:[0-9]+ms)?$"
"""Of a text that is not empty. Nothing looks ahead: Kubernetes reads patterns with RE2."""
_WHOLE = re.compile(PATTERN.removesuffix("$") + r"\Z")
_PART = re.compile(r"([0-9]+)(ms|[wdhms])")
_LONGEST_TEXT = 40
_HOLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}\Z")
FIELD_PATTERN = PATTERN + r"|^\{\{\s*[A-Za-z_][A-Za-z0-9_]*\s*\}\}$"
"""What may stand in a field: a duration, or the name of a parameter."""
DURATIONS = "durations"
"""The key of pydantic's context under which the values of parameters are."""
RESOLVED = "resolved"
"""The key that says that names of parameters need not be kept."""


class NamedDuration(int):
    """A duration that was written as the name of a parameter, which is remembered for writing it again."""

    written: str


def parse_duration(text: str) -> int:
    """Return the milliseconds of `text`; raise ValueError with a sentence for the author."""
    if not 0 < len(text) <= _LONGEST_TEXT or not _WHOLE.match(text):
        raise ValueError("a duration is written like 30s, 5m, 1h30m or 250ms")
    total = sum(int(amount) * UNITS[unit] for amount, unit in _PART.findall(text))
    if total > LONGEST_MS:
        raise ValueError("a duration is at most ten years")
    return total


def format_duration(duration_ms: int) -> str:
    """Return the shortest text that `parse_duration` reads as `duration_ms` (not negative); 0 is `0s`."""
    parts = []
    for unit, size in UNITS.items():
        if unit == "w":  # 14d says more than 2w to most readers
            continue
        amount, duration_ms = divmod(duration_ms, size)
        if amount:
            parts.append(f"{amount}{unit}")
    return "".join(parts) or "0s"


def parameter_in(text: str) -> str | None:
    """Return the name of the parameter that a field is written as, `{{ hold }}`; None if it is not."""
    hole = _HOLE.match(text)
    return None if hole is None else hole[1]


def _named(text: str, name: str, context: dict[str, Any]) -> int:
    known: dict[str, int] = context.get(DURATIONS, {})
    if name not in known:
        raise ValueError(f"no parameter of the type duration has the name {name!r:.80}")
    if context.get(RESOLVED):
        return known[name]
    value = NamedDuration(known[name])
    value.written = text
    return value


class _DurationText:
    """How pydantic reads and writes a duration: text outside, milliseconds inside."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any, info: core_schema.ValidationInfo) -> int:
            text = value if isinstance(value, str) else ""
            try:
                hole = _HOLE.match(text)
                return parse_duration(text) if hole is None else _named(text, hole[1], info.context or {})
            except ValueError as error:
                raise PydanticCustomError("duration", "{reason}", {"reason": str(error)}) from None

        def write(value: int) -> str:
            return value.written if isinstance(value, NamedDuration) else format_duration(value)

        return core_schema.with_info_plain_validator_function(
            read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                write, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        examples = ["30s", "5m", "1h30m", "250ms"]
        return {"type": "string", "minLength": 1, "pattern": FIELD_PATTERN, "examples": examples}


Duration = Annotated[int, _DurationText]
"""The type of a field that an author writes as `30s` and code reads as 30000."""
