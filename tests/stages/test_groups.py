"""Figures of groups over partitions: what is final does not depend on who read what when, or died."""

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.process.partitioning import partition_of
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.grouping import AggregationLogic
from pipeline.stages.partials import TOPIC
from rules import RuleSet, compile_rules, load
from rules.engine import AggregationEngine
from rules.engine.aggregation import sources
from rules.instants import format_instant, parse_instant
from tests.engine.aggregation_model import MeasureModel, _value
from tests.stages.cluster import Cluster
from tests.stages.driving import QUIET_MS, START, records_of
from tests.stages.partition import Record, headers_of

PARTITIONS = 3
VEHICLES = tuple(f"v{number}" for number in range(7))
TELEMETRY = "vehicle.telemetry"
GEARS = ("D", "R", "ü\0")


def _engine() -> AggregationEngine:
    rules = compile_rules(load([Path(__file__).parent / "groups.yaml"]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return AggregationEngine(rules, quiet_after_ms=QUIET_MS)


_ENGINE = _engine()
_COUNTS = AggregationCounts()


def new_logic(partition: int) -> AggregationLogic:
    return AggregationLogic((partition, PARTITIONS), _ENGINE, _COUNTS, QUIET_MS)


Message = tuple[int, int, str, float | None, str | None]
"""Received, event time, vehicle, speed, gear."""


def fleet(choice: random.Random, length: int) -> list[Message | int]:
    """Messages of a fleet, late ones too, and (plain numbers) seconds that pass with ticks."""
    now, log = START, []
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


def logs_of(log: list[Message | int], end_s: int = 200) -> list[dict[str, list[Record]]]:
    """The telemetry of each partition; at the end so many seconds pass."""
    records: list[list[Record]] = [[] for _ in range(PARTITIONS)]
    now = START

    def put(partition: int, key: bytes | None, value: dict[str, Any]) -> None:
        kept = records[partition]
        kept.append(Record(TELEMETRY, len(kept), now, key, json.dumps(value).encode()))

    for happening in [*log, end_s]:
        if isinstance(happening, int):
            for _ in range(happening):
                now += 1000
                for partition in range(PARTITIONS):
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
        put(partition_of(vehicle.encode(), PARTITIONS), vehicle.encode(), said)
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


def told(cluster: Cluster) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The records of each window, in the order of their updates."""
    found = defaultdict(list)
    for record in records_of(cluster.outputs, "vehicle.aggregates"):
        found[record["rule"], json.dumps(record["group"]), record["windowStart"]].append(record)
    return found


seeds = st.integers(0, 2**40)


@settings(max_examples=60, deadline=None)
@given(seeds, seeds, st.integers(20, 120), st.sampled_from((0.0, 0.0, 0.2)))
def test_what_is_final_is_what_all_messages_say_whoever_reads_what_when(
    telemetry: int, schedule: int, length: int, deaths: float
) -> None:
    logs = logs_of(fleet(random.Random(telemetry), length))
    cluster = Cluster(new_logic, logs, TOPIC, random.Random(schedule)).run(deaths=deaths)
    windows = told(cluster)
    expected = Expected(logs)
    # A window told of early and then no longer wanted does not come here: more samples never make it so.
    final = {key: records[-1]["values"] for key, records in windows.items()}
    shown = {
        key: {name: value for name, value in values.items() if name not in ("last", "first")}
        for key, values in final.items()
    }
    assert shown == expected.values()
    for records in windows.values():
        assert [record["update"] for record in records] == list(range(len(records)))
        assert [record["final"] for record in records] == [False] * (len(records) - 1) + [True]
        assert len({record["id"] for record in records}) == 1
    late = records_of(cluster.outputs, "vehicle.late")
    assert sorted((it["rule"], it["vehicleId"], it["ts"]) for it in late) == sorted(expected.late)
    for state in cluster.state():
        assert not [key for key in state if key.startswith((b"\0s", b"\0mw", b"\0mp"))]


@settings(max_examples=40, deadline=None)
@given(seeds, seeds, seeds)
def test_what_a_source_sends_is_a_function_of_its_log(telemetry: int, one: int, other: int) -> None:
    logs = logs_of(fleet(random.Random(telemetry), 80))
    steady = Cluster(new_logic, logs, TOPIC, random.Random(one)).run()
    dying = Cluster(new_logic, logs, TOPIC, random.Random(other)).run(deaths=0.3)
    assert steady.sent == dying.sent


@settings(max_examples=40, deadline=None)
@given(seeds, seeds, seeds)
def test_final_windows_are_the_same_to_the_last_bit_and_ids_are_too(
    telemetry: int, one: int, other: int
) -> None:
    logs = logs_of(fleet(random.Random(telemetry), 80))
    first = told(Cluster(new_logic, logs, TOPIC, random.Random(one)).run())
    second = told(Cluster(new_logic, logs, TOPIC, random.Random(other)).run(deaths=0.2))
    assert {key: (records[-1]["id"], records[-1]["values"]) for key, records in first.items()} == {
        key: (records[-1]["id"], records[-1]["values"]) for key, records in second.items()
    }


def test_records_have_ids_of_their_own_and_keys_of_their_partition() -> None:
    logs = logs_of(fleet(random.Random(7), 200))
    cluster = Cluster(new_logic, logs, TOPIC, random.Random(8)).run(deaths=0.1)
    ids = [headers_of(output)["ce_id"] for output in cluster.outputs if output.topic == "vehicle.aggregates"]
    assert len(set(ids)) == len(ids) > 100
    assert len(told(cluster)) > 50
    assert len(Expected(logs).late) > 10
    assert {output.key for output in cluster.outputs if b"everything" in (output.key or b"")} == {
        b'everything/{"all":true}'
    }
    for partition, sent in enumerate(cluster.sent):
        assert partition in range(PARTITIONS)
        assert all(key is None or partition_of(key, PARTITIONS) == target for target, key, _ in sent)


def test_partials_are_sent_once_a_second_and_clocks_when_windows_end() -> None:
    log: list[Message | int] = [
        (START + step * 100, START + step * 100, "v1", 50.0, "D") for step in range(100)
    ]
    home = partition_of(b"v1", PARTITIONS)
    cluster = Cluster(new_logic, logs_of(log, end_s=31), TOPIC, random.Random(1)).run()
    partials = [key for _, key, _ in cluster.sent[home] if key is not None and key.startswith(b"everything")]
    assert len(partials) <= 12
    clocks = [target for target, key, _ in cluster.sent[home] if key is None]
    assert set(clocks) == set(range(PARTITIONS))
    # 41 s of clock, and boundaries every five seconds; the first clock of all is told, too.
    assert len(clocks) <= PARTITIONS * 10


def test_a_window_waits_for_the_partition_that_is_furthest_behind() -> None:
    logs = logs_of([(START, START, "v1", 50.0, "D")], end_s=120)
    silent = next(
        partition for partition in range(PARTITIONS) if partition != partition_of(b"v1", PARTITIONS)
    )
    logs[silent][TELEMETRY] = logs[silent][TELEMETRY][:5]
    cluster = Cluster(new_logic, logs, TOPIC, random.Random(1)).run()
    assert not [it for it in records_of(cluster.outputs, "vehicle.aggregates") if it["final"]]


def test_groups_beyond_the_limit_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_GROUPS", 1)
    logic = new_logic(0)
    logic.restored(None)
    counts = AggregationCounts()
    logic._counts = counts
    log: list[Message | int] = [
        (START + step, START + step, "v1", 50.0, gear) for step, gear in enumerate("DRP")
    ]
    home = partition_of(b"v1", PARTITIONS)
    logic.process(TELEMETRY, logs_of(log, end_s=0)[home][TELEMETRY], [])
    assert counts._dropped == {"by-gear": 2}


def test_bytes_that_are_no_partial_are_a_dead_letter() -> None:
    for value in (b"", b"\x02", b"\x01{", b"\x01\x93\xa1x\x00\x00", None):
        logic = new_logic(0)
        logic.restored(None)
        out: list[Any] = []
        logic.process(TOPIC, [Record(TOPIC, 0, START, None, value)], out)
        assert [(it.topic, headers_of(it)["code"]) for it in out] == [
            ("vehicle.dead-letter", "partial-undecodable")
        ]
