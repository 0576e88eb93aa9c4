"""From what a rule brought about to the record that tells of it: topic, key, headers."""

from typing import Any

import orjson

from pipeline.process.envelope import Envelope
from pipeline.runtime.stage import Output
from rules.engine import AggregateRecord, GroupDropped, GroupSample, LateRecord
from rules.engine.fence_outcomes import FencePublish, FenceRecord
from rules.engine.outcomes import AlertRecord, CommandRecord, RuleFailure
from rules.engine.shadows import Shadowed

SHADOWS = "telltale.shadow"
"""The topic of what is recorded and acts on nothing."""


class Outputs:
    """Writes the outcomes of one stage."""

    def __init__(self, stage: str) -> None:
        self._alerts = Envelope("vehicle.alerts", stage)
        self._commands = Envelope("vehicle.commands", stage)
        self._aggregates = Envelope("vehicle.aggregates", stage)
        self._late = Envelope("vehicle.late", stage)
        self._fences = Envelope("vehicle.geofence-events", stage)
        self._shadows = Envelope(SHADOWS, stage)

    def output(self, outcome: Any, received: int) -> Output | None:
        """The record; None for what is counted only. `received` is the partition's clock."""
        match outcome:
            case Shadowed():
                return self._shadow(outcome, received)
            case RuleFailure() | GroupDropped() | GroupSample():
                return None
            case AlertRecord():
                topic, vehicle_id, envelope = "vehicle.alerts", outcome.vehicle_id, self._alerts
                time_ms = outcome.fired_at if outcome.ends_at is None else outcome.ends_at
            case CommandRecord():
                topic, vehicle_id, envelope = "vehicle.commands", outcome.vehicle_id, self._commands
                time_ms = outcome.received_at
            case AggregateRecord():
                topic, vehicle_id, envelope = "vehicle.aggregates", outcome.key, self._aggregates
                time_ms = outcome.window_end
            case LateRecord():
                topic, vehicle_id, envelope = "vehicle.late", outcome.vehicle_id, self._late
                time_ms = outcome.ts
            case FenceRecord():
                topic, vehicle_id, envelope = "vehicle.geofence-events", outcome.vehicle_id, self._fences
                time_ms = outcome.happening.confirmed_at
            case FencePublish():
                topic, vehicle_id, envelope = outcome.topic, outcome.record.vehicle_id, self._fences
                time_ms = outcome.record.received_at
            case _:
                topic, vehicle_id, envelope = outcome.topic, outcome.alert.vehicle_id, self._alerts
                time_ms = outcome.alert.received_at
        return Output(
            topic,
            vehicle_id.encode(),
            orjson.dumps(outcome.to_record()),
            envelope.headers(outcome.record_id, subject=vehicle_id, time_ms=time_ms),
            received,
        )

    def _shadow(self, shadowed: Shadowed, received: int) -> Output | None:
        """The record that would have been, within one that says so."""
        output = self.output(shadowed.outcome, received)
        if output is None:
            return None
        outcome, track = shadowed.outcome, shadowed.track
        record = outcome.to_record()
        record_id = f"{track}-{shadowed.revision}-{outcome.record_id}"
        told = {
            "id": record_id,
            "rule": shadowed.rule,
            "revision": shadowed.revision,
            "vehicleId": record.get("vehicleId"),
            "track": track,
            "topic": output.topic,
            "record": record,
            "receivedAt": record["receivedAt"] if "receivedAt" in record else record["cause"]["receivedAt"],
        }
        subject = (output.key or b"").decode()
        headers = self._shadows.headers(record_id, subject=subject, time_ms=received)
        return Output(SHADOWS, output.key, orjson.dumps(told), headers, received)
