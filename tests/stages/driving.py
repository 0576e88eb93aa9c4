"""Telemetry of vehicles and ticks of uplinks, on one line of time: what the stage `alerts` reads.

The line's now only goes on, as receivedAt does; what a record tells of may be older.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pipeline.runtime.stage import Logic, Output
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from rules import Engine, RuleSet, compile_rules, load
from rules.instants import format_instant
from tests.stages.partition import Record, run

RULES = Path(__file__).parent / "rules.yaml"
START = 1_767_225_600_000
QUIET_MS = 10_000
HOUR_MS = 3_600_000
CALM = {"Vehicle.Speed": 50.0, "Vehicle.Coolant": 90.0, "Vehicle.Belt": True}
HOT = {**CALM, "Vehicle.Coolant": 120.0}


def _compiled() -> RuleSet:
    rules = compile_rules(load([RULES]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return rules


_ENGINE = Engine(_compiled(), quiet_after_ms=QUIET_MS)


def new_alerts() -> Logic:
    """A worker's logic for one partition, nothing restored yet."""
    return VehicleLogic("alerts", _ENGINE, RuleCounts())


class Road:
    """A partition's log in the making."""

    def __init__(self) -> None:
        self.now = START
        self.records: list[Record] = []

    def say(
        self, vehicle: str, signals: Mapping[str, object], *, late_ms: int = 0, at: int | None = None
    ) -> None:
        """A message, received now; its event time is `at`, or `late_ms` ago."""
        value = {
            "vehicleId": vehicle,
            "ts": format_instant(self.now - late_ms if at is None else at),
            "receivedAt": format_instant(self.now),
            "sequence": len(self.records),
            "signals": signals,
        }
        self.put(vehicle.encode(), json.dumps(value).encode())

    def put(self, key: bytes | None, value: bytes | None, topic: str = "vehicle.telemetry") -> None:
        """Any record, received now."""
        self.records.append(Record(topic, len(self.records), self.now, key, value))

    def tick(self, seconds: int = 1) -> None:
        """Time with an uplink: each second ends with a tick."""
        for _ in range(seconds):
            self.now += 1000
            self.put(None, json.dumps({"receivedAt": format_instant(self.now)}).encode())

    def dead_uplink(self, passed_ms: int) -> None:
        """Time that no tick tells of."""
        self.now += passed_ms

    def alerts(self) -> list[dict[str, Any]]:
        return records_of(run(new_alerts, self.records).outputs, "vehicle.alerts")


def records_of(outputs: list[Output], topic: str) -> list[dict[str, Any]]:
    """The records written to a topic, in order."""
    return [json.loads(output.value or b"") for output in outputs if output.topic == topic]


signals = st.fixed_dictionaries(
    {},
    optional={
        "Vehicle.Speed": st.sampled_from((0.0, 50.0, 90.0, 105.0, 119.0, 130.0, 160.0, 210.0, 310.0)),
        "Vehicle.Coolant": st.sampled_from((90.0, 111.0, 120.0)),
        "Vehicle.Belt": st.booleans(),
    },
)
delays = st.sampled_from((0, 0, 0, 120, 900, 4_000, 25_000, HOUR_MS))
_happenings = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(("v1", "v2", "v3")), signals, delays),
    st.tuples(st.just("tick"), st.integers(1, 25)),
    st.tuples(st.just("pass"), st.integers(0, 700)),
    st.tuples(st.just("dead"), st.sampled_from((4_000, 90_000, 5 * HOUR_MS))),
    st.tuples(st.just("register"), st.sampled_from(("v1", "v2")), st.sampled_from((b"{}", None))),
)


@st.composite
def roads(draw: st.DrawFn) -> Road:
    """Three vehicles, ticks, outages and late uploads, in any order."""
    road = Road()
    for happening in draw(st.lists(_happenings, min_size=5, max_size=60)):
        match happening:
            case ("say", vehicle, said, late_ms):
                road.say(vehicle, said, late_ms=late_ms)
            case ("tick", seconds):
                road.tick(seconds)
            case ("pass" | "dead", passed_ms):
                road.dead_uplink(passed_ms)
            case ("register", vehicle, value):
                road.put(vehicle.encode(), value, "vehicle.registry")
    return road
