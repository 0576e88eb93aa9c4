"""The stage of aggregations goes to other rules: group alerts of deleted rules end, other windows go on."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.runtime.failures import RulesChanged
from pipeline.runtime.stage import Output
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.firing import Firing
from pipeline.stages.grouping import AggregationLogic
from pipeline.stages.partials import TOPIC
from pipeline.stages.payloads import Reading
from pipeline.stages.telemetry import encode_telemetry
from pipeline.stages.versions import Version, Versions, version_of
from rules.engine import AggregationEngine, VehicleWindows
from tests.stages.test_live import START, compiled

QUIET_MS = 2_000


def figures(name: str, limit: int) -> str:
    return (
        f"apiVersion: telltale.dev/v1alpha1\nkind: AggregationRule\nmetadata: {{name: {name}}}\n"
        "spec:\n  window: {tumbling: 10s}\n  groupBy: {all: '\"fleet\"'}\n"
        "  aggregates: {fastest: max(speed), samples: count()}\n"
        f"  alert: {{when: fastest > {limit}, severity: warning}}\n"
    )


class Fleet:
    """One partition of one: what it writes to the partials it reads again."""

    def __init__(self, *texts: str) -> None:
        self.versions: Versions[VehicleWindows] = Versions(_make, _version(0, *texts))
        self.changelog: dict[bytes, bytes] = {}
        self.marker: bytes | None = None
        self.received = START
        self.logic = self.begin()
        self.told: list[dict[str, Any]] = []

    def begin(self) -> AggregationLogic:
        logic = AggregationLogic((0, 1), self.versions, AggregationCounts(), QUIET_MS)
        for key, value in self.changelog.items():
            logic.restore(key, value)
        logic.restored(self.marker)
        return logic

    def commit(self) -> None:
        for key, value in self.logic.changes():
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        self.marker = bytes(self.logic.clock())

    def drive(self, seconds: int, speed: float) -> None:
        for _ in range(seconds):
            self.received += 1000
            reading = Reading(self.received, None, {"Vehicle.Speed": speed}, None, self.received)
            value = encode_telemetry("v1", reading, self.received)
            self._hear("vehicle.telemetry", b"v1", value)
            self._hear("vehicle.telemetry", None, b"")

    def _hear(self, topic: str, key: bytes | None, value: bytes | None) -> None:
        record: Any = SimpleNamespace(
            topic=topic, partition=0, offset=0, key=key, value=value, timestamp=self.received, headers=()
        )
        out: list[Output] = []
        self.logic.process(topic, [record], out)
        for output in out:
            if output.topic == TOPIC:
                self._hear(TOPIC, output.key, output.value)
            elif output.value is not None:
                self.told.append({"topic": output.topic, **json.loads(output.value)})

    def restart(self) -> None:
        """Another worker takes over what was committed."""
        self.logic.left()
        self.versions.firing = Firing()
        self.logic = self.begin()

    def alerts(self) -> list[tuple[str, str, str | None]]:
        alerts = [it for it in self.told if it["topic"] == "vehicle.alerts"]
        return [(it["rule"], it["state"], it["reason"]) for it in alerts]


def _make(rules: Any) -> AggregationEngine:
    return AggregationEngine(rules, quiet_after_ms=QUIET_MS)


def _version(revision: int, *texts: str, **lineages: int) -> Version[VehicleWindows]:
    rules = compiled(*texts, revision=revision, lineages=lineages)
    return version_of(revision, rules, _make)


def test_a_group_alert_of_a_deleted_rule_ends_and_other_windows_go_on() -> None:
    fleet = Fleet(figures("doomed", 100), figures("stays", 500))
    fleet.drive(25, 120.0)
    assert fleet.alerts() == [("doomed", "firing", None)]
    assert fleet.versions.firing.by_rule() == {"doomed": 1}
    fleet.commit()
    fleet.restart()
    assert fleet.versions.firing.by_rule() == {"doomed": 1}
    fleet.versions.switch(_version(1, figures("stays", 500), stays=1))
    fleet.drive(1, 120.0)
    assert fleet.alerts()[1:] == [("doomed", "resolved", "deleted")]
    assert fleet.versions.firing.by_rule() == {}
    fleet.drive(3, 120.0)
    fleet.commit()
    with pytest.raises(RulesChanged, match="revision 1"):
        fleet.drive(1, 120.0)
    fleet.received -= 1000
    fleet.logic = fleet.begin()
    fleet.drive(30, 90.0)
    fleet.commit()
    assert fleet.alerts()[2:] == []
    assert not any(b"doomed" in key for key in fleet.changelog)
    windows = [it for it in fleet.told if it["topic"] == "vehicle.aggregates" and it["rule"] == "stays"]
    starts = [it["windowStart"] for it in windows]
    assert starts == sorted(set(starts)), "each window once, none left out"
    assert [it["values"]["samples"] for it in windows[1:-1]] == [10] * (len(windows) - 2)
