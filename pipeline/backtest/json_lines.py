"""JSON lines as a trace: payloads as vehicles send them, records of vehicle.telemetry, or lines of `tail`.

A payload names its vehicle beside its signals (`vehicleId`), or `--vehicle` does. `telltale tail --json`
writes lines that hold a record and when it came; of those, the vehicle is the record's key.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from pipeline.backtest.asked import Gaps
from pipeline.backtest.columns import RECEIVED, VEHICLE
from pipeline.backtest.messages import Message, Mine, Order, TraceError
from pipeline.backtest.times import instant_of
from pipeline.stages.payloads import PayloadShape, Reader, Unusable
from rules import Event
from rules.instants import EARLIEST, LATEST

_BESIDE = (*VEHICLE, *RECEIVED)
_RECORD_KEYS = frozenset({"vehicleId", "ts", "receivedAt", "sequence", "signals", "position"})


class JsonLinesTrace:
    """One file, an object a line."""

    signals: frozenset[str] | None = None
    ignored: tuple[str, ...] = ()

    def __init__(self, file: Path, shape: PayloadShape, names: Mapping[str, str], gaps: Gaps) -> None:
        self._file = file
        self._shape = shape
        self._names = names
        self._gaps = gaps
        self._size = max(1, file.stat().st_size)
        self._at = 0
        self._order = Order()
        self.name = str(file)
        self._reader = Reader(shape)
        self.dropped: Counter[str] = self._reader.dropped

    def messages(self, mine: Mine, order: Order) -> Iterator[Message]:
        self._order = order
        empty = True
        with self._file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                self._at += len(line)
                if not line.strip():
                    continue
                empty = False
                try:
                    message = self._message(line, mine)
                except Unusable as error:
                    raise TraceError(f"{self.name}:{number}: {error.reason}") from None
                except ValueError as error:
                    raise TraceError(f"{self.name}:{number}: {error}") from None
                if message is not None:
                    yield message
        if empty:
            raise TraceError(f"{self.name}: it is empty: an object a line was expected")

    def progress(self) -> float:
        return min(1.0, self._at / self._size)

    def _message(self, line: bytes, mine: Mine) -> Message | None:
        """Raises ValueError or Unusable."""
        tree = self._object(line)
        vehicle: object = self._gaps.vehicle
        received: object = None
        if "topic" in tree and "value" in tree and "offset" in tree:
            if tree.get("key") is None:
                return None  # a tick, or nothing of a vehicle's
            vehicle, received, tree = vehicle or tree["key"], tree.get("timestamp"), tree["value"]
            if not isinstance(tree, dict):
                raise ValueError("the record is no JSON object")
        if vehicle is None:
            vehicle = tree.get("vehicleId")
            if vehicle is None:
                vehicle = next((tree[name] for name in VEHICLE if name in tree), None)
        if received is None:
            for name in RECEIVED:
                if name in tree:
                    received = tree[name]
                    break
        if not isinstance(vehicle, str) or not vehicle or len(vehicle.encode()) > 256 or "\0" in vehicle:
            raise ValueError("it names no vehicle: the key vehicleId, or --vehicle for the whole file")
        if not mine(vehicle):
            return None
        zone = self._gaps.zone
        received_at = None if received is None else self._time("receivedAt", received, "unixMillis", zone)
        if isinstance(tree.get("signals"), dict) and tree.keys() <= _RECORD_KEYS:
            tree, time_format = self._flat(tree), "rfc3339"
        else:
            for key in _BESIDE:
                if key in tree:
                    del tree[key]
            time_format = self._shape.time_format
        return self._read(tree, vehicle, received_at, time_format, line)

    def _read(
        self, tree: dict[str, Any], vehicle: str, received_at: int | None, time_format: str, line: bytes
    ) -> Message:
        gaps, shape = self._gaps, self._shape
        if gaps.start is not None:
            number = self._order.rows[vehicle]
            self._order.rows[vehicle] = number + 1
            stamp = gaps.start + number * (gaps.interval or 0)
        else:
            found: Any = tree
            for key in shape.time:
                found = found.get(key) if isinstance(found, dict) else None
            if type(found) is int and time_format == "unixMillis" and EARLIEST <= found <= LATEST:
                stamp = found
            elif found is None:
                raise ValueError(
                    f"no time at {'.'.join(shape.time)}; --start TIME --interval 1s counts rows instead"
                )
            else:
                stamp = self._time(".".join(shape.time), found, time_format, gaps.zone)
        arrived = stamp if received_at is None else received_at
        if not self._order.check(vehicle, arrived):
            raise ValueError(
                f"an earlier row of {vehicle} is later than this one: sort the file by arrival, or by time"
                " where there is no receivedAt"
            )
        reading = self._reader.read_tree(tree, stamp, arrived)
        position = None if reading.position is None else _known(reading.position)
        content = b"" if reading.sequence is not None else zlib.crc32(line).to_bytes(4, "big")
        return Message(
            vehicle, Event(reading.instant, arrived, reading.signals, position), reading.sequence, content
        )

    def _flat(self, record: dict[str, Any]) -> dict[str, Any]:
        """A record of vehicle.telemetry as the payload that it was: each signal at its place."""
        shape = self._shape
        places = {signal.name: signal.path for signal in shape.signals}
        tree: dict[str, Any] = {}
        _put(tree, shape.time, record.get("ts"))
        for name, value in record["signals"].items():
            name = self._names.get(name, name)
            if name not in places:
                self.dropped["unknown-signal"] += 1
                continue
            _put(tree, places[name], value)
        if shape.sequence is not None and record.get("sequence") is not None:
            _put(tree, shape.sequence, record["sequence"])
        position = record.get("position")
        if isinstance(position, dict):
            for path, key in (
                (shape.latitude, "latitude"),
                (shape.longitude, "longitude"),
                (shape.accuracy, "accuracy"),
            ):
                if path is not None and position.get(key) is not None:
                    _put(tree, path, position[key])
        return tree

    @staticmethod
    def _object(line: bytes) -> dict[str, Any]:
        try:
            tree = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"not JSON: {error.msg} at column {error.colno}") from None
        if not isinstance(tree, dict):
            raise ValueError("a JSON object was expected")
        return tree

    @staticmethod
    def _time(key: str, found: object, time_format: str, zone: Any) -> int:
        if isinstance(found, str):
            time_format = "rfc3339"
        try:
            return instant_of(found, time_format, zone)
        except ValueError as error:
            raise ValueError(f"{key}: {str(found)[:60]!r}: {error}") from None


def _known(position: Any) -> tuple[float, ...]:
    pair = (position.latitude, position.longitude)
    return pair if position.accuracy is None else (*pair, position.accuracy)


def _put(tree: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for key in path[:-1]:
        below = tree.get(key)
        if not isinstance(below, dict):
            below = tree[key] = {}
        tree = below
    tree[path[-1]] = value
