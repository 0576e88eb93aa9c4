"""What geofence rules say: events of visits, for all and for topics of the author's.

As with alerts, ids hold no offsets and no clock: redelivery, restart, replay and backtest give the same ones.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from rules.engine.events import Position
from rules.engine.outcomes import CommandRecord, RuleFailure, place_of
from rules.engine.visits import Happening
from rules.instants import format_instant

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "geofences.telltale.dev")


def event_id(lineage: str, vehicle_id: str, fence: str, happening: Happening, ordinal: int) -> uuid.UUID:
    """The id of an event; `ordinal` tells apart those of one kind, fence and instant."""
    parts = (lineage, vehicle_id, fence, *happening[:3], ordinal)
    return uuid.uuid5(_NAMESPACE, "\n".join(map(str, parts)))


@dataclass(frozen=True, slots=True)
class FenceRecord:
    """A vehicle entered, left, stayed in, crossed or sped in a fence. Times in milliseconds."""

    id: str
    rule: str
    revision: int
    fence: str
    vehicle_id: str
    severity: str
    happening: Happening
    position: Position | None
    labels: Mapping[str, str]
    fence_labels: Mapping[str, str]
    annotations: Mapping[str, str]
    by: str | None
    """`silence` where time without data confirmed it."""
    received_at: int
    speed: float | None = None
    """When it is about speed, as its limit is."""
    limit: float | None = None

    @property
    def record_id(self) -> str:
        """The id of the record, the same as its own: it is written once."""
        return self.id

    def to_record(self) -> dict[str, object]:
        """The record of `vehicle.geofence-events`."""
        event, starts_at, confirmed_at, visit_ms, reason = self.happening
        more: dict[str, object] = {} if self.limit is None else {"speed": self.speed, "limit": self.limit}
        return {
            "id": self.id,
            "rule": self.rule,
            "revision": self.revision,
            "fence": self.fence,
            "vehicleId": self.vehicle_id,
            "event": event,
            "severity": self.severity,
            "startsAt": format_instant(starts_at),
            "confirmedAt": format_instant(confirmed_at),
            "visitSeconds": None if visit_ms is None else visit_ms / 1000,
            "position": place_of(self.position),
            "labels": dict(self.labels),
            "fenceLabels": dict(self.fence_labels),
            "annotations": dict(self.annotations),
            "reason": reason,
            "by": self.by,
            "receivedAt": format_instant(self.received_at),
            **more,
        }


@dataclass(frozen=True, slots=True)
class FencePublish:
    """An event's record for a topic that the rule names."""

    id: str
    topic: str
    record: FenceRecord

    @property
    def record_id(self) -> str:
        """The id of the record, the same as its own: it is written once."""
        return self.id

    def to_record(self) -> dict[str, object]:
        """The event."""
        return self.record.to_record()


FenceOutcome = FenceRecord | FencePublish | CommandRecord | RuleFailure
