"""The counting stage on a real Kafka: its topics, its worker processes, and what came of them."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pipeline.process.partitioning import partition_of
from pipeline.runtime import Marker, read_record
from tests.runtime.counting import INPUT, OUTPUT, recompute

PARTITIONS = 4
DEADLINE_S = 90.0
SESSION_S = 6.0
CHANGELOG = "telltale.counting-changelog"
DEAD = "vehicle.dead-letter"
T = TypeVar("T")


def wait_until(claim: Callable[[], T], what: str, deadline_s: float = DEADLINE_S, pause_s: float = 0.05) -> T:
    """Its result as soon as that is true; fails with `what` after a generous time."""
    ends = time.monotonic() + deadline_s
    while not (result := claim()):
        assert time.monotonic() < ends, f"not within {deadline_s:.0f} s: {what}"
        time.sleep(pause_s)
    return result


class World:
    """One test's topics on the Kafka of this run."""

    def __init__(self, bootstrap: str, prefix: str, directory: Path) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.directory = directory
        self.empty_directory = directory / "empty"
        self.empty_directory.mkdir()
        self.workers: list[WorkerProcess] = []
        self._sent = 0
        self._began_ms = int(time.time() * 1000)

    # -- topics and records ------------------------------------------------------------------------------

    def create_topics(
        self, *, partitions: dict[str, int] | None = None, only: Iterable[str] | None = None
    ) -> None:
        counts = partitions or {}
        compact = {"cleanup.policy": "compact"}
        topics = [
            NewTopic(
                self.prefix + name,
                counts.get(name, PARTITIONS),
                1,
                topic_configs=compact if name == CHANGELOG else {},
            )
            for name in (only or (INPUT, OUTPUT, DEAD, CHANGELOG))
        ]
        self._admin(lambda admin: admin.create_topics(topics))

    def delete_topic(self, name: str) -> None:
        self._admin(lambda admin: admin.delete_topics([self.prefix + name]))

    def _admin(self, work: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
        async def run() -> T:
            admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
            await admin.start()
            try:
                return await work(admin)
            finally:
                await admin.close()

        return asyncio.run(run())

    def send(self, count: int, *, special: dict[int, bytes] | None = None, aborted: int = 0) -> None:
        """Records of 40 vehicles; `special` values by index; `aborted` more in a transaction without end."""

        async def run() -> None:
            plain = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
            await plain.start()
            for index in range(count):
                await self._send_one(plain, (special or {}).get(index, b"x"))
            await plain.stop()
            if aborted:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self.bootstrap, transactional_id=f"{self.prefix}tests"
                )
                await producer.start()
                await producer.begin_transaction()
                for _ in range(aborted):
                    await self._send_one(producer, b"aborted")
                await producer.flush()
                await producer.abort_transaction()
                await producer.stop()

        asyncio.run(run())

    async def _send_one(self, producer: AIOKafkaProducer, value: bytes) -> None:
        key = f"v{self._sent % 40}".encode()
        self._sent += 1
        await producer.send(
            self.prefix + INPUT,
            value,
            key=key,
            partition=partition_of(key, PARTITIONS),
            timestamp_ms=self._began_ms + self._sent,  # of today: Kafka deletes what is old
        )

    def read(self, topic: str) -> list[Any]:
        """Everything committed in a topic, partition by partition."""

        async def run() -> list[Any]:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.bootstrap,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                enable_auto_commit=False,
            )
            await consumer.start()
            try:
                tps = [TopicPartition(self.prefix + topic, number) for number in range(PARTITIONS)]
                consumer.assign(tps)
                ends = await consumer.end_offsets(tps)
                await consumer.seek_to_beginning()
                records: list[Any] = []
                while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                    fetched = await consumer.getmany(timeout_ms=100)
                    records.extend(record for found in fetched.values() for record in found)
                return sorted(records, key=lambda record: (record.partition, record.offset))
            finally:
                await consumer.stop()

        return asyncio.run(run())

    def group_offsets(self) -> dict[int, int]:
        """What the stage's group has committed, by partition."""
        offsets = self._admin(
            lambda admin: admin.list_consumer_group_offsets(f"{self.prefix}telltale.counting")
        )
        return {tp.partition: found.offset for tp, found in offsets.items()}

    # -- processes ---------------------------------------------------------------------------------------

    def worker(self, name: str, **environment: str) -> "WorkerProcess":
        """Start a worker process with this name at the brokers."""
        process = WorkerProcess(self, name, environment)
        self.workers.append(process)
        return process

    def clean_up(self) -> None:
        for worker in self.workers:
            worker.kill()

    # -- claims ------------------------------------------------------------------------------------------

    def outputs(self) -> int:
        return len(self.read(OUTPUT)) + len(self.read(DEAD))

    def wait_for_outputs(self, count: int) -> None:
        wait_until(lambda: self.outputs() >= count, f"{count} outputs", pause_s=0.3)

    def assert_exactly_once(self) -> None:
        """Outputs, dead letters and state, partition by partition, are those of a plain loop."""
        inputs, outputs, dead = self.read(INPUT), self.read(OUTPUT), self.read(DEAD)
        state: dict[int, dict[bytes, int]] = {number: {} for number in range(PARTITIONS)}
        positions: dict[int, int] = {}
        for record in self.read(CHANGELOG):
            found = read_record(record.key, record.value)
            if isinstance(found, Marker):
                positions[record.partition] = found.positions[INPUT]
            elif found[1] is None:
                state[record.partition].pop(found[0], None)
            else:
                state[record.partition][found[0]] = int(found[1])
        for number in range(PARTITIONS):
            mine = [record for record in inputs if record.partition == number]
            want_outputs, want_state, want_dead = recompute(mine)
            got = [(record.key, json.loads(record.value)) for record in outputs if record.partition == number]
            assert got == want_outputs
            assert state[number] == want_state
            letters = [dict(record.headers) for record in dead if record.partition == number]
            assert [int(letter["source-offset"]) for letter in letters] == want_dead
            if mine:
                assert positions[number] > mine[-1].offset


