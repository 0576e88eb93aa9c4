"""What the runtime costs: a trivial logic, exactly once, beside a bare aiokafka consumer of the same records.

    python -m tests.benchmarks.runtime_speed [--records 400000] [--partitions 4] [--every 100]

The bare consumer only reads: no state, no outputs, no commits. `--every 1` writes an output for each record.
CPU is that of the one Python process; the broker has its own. A Kafka is started unless TELLTALE_TEST_KAFKA
names one.
"""

import argparse
import asyncio
import contextlib
import os
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bridges.embedded import EmbeddedKafka
from pipeline.process.context import Context
from pipeline.process.settings import KafkaSettings
from pipeline.runtime import Output, Stage, StageSettings, run_stage
from pipeline.runtime.metrics import stage_metrics

INPUT, OUTPUT = "vehicle.telemetry", "vehicle.alerts"
VALUE = b"x" * 200
KEYS = 500


class Trivial:
    """Counts each key; writes an output for every so many records."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._counts: dict[bytes, int] = {}
        self._touched: set[bytes] = set()

    def restore(self, key: bytes, value: bytes) -> None:
        self._counts[key] = int(value)

    def restored(self, clock: bytes | None) -> None:
        pass

    def process(self, topic: str, records: Sequence[Any], out: list[Output]) -> None:
        counts, touched, every = self._counts, self._touched, self._every
        for record in records:
            key = record.key
            counts[key] = counts.get(key, 0) + 1
            touched.add(key)
            if record.offset % every == 0:
                out.append(Output(OUTPUT, key, record.value, (), record.timestamp))

    def changes(self) -> list[tuple[bytes, bytes | None]]:
        changed: list[tuple[bytes, bytes | None]] = [
            (key, str(self._counts[key]).encode()) for key in self._touched
        ]
        self._touched.clear()
        return changed

    def clock(self) -> bytes:
        return b""


async def fill(bootstrap: str, prefix: str, partitions: int, count: int) -> None:
    """Create the topics, and write `count` records evenly."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    names = (INPUT, OUTPUT, "vehicle.dead-letter")
    compacted = NewTopic(
        prefix + "telltale.speed-changelog", partitions, 1, topic_configs={"cleanup.policy": "compact"}
    )
    await admin.create_topics([*(NewTopic(prefix + name, partitions, 1) for name in names), compacted])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_batch_size=200_000)
    await producer.start()
    for partition in range(partitions):
        done = 0
        while done < count // partitions:
            batch = producer.create_batch()
            while done < count // partitions and batch.append(
                key=b"v%d-%d" % (partition, done % KEYS), value=VALUE, timestamp=None
            ):
                done += 1
            batch.close()
            await (await producer.send_batch(batch, prefix + INPUT, partition=partition))
    await producer.stop()


async def measure(count: Callable[[], float], until: float) -> str:
    """Records a second from the first seen to the last, by the clock and by the processor."""
    while not (first := count()):
        await asyncio.sleep(0.01)
    began, cpu = time.perf_counter(), time.process_time()
    while count() < until:
        await asyncio.sleep(0.02)
    records = until - first
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    return f"{records / wall:>10,.0f} records/s   {records / cpu:>10,.0f} per CPU second"


async def bare(bootstrap: str, prefix: str, partitions: int, count: int) -> str:
    """The same records, read by a consumer that does nothing with them."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    tps = [TopicPartition(prefix + INPUT, partition) for partition in range(partitions)]
    consumer.assign(tps)
    await consumer.seek_to_beginning()
    seen = 0

    async def read() -> None:
        nonlocal seen
        while seen < count:
            fetched = await consumer.getmany(timeout_ms=100, max_records=2_000)
            seen += sum(len(records) for records in fetched.values())

    reading = asyncio.create_task(read())
    result = await measure(lambda: seen, count)
    await reading
    await consumer.stop()
    return result


async def stage(bootstrap: str, prefix: str, partitions: int, count: int, every: int) -> str:
    """The stage, from its first commit to its last."""
    settings = StageSettings(
        prefix=prefix, partitions=partitions, kafka=KafkaSettings(bootstrap=bootstrap), client_id="speed"
    )
    context = Context("speed", settings)
    running = asyncio.create_task(
        run_stage(context, Stage("speed", (INPUT,), lambda _: Trivial(every), (OUTPUT,)))
    )
    records = stage_metrics("speed").records.labels(INPUT)
    result = await measure(lambda: records._value.get(), count)
    context.stopping.set()
    await running
    return result


async def compare(bootstrap: str, options: argparse.Namespace) -> None:
    """Both, in turn, on the same records."""
    prefix = f"speed-{uuid.uuid4().hex[:8]}."
    count = options.records // options.partitions * options.partitions
    await fill(bootstrap, prefix, options.partitions, count)
    print(f"{count:,} records of {len(VALUE)} bytes, {options.partitions} partitions, one process")
    print(f"bare consumer                    {await bare(bootstrap, prefix, options.partitions, count)}")
    name = f"stage, an output for 1 in {options.every}"
    print(f"{name:<33}{await stage(bootstrap, prefix, options.partitions, count, options.every)}")


def main() -> None:
    """Parse, start a Kafka where none is named, compare."""
    parser = argparse.ArgumentParser(description="What the runtime costs.")
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--every", type=int, default=100)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bootstrap = os.environ.get("TELLTALE_TEST_KAFKA") or stack.enter_context(EmbeddedKafka()).bootstrap
        asyncio.run(compare(bootstrap, options))


if __name__ == "__main__":
    main()
