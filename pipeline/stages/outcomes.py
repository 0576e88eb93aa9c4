"""From what a rule brought about to the record that tells of it: topic, key, headers."""

from typing import Any

import orjson

from pipeline.process.envelope import Envelope
from pipeline.runtime.stage import Output
from rules.engine import AggregateRecord, GroupDropped, GroupSample, LateRecord
from rules.engine.fence_outcomes import FencePublish, FenceRecord
from rules.engine.outcomes import AlertRecord, CommandRecord, RuleFailure


class Outputs:
    """Writes the outcomes of one stage."""

    def __init__(self, stage: str) -> None:
        self._alerts = Envelope("vehicle.alerts", stage)
        self._commands = Envelope("vehicle.commands", stage)
        self._aggregates = Envelope("vehicle.aggregates", stage)
        self._late = Envelope("vehicle.late", stage)
        self._fences = Envelope("vehicle.geofence-events", stage)

    def output(self, outcome: Any, received: int) -> Output | None:
        """The record; None for what is counted only. `received` is the partition's clock."""
        match outcome:
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
