"""What every trace yields, whatever its format: the messages of vehicles, as they would have arrived.

A row that cannot be used ends the backtest with one message that names the file and the row: a figure over
half a trace would be taken for one over all of it. What live telemetry survives (a signal out of its range,
a hole, a repeated message), a trace survives as well, and it is counted.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pipeline.process.failures import TelltaleError
from rules import Event


class TraceError(TelltaleError):
    """The trace cannot be used; the message says which file, row and column, and why. Exit code 1."""

    exit_code = 1


class Message(NamedTuple):
    """One message of one vehicle. `sequence` and `content` (a CRC) tell a repeated one."""

    vehicle_id: str
    event: Event
    sequence: int | None
    content: bytes


Mine = Callable[[str], bool]
"""Whether a vehicle is this worker's to fold."""


@dataclass(slots=True)
class Order:
    """Tells rows that are not in the order of time, vehicle by vehicle, and counts a vehicle's rows."""

    last: dict[str, int] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)

    def check(self, vehicle_id: str, instant: int) -> bool:
        """False if the vehicle was later already."""
        before = self.last.get(vehicle_id)
        if before is not None and instant < before:
            return False
        self.last[vehicle_id] = instant
        return True


class Trace(Protocol):
    """A file of messages. All workers read it whole; each keeps its own vehicles'."""

    @property
    def name(self) -> str:
        """What to call it in messages."""

    @property
    def signals(self) -> frozenset[str] | None:
        """The signals that it can hold; None if only reading it tells."""

    @property
    def ignored(self) -> tuple[str, ...]:
        """Columns that are nothing the catalog knows."""

    @property
    def dropped(self) -> Counter[str]:
        """How many values were not used, by reason."""

    def messages(self, mine: Mine, order: Order) -> Iterator[Message]:
        """The messages of the vehicles that are `mine`, in the order of the file. Raises TraceError.

        `order` is that of all files of a backtest: they follow each other.
        """

    def progress(self) -> float:
        """How much of the file was read, 0 to 1."""


def own_vehicles(worker: int, workers: int) -> Mine:
    """The vehicles of one worker of several: a stable share of the ids."""
    if workers == 1:
        return lambda _vehicle_id: True
    return lambda vehicle_id: zlib.crc32(vehicle_id.encode()) % workers == worker
