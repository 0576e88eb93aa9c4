"""A vehicle's last 256 messages, by which a message that came before is recognised.

MQTT's QoS 1 repeats. A message is known by its time and its sequence, or by its time and its content where
the vehicle counts nothing: so a sequence that starts again after a reboot, with newer times, is not a
duplicate. A mark is 64 bits, 44 of the time and 20 of the sequence (or of the content's CRC-32).

A message newer than all before it cannot be a duplicate, so the usual case compares one number. The memory
is cut into chunks of 16 marks, since only the chunk that is being filled has to be written at a checkpoint:
128 bytes, not 2 KB.
"""

from zlib import crc32

MESSAGES = 256
CHUNK_MARKS = 16
CHUNKS = MESSAGES // CHUNK_MARKS
_MARK_BYTES = 8
_CHUNK_BYTES = CHUNK_MARKS * _MARK_BYTES
_LOW_BITS = 20
_LOW_MASK = (1 << _LOW_BITS) - 1


def mark(instant: int, sequence: int | None, payload: bytes) -> int:
    """The 64 bits by which a message is known. `instant` is its time in milliseconds since the epoch."""
    low = crc32(payload) if sequence is None else sequence
    return ((instant & 0xFFF_FFFF_FFFF) << _LOW_BITS) | (low & _LOW_MASK)


class Memory:
    """The marks of one vehicle, in a ring."""

    __slots__ = ("_count", "_dirty", "_newest", "_ring")

    def __init__(self) -> None:
        self._ring = bytearray()
        self._count = 0
        self._newest = -1
        self._dirty: set[int] = set()

    def seen(self, message_mark: int) -> bool:
        """True if the mark is remembered; otherwise it is from now on."""
        if message_mark <= self._newest:
            packed = message_mark.to_bytes(_MARK_BYTES, "big")
            place = self._ring.find(packed)
            while place >= 0:
                if place % _MARK_BYTES == 0:
                    return True
                place = self._ring.find(packed, place + 1)
        else:
            packed = message_mark.to_bytes(_MARK_BYTES, "big")
            self._newest = message_mark
        slot = self._count % MESSAGES
        self._ring[slot * _MARK_BYTES : (slot + 1) * _MARK_BYTES] = packed
        self._dirty.add(slot // CHUNK_MARKS)
        self._count += 1
        return False

    def changes(self) -> list[tuple[int, bytes]]:
        """The chunks written since the last call: (number of the chunk, the ring's count and its marks)."""
        count = self._count.to_bytes(_MARK_BYTES, "big")
        changed = [
            (chunk, count + self._ring[chunk * _CHUNK_BYTES : (chunk + 1) * _CHUNK_BYTES])
            for chunk in sorted(self._dirty)
        ]
        self._dirty.clear()
        return changed

    @classmethod
    def of(cls, chunks: dict[int, bytes]) -> "Memory":
        """The memory whose chunks were last written so."""
        memory = cls()
        for chunk, written in sorted(chunks.items()):
            start = chunk * _CHUNK_BYTES
            marks = written[_MARK_BYTES:]
            memory._ring[start : start + len(marks)] = marks
            memory._count = max(memory._count, int.from_bytes(written[:_MARK_BYTES], "big"))
        for place in range(0, len(memory._ring), _MARK_BYTES):
            memory._newest = max(
                memory._newest, int.from_bytes(memory._ring[place : place + _MARK_BYTES], "big")
            )
        return memory
