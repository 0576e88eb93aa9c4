"""A vehicle's state as bytes, in parts: the values, and one part for each rule that remembers something.

Each part begins with the version of its format; state of a format that is not known is refused, never
dropped. Signals are named by 64 bits of a hash of their names, so a part survives edits of the catalog and
stays small.
"""

import hashlib
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec

from rules.engine import ring_parts
from rules.engine.absence_state import pack_heard, pack_told, unpack_heard, unpack_told
from rules.engine.absences import Heard, due
from rules.engine.alerts import Alert, Phase
from rules.engine.failures import StateFormatError
from rules.engine.masks import bits
from rules.engine.memory import FOREVER, NEVER, Layout
from rules.engine.programs import Programs
from rules.engine.running import RunningAbsence, RunningRule, RunningSequence
from rules.engine.sequences import Mark, Matching, Partial
from rules.engine.vehicle import VehicleState
from rules.language.values import UNKNOWN

VALUES = "values"
"""The part with the event time, the last-known values and the position."""
HEARD = "heard"
"""The part of a vehicle that is registered and never spoke: since when it is silent."""
RULE = RunningRule.part
"""Before the name of a rule: the part with its alert."""
SEQUENCE = RunningSequence.part
"""Before the name of a sequence: the part with its partial matches."""

ABSENCE = RunningAbsence.part
"""Before the name of a rule about silence: the part with its alert."""

_FORMAT = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def snapshot(vehicle: VehicleState) -> dict[str, bytes]:
    """All parts that hold something."""
    parts = {}
    if vehicle.time != NEVER:
        parts[VALUES] = _values(vehicle)
    elif vehicle.heard:
        parts[HEARD] = _awaited(vehicle)
    for index, alert in vehicle.alerts.items():
        parts[RULE + vehicle.program.rules[index].rule.name] = _alert(alert)
    for index in vehicle.sequences:
        parts[SEQUENCE + _sequences(vehicle)[index].pattern.name] = _matching(vehicle, index)
    for index in vehicle.absences:
        parts[ABSENCE + _absence_name(vehicle, index)] = _told(vehicle, index)
    if vehicle.memory.rings:
        parts.update(ring_parts.snapshot(vehicle.memory))
    return parts


def changed(vehicle: VehicleState) -> dict[str, bytes | None]:
    """The parts that are not as they were at the last call."""
    parts: dict[str, bytes | None] = {}
    if vehicle.values_changed:
        parts[VALUES] = None if vehicle.time == NEVER else _values(vehicle)
        vehicle.values_changed = False
    if vehicle.heard_changed:
        vehicle.is_awaited = vehicle.time == NEVER and bool(vehicle.heard)
        parts[HEARD] = _awaited(vehicle) if vehicle.is_awaited else None
        vehicle.heard_changed = False
    if vehicle.rules_changed:
        for index in bits(vehicle.rules_changed):
            alert = vehicle.alerts.get(index)
            parts[RULE + vehicle.program.rules[index].rule.name] = None if alert is None else _alert(alert)
        vehicle.rules_changed = 0
    if vehicle.sequences_changed:
        for index in bits(vehicle.sequences_changed):
            packed = _matching(vehicle, index) if index in vehicle.sequences else None
            parts[SEQUENCE + _sequences(vehicle)[index].pattern.name] = packed
        vehicle.sequences_changed = 0
    if vehicle.absences_changed:
        for index in bits(vehicle.absences_changed):
            packed = _told(vehicle, index) if index in vehicle.absences else None
            parts[ABSENCE + _absence_name(vehicle, index)] = packed
        vehicle.absences_changed = 0
    if vehicle.leftovers_gone:
        parts.update(dict.fromkeys(vehicle.leftovers))
        vehicle.leftovers, vehicle.leftovers_gone = (), False
    if vehicle.memory.rings:
        parts.update(ring_parts.changed(vehicle.memory))
    return parts


