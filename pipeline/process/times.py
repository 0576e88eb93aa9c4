"""A time is an int of milliseconds since the epoch inside, and RFC 3339 with ms and Z outside.

One format for every record and header of ours, so that texts compare as times do.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
LEAST_MS = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
GREATEST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z


def format_time(time_ms: int) -> str:
    """Return `2026-01-01T00:00:10.000Z`; ValueError outside of the years 1 to 9999."""
    if not LEAST_MS <= time_ms <= GREATEST_MS:
        raise ValueError(f"{time_ms} ms lies outside of the years 1 to 9999")
    return (_EPOCH + timedelta(milliseconds=time_ms)).isoformat(timespec="milliseconds")[:-6] + "Z"


def parse_time(text: str) -> int:
    """Read RFC 3339 with any offset, cut to milliseconds; ValueError for anything else."""
    if not _RFC3339.fullmatch(text):
        raise ValueError(f"{text!r} is not RFC 3339 with an offset, such as 2026-01-01T00:00:10.000Z")
    return (datetime.fromisoformat(text.upper()) - _EPOCH) // _MILLISECOND
