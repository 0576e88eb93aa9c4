"""A vehicle's windows as bytes, in parts: its values, the windows of each rule, and each pane by itself.

A message changes one pane of a rule, so of a window of many panes little is written. Each part begins with
the version of its format; sums and windows carry a digest of the rule that they belong to, and mean nothing
to another one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Any

import msgspec

from rules.engine.aggregation.accumulators import ACCUMULATORS
from rules.engine.aggregation.running import RunningAggregation
from rules.engine.aggregation.vehicle import Alerted, Status, VehicleWindows, Windows
from rules.engine.failures import StateFormatError
from rules.engine.memory import FOREVER, NEVER
from rules.engine.state import marks_of
from rules.language.values import UNKNOWN

VALUES = "values"
"""The part with the event time and the last-known values."""
WINDOWS = "windows/"
"""Before the name of a rule: the part with its windows."""
PANE = "pane/"
"""Before the name of a rule, a slash and the pane's key: the part with its sums."""

_FORMAT = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def snapshot(vehicle: VehicleWindows, rules: Sequence[RunningAggregation]) -> dict[str, bytes]:
    """All parts that hold something."""
    parts = {}
    if vehicle.time != NEVER:
        parts[VALUES] = _values(vehicle)
    for index, windows in vehicle.windows.items():
        rule = rules[index]
        parts[WINDOWS + rule.name] = packed_windows(rule, windows)
        for pane in windows.panes:
            parts[_pane_name(rule, pane)] = _pane(rule, windows, pane)
    return parts


def changed(vehicle: VehicleWindows, rules: Sequence[RunningAggregation]) -> dict[str, bytes | None]:
    """The parts that are not as they were at the last call."""
    parts: dict[str, bytes | None] = dict.fromkeys(sorted(vehicle.gone))
    vehicle.gone.clear()
    if vehicle.values_changed:
        parts[VALUES] = _values(vehicle)
        vehicle.values_changed = False
    for index, windows in vehicle.windows.items():
        rule = rules[index]
        if windows.changed:
            parts[WINDOWS + rule.name] = packed_windows(rule, windows)
            windows.changed = False
        for pane in sorted(windows.panes_changed):
            packed = _pane(rule, windows, pane) if pane in windows.panes else None
            parts[_pane_name(rule, pane)] = packed
        windows.panes_changed.clear()
    return parts


def parts_of(rule: RunningAggregation, windows: Windows) -> set[str]:
    """The names of all parts that may have been written for a rule."""
    panes = windows.panes.keys() | windows.panes_changed
    return {WINDOWS + rule.name, *(_pane_name(rule, pane) for pane in panes)}


def restore(vehicle: VehicleWindows, parts: Mapping[str, bytes], rules: Sequence[RunningAggregation]) -> None:
    """Fill the state of a new vehicle. Raises StateFormatError."""
    if VALUES in parts:
        _read(parts[VALUES], VALUES, _restore_values, vehicle)
    by_name = {rule.name: rule for rule in rules}
    for part, packed in parts.items():
        rule = by_name.get(part.removeprefix(WINDOWS)) if part.startswith(WINDOWS) else None
        if rule is not None:
            windows = read_windows(packed, rule)
            if windows is not None:
                vehicle.windows[rule.index] = windows
    for part, packed in parts.items():
        if part.startswith(PANE):
            name, _, key = part.removeprefix(PANE).rpartition("/")
            rule = by_name.get(name)
            if rule is not None and rule.index in vehicle.windows:
                _read(packed, part, _restore_pane, vehicle, rule, key)


def firing(parts: Mapping[str, bytes], rules: Sequence[RunningAggregation]) -> list[str]:
    """The rules whose alert fires, by name. Raises StateFormatError."""
    found = []
    for rule in rules:
        packed = parts.get(WINDOWS + rule.name)
        windows = None if packed is None or rule.alarm is None else read_windows(packed, rule)
        if windows is not None and windows.is_firing:
            found.append(rule.name)
    return found


def deadline(packed: bytes) -> tuple[int, int, int]:
    """(first instant at which something may be due, event time, live clock) of the values' part."""
    found: tuple[int, int, int] = _read(packed, VALUES, _read_deadline)
    return found