def restore(vehicle: VehicleState, parts: Mapping[str, bytes]) -> None:
    """Fill the state of a new vehicle. Raises StateFormatError."""
    if VALUES in parts:
        _read(parts[VALUES], VALUES, _restore_values, vehicle)
    if HEARD in parts:
        vehicle.is_awaited = True
        if VALUES not in parts:
            ears = [ear for ear, _ in vehicle.program.ears]
            vehicle.heard = _read(parts[HEARD], HEARD, _heard_of, vehicle.program.programs, ears)
    known = vehicle.program.programs.known
    strange = []
    for part, packed in parts.items():
        match known.get(part):
            case RunningRule(index=index):
                _read(packed, part, _restore_alert, vehicle, index)
            case RunningSequence() as sequence if vehicle.program.runs(sequence):
                _read(packed, part, _restore_matching, vehicle, sequence)
            case RunningAbsence() as absence:
                told = _read(packed, part, unpack_told)
                told.alert.rung = min(told.alert.rung, len(absence.ladder) - 1)
                if absence in vehicle.program.absences or told.alert.phase is Phase.RESTING:
                    vehicle.absences[absence.index] = told
            case None if part not in (VALUES, HEARD):
                strange.append(part)
    if vehicle.memory.layout.kept:
        try:
            rings = ring_parts.restore(vehicle.memory, parts)
        except ValueError as error:
            raise StateFormatError(str(error)) from error
        strange = [part for part in strange if part not in rings]
        leave = vehicle.memory.next_leave(max(vehicle.time, vehicle.swept))
        vehicle.due = min(vehicle.due, leave)  # a window that is shorter than before is left sooner
    vehicle.leftovers = tuple(sorted(strange))


def firing(programs: Programs, parts: Mapping[str, bytes]) -> list[str]:
    """The rules and silences whose alert fires, by name. Raises StateFormatError."""
    found = []
    for part, packed in parts.items():
        match programs.known.get(part):
            case RunningRule(rule=rule) | RunningAbsence(rule=rule):
                if _read(packed, part, _phase) == Phase.FIRING:
                    found.append(rule.name)
    return found


def _phase(content: Any) -> int:
    return int(content[0])


def absence_deadline(programs: Programs, parts: Mapping[str, bytes]) -> int:
    """The live clock after which a silence may have something to do; FOREVER if none has."""
    soonest = FOREVER
    ears = range(len(programs.ears))
    if VALUES in parts:
        content = _read(parts[VALUES], VALUES, tuple)
        heard = _read_heard(programs, ears, content, Heard(content[1] + content[3], content[2]))
    elif HEARD in parts:
        heard = _read(parts[HEARD], HEARD, _heard_of, programs, ears)
    else:
        return soonest
    for absence in programs.absences:
        part = ABSENCE + absence.rule.name
        told = _read(parts[part], part, unpack_told) if part in parts else None
        instant = due(absence.rule, heard[absence.ear], told)
        if instant is not None and instant < soonest:
            soonest = instant
    return soonest


def _awaited(vehicle: VehicleState) -> bytes:
    first = min(vehicle.heard.values())
    return _FORMAT + _encode((*first, pack_heard(vehicle.program.programs, vehicle.heard, first)))


def _heard_of(programs: Programs, ears: Iterable[int], content: Any) -> dict[int, Heard]:
    at, live, others = content
    return unpack_heard(programs, ears, others, Heard(at, live))


def _read_heard(programs: Programs, ears: Iterable[int], content: Any, last: Heard) -> dict[int, Heard]:
    return unpack_heard(programs, ears, content[11] if len(content) > 11 else (), last)


def deadline(packed: bytes) -> tuple[int, int, int, int]:
    """Of the values' part: (first instant at which a timer may be due, event time, live clock, frontier).

    Timers before the frontier have fired.
    """
    found: tuple[int, int, int, int] = _read(packed, VALUES, _read_deadline)
    return found


def _read_deadline(content: Any) -> tuple[int, int, int, int]:
    due_at, time, live, _, swept = content[:5]
    frontier = int(time) + max(0, swept or 0)
    return (FOREVER if due_at is None else int(due_at)), int(time), int(live), frontier


