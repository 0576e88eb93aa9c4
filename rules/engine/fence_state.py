"""The state of one vehicle under geofence rules, and its form as bytes.

One part holds the last fixes and the clocks; each rule that has a visit, or has just told of one, has a part
of its own. Fences are named, so a part survives an edit of the set; each visit knows the shape that it was
judged by.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rules.engine.events import Position
from rules.engine.failures import StateFormatError
from rules.engine.memory import FOREVER, NEVER
from rules.engine.visits import Phase, Visit

FIXES = "fixes"
"""The part with the clocks and the last fixes."""
RULE = "geofence/"
"""Before the name of a rule: the part with its visits."""

_FORMAT = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(slots=True)
class Fix:
    """Where the vehicle was, and when."""

    position: Position
    at: int


@dataclass(slots=True)
class Visits:
    """What one rule knows of one vehicle."""

    by_fence: dict[str, Visit] = field(default_factory=dict)
    moved: int = NEVER
    """The last time it told of something: nothing is dated before that."""
    told: dict[str, int] = field(default_factory=dict)
    """How often it then told of one event of one fence."""


@dataclass(slots=True)
class FencedVehicle:
    """One vehicle: when it spoke, where it was, and the fences it visits by the name of the rule."""

    vehicle_id: str
    enabled: frozenset[str] = field(repr=False, compare=False)
    """The names of the rules that are for it."""
    facts: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    """What the registry says of it, by the keys of the language."""
    time: int = NEVER
    """The event time: moved by data only."""
    live: int = 0
    """The live clock at the message that set `time`."""
    due: int = FOREVER
    """No timer is due before this instant."""
    fixes: dict[float | None, Fix] = field(default_factory=dict)
    """The last fix that is exact enough, by the least accuracy that some rule asks for."""
    visits: dict[str, Visits] = field(default_factory=dict)
    has_orphans: bool = field(default=False, compare=False)
    """Whether there may be visits of fences that their rule does not have any more."""
    fixes_changed: bool = field(default=False, compare=False)
    visits_changed: set[str] = field(default_factory=set, compare=False)

    def forget(self) -> None:
        """Be as a vehicle that never spoke."""
        self.time, self.live, self.due = NEVER, 0, FOREVER
        self.visits_changed |= self.visits.keys()
        self.fixes, self.visits = {}, {}
        self.fixes_changed = True


def snapshot(vehicle: FencedVehicle) -> dict[str, bytes]:
    """All parts that hold something."""
    parts = {RULE + rule: _pack_visits(visits) for rule, visits in vehicle.visits.items()}
    if vehicle.time != NEVER:
        parts[FIXES] = _pack_fixes(vehicle)
    return parts


def changed(vehicle: FencedVehicle) -> dict[str, bytes | None]:
    """The parts that are not as they were at the last call."""
    parts: dict[str, bytes | None] = {}
    if vehicle.fixes_changed:
        parts[FIXES] = None if vehicle.time == NEVER else _pack_fixes(vehicle)
        vehicle.fixes_changed = False
    for rule in sorted(vehicle.visits_changed):
        visits = vehicle.visits.get(rule)
        parts[RULE + rule] = None if visits is None else _pack_visits(visits)
    vehicle.visits_changed.clear()
    return parts


def restore(vehicle: FencedVehicle, parts: Mapping[str, bytes]) -> None:
    """Fill the state of a new vehicle. Raises StateFormatError."""
    if FIXES in parts:
        _read(parts[FIXES], FIXES, _unpack_fixes, vehicle)
    for part, packed in parts.items():
        rule = part.removeprefix(RULE)
        if rule != part and rule in vehicle.enabled:
            vehicle.visits[rule] = _read(packed, part, _unpack_visits)


def deadline(packed: bytes) -> tuple[int, int, int]:
    """(first instant at which a timer may be due, event time, live clock) of the part with the clocks."""
    found: tuple[int, int, int] = _read(packed, FIXES, _unpack_deadline)
    return found


def fences_of(part: str, packed: bytes) -> frozenset[str]:
    """The fences that a rule's part tells of. Raises StateFormatError."""
    return frozenset(_read(packed, part, _unpack_visits).by_fence)


def _read(packed: bytes, part: str, reader: Any, *arguments: Any) -> Any:
    if packed[:1] != _FORMAT:
        found = packed[:1].hex() or "none"
        raise StateFormatError(f"{part}: format {found}, this version reads {_FORMAT.hex()}")
    try:
        return reader(*arguments, _decode(memoryview(packed)[1:]))
    except (msgspec.DecodeError, ValueError, TypeError, LookupError) as error:
        raise StateFormatError(f"{part}: {error}") from error


def _pack_fixes(vehicle: FencedVehicle) -> bytes:
    fixes = [
        (accuracy, vehicle.time - fix.at, *fix.position)
        for accuracy, fix in sorted(vehicle.fixes.items(), key=lambda item: item[0] or 0.0)
    ]
    due = None if vehicle.due >= FOREVER else vehicle.due
    return _FORMAT + _encode((due, vehicle.time, vehicle.live, fixes))


def _unpack_deadline(content: Any) -> tuple[int, int, int]:
    due, time, live = content[:3]
    return (FOREVER if due is None else int(due)), int(time), int(live)


def _unpack_fixes(vehicle: FencedVehicle, content: Any) -> None:
    vehicle.due, vehicle.time, vehicle.live = _unpack_deadline(content)
    for accuracy, age, *position in content[3]:
        vehicle.fixes[accuracy] = Fix(tuple(position), vehicle.time - age)


def _pack_visits(visits: Visits) -> bytes:
    rows = [
        (
            fence,
            visit.phase.value,
            visit.since,
            visit.digest,
            visit.is_quiet,
            visit.entered_at,
            visit.by_silence,
            visit.left_at,
            visit.has_dwelled,
            visit.is_within,
            visit.fast_since,
            visit.is_speeding,
        )
        for fence, visit in sorted(visits.by_fence.items())
    ]
    return _FORMAT + _encode((visits.moved, dict(sorted(visits.told.items())), rows))


def _unpack_visits(content: Any) -> Visits:
    moved, told, rows = content
    visits = Visits({}, moved, told)
    for fence, phase, since, digest, *more in rows:
        visits.by_fence[fence] = Visit(Phase(phase), since, digest, *more)
    return visits
