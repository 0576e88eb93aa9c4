"""A recorded drive becomes messages: one row, one message, keys as in the header, times by row number.

A trace is a CSV file with a header and no clock. Units behind a column's name, as OBD-II loggers
write them (`VEHICLE_SPEED ()`), are not part of the key; an empty cell is a signal that was not sent.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Iterator

from bridges.simulator.journeys import Coverage, Happening, Kind, Publication
from bridges.simulator.payloads import encode

_UNIT = re.compile(r"\s*\([^()]*\)\s*\Z")

Row = dict[str, float | str | bool]


class TraceError(ValueError):
    """A trace that cannot be replayed; the message says which line and why."""


def parse_trace(lines: Iterable[str]) -> list[Row]:
    """The rows of a trace. Raises TraceError, which names the line."""
    reader = csv.reader(lines)
    try:
        keys = _keys(next(reader, None))
        rows = [_row(keys, cells, reader.line_num) for cells in reader]
    except csv.Error as error:
        raise TraceError(f"line {max(1, reader.line_num)}: {error}") from None
    if not rows:
        raise TraceError("there is a header and nothing below it")
    return rows


def _keys(header: list[str] | None) -> list[str]:
    if header is None:
        raise TraceError("line 1: there is no header")
    keys = [_UNIT.sub("", name).strip() for name in header]
    doubled = {key for key in keys if key and keys.count(key) > 1}
    if doubled:
        raise TraceError(f"line 1: the column {min(doubled)!r} stands there twice")
    if not any(keys):
        raise TraceError("line 1: no column has a name")
    return keys


def _row(keys: list[str], cells: list[str], line: int) -> Row:
    if any(cell.strip() for cell in cells[len(keys) :]):
        raise TraceError(f"line {line}: {len(cells)} cells under {len(keys)} columns")
    return {key: _value(cell) for key, cell in zip(keys, cells, strict=False) if key and cell.strip()}


def _value(cell: str) -> float | str | bool:
    text = cell.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def replay(
    rows: Iterable[Row],
    vehicle_id: str,
    *,
    start_ms: int,
    publish_from_ms: int,
    interval_ms: int,
    speedup: float,
) -> Iterator[Happening]:
    """Yield row n as sampled at `start_ms` + n intervals and published `speedup` times as fast.

    A speed-up of infinity publishes all at once.
    """
    yield Coverage(publish_from_ms, vehicle_id, online=True)
    for number, row in enumerate(rows):
        sampled_ms = start_ms + number * interval_ms
        at_ms = publish_from_ms + round(number * interval_ms / speedup)
        payload = encode({**row, "ts": sampled_ms, "seq": number})
        kind = Kind.LIVE if sampled_ms >= at_ms - interval_ms else Kind.LATE
        yield Publication(at_ms, vehicle_id, sampled_ms, payload, kind)
