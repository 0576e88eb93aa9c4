"""A vehicle's last messages, by which a repeated one is recognised: the last 256, or those of 10 minutes.

MQTT's QoS 1 repeats. A message is known by its time and its sequence, or by its time and its content where
the vehicle counts nothing: so a sequence that starts again after a reboot, with newer times, is not a
duplicate. A mark is 64 bits, 44 of the time and 20 of the sequence (or of the content's CRC-32).

A message newer than all before it cannot be a duplicate, so the usual case compares one number. Marks are
kept in chunks of 16, since only the chunk that is being filled has to be written at a checkpoint: at most 144
bytes. A chunk is forgotten when 256 newer marks are there and its last message came 10 minutes ago; 4,096
marks are the limit in any case, so that a vehicle that floods us does not fill the memory.
"""

import struct
from collections import deque
from zlib import crc32

MESSAGES = 256
TIME_MS = 10 * 60_000
MOST_MESSAGES = 4096
CHUNK_MARKS = 16
CHUNKS = MOST_MESSAGES // CHUNK_MARKS
"""Numbers of chunks go round: a new chunk takes the place of the one that is forgotten."""

_MARK = struct.Struct(">Q")
_HEAD = struct.Struct(">Qq")
_LOW_BITS = 20
_LOW_MASK = (1 << _LOW_BITS) - 1
_KEPT = MESSAGES // CHUNK_MARKS


def mark(instant: int, sequence: int | None, payload: bytes) -> int:
    """The 64 bits by which a message is known. `instant` is its time in milliseconds since the epoch."""
    low = crc32(payload) if sequence is None else sequence
    return ((instant & 0xFFF_FFFF_FFFF) << _LOW_BITS) | (low & _LOW_MASK)


class _Chunk:
    """Up to 16 marks; `number` counts the vehicle's chunks from its first."""

    __slots__ = ("greatest", "least", "marks", "number", "received_at")

    def __init__(self, number: int, received_at: int, marks: bytes = b"") -> None:
        self.number = number
        self.received_at = received_at
        self.marks = bytearray(marks)
        values = [value for (value,) in _MARK.iter_unpack(marks)]
        self.least = min(values, default=1 << 64)
        self.greatest = max(values, default=-1)

    def add(self, message_mark: int, packed: bytes, received_at: int) -> None:
        self.marks += packed
        self.received_at = max(self.received_at, received_at)
        self.least = min(self.least, message_mark)
        self.greatest = max(self.greatest, message_mark)

    def holds(self, packed: bytes) -> bool:
        place = self.marks.find(packed)
        while place >= 0:
            if place % _MARK.size == 0:
                return True
            place = self.marks.find(packed, place + 1)
        return False

    @property
    def is_full(self) -> bool:
        return len(self.marks) == CHUNK_MARKS * _MARK.size


class Memory:
    """The marks of one vehicle, oldest chunk first."""

    __slots__ = ("_chunks", "_forgotten", "_gone", "_newest", "_written")

    def __init__(self) -> None:
        self._chunks: deque[_Chunk] = deque()
        self._newest = -1
        self._written = 0
        """Chunks with a smaller number are in the changelog as they are."""
        self._forgotten: set[int] = set()
        self._gone: frozenset[int] = frozenset()
        """Places in the changelog at which a memory before this one may have left something."""

    def seen(self, message_mark: int, received_at: int) -> bool:
        """True if the mark is remembered; otherwise it is from now on. `received_at` in milliseconds."""
        packed = _MARK.pack(message_mark)
        if message_mark > self._newest:
            self._newest = message_mark
        else:
            for chunk in self._chunks:
                if chunk.least <= message_mark <= chunk.greatest and chunk.holds(packed):
                    return True
        if not self._chunks or self._chunks[-1].is_full:
            self._begin(received_at)
        self._chunks[-1].add(message_mark, packed, received_at)
        return False

    def _begin(self, received_at: int) -> None:
        """Begin a chunk, and forget those that are of no use any more."""
        chunks = self._chunks
        while (len(chunks) > _KEPT and chunks[0].received_at < received_at - TIME_MS) or len(
            chunks
        ) >= CHUNKS:
            self._forgotten.add(chunks.popleft().number)
        chunks.append(_Chunk(chunks[-1].number + 1 if chunks else self._written, received_at))

    def changes(self) -> list[tuple[int, bytes | None]]:
        """What was written or forgotten since the last call: (place of the chunk, the chunk or None)."""
        changed: dict[int, bytes | None] = dict.fromkeys(self._gone)
        self._gone = frozenset()
        changed |= {number % CHUNKS: None for number in self._forgotten if number < self._written}
        for chunk in self._chunks:
            if chunk.number >= self._written:
                changed[chunk.number % CHUNKS] = _HEAD.pack(chunk.number, chunk.received_at) + chunk.marks
        self._forgotten.clear()
        if self._chunks:
            last = self._chunks[-1]
            self._written = last.number + 1 if last.is_full else last.number
        return sorted(changed.items())

    @property
    def is_empty(self) -> bool:
        """Whether nothing is remembered."""
        return not self._chunks

    def emptied(self) -> "Memory":
        """A memory of nothing in the place of this one: `changes` tells what there is to delete."""
        memory = Memory()
        numbers = {chunk.number for chunk in self._chunks} | self._forgotten
        memory._gone = self._gone | {number % CHUNKS for number in numbers}
        return memory

    @classmethod
    def of(cls, written: dict[int, bytes]) -> "Memory":
        """The memory whose chunks stand so in the changelog, by place."""
        memory = cls()
        chunks = []
        for packed in written.values():
            number, received_at = _HEAD.unpack_from(packed)
            chunks.append(_Chunk(number, received_at, packed[_HEAD.size :]))
        memory._chunks.extend(sorted(chunks, key=lambda chunk: chunk.number))
        memory._newest = max((chunk.greatest for chunk in chunks), default=-1)
        if memory._chunks:
            last = memory._chunks[-1]
            memory._written = last.number + 1 if last.is_full else last.number
        return memory