def _read_deadline(content: Any) -> tuple[int, int, int]:
    due, time, live = content[:3]
    return (FOREVER if due is None else int(due)), int(time), int(live)


def _read(packed: bytes, part: str, reader: Any, *arguments: Any) -> Any:
    if packed[:1] != _FORMAT:
        raise StateFormatError(
            f"{part}: format {packed[:1].hex() or 'none'}, this version reads {_FORMAT.hex()}"
        )
    try:
        return reader(*arguments, _decode(memoryview(packed)[1:]))
    except (msgspec.DecodeError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise StateFormatError(f"{part}: {error}") from error


def _values(vehicle: VehicleWindows) -> bytes:
    memory, time = vehicle.memory, vehicle.time
    marks = marks_of(memory.layout)
    signals = []
    for slot, said in enumerate(memory.times):
        if said == NEVER:
            continue
        signal: list[object] = [marks[slot], time - said, memory.last(slot), slot in memory.stale]
        before = memory.previous.get(slot, UNKNOWN)
        if before is not UNKNOWN:
            signal += [before, time - memory.previous_times[slot]]
        signals.append(signal)
    due = None if vehicle.due >= FOREVER else vehicle.due
    return _FORMAT + _encode((due, time, vehicle.live, signals))


def _restore_values(vehicle: VehicleWindows, content: Any) -> None:
    due, time, live, signals = content
    vehicle.due = FOREVER if due is None else due
    vehicle.time = time
    vehicle.live = live
    memory = vehicle.memory
    known = {mark: slot for slot, mark in enumerate(marks_of(memory.layout))}
    for mark, ago, value, is_stale, *before in signals:
        slot = known.get(mark)
        if slot is None:
            continue
        memory.values[slot] = value
        memory.times[slot] = time - ago
        if before and slot in memory.layout.with_history:
            memory.previous[slot] = before[0]
            memory.previous_times[slot] = time - before[1]
        if is_stale:
            memory.wilt(slot)


def packed_windows(rule: RunningAggregation, windows: Windows) -> bytes:
    """What is known of the windows of one rule, without their sums."""
    ends = (windows.final_until, windows.closed_until, windows.tell_at)
    told = [
        (it.key, it.start - it.key, it.end - it.key, it.update, it.closed, it.dirty)
        for it in windows.windows.values()
    ]
    alerted = None if windows.alerted is None else astuple(windows.alerted)
    bounds = [None if abs(end) == FOREVER else end for end in ends]
    samples = [(ts - windows.final_until, values) for ts, values in windows.samples]
    return _FORMAT + _encode((rule.digest, bounds, told, alerted, samples))


def read_windows(packed: bytes, rule: RunningAggregation) -> Windows | None:
    """What `packed_windows` made; None for another version of the rule. Raises StateFormatError."""
    found: Windows | None = _read(packed, rule.name, _windows_of, rule)
    return found


def _windows_of(rule: RunningAggregation, content: Any) -> Windows | None:
    digest, (final_until, closed_until, tell_at), told, alerted, *more = content
    if digest != rule.digest:
        return None
    windows = Windows(
        final_until=NEVER if final_until is None else final_until,
        closed_until=NEVER if closed_until is None else closed_until,
        tell_at=FOREVER if tell_at is None else tell_at,
        alerted=None if alerted is None else Alerted(*alerted),
    )
    for key, start, end, update, is_closed, is_dirty in told:
        windows.windows[key] = Status(key, key + start, key + end, update, is_closed, is_dirty)
    for ago, values in more[0] if more else ():
        taken = [(place, value) for place, value in values]
        windows.samples.append((windows.final_until + ago, taken))
    return windows


def _pane_name(rule: RunningAggregation, pane: int) -> str:
    return f"{PANE}{rule.name}/{pane}"


def _pane(rule: RunningAggregation, windows: Windows, pane: int) -> bytes:
    return _FORMAT + _encode((rule.digest, [kept.pack() for kept in windows.panes[pane]]))


def _restore_pane(vehicle: VehicleWindows, rule: RunningAggregation, key: str, content: Any) -> None:
    digest, kept = content
    if digest != rule.digest:
        return
    vehicle.windows[rule.index].panes[int(key)] = [
        ACCUMULATORS[measure.function].unpack(packed)
        for measure, packed in zip(rule.measures, kept, strict=True)
    ]
