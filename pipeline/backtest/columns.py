"""Which column of a table is what: the vehicle, the time, a part of the position, a signal, or nothing.

A column is called as the payload's key is (`speed`, `pos.lat`), or as the signal, or as its alias; a unit
behind the name, as OBD-II loggers write it (`VEHICLE_SPEED ()`, `speed (km/h)`), is no part of it. Only the
columns that some rule reads are converted, so that a wide table costs what its rules need.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.backtest.asked import Gaps
from pipeline.backtest.messages import TraceError
from pipeline.stages.payloads import PayloadShape, SignalShape

VEHICLE = ("vehicleId", "vehicle_id", "vehicle", "vehicle.id")
RECEIVED = ("receivedAt", "received_at")
TIME = ("ts", "time", "timestamp")
_UNIT = re.compile(r"\s*[(\[][^()\[\]]*[)\]]\s*\Z")


@dataclass(frozen=True, slots=True)
class Columns:
    """Positions in a row, from 0; None for what the table does not have."""

    signals: tuple[tuple[int, str, SignalShape], ...]
    """Position, the column's name as its author wrote it, and what the catalog says of the signal."""
    known: frozenset[str]
    """The signals that have a column, whether a rule reads them or not."""
    ignored: tuple[str, ...]
    vehicle: int | None
    time: int | None
    time_format: str
    received: int | None
    sequence: int | None
    latitude: int | None
    longitude: int | None
    accuracy: int | None
    width: int
    names: tuple[str, ...]

    def needed(self) -> list[int]:
        """The positions that are read, in order."""
        parts = (
            self.vehicle, self.time, self.received, self.sequence,
            self.latitude, self.longitude, self.accuracy,
        )  # fmt: skip
        return sorted({each for each in parts if each is not None} | {each[0] for each in self.signals})


def columns_of(
    header: Sequence[str],
    shape: PayloadShape,
    aliases: dict[str, str],
    wanted: frozenset[str],
    gaps: Gaps,
    file: str,
) -> Columns:
    """What each column is. Raises TraceError where the vehicle or the time cannot be told."""
    names = [name.strip() for name in header]
    places = _places(names, file)
    signals = {signal.name: signal for signal in shape.signals}
    by_word = {".".join(signal.path): signal for signal in shape.signals}
    by_word |= {alias: signals[name] for alias, name in aliases.items()} | signals

    def at(*words: str | None) -> int | None:
        return next((places[word] for word in words if word is not None and word in places), None)

    def dotted(path: tuple[str, ...] | None) -> str | None:
        return None if path is None else ".".join(path)

    vehicle = None if gaps.vehicle is not None else at(*VEHICLE)
    own_time = at(dotted(shape.time))
    time = None if gaps.start is not None else own_time if own_time is not None else at(*TIME)
    others = [
        at(*RECEIVED), at(dotted(shape.sequence)), at(dotted(shape.latitude), "latitude"),
        at(dotted(shape.longitude), "longitude"), at(dotted(shape.accuracy), "accuracy"),
    ]  # fmt: skip
    taken = {vehicle, time, own_time, at(*VEHICLE), *others}
    found: list[tuple[int, str, SignalShape]] = []
    known: dict[str, str] = {}
    ignored = []
    for word, place in places.items():
        signal = by_word.get(word)
        if signal is None:
            if place not in taken:
                ignored.append(names[place])
            continue
        if signal.name in known:
            raise TraceError(
                f"{file}:1: the columns {known[signal.name]!r} and {names[place]!r} are the same signal"
            )
        known[signal.name] = names[place]
        if signal.name in wanted:
            found.append((place, names[place], signal))
    _require(file, names, vehicle, time, gaps, ".".join(shape.time))
    received, sequence, latitude, longitude, accuracy = others
    return Columns(
        tuple(found), frozenset(known), tuple(ignored), vehicle, time,
        shape.time_format, received, sequence,
        latitude if longitude is not None else None, longitude if latitude is not None else None, accuracy,
        len(names), tuple(names),
    )  # fmt: skip


def _places(names: Sequence[str], file: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        word = _UNIT.sub("", name).strip()
        if not word:
            continue
        if word in places:
            raise TraceError(f"{file}:1: the column {word!r} stands there twice")
        places[word] = place
    if not places:
        raise TraceError(f"{file}:1: there is no header: the first row must name the columns")
    return places


def _require(
    file: str, names: Sequence[str], vehicle: int | None, time: int | None, gaps: Gaps, path: str
) -> None:
    if vehicle is None and gaps.vehicle is None:
        raise TraceError(
            f"{file}: no column says which vehicle ({', '.join(VEHICLE[:3])});"
            f"{_near('vehicleId', names)} --vehicle ID names it for the whole file"
        )
    if time is None and gaps.start is None:
        raise TraceError(
            f"{file}: no column holds the time ({', '.join(dict.fromkeys((path, *TIME)))});"
            f"{_near(path, names)} --start TIME --interval 1s counts rows instead"
        )


def _near(word: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.8)
    return f" is {near[0]!r} meant?" if near else ""