def _read(packed: bytes, part: str, reader: Any, *arguments: Any) -> Any:
    if packed[:1] != _FORMAT:
        raise StateFormatError(
            f"{part}: format {packed[:1].hex() or 'none'}, this version reads {_FORMAT.hex()}"
        )
    try:
        return reader(*arguments, _decode(memoryview(packed)[1:]))
    except (msgspec.DecodeError, ValueError, TypeError, LookupError) as error:
        raise StateFormatError(f"{part}: {error}") from error


def _values(vehicle: VehicleState) -> bytes:
    memory, time = vehicle.memory, vehicle.time
    columns = _columns(vehicle)
    slots = columns.slots
    values = columns.pick(memory.values) if not memory.stale else [memory.last(slot) for slot in slots]
    times = columns.pick(memory.times)
    history = [
        (place, memory.previous[slot], time - memory.previous_times[slot])
        for place, slot in columns.with_history
        if memory.previous[slot] is not UNKNOWN
    ]
    content = (
        None if vehicle.due >= FOREVER else vehicle.due,
        time,
        vehicle.live,
        vehicle.received_at - time,
        None if vehicle.swept == NEVER else vehicle.swept - time,
        None if vehicle.position is None else (*vehicle.position, time - vehicle.positioned_at),
        columns.marks,
        values,
        None if times.count(time) == len(times) else [time - said for said in times],
        [place for place, slot in enumerate(slots) if slot in memory.stale] if memory.stale else None,
        history or None,
    )
    if vehicle.heard:
        last = Heard(vehicle.received_at, vehicle.live)
        return _FORMAT + _encode((*content, pack_heard(vehicle.program.programs, vehicle.heard, last)))
    return _FORMAT + _encode(content)


def _restore_values(vehicle: VehicleState, content: Any) -> None:
    due_at, time, live, received, swept, position, marks, values, times, stale, history = content[:11]
    vehicle.due = FOREVER if due_at is None else due_at
    vehicle.time = time
    vehicle.live = live
    vehicle.received_at = time + received
    vehicle.swept = NEVER if swept is None else time + swept
    if position is not None:
        *place, positioned = position
        vehicle.position = tuple(place)
        vehicle.positioned_at = time - positioned
    memory = vehicle.memory
    known = {mark: slot for slot, mark in enumerate(marks_of(memory.layout))}
    slots = [known.get(mark) for (mark,) in struct.iter_unpack(">Q", marks)]
    for place, (slot, value) in enumerate(zip(slots, values, strict=True)):
        if slot is not None:
            memory.values[slot] = value
            memory.times[slot] = time if times is None else time - times[place]
    for place, value, before in history or ():
        slot = slots[place]
        if slot is not None and slot in memory.layout.with_history:
            memory.previous[slot] = value
            memory.previous_times[slot] = time - before
    for place in stale or ():
        slot = slots[place]
        if slot is not None:
            memory.wilt(slot)
    if vehicle.program.ears:
        ears = (ear for ear, _ in vehicle.program.ears)
        last = Heard(vehicle.received_at, vehicle.live)
        vehicle.heard = _read_heard(vehicle.program.programs, ears, content, last)


def _alert(alert: Alert) -> bytes:
    since = alert.since

    def offset(instant: int | None) -> int | None:
        return None if instant is None else instant - since

    content = (
        alert.phase.value,
        since,
        alert.seen,
        [hit - since for hit in alert.hits],
        alert.id,
        alert.ordinal,
        alert.records,
        alert.fired_at - since,
        alert.by_silence,
        alert.rung,
        offset(alert.clear_since),
        offset(alert.unknown_since),
        alert.value,
        alert.peak,
        offset(alert.moved),
        offset(alert.last_since),
        offset(alert.ended_at),
    )
    return _FORMAT + _encode(content)


