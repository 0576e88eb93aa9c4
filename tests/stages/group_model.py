"""A fleet over partitions, and what must be said of its groups: every message, searched anew.

For tests/stages/groups.yaml. Sharing nothing with the engine but the values of one window's samples.
"""

import json
import random
from collections import defaultdict
from typing import Any

import pytest

from pipeline.process.partitioning import partition_of
from rules.instants import format_instant, parse_instant
from tests.engine.aggregation_model import MeasureModel, _value
from tests.stages.driving import QUIET_MS, START
from tests.stages.partition import Record

PARTITIONS = 3
VEHICLES = tuple(f"v{number}" for number in range(7))
TELEMETRY = "vehicle.telemetry"
GEARS = ("D", "R", "ü\0")

Message = tuple[int, int, str, float | None, str | None]
"""Received, event time, vehicle, speed, gear."""


def fleet(choice: random.Random, length: int, start: int = START) -> list[Message | int]:
    """Messages of a fleet, late ones too, and (plain numbers) seconds that pass with ticks."""
    now, log = start, []
    for _ in range(length):
        kind = choice.random()
        if kind < 0.2:
            seconds = choice.choice((1, 2, 7, 20))
            log.append(seconds)
            now += seconds * 1000
            continue
        now += choice.choice((0, 50, 400, 1500))
        late = choice.choice((0, 0, 0, 300, 5_000, 14_000, 26_000, 70_000))
        speed = choice.choice((None, 0.0, 30.0, 90.5, 101.0, 140.0))
        gear = choice.choice((None, *GEARS))
        log.append((now, now - late, choice.choice(VEHICLES), speed, gear))
    return log


def logs_of(
    log: list[Message | int], end_s: int = 200, *, partitions: int = PARTITIONS, start: int = START
) -> list[dict[str, list[Record]]]:
    """The telemetry of each partition; at the end so many seconds pass."""
    records: list[list[Record]] = [[] for _ in range(partitions)]
    now = start

    def put(partition: int, key: bytes | None, value: dict[str, Any]) -> None:
        kept = records[partition]
        kept.append(Record(TELEMETRY, len(kept), now, key, json.dumps(value).encode()))

    for happening in [*log, end_s]:
        if isinstance(happening, int):
            for _ in range(happening):
                now += 1000
                for partition in range(partitions):
                    put(partition, None, {"receivedAt": format_instant(now)})
            continue
        now, ts, vehicle, speed, gear = max(now, happening[0]), *happening[1:]
        signals = {"Vehicle.Speed": speed, "Vehicle.Gear": gear}
        said = {
            "vehicleId": vehicle,
            "ts": format_instant(ts),
            "receivedAt": format_instant(now),
            "signals": {name: value for name, value in signals.items() if value is not None},
        }
        put(partition_of(vehicle.encode(), partitions), vehicle.encode(), said)
    return [{TELEMETRY: kept} for kept in records]


class Expected:
    """What must be final: all that came before the first window of its pane was over, and the lateness."""

    def __init__(self, logs: list[dict[str, list[Record]]]) -> None:
        self.windows: dict[tuple[str, str, str], list[tuple[int, dict[str, object]]]] = defaultdict(list)
        self.late: list[tuple[str, str, str]] = []
        self._known: dict[tuple[str, str], list[tuple[int, object]]] = defaultdict(list)
        for topics in logs:
            clock = 0
            for record in topics[TELEMETRY]:
                clock = max(clock, record.timestamp - QUIET_MS)
                if record.key is not None:
                    self._message(json.loads(record.value or b""), clock)

    def _message(self, said: dict[str, Any], clock: int) -> None:
        vehicle, ts, signals = said["vehicleId"], parse_instant(said["ts"]), said["signals"]

        def value(name: str) -> object:
            """What it says itself, else the last that was said, unless that is newer."""
            if name in signals:
                return signals[name]
            known = self._known[vehicle, name]
            return known[-1][1] if known and known[-1][0] <= ts else None

        speed, gear = value("Vehicle.Speed"), value("Vehicle.Gear")
        for name, told in signals.items():
            known = self._known[vehicle, name]
            if not known or ts >= known[-1][0]:
                known.append((ts, told))
        said_speed = {} if "Vehicle.Speed" not in signals else {"speed": speed}
        said_gear = {} if "Vehicle.Gear" not in signals else {"gear": gear}
        sample = {"any": vehicle, **said_speed, **said_gear}
        self._count("by-gear", {"gear": gear}, vehicle, ts, sample, (20_000, 10_000, 15_000), clock)
        if said_speed:
            fast = {"fast": float(str(speed)) > 100}
            self._count("fast-or-not", fast, vehicle, ts, sample, (10_000, 10_000, 0), clock)
        self._count("everything", {"all": True}, vehicle, ts, sample, (30_000, 30_000, 60_000), clock)

    def _count(
        self,
        rule: str,
        group: dict[str, object],
        vehicle: str,
        ts: int,
        sample: dict[str, object],
        times: tuple[int, int, int],
        clock: int,
    ) -> None:
        size, every, lateness = times
        starts = [start for start in range(ts - ts % every, ts - size, -every) if start <= ts < start + size]
        if min(starts) + size + lateness <= clock:
            self.late.append((rule, vehicle, format_instant(ts)))
            return
        for start in starts:
            self.windows[rule, json.dumps(group), format_instant(start)].append((ts, sample))

    def values(self) -> dict[tuple[str, str, str], dict[str, object]]:
        """The values of all windows that are to be told of."""
        found: dict[tuple[str, str, str], dict[str, object]] = {}
        for key, samples in self.windows.items():
            rule = key[0]

            def of(function: str, signal: str, percent: float = 0.0, samples: Any = samples) -> Any:
                plain = [(ts, {"x": said[signal]}) for ts, said in samples if signal in said]
                return _value(MeasureModel("x", function, signal, percent), plain)

            match rule:
                case "by-gear":
                    found[key] = {
                        "samples": len(samples),
                        "total": of("sum", "speed"),
                        "spread": of("stddev", "speed"),
                        "vehicles": len({said["any"] for _, said in samples}),
                    }
                case "fast-or-not":
                    if of("count", "speed") > 1:
                        found[key] = {
                            "samples": of("count", "speed"),
                            "p90": pytest.approx(of("percentile", "speed", 90), rel=1 / 256),
                            "least": of("min", "speed"),
                        }
                case _:
                    found[key] = {"samples": len(samples), "mean": of("avg", "speed")}
        return found


def by_window(records: list[dict[str, Any]]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The records of each window, in the order in which they are given."""
    found = defaultdict(list)
    for record in records:
        found[record["rule"], json.dumps(record["group"]), record["windowStart"]].append(record)
    return found


def shown(windows: dict[tuple[str, str, str], list[dict[str, Any]]]) -> dict[Any, Any]:
    """The last values of each window, without those that the model does not work out."""
    return {
        key: {name: it for name, it in records[-1]["values"].items() if name not in ("last", "first")}
        for key, records in windows.items()
    }
