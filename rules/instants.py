"""Instants are milliseconds since the epoch, UTC; in records they are RFC 3339 with milliseconds and `Z`.

Both directions run once or twice for every message, so the date of a day is looked up, not computed.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MINUTE_MS = 60_000

# The years that RFC 3339 can write: 0001 to 9999.
EARLIEST = -62_135_596_800_000
LATEST = 253_402_300_799_999


@lru_cache(maxsize=4096)
def _minute_text(minute: int) -> str:
    return (_EPOCH + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:").rjust(17, "0")


def format_instant(instant: int) -> str:
    """`1767225610000` is "2026-01-01T00:00:10.000Z". Raises OverflowError outside the years 1 to 9999."""
    minute, rest = divmod(instant, _MINUTE_MS)
    return f"{_minute_text(minute)}{rest // 1000:02d}.{rest % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _minute_instant(text: str) -> int:
    return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


def parse_instant(text: str) -> int:
    """Any RFC 3339 date-time to milliseconds, finer digits cut off. Raises ValueError, naming the text.

    So does one that a zone moves out of the years that can be written.

    Our own form ("2026-01-01T00:00:10.000Z") takes the short way.
    """
    if len(text) == 24 and text[23] == "Z" and text[16] == ":" and text[19] == ".":
        seconds, milliseconds = text[17:19], text[20:23]
        digits = seconds + milliseconds
        if seconds < "60" and digits.isascii() and digits.isdigit():
            return _minute_instant(text[:16]) + int(seconds) * 1000 + int(milliseconds)
    upper = text.upper()
    moment = datetime.fromisoformat(upper)
    if moment.tzinfo is None or "T" not in upper:
        raise ValueError(
            f"{text!r} is no RFC 3339 date-time: it needs a date, 'T', a time and a zone such as 'Z'"
        )
    instant = (moment - _EPOCH) // _MILLISECOND
    if not EARLIEST <= instant <= LATEST:
        raise ValueError(f"{text!r} is not in the years 1 to 9999 of UTC")
    return instant
