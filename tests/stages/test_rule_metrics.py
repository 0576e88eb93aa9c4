"""What the alerts stage counts: activations, outcomes, and how late a batch's newest event is."""

import json
from typing import NamedTuple

from prometheus_client import REGISTRY

from pipeline.runtime.stage import Logic
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from rules import Engine, RuleSet, Source, compile_rules, parse
from rules.instants import format_instant

RULES = """
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts, format: unixMillis}
  signals:
    Vehicle.Speed: {path: speed, type: double, alias: speed}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: counted-held}
spec: {when: speed > 100, for: 10s, severity: warning}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: counted-at-once}
spec: {when: speed > 150, severity: critical}
"""
START = 1_767_225_600_000


class Heard(NamedTuple):
    timestamp: int
    value: bytes | None
    key: bytes | None = b"v1"
    topic: str = "vehicle.telemetry"
    partition: int = 0
    offset: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def heard(second: int, speed: float, late_ms: int = 0) -> Heard:
    ts = START + second * 1000
    telemetry = {
        "vehicleId": "v1",
        "ts": format_instant(ts),
        "receivedAt": format_instant(ts + late_ms),
        "signals": {"Vehicle.Speed": speed},
    }
    return Heard(ts + late_ms, json.dumps(telemetry).encode())


def alerts() -> Logic:
    rules = compile_rules(parse([Source("rules.yaml", RULES)]))
    assert isinstance(rules, RuleSet), rules
    engine = Engine(rules)
    return VehicleLogic("alerts", engine, RuleCounts(engine.take_activations))


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"telltale_alerts_{name}", labels) or 0.0


def test_an_activation_counts_once_whether_it_fires_or_not() -> None:
    stage = alerts()
    speeds = [90, 120, 120, 90, 160, 160, 90]
    stage.process("vehicle.telemetry", [heard(at, speed) for at, speed in enumerate(speeds)], [])
    assert figure("rule_matched_total", rule="counted-held") == 0, "written with the checkpoint"
    stage.changes()
    assert figure("rule_matched_total", rule="counted-held") == 2
    assert figure("rule_fired_total", rule="counted-held", severity="warning") == 0
    assert figure("rule_matched_total", rule="counted-at-once") == 1
    assert figure("rule_fired_total", rule="counted-at-once", severity="critical") == 1
    assert figure("rule_resolved_total", rule="counted-at-once", reason="cleared") == 1
    stage.changes()
    assert figure("rule_matched_total", rule="counted-held") == 2


def test_the_newest_event_of_a_batch_says_how_late_events_are() -> None:
    stage = alerts()
    before = {name: figure(name) for name in ("event_lag_seconds_count", "event_lag_seconds_sum")}
    stage.process("vehicle.telemetry", [heard(0, 50, 86_400_000), heard(86_398, 50, 2_000)], [])
    assert figure("event_lag_seconds_count") - before["event_lag_seconds_count"] == 1
    assert figure("event_lag_seconds_sum") - before["event_lag_seconds_sum"] == 2.0
    stage.process("vehicle.telemetry", [Heard(START + 90_000_000, b"{}", None)], [])
    assert figure("event_lag_seconds_count") - before["event_lag_seconds_count"] == 1, "a tick is no event"


def test_events_are_counted_and_records_that_cannot_be_read_are_not() -> None:
    stage = alerts()
    before = figure("events_total")
    out: list[object] = []
    stage.process("vehicle.telemetry", [heard(0, 50), Heard(START, b"no JSON"), heard(1, 50)], out)
    stage.changes()
    assert figure("events_total") - before == 2
    assert len(out) == 1