def _restore_alert(vehicle: VehicleState, index: int, content: Any) -> None:
    (phase, since, seen, hits, identity, ordinal, records, fired, by_silence, rung, *more) = content
    clear, unknown, value, peak, moved, last, ended = more

    def instant(offset: int | None) -> int | None:
        return None if offset is None else since + offset

    alert = Alert(
        phase=Phase(phase),
        since=since,
        seen=seen,
        hits=[since + hit for hit in hits],
        id=identity,
        ordinal=ordinal,
        records=records,
        fired_at=since + fired,
        by_silence=by_silence,
        rung=min(rung, len(vehicle.program.rules[index].ladder) - 1),
        clear_since=instant(clear),
        unknown_since=instant(unknown),
        value=value,
        peak=peak,
        moved=instant(moved),
        last_since=instant(last),
        ended_at=instant(ended),
    )
    if vehicle.program.enabled >> index & 1 or alert.phase is Phase.RESTING:
        vehicle.settle(index, alert)


def _absence_name(vehicle: VehicleState, index: int) -> str:
    return vehicle.program.programs.absences[index].rule.name


def _told(vehicle: VehicleState, index: int) -> bytes:
    return _FORMAT + _encode(pack_told(vehicle.absences[index]))


def _sequences(vehicle: VehicleState) -> tuple[RunningSequence, ...]:
    return vehicle.program.programs.sequences


def _matching(vehicle: VehicleState, index: int) -> bytes:
    """Instants are told from that of the first partial match."""
    matching = vehicle.sequences[index]
    base = matching.partials[0].started_at if matching.partials else 0
    partials = [
        (
            partial.station,
            partial.taken,
            partial.start,
            partial.started_at - base,
            partial.entered_at - base,
            [
                (step, first, first_at - base, last, last_at - base)
                for step, first, first_at, last, last_at in partial.marks
            ],
        )
        for partial in matching.partials
    ]
    content = (
        _sequences(vehicle)[index].digest,
        base,
        matching.messages,
        sorted(matching.matched),
        matching.told_at,
        matching.told,
        matching.rests_until,
        partials,
    )
    return _FORMAT + _encode(content)


def _restore_matching(vehicle: VehicleState, sequence: RunningSequence, content: Any) -> None:
    digest, base, messages, matched, told_at, told, rests_until, partials = content
    matching = Matching([], messages, set(matched), told_at, told, rests_until)
    for station, taken, start, started_at, entered_at, marks in partials if digest == sequence.digest else ():
        marked = [
            Mark(step, first, base + first_at, last, base + last_at)
            for step, first, first_at, last, last_at in marks
        ]
        matching.partials.append(
            Partial(station, taken, start, base + started_at, base + entered_at, tuple(marked))
        )
    if not matching.is_empty:
        vehicle.sequences[sequence.index] = matching


@dataclass(frozen=True, slots=True)
class Columns:
    """The signals that a vehicle has ever said, in the order in which they are packed."""

    slots: tuple[int, ...]
    marks: bytes
    pick: Callable[[list[Any]], tuple[Any, ...]]
    with_history: tuple[tuple[int, int], ...]
    """(place, slot)."""


def _columns(vehicle: VehicleState) -> Columns:
    """The columns of a vehicle; kept until it says something that it never said before."""
    times = vehicle.memory.times
    columns: Columns | None = vehicle.columns
    if columns is None or len(columns.slots) != len(times) - times.count(NEVER):
        seen = tuple(slot for slot, said in enumerate(times) if said != NEVER)
        columns = vehicle.columns = _columns_of(vehicle.memory.layout, seen)
    return columns


@lru_cache(maxsize=4096)
def _columns_of(layout: Layout, slots: tuple[int, ...]) -> Columns:
    marks = marks_of(layout)
    packed = struct.pack(f">{len(slots)}Q", *(marks[slot] for slot in slots))
    with_history = tuple((place, slot) for place, slot in enumerate(slots) if slot in layout.with_history)
    if len(slots) < 2:
        return Columns(slots, packed, lambda row: tuple(row[slot] for slot in slots), with_history)
    return Columns(slots, packed, itemgetter(*slots), with_history)


@lru_cache(maxsize=64)
def marks_of(layout: Layout) -> tuple[int, ...]:
    """For each slot the 64 bits that stand for its signal in a snapshot."""
    return tuple(
        int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) for name in layout.names
    )
