"""Messages held back for a while, so that a vehicle's messages go on in the order of their own times.

A message is held until the partition's clock (the greatest receivedAt of its records and ticks) is `within`
past its receipt; then it goes on, and before it all messages of its vehicle that are held and older than it.
So messages that reached us in the wrong order, but less than `within` apart, go on in the right one; one that
comes later than that goes on late. No clock is read: time is in the log, and without ticks a message waits
for the partition's next record.

Messages of one time go in the order of their sequence, then of their receipt. At most MOST messages of a
vehicle wait; for one more the oldest goes on.
"""

import heapq
import struct
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

MOST = 1_000
HELD = b"@held"
"""Begins the name of the part of the state that holds one message."""

_FORMAT = b"\x01"
_OFFSET = struct.Struct(">q")
_CLOCK = struct.Struct(">cq")
_encode = msgspec.msgpack.Encoder().encode


class Held(NamedTuple):
    """One message. Instants in milliseconds since the epoch; the order of the fields is that of messages."""

    instant: int
    sequence: int
    """-1 without one."""
    offset: int
    partition: int
    received_at: int
    telemetry: bytes


_decode = msgspec.msgpack.Decoder(Held).decode


class Reordering:
    """The messages of one partition that wait."""

    __slots__ = ("_changed", "_deadlines", "_held", "_waiting", "_within", "clock", "moved")

    def __init__(self, within_ms: int) -> None:
        """0: nothing waits."""
        self._within = within_ms
        self._held: dict[bytes, list[Held]] = {}
        """By vehicle, in the order in which they go on."""
        self._waiting: dict[int, Held] = {}
        """By offset."""
        self._deadlines: list[tuple[int, int, bytes]] = []
        """(when it goes on, offset, vehicle): a heap. What has gone on already is still there."""
        self._changed: dict[tuple[bytes, int], Held | None] = {}
        self.clock = 0
        self.moved = 0
        """Messages that were put before others that came earlier; whoever reads it sets it back."""

    @property
    def is_on(self) -> bool:
        """Whether messages wait, or may."""
        return self._within > 0 or bool(self._waiting)

    def hold(self, vehicle: bytes, message: Held) -> list[Held]:
        """Let a message wait. Those that go on instead, since too many would."""
        waiting = self._held.setdefault(vehicle, [])
        place = bisect_right(waiting, message)
        self.moved += place < len(waiting)
        waiting.insert(place, message)
        self._wait(vehicle, message)
        self._changed[vehicle, message.offset] = message
        return self._take(vehicle, 1) if len(waiting) > MOST else []

    def due(self, at: int) -> list[tuple[bytes, Held]]:
        """A record or tick was received at this instant: what goes on before it, with the vehicle of each."""
        self.clock = max(self.clock, at)
        gone: list[tuple[bytes, Held]] = []
        while self._deadlines and self._deadlines[0][0] <= self.clock:
            _, offset, vehicle = heapq.heappop(self._deadlines)
            message = self._waiting.get(offset)
            if message is not None:
                count = bisect_right(self._held[vehicle], message)
                gone += ((vehicle, each) for each in self._take(vehicle, count))
        return gone

    def all_of(self, vehicle: bytes) -> list[Held]:
        """The vehicle is about to be forgotten: everything of it goes on."""
        return self._take(vehicle, len(self._held.get(vehicle, ())))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        """The state records that changed since the last call, one a message; None when it has gone on."""
        changed = [
            (b"%b\0%b%b" % (vehicle, HELD, _OFFSET.pack(offset)), _packed(message))
            for (vehicle, offset), message in self._changed.items()
        ]
        self._changed.clear()
        return changed

    def restore(self, vehicle: bytes, value: bytes) -> None:
        """Take a state record. Raises ValueError for a format that is not known."""
        if value[:1] != _FORMAT:
            raise ValueError(f"a held message of {vehicle!r} has format {value[:1].hex()}, known is 01")
        message = _decode(value[1:])
        waiting = self._held.setdefault(vehicle, [])
        waiting.insert(bisect_right(waiting, message), message)
        self._wait(vehicle, message)

    def packed_clock(self) -> bytes:
        """The clock as bytes."""
        return _CLOCK.pack(_FORMAT, self.clock)

    def restore_clock(self, packed: bytes) -> None:
        """Take what `packed_clock` gave. Raises ValueError for a format that is not known."""
        if len(packed) != _CLOCK.size or packed[:1] != _FORMAT:
            raise ValueError(f"the clock of messages that wait has format {packed[:1].hex()}, known is 01")
        self.clock = _CLOCK.unpack(packed)[1]

    def _wait(self, vehicle: bytes, message: Held) -> None:
        self._waiting[message.offset] = message
        heapq.heappush(self._deadlines, (message.received_at + self._within, message.offset, vehicle))

    def _take(self, vehicle: bytes, count: int) -> list[Held]:
        waiting = self._held.get(vehicle, [])
        taken = waiting[:count]
        del waiting[:count]
        if not waiting:
            self._held.pop(vehicle, None)
        self._go(vehicle, taken)
        return taken

    def _go(self, vehicle: bytes, messages: Iterable[Held]) -> None:
        for message in messages:
            del self._waiting[message.offset]
            if self._changed.get((vehicle, message.offset)) is None:
                self._changed[vehicle, message.offset] = None
            else:
                del self._changed[vehicle, message.offset]  # it came and went between two checkpoints


def _packed(message: Held | None) -> bytes | None:
    return None if message is None else _FORMAT + _encode(message)
