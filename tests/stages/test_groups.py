"""Figures of groups over partitions: what is final does not depend on who read what when, or died."""

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from prometheus_client import REGISTRY

from pipeline.process.partitioning import partition_of
from pipeline.process.topics import TOPICS
from pipeline.schemas import schema_of
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.grouping import AggregationLogic
from pipeline.stages.partials import TOPIC
from pipeline.stages.versions import Versions, version_of
from rules import RuleSet, compile_rules, load
from rules.engine import AggregationEngine
from rules.engine.aggregation import sources
from tests.stages.cluster import Cluster
from tests.stages.driving import QUIET_MS, START, records_of
from tests.stages.group_model import (
    PARTITIONS,
    TELEMETRY,
    Expected,
    Message,
    by_window,
    fleet,
    logs_of,
    shown,
)
from tests.stages.partition import Record, headers_of


def _compiled() -> RuleSet:
    rules = compile_rules(load([Path(__file__).parent / "groups.yaml"]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return rules


def _make(rules: RuleSet) -> AggregationEngine:
    return AggregationEngine(rules, quiet_after_ms=QUIET_MS)


_RULES = _compiled()
_VERSIONS = Versions(_make, version_of(0, _RULES, _make))
_COUNTS = AggregationCounts()


def new_logic(partition: int) -> AggregationLogic:
    return AggregationLogic((partition, PARTITIONS), _VERSIONS, _COUNTS, QUIET_MS)


def told(cluster: Cluster) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """The records of each window, in the order of their updates."""
    return by_window(records_of(cluster.outputs, "vehicle.aggregates"))


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
    assert shown(windows) == expected.values()
    for records in windows.values():
        assert [record["update"] for record in records] == list(range(len(records)))
        assert [record["final"] for record in records] == [False] * (len(records) - 1) + [True]
        assert len({record["id"] for record in records}) == 1
    late = records_of(cluster.outputs, "vehicle.late")
    assert sorted((it["rule"], it["vehicleId"], it["ts"]) for it in late) == sorted(expected.late)
    for state in cluster.state():
        assert not [key for key in state if key.startswith((b"\0s", b"\0mp"))]
        kept = [key for key in state if key.startswith(b"\0mw")]
        assert all(b"fast-or-not" in key for key in kept)  # whose alert still fires


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
    steady = Cluster(new_logic, logs, TOPIC, random.Random(one)).run()
    dying = Cluster(new_logic, logs, TOPIC, random.Random(other)).run(deaths=0.2)
    first, second = told(steady), told(dying)
    assert {key: (records[-1]["id"], records[-1]["values"]) for key, records in first.items()} == {
        key: (records[-1]["id"], records[-1]["values"]) for key, records in second.items()
    }
    assert alerts(steady) == alerts(dying)


def alerts(cluster: Cluster) -> dict[str, list[tuple[Any, ...]]]:
    """What was said of the alerts of each group, in its order."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for record in records_of(cluster.outputs, "vehicle.alerts"):
        said = (record["id"], record["state"], record["firedAt"], record["endsAt"], record["value"])
        found.setdefault(str(record["group"]), []).append(said)
    return found


@settings(max_examples=40, deadline=None)
@given(seeds, seeds)
def test_an_alert_of_a_group_fires_and_ends_as_its_final_windows_say(telemetry: int, schedule: int) -> None:
    logs = logs_of(fleet(random.Random(telemetry), 120))
    cluster = Cluster(new_logic, logs, TOPIC, random.Random(schedule)).run(deaths=0.1)
    expected: dict[str, list[str]] = {}
    final = [records[-1] for key, records in told(cluster).items() if key[0] == "fast-or-not"]
    for record in sorted(final, key=lambda it: it["windowEnd"]):
        states = expected.setdefault(str(record["group"]), [])
        if (record["values"]["samples"] > 3) != (states[-1:] == ["firing"]):
            states.append("resolved" if states[-1:] == ["firing"] else "firing")
    found = {group: [state for _, state, *_ in said] for group, said in alerts(cluster).items()}
    assert found == {group: states for group, states in expected.items() if states}
    schema = schema_of(TOPICS["vehicle.alerts"])
    assert schema is not None
    for record in records_of(cluster.outputs, "vehicle.alerts"):
        Draft202012Validator(schema).validate(record)
        assert record["vehicleId"] is None
        assert record["annotations"]["summary"] == (
            f"{record['value']:.0f} of {str(record['group']['fast']).lower()}"
        )
    published = records_of(cluster.outputs, "yard")
    assert published == [
        it for it in records_of(cluster.outputs, "vehicle.alerts") if it["state"] == "firing"
    ]


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
    log: list[Message | int] = [
        (START + step, START + step, "v1", 50.0, gear) for step, gear in enumerate("DRP")
    ]
    home = partition_of(b"v1", PARTITIONS)
    before = _dropped("by-gear")
    logic.process(TELEMETRY, logs_of(log, end_s=0)[home][TELEMETRY], [])
    list(logic.changes())
    assert _dropped("by-gear") - before == 2


def _dropped(rule: str) -> float:
    return REGISTRY.get_sample_value("telltale_aggregations_dropped_total", {"rule": rule}) or 0.0


def test_bytes_that_are_no_partial_are_a_dead_letter() -> None:
    for value in (b"", b"\x02", b"\x01{", b"\x01\x93\xa1x\x00\x00", None):
        logic = new_logic(0)
        logic.restored(None)
        out: list[Any] = []
        logic.process(TOPIC, [Record(TOPIC, 0, START, None, value)], out)
        assert [(it.topic, headers_of(it)["code"]) for it in out] == [
            ("vehicle.dead-letter", "partial-undecodable")
        ]
