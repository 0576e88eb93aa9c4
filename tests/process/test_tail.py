"""`telltale tail` on a real Kafka: what is committed, from where one asks, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from pipeline.process import ProcessSettings, partition_of
from pipeline.process.topics import TOPICS
from pipeline.topics import Admin, wanted
from tests.process.commands import Here

pytestmark = pytest.mark.integration

Sent = tuple[str | None, int]
"""Vehicle (None: a tick) and a number."""


async def _produce(address: str, prefix: str, committed: Sequence[Sent], aborted: Sequence[Sent]) -> None:
    settings = ProcessSettings(prefix=prefix, partitions=2, kafka={"bootstrap": address})  # type: ignore[arg-type]
    async with Admin(settings) as admin:
        await admin.create([wanted(settings, TOPICS["vehicle.alerts"], replication=1)])
    producer = AIOKafkaProducer(bootstrap_servers=address, transactional_id=f"{prefix}tail")
    await producer.start()
    try:
        for records, commit in ((committed, True), (aborted, False)):
            await producer.begin_transaction()
            for vehicle, number in records:
                await producer.send_and_wait(
                    f"{prefix}vehicle.alerts",
                    json.dumps({"n": number}).encode(),
                    key=None if vehicle is None else vehicle.encode(),
                    partition=0 if vehicle is None else partition_of(vehicle.encode(), 2),
                    timestamp_ms=1_767_225_610_000 + number,
                )
            await (producer.commit_transaction() if commit else producer.abort_transaction())
    finally:
        await producer.stop()


@pytest.fixture
def alerts(here: Here, kafka_address: str, prefix: str) -> Here:
    """Six committed records of three vehicles and a tick, and two of an aborted transaction."""
    sent: list[Sent] = [(f"v{number % 3}", number) for number in range(6)]
    asyncio.run(_produce(kafka_address, prefix, [*sent, (None, 6)], [("v0", 90), ("v1", 91)]))
    here.set(TELLTALE_KAFKA_BOOTSTRAP=kafka_address, TELLTALE_PREFIX=prefix)
    return here


def numbers(text: str) -> list[int]:
    return [json.loads(line)["value"]["n"] for line in text.splitlines()]


def test_committed_records_are_shown_in_the_order_of_their_times(alerts: Here) -> None:
    done = alerts("tail", "alerts", "--from-beginning", "--no-follow", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert numbers(done.stdout) == [0, 1, 2, 3, 4, 5]


def test_ticks_are_shown_to_whoever_asks(alerts: Here) -> None:
    done = alerts("tail", "alerts", "--from-beginning", "--no-follow", "--json", "--ticks")
    assert numbers(done.stdout) == [0, 1, 2, 3, 4, 5, 6]


def test_one_vehicle_can_be_watched(alerts: Here) -> None:
    done = alerts("tail", "alerts", "--from-beginning", "--no-follow", "--json", "--vehicle", "v1")
    assert numbers(done.stdout) == [1, 4]


def test_a_limit_ends_it(alerts: Here) -> None:
    assert numbers(alerts("tail", "alerts", "--from-beginning", "--json", "-n", "2").stdout) == [0, 1]


def test_since_begins_at_a_time(alerts: Here) -> None:
    done = alerts("tail", "alerts", "--since", "2026-01-01T00:00:10.004Z", "--no-follow", "--json")
    assert numbers(done.stdout) == [4, 5]


def test_without_any_of_these_only_what_comes_is_shown(alerts: Here) -> None:
    done = alerts("tail", "alerts", "--no-follow")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "telltale: no record there\n")


def test_a_topic_that_is_not_there_is_told(here: Here, kafka_address: str, prefix: str) -> None:
    done = here("tail", "commands", TELLTALE_KAFKA_BOOTSTRAP=kafka_address, TELLTALE_PREFIX=prefix)
    assert done.returncode == 4
    assert f"there is no topic {prefix}vehicle.commands at {kafka_address}" in done.stderr
    assert "TELLTALE_PREFIX" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_it_quietly(alerts: Here, number: signal.Signals) -> None:
    command = [Path(sys.executable).parent / "telltale", "tail", "alerts", "--from-beginning", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        assert numbers("".join(process.stdout.readline() for _ in range(6))) == [0, 1, 2, 3, 4, 5]
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")


def test_a_reader_that_goes_away_ends_it_quietly(alerts: Here) -> None:
    command = [Path(sys.executable).parent / "telltale", "tail", "alerts", "--from-beginning", "--no-follow"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0
