"""When a rule is open: spans of the day, on days of the week, on the wall clock of a place.

A time of day is a text with a colon, which YAML 1.1 reads as a number to the base of 60; a number here is
answered with what was probably written.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import available_timezones

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from rules.documents.closed import Closed, Finding, Many, told
from rules.documents.diagnostics import Path, did_you_mean

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

DAY_MINUTES = 24 * 60
TIME_PATTERN = r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"
_TIME = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)\Z")


class _TimeText:
    """How pydantic reads and writes a time of day: text outside, minutes since midnight inside."""

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> int:
            found = _TIME.match(value) if isinstance(value, str) else None
            if found is None:
                raise PydanticCustomError("time_of_day", "a time of day is a text from 00:00 to 24:00")
            return DAY_MINUTES if found[1] is None else int(found[1]) * 60 + int(found[2])

        return core_schema.no_info_plain_validator_function(
            read,
            serialization=core_schema.plain_serializer_function_ser_schema(
                format_time_of_day, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": TIME_PATTERN, "examples": ["22:00", "06:30"]}


TimeOfDay = Annotated[int, _TimeText]
"""The type of a field that an author writes as "22:00" and code reads as 1320."""


def format_time_of_day(minutes: int) -> str:
    """Return the text of so many minutes after midnight."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def time_hint(found: Any) -> str | None:
    """Return what an author probably meant with something that is no time of day."""
    if isinstance(found, bool):
        return None
    if isinstance(found, int) and 0 <= found < 24:
        return f'write "{found:02d}:00"'
    if isinstance(found, int) and 60 <= found <= DAY_MINUTES:
        return f'YAML 1.1 reads a time without quotes as a number: write "{format_time_of_day(found)}"'
    if isinstance(found, str):
        short = re.match(r"\s*([0-9]{1,2})[:.h]?([0-5][0-9])?(?::00)?\s*([ap]m)?\s*\Z", found, re.IGNORECASE)
        if short is not None:
            hour = int(short[1])
            if short[3] is not None:
                hour = hour % 12 + (12 if short[3].lower() == "pm" else 0)
            return f'write "{hour:02d}:{short[2] or "00"}"' if hour < 24 else None
    return None


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones()) - {"Factory", "localtime", "posixrules"}


def _time_zone(value: Any) -> Any:
    if isinstance(value, str) and value not in _zones():
        raise PydanticCustomError("time_zone", "a time zone is a name such as Europe/Berlin or UTC")
    return value


def zone_hint(found: Any) -> str | None:
    """Return the name nearest to one that is no time zone."""
    return did_you_mean(found, _zones()) if isinstance(found, str) else None


TimeZone = Annotated[str, BeforeValidator(_time_zone)]
"""A name of the IANA database."""


class Span(Closed):
    """From a time of day to another, on some days; it ends on the next day if `to` is not after `from`."""

    days: Annotated[Many[Weekday], told(minItems=1)] = WEEKDAYS
    """The days on which it begins."""
    from_: Annotated[TimeOfDay, Field(alias="from")] = 0
    """The first minute; in quotes, or YAML 1.1 reads a number."""
    to: TimeOfDay = DAY_MINUTES
    """The first minute after it, at most "24:00"; on the next day if it is not after `from`."""
    time_zone: TimeZone
    """On whose clocks: a name of the IANA database."""

    elsewhere: ClassVar = {
        "start": "from",
        "end": "to",
        "until": "to",
        "weekdays": "days",
        "tz": "timeZone",
        "location": "timeZone",
        "timezone": "timeZone",
    }


def schedule_findings(spans: tuple[Span, ...] | None, path: Path) -> Iterator[Finding]:
    """Yield what makes a schedule, or a span of it, never open."""
    if spans == ():
        message = "a schedule without spans is never open"
        yield Finding("TT055", path, message, "leave schedule out: the rule is always open then")
    for index, span in enumerate(spans or ()):
        if not span.days:
            message = "this span is on no day"
            yield Finding("TT055", (*path, index, "days"), message, "leave days out: every day")
        if span.from_ == DAY_MINUTES:
            hint = 'write "00:00", and the day after'
            yield Finding("TT053", (*path, index, "from"), "a span begins before 24:00", hint)
        elif span.from_ == span.to:
            message = "this span is over when it begins"
            hint = "for whole days leave from and to out"
            yield Finding("TT055", (*path, index, "to"), message, hint)
