"""Recorded drives: replayed over MQTT by `telltale simulate --trace`, judged by the rules that ship for them.

What must come of a drive is computed once more by a plain loop over its rows: one row, one second.
"""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridges.simulator.traces import parse_trace
from rules.instants import format_instant, parse_instant
from tests.conftest import KafkaAddress, MqttAddress
from tests.documents.test_drives import DRIVES, OBD, stretches
from tests.e2e.conftest import Install
from tests.e2e.topics import read_topic, wait_for_group

pytestmark = pytest.mark.integration


def alerts_of(rows: list[Any]) -> list[tuple[Any, ...]]:
    """(rule, begin, fired, end or None) of each alert, in rows."""
    idling = stretches(rows, lambda row: row["ENGINE_RPM"] > 0 and row["VEHICLE_SPEED"] == 0, 60)
    coolant = stretches(rows, lambda row: row["COOLANT_TEMPERATURE"] > 94, 10)
    found = [("obd-idling", *each) for each in idling] + [("obd-coolant", *each) for each in coolant]
    return sorted(found, key=str)


def records_of(alerts: list[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """(rule, state, begin, fired, end or None) of each record that tells of these alerts."""
    fired = [(rule, "firing", begin, fired, None) for rule, begin, fired, _ in alerts]
    ended = [(rule, "resolved", begin, fired, end) for rule, begin, fired, end in alerts if end is not None]
    return Counter(fired + ended)


def test_the_alerts_of_a_replayed_drive_are_those_of_a_plain_loop_over_its_rows(
    kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, install: Install
) -> None:
    installation = install(
        kafka,
        mqtt,
        TELLTALE_RULES=str(OBD),
        TELLTALE_UPLINK_TELEMETRY_TOPICS="vehicles/{vehicle_id}/telemetry",
        TELLTALE_UPLINK_RESPONSE_TOPICS="vehicles/{vehicle_id}/responses",
    )
    installation.start("uplink", "normalize", "alerts")
    drives = {
        f"{installation.root}-{file.stem}": parse_trace(file.read_text(encoding="utf-8").splitlines())
        for file in DRIVES
    }
    start = time.time_ns() // 1_000_000 - 1000 * max(map(len, drives.values()))

    def replay(vehicle: str, file: Path) -> None:
        replayed = installation.telltale(
            *("simulate", "--trace", str(file), "--vehicle", vehicle),
            *("--start", format_instant(start), "--speedup", "inf"),
        )
        assert replayed.returncode == 0, replayed.stderr
        assert json.loads(replayed.stdout.splitlines()[-1])["published"] == len(drives[vehicle])

    with ThreadPoolExecutor() as pool:
        list(pool.map(replay, drives, DRIVES))
    for stage, topic in (("normalize", "vehicle.raw"), ("alerts", "vehicle.telemetry")):
        wait_for_group(kafka.bootstrap, f"{prefix}telltale.{stage}", f"{prefix}{topic}")

    telemetry = Counter(
        record.key.decode()
        for record in read_topic(kafka.bootstrap, f"{prefix}vehicle.telemetry")
        if record.key is not None
    )
    said: dict[str, Counter[tuple[Any, ...]]] = {vehicle: Counter() for vehicle in drives}
    for record in read_topic(kafka.bootstrap, f"{prefix}vehicle.alerts"):
        alert = json.loads(record.value)
        instants = [
            None if alert[name] is None else (parse_instant(alert[name]) - start) / 1000
            for name in ("startsAt", "firedAt", "endsAt")
        ]
        said[alert["vehicleId"]][(alert["rule"], alert["state"], *instants)] += 1
    for vehicle, rows in drives.items():
        assert telemetry[vehicle] == len(rows), vehicle
        assert said[vehicle] == records_of(alerts_of(rows)), vehicle
    assert any(said.values())
