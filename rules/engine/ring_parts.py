"""The rings of a vehicle as bytes, in parts of bounded size, of which a checkpoint writes those that changed.

A part holds CHUNK samples, at most 1 KB; of them only the newest is ever written twice. What was condensed is
in parts of 16 buckets, written anew at each condensing. Parts name the ring that they belong to by when it
began, so what an earlier ring of the signal left behind (its rule had gone for a while) is recognised, and
removed.
"""

import math
import struct
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import msgspec

from rules.engine.condensing import Bucket
from rules.engine.memory import Memory
from rules.engine.rings import CHUNK, Ring

WINDOW = "window/"
"""Before the name of a signal, a slash, and the number of the chunk, or `old-` and that of the buckets."""

_OLD = "old-"
_BUCKETS = 16
_FORMAT = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def snapshot(memory: Memory) -> dict[str, bytes]:
    """All parts."""
    parts = {}
    for slot, ring in memory.rings.items():
        name = _name(memory, slot)
        parts.update(_chunks(ring, name, 0))
        parts.update(_old(ring, name))
    return parts


def changed(memory: Memory) -> dict[str, bytes | None]:
    """The parts that are not as they were at the last call; None for one that is gone."""
    parts: dict[str, bytes | None] = {}
    for slot, ring in memory.rings.items():
        name = _name(memory, slot)
        if ring.gone:
            parts.update(dict.fromkeys(name + number for number in ring.gone))
            ring.gone.clear()
        if ring.condensed_changed:
            parts.update(_old(ring, name))
            count = -(-len(ring.buckets) // _BUCKETS)
            parts.update(dict.fromkeys(f"{name}{_OLD}{place}" for place in range(count, ring.old_parts)))
            ring.old_parts = count
            ring.condensed_changed = False
        if ring.changed_from < len(ring.times):
            parts.update(_chunks(ring, name, ring.changed_from // CHUNK))
            ring.changed_from = len(ring.times)
    return parts


def written(memory: Memory) -> list[str]:
    """The names of all parts that were ever written and are not yet removed."""
    names = []
    for slot, ring in memory.rings.items():
        chunks = range(ring.first_chunk, ring.first_chunk - (-ring.changed_from // CHUNK))
        numbers = [*ring.gone, *map(str, chunks), *(f"{_OLD}{place}" for place in range(ring.old_parts))]
        names += [_name(memory, slot) + number for number in numbers]
    return names


def restore(memory: Memory, parts: Mapping[str, bytes]) -> frozenset[str]:
    """Fill the rings of a new memory; the names of their parts. Raises ValueError for what is no such part.

    Parts of signals over which there is no window are left out.
    """
    slots = {_name(memory, slot): slot for slot in memory.rings}
    found: dict[int, dict[str, Any]] = {}
    mine = set()
    for part, packed in parts.items():
        prefix, slash, number = part.rpartition("/")
        slot = slots.get(prefix + slash)
        if slot is not None:
            mine.add(part)
            try:
                found.setdefault(slot, {})[number] = _content(packed)
            except ValueError as error:
                raise ValueError(f"{part}: {error}") from error
    for slot, contents in found.items():
        try:
            _restore(memory.rings[slot], contents)
        except (TypeError, ValueError, LookupError, OverflowError, AttributeError, struct.error) as error:
            raise ValueError(f"{_name(memory, slot)}: {error}") from error
    return frozenset(mine)


def _name(memory: Memory, slot: int) -> str:
    return f"{WINDOW}{memory.layout.names[slot]}/"


def _chunks(ring: Ring, name: str, first: int) -> dict[str, bytes]:
    """The chunks of the samples from the place of one on."""
    parts = {}
    for begin in range(first * CHUNK, len(ring.times), CHUNK):
        times = ring.times[begin : begin + CHUNK]
        values = ring.values[begin : begin + CHUNK]
        steps = [after - before for before, after in pairwise(times)]
        content = ring.began, times[0], steps, struct.pack(f">{len(values)}d", *values)
        parts[f"{name}{ring.first_chunk + begin // CHUNK}"] = _FORMAT + _encode(content)
    return parts


def _old(ring: Ring, name: str) -> dict[str, bytes]:
    parts = {}
    for begin in range(0, len(ring.buckets), _BUCKETS):
        rows = [_row(bucket) for bucket in ring.buckets[begin : begin + _BUCKETS]]
        parts[f"{name}{_OLD}{begin // _BUCKETS}"] = _FORMAT + _encode((ring.began, rows))
    return parts


def _row(bucket: Bucket) -> tuple[object, ...]:
    totals = [_packed(total) for total in (bucket.total, bucket.squares, bucket.risen)]
    return (*bucket[:8], *totals, bucket.bins)


def _packed(number: int) -> int | bytes:
    """An integer of any size: beyond 64 bits as bytes."""
    if -(2**63) <= number < 2**63:
        return number
    return number.to_bytes(number.bit_length() // 8 + 1, signed=True)


def _unpacked(packed: int | bytes) -> int:
    return int(packed) if isinstance(packed, int) else int.from_bytes(packed, signed=True)


def _content(packed: bytes) -> Any:
    if packed[:1] != _FORMAT:
        raise ValueError(f"format {packed[:1].hex() or 'none'}, this version reads {_FORMAT.hex()}")
    try:
        return _decode(memoryview(packed)[1:])
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from error


def _restore(ring: Ring, contents: dict[str, Any]) -> None:
    began = max(content[0] for content in contents.values())
    ring.gone = [number for number, content in contents.items() if content[0] != began]
    mine = {number: content for number, content in contents.items() if content[0] == began}
    chunks = sorted((int(number), content) for number, content in mine.items() if not number.startswith(_OLD))
    ring.old_parts = len(mine) - len(chunks)
    rows = [row for place in range(ring.old_parts) for row in mine[f"{_OLD}{place}"][1]]
    times: list[int] = []
    values: list[float] = []
    for _, (_, time, steps, packed) in chunks:
        times.append(time)
        for step in steps:
            times.append(times[-1] + step)
        values += struct.unpack(f">{len(steps) + 1}d", packed)
    if not all(map(math.isfinite, values)) or times != sorted(times):
        raise ValueError("its samples are not in order")
    if rows:
        ring.condense_to([_bucket(row) for row in rows])
    ring.refill(began, chunks[0][0] if chunks else began, times, values)


def _bucket(row: Any) -> Bucket:
    first_at, last_at, number, low, high, first, last, scale, total, squares, risen, bins = row
    return Bucket(
        first_at,
        last_at,
        number,
        low,
        high,
        first,
        last,
        scale,
        _unpacked(total),
        _unpacked(squares),
        _unpacked(risen),
        tuple((value, count) for value, count in bins),
    )
