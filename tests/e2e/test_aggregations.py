"""Figures of groups over the partitions of a real Kafka, while workers are killed."""

import asyncio
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from jsonschema import Draft202012Validator

from pipeline.process.topics import TOPICS
from pipeline.schemas import schema_of
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.processes import PARTITIONS, wait_until
from tests.e2e.topics import read_topic
from tests.stages.group_model import TELEMETRY, Expected, by_window, fleet, logs_of, shown
from tests.stages.partition import Record

pytestmark = [pytest.mark.integration, pytest.mark.faults]

RULES = str(Path(__file__).parents[1] / "stages" / "groups.yaml")


async def _send(bootstrap: str, topic: str, portion: list[tuple[int, Record]]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for partition, record in portion:
            await producer.send(
                topic, record.value, key=record.key, partition=partition, timestamp_ms=record.timestamp
            )


def test_a_fleets_windows_are_final_and_right_although_workers_are_killed(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt, TELLTALE_RULES=RULES, TELLTALE_QUIET_AFTER="10s")
    start = time.time_ns() // 1_000_000 // 60_000 * 60_000 - 1_800_000
    happened = fleet(random.Random(5), 900, start)
    logs = logs_of(happened, partitions=PARTITIONS, start=start)
    log = sorted(
        ((partition, record) for partition, topics in enumerate(logs) for record in topics[TELEMETRY]),
        key=lambda it: (it[1].timestamp, it[1].offset),
    )
    portions = [log[begin : begin + len(log) // 5 + 1] for begin in range(0, len(log), len(log) // 5 + 1)]

    def told() -> list[Any]:
        return read_topic(kafka.bootstrap, f"{installation.prefix}vehicle.aggregates")

    def send(number: int) -> None:
        asyncio.run(_send(kafka.bootstrap, f"{installation.prefix}{TELEMETRY}", portions[number]))

    (first,) = installation.start("aggregations")
    send(0)
    wait_until(lambda: len(told()) > 20, "windows are told of")
    first.kill()
    send(1)
    first.start().wait_ready()
    (second,) = installation.start("aggregations@2")
    send(2)
    before = len(told())
    wait_until(lambda: len(told()) > before, "windows are told of by two workers")
    second.kill()
    send(3)
    send(4)
    second.start().wait_ready()
    expected = Expected(logs).values()
    assert len(expected) > 300
    final = lambda: {json.loads(it.value)["id"] for it in told() if json.loads(it.value)["final"]}  # noqa: E731
    wait_until(lambda: len(final()) >= len(expected), lambda: f"{len(final())} of {len(expected)} are final")
    assert [first.drain(), second.drain()] == [0, 0]

    records = sorted(told(), key=lambda it: (it.partition, it.offset))
    ids = [dict(it.headers)["ce_id"] for it in records]
    assert len(set(ids)) == len(ids)
    values = [json.loads(it.value) for it in records]
    for topic, found in (
        ("vehicle.aggregates", records),
        ("vehicle.late", read_topic(kafka.bootstrap, f"{installation.prefix}vehicle.late")),
    ):
        schema = schema_of(TOPICS[topic])
        assert schema is not None
        for record in found:
            Draft202012Validator(schema).validate(json.loads(record.value))
    windows = by_window(values)
    assert shown(windows) == expected
    for of_window in windows.values():
        assert [it["update"] for it in of_window] == list(range(len(of_window)))
        assert [it["final"] for it in of_window] == [False] * (len(of_window) - 1) + [True]
    late = [json.loads(it.value) for it in read_topic(kafka.bootstrap, f"{installation.prefix}vehicle.late")]
    assert sorted((it["rule"], it["vehicleId"], it["ts"]) for it in late) == sorted(Expected(logs).late)
