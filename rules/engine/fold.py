"""What runs rules of one kind over vehicles: the same methods in the stages, in tests, backtests and explain.

A fold holds no state of vehicles and reads no clock. It appends what came of an event to a list; whoever owns
the state decides when to call, and keeps it.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from rules.engine.events import Event

S = TypeVar("S")


class Fold(Protocol[S]):
    """All times are milliseconds; the live clock counts the time during which somebody was there to hear."""

    def new_vehicle(self, vehicle_id: str) -> S:
        """The state of a vehicle that has said nothing yet."""

    def process(self, vehicle: S, event: Event, live_clock: int, out: list[Any]) -> None:
        """Apply one message. Timers that were due before it fire first."""

    def advance(self, vehicle: S, live_clock: int, received_clock: int, out: list[Any]) -> None:
        """Fire the timers that the vehicle's clock has passed in silence."""

    def next_deadline(self, vehicle: S) -> int | None:
        """The live clock after which `advance` may have something to do; None if it waits for nothing."""

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        """`next_deadline` of a vehicle that is still packed. Raises StateFormatError."""

    def snapshot(self, vehicle: S) -> dict[str, bytes]:
        """The whole state in parts, each with its format version; parts that hold nothing are left out."""

    def changed(self, vehicle: S) -> dict[str, bytes | None]:
        """The parts that changed since the last call; None for one that is gone."""

    def restore(self, vehicle_id: str, parts: Mapping[str, bytes]) -> S:
        """The vehicle that `snapshot` told of, also over all that `changed` said so far."""
