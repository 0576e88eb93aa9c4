"""What the engine says: alerts, commands, alerts for a topic of the author's, and failures of rules.

Ids hold no offsets and no clock: they are UUIDv5 of what the alert is, so redelivery, restart, replay and
backtest give the same ones, and a consumer recognises what it has seen.
"""

import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from rules.engine.events import Position
from rules.instants import format_instant

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "alerts.telltale.dev")


def alert_id(lineage: str, vehicle_id: str, starts_at: int, ordinal: int) -> uuid.UUID:
    """The id of a rule's alert; `ordinal` tells apart alerts of one rule that started at one instant."""
    return uuid.uuid5(_NAMESPACE, f"{lineage}\n{vehicle_id}\n{starts_at}\n{ordinal}")


def action_id(alert: uuid.UUID, action: int, severity: str, upon: str, *, taken_over: int = 0) -> str:
    """The id of what an action of an alert brought about: once for each severity that it is raised to.

    `taken_over` is the revision at which another set began to act for the alert: what it does is not what the
    set before it did.
    """
    more = f"\n{taken_over}" if taken_over else ""
    return str(uuid.uuid5(alert, f"{action}\n{severity}\n{upon}{more}"))


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """An alert began to fire, its severity rose, or it was resolved. Times in milliseconds."""

    id: str
    record_id: str
    rule: str
    revision: int
    vehicle_id: str
    state: str
    severity: str
    starts_at: int
    fired_at: int
    ends_at: int | None
    value: object
    peak: object
    position: Position | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    reason: str | None
    by: str | None
    """`silence` where time without data moved the alert, `registry` where what it says of the vehicle did."""
    received_at: int
    """Of the message that caused it; of the partition where silence did."""
    sequence: "SequenceFacts | None" = None
    """Of a sequence rule: what it says, step by step."""
    group: Mapping[str, object] | None = None
    """Of an alert of a group of vehicles, whose key `vehicle_id` is then."""

    begins: bool = False
    """Whether nobody was told before that it fires."""

    def to_record(self) -> dict[str, object]:
        """The record of `vehicle.alerts`."""
        more = {} if self.sequence is None else {"sequence": self.sequence.to_record()}
        if self.group is not None:
            more["group"] = dict(self.group)
        return {
            "id": self.id,
            "rule": self.rule,
            "revision": self.revision,
            "vehicleId": None if self.group is not None else self.vehicle_id,
            "state": self.state,
            "severity": self.severity,
            "startsAt": format_instant(self.starts_at),
            "firedAt": format_instant(self.fired_at),
            "endsAt": None if self.ends_at is None else format_instant(self.ends_at),
            "value": _plain(self.value),
            "peak": _plain(self.peak),
            "position": place_of(self.position),
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "reason": self.reason,
            "by": self.by,
            "receivedAt": format_instant(self.received_at),
            **more,
        }


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """Whether a sequence matched or ran out of time, and when each step's first and last message was."""

    is_match: bool
    steps: tuple[tuple[str, int, int], ...]

    def to_record(self) -> dict[str, object]:
        """The part `sequence` of an alert's record."""
        steps = [
            {"name": name, "firstAt": format_instant(first), "lastAt": format_instant(last)}
            for name, first, last in self.steps
        ]
        return {"outcome": "match" if self.is_match else "timeout", "steps": steps}


@dataclass(frozen=True, slots=True)
class PublishRecord:
    """An alert's record for a topic that the rule names."""

    id: str
    topic: str
    alert: AlertRecord

    @property
    def record_id(self) -> str:
        """The id of the record, the same as its own: it is written once."""
        return self.id

    def to_record(self) -> dict[str, object]:
        """The alert as it was when the action acted."""
        return self.alert.to_record()


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """Something to tell the vehicle, until `expires_at`."""

    id: str
    vehicle_id: str
    name: str
    payload: object
    expires_at: int
    rule: str
    revision: int
    alert_id: str
    event_time: int | None
    """Of the message that caused it; None where silence did."""
    received_at: int

    @property
    def record_id(self) -> str:
        """The id of the record, the same as its own: a command is requested once."""
        return self.id

    def to_record(self) -> dict[str, object]:
        """The record of `vehicle.commands`."""
        return {
            "id": self.id,
            "vehicleId": self.vehicle_id,
            "name": self.name,
            "payload": self.payload,
            "expiresAt": format_instant(self.expires_at),
            "cause": {
                "rule": self.rule,
                "revision": self.revision,
                "alertId": self.alert_id,
                "eventTime": None if self.event_time is None else format_instant(self.event_time),
                "receivedAt": format_instant(self.received_at),
            },
        }


@dataclass(frozen=True, slots=True)
class RuleFailure:
    """An expression of a rule had no value for one event. The rule counts it as unknown; others go on."""

    rule: str
    vehicle_id: str
    ts: int
    error: str


Outcome = AlertRecord | CommandRecord | PublishRecord | RuleFailure


def _plain(value: object) -> object:
    """JSON knows no NaN and no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def place_of(position: Position | None) -> dict[str, float] | None:
    """A position as records have it."""
    if position is None:
        return None
    return dict(zip(("latitude", "longitude", "accuracy"), position, strict=False))