class WorkerProcess:
    """One process of the stage."""

    def __init__(self, world: World, name: str, environment: dict[str, str]) -> None:
        self.name = name
        self.log = world.directory / f"{name}-{len(world.workers)}.log"
        settings = {
            "TELLTALE_PREFIX": world.prefix,
            "TELLTALE_PARTITIONS": str(PARTITIONS),
            "TELLTALE_KAFKA_BOOTSTRAP": world.bootstrap,
            "TELLTALE_CLIENT_ID": name,
            "TELLTALE_HTTP_HOST": "127.0.0.1",
            "TELLTALE_HTTP_PORT": "0",
            "TELLTALE_LOG_FORMAT": "json",
            "TELLTALE_CHECKPOINT_SESSION_TIMEOUT": f"{SESSION_S}s",
            "TELLTALE_TESTING": "1",
            "PYTHONPATH": str(Path(__file__).parents[2]),
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.runtime.process"],
                env={**os.environ, **settings, **environment},
                cwd=world.empty_directory,
                stdout=log,
                stderr=log,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """As kill -9 does, stopped or not."""
        if self.alive:
            self._process.kill()
        self._process.wait()

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code, once it has ended; minus the signal that killed it."""
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end:\n{self.tail()}") from None

    def drain(self) -> None:
        """SIGTERM, and the good end that it asks for."""
        self.signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, self.tail()

    def ready(self) -> bool:
        assert self.alive, f"{self.name} ended:\n{self.tail()}"
        return self.get("/readyz")[0] == 200

    def wait_ready(self) -> "WorkerProcess":
        wait_until(self.ready, f"{self.name} is ready; it says {self.get('/readyz')}\n{self.tail()}")
        return self

    def get(self, path: str) -> tuple[int, str]:
        port = self._port()
        if port is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(
            float(line.rpartition(" ")[2]) for line in lines if line.startswith((name + " ", name + "{"))
        )

    def _port(self) -> int | None:
        for line in self.log.read_text(errors="replace").splitlines():
            if '"http_port"' in line:
                return int(json.loads(line)["http_port"])
        return None

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-6_000:]
