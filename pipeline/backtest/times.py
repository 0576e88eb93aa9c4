"""A cell that holds a time, as loggers write them: numbers of seconds or milliseconds, or a date with a zone.

A time without a zone is refused where nobody said which zone is meant: an hour's error moves every window.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo

from rules.instants import EARLIEST, LATEST

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def instant_of(found: object, time_format: str, zone: tzinfo | None) -> int:
    """Milliseconds since the epoch. `time_format` says what a bare number is. Raises ValueError."""
    if isinstance(found, datetime):
        return _of_datetime(found, zone)
    if isinstance(found, str):
        text = found.strip()
        try:
            number = float(text)
        except ValueError:
            return _of_text(text, zone)
    elif isinstance(found, int | float) and not isinstance(found, bool):
        number = found
    else:
        raise ValueError("it is no time")
    return _of_number(number, time_format)


def _of_number(number: float, time_format: str) -> int:
    if not math.isfinite(number):
        raise ValueError("it is no time")
    scale = 1000 if time_format == "unixSeconds" else 1
    instant = round(number * scale)
    if time_format == "rfc3339":
        raise ValueError("the catalog's timestamp.format is rfc3339, and this is a number")
    return _within(instant)


def _of_text(text: str, zone: tzinfo | None) -> int:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("it is no time") from None
    return _of_datetime(moment, zone)


def _of_datetime(moment: datetime, zone: tzinfo | None) -> int:
    if moment.tzinfo is None:
        if zone is None:
            raise ValueError("it has no zone (Z or +08:00): --time-zone says which is meant")
        moment = moment.replace(tzinfo=zone)
    return _within((moment - _EPOCH) // _MILLISECOND)


def _within(instant: int) -> int:
    if not EARLIEST <= instant <= LATEST:
        raise ValueError("it is not in the years 1 to 9999")
    return instant
