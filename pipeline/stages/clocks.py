"""A partition's two clocks, moved by the log alone.

`received` is the greatest receivedAt of the partition's records and ticks: what "now" means to a command that
must not come too late. `live` is the time during which an uplink was there to hear a vehicle: only ticks move
it, and a gap between two ticks counts as one second, whatever its length. So an uplink that was away for an
hour makes no vehicle silent, and a timer that waits for silence does not end early.
"""

import struct
from dataclasses import dataclass

TICK_GAP_MS = 5_000
TICK_MS = 1_000
_LAYOUT = struct.Struct(">Bqqqq")
_FORMAT = 2
_FIRST_LAYOUT = struct.Struct(">Bqqq")
"""Format 1, of before rules had revisions."""


@dataclass(slots=True)
class Clocks:
    """Milliseconds: `received` and `ticked` since the epoch, `live` since the partition's first tick."""

    received: int = 0
    live: int = 0
    ticked: int = 0
    revision: int = 0
    """Of the rules that the partition's state is of; 0 for rules from files."""

    def hear(self, received_at: int) -> None:
        """A record of a vehicle came."""
        if received_at > self.received:
            self.received = received_at

    def tick(self, received_at: int) -> bool:
        """A tick came. True if `live` has moved."""
        self.hear(received_at)
        if received_at <= self.ticked:
            return False
        passed = received_at - self.ticked
        first = self.ticked == 0
        self.ticked = received_at
        if first:
            return False
        self.live += passed if passed <= TICK_GAP_MS else TICK_MS
        return True

    def pack(self) -> bytes:
        return _LAYOUT.pack(_FORMAT, self.received, self.live, self.ticked, self.revision)

    @classmethod
    def unpack(cls, packed: bytes) -> "Clocks":
        """Raises ValueError if the format is one that this version does not know."""
        if len(packed) == _FIRST_LAYOUT.size and packed[0] == 1:
            return cls(*_FIRST_LAYOUT.unpack(packed)[1:])
        if len(packed) != _LAYOUT.size or packed[0] != _FORMAT:
            raise ValueError(f"a partition's clocks in format {packed[:1].hex()}, known is {_FORMAT}")
        return cls(*_LAYOUT.unpack(packed)[1:])
