"""What an aggregation says: a window's values, and a message that came too late for all of its windows."""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from rules.instants import format_instant

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "aggregates.telltale.dev")


def window_id(lineage: str, group: str, anchor: int) -> str:
    """The id of a group's window; `anchor` is its start, of a session the first message that came."""
    return str(uuid.uuid5(_NAMESPACE, f"{lineage}\n{group}\n{anchor}"))


def late_id(lineage: str, vehicle_id: str, ts: int, received_at: int, signals: Mapping[str, object]) -> str:
    """The id of a late message and rule."""
    said = sorted(signals.items())
    return str(uuid.uuid5(_NAMESPACE, f"late\n{lineage}\n{vehicle_id}\n{ts}\n{received_at}\n{said!r}"))


@dataclass(frozen=True, slots=True)
class AggregateRecord:
    """The values of one window; a later record of the same id replaces it. Times in milliseconds."""

    id: str
    rule: str
    revision: int
    group: Mapping[str, object]
    subject: str
    """The vehicle's id, or the group's key."""
    vehicle_id: str | None
    """Of a window of one vehicle."""
    window_start: int
    window_end: int
    values: Mapping[str, object]
    final: bool
    update: int
    by: str | None
    """`silence` where time without data closed the window."""
    received_at: int
    """Of the message that caused it; of the partition where silence did."""

    @property
    def key(self) -> str:
        """What the window is of: the key of its records."""
        return self.vehicle_id or self.subject

    @property
    def record_id(self) -> str:
        """The id of the record. A vehicle that was forgotten begins its windows anew, but not in the past."""
        forgotten = "-forgotten" if self.by == "forgotten" else ""
        return f"{self.id}-{self.update}-{self.received_at}{forgotten}"

    def to_record(self) -> dict[str, object]:
        """The record of `vehicle.aggregates`."""
        return {
            "id": self.id,
            "rule": self.rule,
            "revision": self.revision,
            "group": dict(self.group),
            "vehicleId": self.vehicle_id,
            "windowStart": format_instant(self.window_start),
            "windowEnd": format_instant(self.window_end),
            "values": {name: _plain(value) for name, value in self.values.items()},
            "final": self.final,
            "update": self.update,
            "by": self.by,
            "receivedAt": format_instant(self.received_at),
        }


@dataclass(frozen=True, slots=True)
class LateRecord:
    """A message that would have counted, had one of its windows still been open."""

    id: str
    rule: str
    revision: int
    vehicle_id: str
    ts: int
    received_at: int
    signals: Mapping[str, object]

    @property
    def record_id(self) -> str:
        """The id of the record, the same as its own: it is written once."""
        return self.id

    def to_record(self) -> dict[str, object]:
        """The record of `vehicle.late`."""
        return {
            "id": self.id,
            "rule": self.rule,
            "revision": self.revision,
            "vehicleId": self.vehicle_id,
            "ts": format_instant(self.ts),
            "receivedAt": format_instant(self.received_at),
            "signals": {name: _plain(value) for name, value in self.signals.items()},
        }


def _plain(value: object) -> object:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
