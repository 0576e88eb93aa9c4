"""Worker processes on the fake Kafka, and what is read of it afterwards."""

import asyncio
import json
import random
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from pipeline.runtime import Marker, read_record
from pipeline.runtime.metrics import StageMetrics
from pipeline.runtime.shared import Producer, Shared
from pipeline.runtime.worker import Worker
from tests.runtime.counting import INPUT, OUTPUT, recompute, stage
from tests.runtime.fake_kafka import FakeGroup, FakeKafka, FakeLog, FakeProducer

CHANGELOG = "telltale.counting-changelog"
DEAD = "vehicle.dead-letter"


class Member:
    """One worker process, of which there may be several."""

    def __init__(
        self,
        kafka: FakeKafka,
        logic: Any,
        seed: int = 1,
        *,
        honest: bool = False,
        partitions: int = 1,
        **options: Any,
    ) -> None:
        self.group = FakeGroup(kafka, random.Random(seed), honest=honest)
        self.log = FakeLog(kafka)
        self.fatal: list[Exception] = []
        self.metrics = StageMetrics("counting", CollectorRegistry())

        async def start_producer(partition: int) -> Producer:
            await asyncio.sleep(0)
            return FakeProducer(kafka, partition)

        self.shared = Shared(
            stage=stage(logic, **options),
            prefix="",
            group_id="telltale.counting",
            count=partitions,
            topic_ids=dict.fromkeys(options.get("inputs", (INPUT,)), "one"),
            limits={},
            partitions={OUTPUT: partitions, DEAD: 1},
            group=self.group,
            log=self.log,
            start_producer=start_producer,
            metrics=self.metrics,
            clock=asyncio.get_running_loop().time,
            fatal=self.fatal.append,
        )
        self.worker = Worker(self.shared)
        self.watch = asyncio.create_task(self.worker.watch())

    async def take(self, generation: int) -> None:
        count = self.shared.count
        tps = [TopicPartition(topic, it) for topic in self.shared.inputs.values() for it in range(count)]
        self.group.give(tps, generation)
        await self.worker.assigned(tps, generation)

    async def give_up(self) -> None:
        await self.worker.revoked()
        self.group.give([], self.group.generation)

    async def run(self, seconds: float) -> None:
        """Let it fetch and work for so long."""
        for _ in range(int(seconds * 20)):
            self.group.pump(self.worker)
            await asyncio.sleep(0.05)

    async def die(self) -> None:
        """As by kill -9: nothing is committed, nothing is closed."""
        self.watch.cancel()
        for partition in self.worker._partitions.values():
            if partition._task is not None:
                partition._task.cancel()
                await asyncio.wait([partition._task])


async def settle(kafka: FakeKafka, member: Member, rounds: int = 4_000) -> None:
    """Until everything in the input is committed."""
    end = len(kafka.log(INPUT, 0))
    for _ in range(rounds):
        member.group.pump(member.worker)
        await asyncio.sleep(0.05)
        if kafka.offsets.get((INPUT, 0), (0, ""))[0] >= end or member.fatal:
            return
    raise AssertionError(f"stands at {kafka.offsets.get((INPUT, 0))} of {end}: {member.worker.not_ready()}")


def outputs_of(kafka: FakeKafka) -> list[tuple[bytes | None, dict[str, Any]]]:
    return [(record.key, json.loads(record.value or b"")) for record in kafka.records(OUTPUT, 0)]


def dead_of(kafka: FakeKafka) -> list[int]:
    return [int(dict(record.headers)["source-offset"]) for record in kafka.records(DEAD, 0)]


def state_of(kafka: FakeKafka) -> dict[bytes, int]:
    state: dict[bytes, int] = {}
    for record in kafka.records(CHANGELOG, 0):
        assert record.key is not None
        found = read_record(record.key, record.value)
        if isinstance(found, Marker):
            continue
        key, value = found
        if value is None:
            state.pop(key, None)
        else:
            state[key] = int(value)
    return state


def assert_exactly_once(kafka: FakeKafka) -> None:
    outputs, counts, dead = recompute(kafka.records(INPUT, 0))
    assert outputs_of(kafka) == outputs
    assert state_of(kafka) == counts
    assert dead_of(kafka) == dead
