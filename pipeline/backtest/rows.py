"""A row of a table to a message, of CSV (whose cells are texts) as of Parquet (whose are typed)."""

from __future__ import annotations

import math
import sys
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.backtest.asked import Gaps
from pipeline.backtest.columns import Columns
from pipeline.backtest.messages import Message, Mine, Order, TraceError
from pipeline.backtest.times import instant_of
from pipeline.stages.payloads import MAX_AHEAD_MS, MAX_TEXT, TOLERATED_AHEAD_MS, SignalShape
from rules import Event

_HOLES = frozenset({"", "nan", "null", "none", "na", "n/a"})
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}


class Rows:
    """Turns the rows of one file into messages. `dropped` counts what live telemetry would drop too."""

    def __init__(self, file: str, columns: Columns, gaps: Gaps, mine: Mine, order: Order) -> None:
        self._file = file
        self._columns = columns
        self._gaps = gaps
        self._mine = mine
        self._order = order
        self._signals = [(place, signal, *_bounds(signal)) for place, _, signal in columns.signals]
        self._is_millis = columns.time_format == "unixMillis"
        self.dropped: Counter[str] = Counter()

    def message(self, cells: Sequence[object], row: int) -> Message | None:
        """The message of a row; None for another worker's vehicle. Raises TraceError."""
        columns = self._columns
        vehicle_id = self._gaps.vehicle
        if vehicle_id is None:
            found = cells[columns.vehicle]  # type: ignore[index]
            vehicle_id = "" if found is None else str(found).strip()
            if not vehicle_id or len(vehicle_id.encode()) > 256 or "\0" in vehicle_id:
                raise self._error(row, columns.vehicle, "it names no vehicle")
        if not self._mine(vehicle_id):
            return None
        instant = self._instant(cells, vehicle_id, row)
        received_at = instant
        if columns.received is not None:
            received_at = self._time(cells, columns.received, row)
            if instant > received_at + MAX_AHEAD_MS:
                raise self._error(row, columns.received, "the row was received before it was sent")
            if instant > received_at + TOLERATED_AHEAD_MS:
                self.dropped["time-ahead"] += 1
                instant = received_at
        if not self._order.check(vehicle_id, received_at):
            raise TraceError(
                f"{self._file}:{row}: an earlier row of {vehicle_id} is later than this one: sort the file by"
                f" {'arrival' if columns.received is not None else 'time'}"
                + ("" if columns.received is not None else ", or add a column receivedAt")
            )
        signals: dict[str, object] = {}
        for place, signal, least, most in self._signals:
            cell = cells[place]
            if cell is None or cell == "":
                continue
            if least is not None:  # a plain number, in the usual case within its range
                try:
                    number = float(cell)  # type: ignore[arg-type]
                    if least <= number <= most and cell is not True and cell is not False:
                        signals[signal.name] = number
                        continue
                except (TypeError, ValueError, OverflowError):
                    pass  # told below
            value = self._value(cell, signal, row, place)
            if value is not None:
                signals[signal.name] = value
        return Message(
            vehicle_id,
            Event(instant, received_at, signals, self._position(cells, row)),
            self._sequence(cells, row),
            b"" if columns.sequence is not None else zlib.crc32(repr(cells).encode()).to_bytes(4, "big"),
        )

    # -- cells ---------------------------------------------------------------------------------------------

    def _instant(self, cells: Sequence[object], vehicle_id: str, row: int) -> int:
        gaps = self._gaps
        if gaps.start is not None:
            number = self._order.rows[vehicle_id]
            self._order.rows[vehicle_id] = number + 1
            return gaps.start + number * (gaps.interval or 0)
        assert self._columns.time is not None
        return self._time(cells, self._columns.time, row)

    def _time(self, cells: Sequence[object], place: int, row: int) -> int:
        cell = cells[place]
        if self._is_millis and type(cell) is str and len(cell) == 13 and cell.isdigit() and cell.isascii():
            return int(cell)
        if cell is None or cell == "":
            raise self._error(row, place, "the time is missing")
        try:
            return instant_of(cell, self._columns.time_format, self._gaps.zone)
        except ValueError as error:
            raise self._error(row, place, f"{_shown(cell)}: {error}") from None

    def _value(self, cell: object, signal: SignalShape, row: int, place: int) -> object:
        """The value, checked as a live one would be; None for a hole, and for what is dropped."""
        kind = signal.kind
        if kind == "text":
            value: object = cell if isinstance(cell, str) else str(cell)
            if len(value) > MAX_TEXT:  # type: ignore[arg-type]
                return self._dropped("wrong-type")
        elif kind == "boolean":
            value = cell if isinstance(cell, bool) else _BOOLEANS.get(str(cell).strip().lower())
            if value is None:
                if str(cell).strip().lower() in _HOLES:
                    return None
                raise self._error(row, place, f"{_shown(cell)} is neither true nor false")
        else:
            number = self._number(cell, row, place)
            if number is None:
                return None
            if kind == "integer" and number != math.floor(number):
                return self._dropped("wrong-type")
            if (signal.minimum is not None and number < signal.minimum) or (
                signal.maximum is not None and number > signal.maximum
            ):
                return self._dropped("out-of-range")
            value = number
        if signal.allowed is not None and value not in signal.allowed:
            return self._dropped("not-allowed")
        return value

    def _number(self, cell: object, row: int, place: int) -> float | None:
        if isinstance(cell, bool):
            raise self._error(row, place, f"{_shown(cell)} is not a number")
        try:
            number = float(cell)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            if isinstance(cell, str) and cell.strip().lower() in _HOLES:
                return None
            raise self._error(row, place, f"{_shown(cell)} is not a number") from None
        if not math.isfinite(number):
            return None if math.isnan(number) else self._dropped("wrong-type")
        return number

    def _position(self, cells: Sequence[object], row: int) -> tuple[float, ...] | None:
        columns = self._columns
        if columns.latitude is None or columns.longitude is None:
            return None
        latitude = _optional(cells[columns.latitude])
        longitude = _optional(cells[columns.longitude])
        if latitude is None or longitude is None:
            return None
        degrees = (
            self._number(latitude, row, columns.latitude),
            self._number(longitude, row, columns.longitude),
        )
        if degrees[0] is None or degrees[1] is None:
            return None
        if not (-90 <= degrees[0] <= 90 and -180 <= degrees[1] <= 180) or degrees == (0.0, 0.0):
            self.dropped["position-out-of-range"] += 1
            return None
        accuracy = None
        if columns.accuracy is not None and _optional(cells[columns.accuracy]) is not None:
            accuracy = self._number(cells[columns.accuracy], row, columns.accuracy)
        known = (degrees[0], degrees[1])
        return known if accuracy is None or accuracy < 0 else (*known, accuracy)

    def _sequence(self, cells: Sequence[object], row: int) -> int | None:
        place = self._columns.sequence
        if place is None or _optional(cells[place]) is None:
            return None
        number = self._number(cells[place], row, place)
        return None if number is None or number < 0 else int(number)

    def _dropped(self, reason: str) -> Any:
        """None, and it is counted."""
        self.dropped[reason] += 1
        return None

    def _error(self, row: int, place: int | None, what: str) -> TraceError:
        column = "" if place is None else f"column {self._columns.names[place]!r}: "
        return TraceError(f"{self._file}:{row}: {column}{what}")


def _bounds(signal: SignalShape) -> tuple[float | None, float]:
    """Between which values a number needs no further look; (None, 0) where there is more to look at."""
    if signal.kind != "number" or signal.allowed is not None:
        return None, 0.0
    least = -sys.float_info.max if signal.minimum is None else signal.minimum
    return least, sys.float_info.max if signal.maximum is None else signal.maximum


def _optional(cell: object) -> object:
    return None if cell is None or cell == "" else cell


def _shown(cell: object) -> str:
    text = repr(cell)
    return text if len(text) <= 60 else f"{text[:60]}…"
