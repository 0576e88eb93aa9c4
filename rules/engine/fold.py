"""What runs rules of one kind over vehicles: the same methods in the stages, in tests, backtests and explain.

A fold holds no state of vehicles and reads no clock. It appends what came of an event to a list; whoever owns
the state decides when to call, and keeps it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from rules.engine.events import Event
from rules.engine.registration import NOTHING, Registration

S = TypeVar("S")


class Open(NamedTuple):
    """An alert that fires, or a visit."""

    rule: str
    severity: str = ""
    """Of an alert."""


@dataclass(frozen=True, slots=True)
class Ongoing:
    """What has been told of a vehicle and is not over yet."""

    open: Mapping[str, Open] = field(default_factory=dict)
    """Alerts that fire by their ids, visits by rule and fence."""
    updates: Mapping[str, int] = field(default_factory=dict)
    """The next `update` of windows, by their ids."""
    revision: int = 0
    """At which one set acts in place of another: ids of what is told from then on are made with it."""


class Fold(Protocol[S]):
    """All times are milliseconds; the live clock counts the time during which somebody was there to hear."""

    def new_vehicle(self, vehicle_id: str, registration: Registration = NOTHING) -> S:
        """The state of a vehicle that has said nothing yet."""

    def process(self, vehicle: S, event: Event, live_clock: int, out: list[Any]) -> None:
        """Apply one message. Timers that were due before it fire first."""

    def advance(self, vehicle: S, live_clock: int, received_clock: int, out: list[Any]) -> None:
        """Fire the timers that the vehicle's clock has passed in silence."""

    def register(
        self, vehicle: S, registration: Registration, live_clock: int, received_clock: int, out: list[Any]
    ) -> None:
        """The registry says this of the vehicle from now on. It is no message, and moves no event time.

        What comes of it comes at the vehicle's clock: its event time, and the silence since beyond what is
        usual. Timers that were due before fire first.
        """

    def forget(self, vehicle: S, live_clock: int, received_clock: int, out: list[Any]) -> None:
        """End what is open, then be as new, without a registration: `changed` tells None for every part."""

    def retire(
        self,
        vehicle: S,
        names: Collection[str],
        reason: str,
        live_clock: int,
        received_clock: int,
        out: list[Any],
    ) -> None:
        """The rules of these names are no more: what is open of them ends, and nothing of them is kept.

        Called before the vehicle's state goes to a fold of another rule set, with the rules that the other
        set does not have, or has with another meaning (`deleted`), or has for other vehicles (`deselected`).
        """

    def unselected(self, vehicle: S, parts: Mapping[str, bytes], /) -> frozenset[str]:
        """The rules that the vehicle's parts tell of, and that are for other vehicles only.

        `vehicle` is what was restored from the parts.
        """

    def ongoing(self, vehicle: S) -> Ongoing:
        """What is open: what another set must know that is to act for the vehicle in place of this one."""

    def hand_over(
        self, vehicle: S, others: Ongoing, reason: str, live_clock: int, received_clock: int, out: list[Any]
    ) -> None:
        """Another set acts for the vehicle from now on, with `others` open: what it does not have open ends.

        The reason is `promoted` or `rolledBack`. The state is of no use afterwards.
        """

    def take_over(
        self, vehicle: S, others: Ongoing, reason: str, live_clock: int, received_clock: int, out: list[Any]
    ) -> None:
        """Act for the vehicle in place of another set, which had `others` open: what it had not is told."""

    def firing_of(self, parts: Mapping[str, bytes], /) -> list[str]:
        """The rules whose alert fires for a vehicle that is packed. Raises StateFormatError."""

    def next_deadline(self, vehicle: S) -> int | None:
        """The live clock after which `advance` may have something to do; None if it waits for nothing."""

    def deadline_of(self, parts: Mapping[str, bytes]) -> int | None:
        """`next_deadline` of a vehicle that is still packed. Raises StateFormatError."""

    def snapshot(self, vehicle: S) -> dict[str, bytes]:
        """The whole state in parts, each with its format version; parts that hold nothing are left out."""

    def changed(self, vehicle: S) -> dict[str, bytes | None]:
        """The parts that changed since the last call; None for one that is gone."""

    def restore(self, vehicle_id: str, parts: Mapping[str, bytes], registration: Registration = NOTHING) -> S:
        """The vehicle that `snapshot` told of, also over all that `changed` said so far.

        The registration is kept by the owner, as a part of its own.
        """
