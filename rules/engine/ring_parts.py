"""The rings of a vehicle as bytes, in parts of bounded size, of which a checkpoint writes those that changed.

A part holds CHUNK samples, some 650 bytes; before there are so many, PIECE samples, of which the newest part
is written with each checkpoint: some 50 bytes. What was condensed is in parts of 16 buckets, written anew at
each condensing. Parts name the ring that they belong to by when it began, so what an earlier ring of the
signal left behind (its rule had gone for a while) is recognised, and removed. Signals are named by 64 bits of
a hash.
"""

import base64
import hashlib
import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any

import msgspec

from rules.engine.condensing import Bucket
from rules.engine.memory import Memory
from rules.engine.rings import CHUNK, PIECE, Ring, names_of

WINDOW = "window/"
"""Before the hash of a signal's name, a slash, and what `names_of` says, or `old-` and a number."""

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
        parts.update(_samples(ring, name, 0))
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
            chunk, count = divmod(ring.changed_from, CHUNK)
            if (chunk + 1) * CHUNK <= len(
                ring.times
            ):  # it is whole now: one part takes the place of its pieces
                parts.update(dict.fromkeys(name + it for it in names_of(ring.first_chunk + chunk, count)))
            parts.update(_samples(ring, name, ring.changed_from))
            ring.changed_from = len(ring.times)
    return parts


def written(memory: Memory) -> list[str]:
    """The names of all parts that were ever written and are not yet removed."""
    names = []
    for slot, ring in memory.rings.items():
        ours = [*ring.gone, *(f"{_OLD}{place}" for place in range(ring.old_parts))]
        for begin in range(0, ring.changed_from, CHUNK):
            ours += names_of(ring.first_chunk + begin // CHUNK, ring.changed_from - begin)
        names += [_name(memory, slot) + name for name in ours]
    return names


def restore(memory: Memory, parts: Mapping[str, bytes]) -> frozenset[str]:
    """Fill the rings of a new memory; the names of their parts. Raises ValueError for what is no such part.

    Parts of signals over which there is no window are left out.
    """
    slots = {_name(memory, slot): slot for slot in memory.layout.kept}
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
    return _name_of(memory.layout.names[slot])


@lru_cache(maxsize=4096)
def _name_of(signal: str) -> str:
    mark = hashlib.blake2b(signal.encode(), digest_size=8).digest()
    return f"{WINDOW}{base64.urlsafe_b64encode(mark).decode().rstrip('=')}/"


def _samples(ring: Ring, name: str, first: int) -> dict[str, bytes]:
    """The parts of the samples from a place on, and of those that share a part with it."""
    parts = {}
    count, number = len(ring.times), ring.first_chunk
    whole = count // CHUNK
    for chunk in range(first // CHUNK, whole):
        begin = chunk * CHUNK
        parts[f"{name}{number + chunk:x}"] = _packed_samples(ring, begin, begin + CHUNK, number + chunk)
    tail = whole * CHUNK
    for begin in range(max(tail, first - first % PIECE), count, PIECE):
        part = f"{name}{number + whole:x}.{(begin - tail) // PIECE}"
        parts[part] = _packed_samples(ring, begin, begin + PIECE, number + whole)
    return parts


def _packed_samples(ring: Ring, start: int, end: int, chunk: int) -> bytes:
    times, values = ring.times[start:end], ring.values[start:end]
    steps = [after - before for before, after in pairwise(times)]
    packed = struct.pack(f">{len(values)}d", *values)
    return _FORMAT + _encode((chunk - ring.began, times[0], steps, packed))


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
    begins = {part: _began(part, content) for part, content in contents.items()}
    began = max(begins.values())
    ring.gone = [part for part in contents if begins[part] != began]
    mine = {part: content for part, content in contents.items() if begins[part] == began}
    chunks = sorted((_place(part), content) for part, content in mine.items() if not part.startswith(_OLD))
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
    ring.refill(began, chunks[0][0][0] if chunks else began, times, values)


def _began(part: str, content: Any) -> int:
    return int(content[0] if part.startswith(_OLD) else _place(part)[0] - content[0])


def _place(part: str) -> tuple[int, int]:
    """Which chunk the samples of a part are in, and which piece of it they are."""
    chunk, _, piece = part.partition(".")
    return int(chunk, 16), int(piece or "0")


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
