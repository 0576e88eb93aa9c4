"""A fleet that publishes while a test changes the installation, and how long its alerts stay away."""

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aiokafka import AIOKafkaConsumer

from tests.e2e.fleet import Drive, Message, drive, interleaved
from tests.e2e.mqtt import Vehicles

SECONDS = 3_000
"""What each vehicle drives, at one message a second of its own time: more than the test takes."""
BENCHES = 6


def drives(seed: int) -> list[Drive]:
    """Eight vehicles, whose last message is of now."""
    start = time.time_ns() // 1_000_000 - (SECONDS + 60) * 1_000
    return [drive(f"car-{number}", start, SECONDS, seed) for number in range(8, 16)]


class Load:
    """The fleet, at an even pace until `hurry`, and then as fast as the broker takes it.

    Beside the drives, test benches send a speed that is out of range: a good version drops the signal and
    counts it, and no rule sees anything.
    """

    def __init__(self, vehicles: Vehicles, fleet: Sequence[Drive], per_second: float) -> None:
        self._vehicles, self._fleet, self._pause_s = vehicles, fleet, 1 / per_second
        self._hurried = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.published = 0
        self._thread.start()

    @property
    def is_on(self) -> bool:
        return self._thread.is_alive()

    def finish(self, within: float = 120.0) -> None:
        """Publish what is left, and wait until the broker has all of it."""
        assert self.is_on, "the fleet has come to its end before the test"
        self._hurried.set()
        self._thread.join(within)
        assert not self.is_on, "the fleet does not come to its end"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self.published = self._vehicles.publish(self._paced())
        except BaseException as failure:
            self._failure = failure

    def _paced(self) -> Iterator[Message]:
        due = time.monotonic()
        for number, message in enumerate(interleaved(self._fleet)):
            yield message
            if number % 4 == 0 and not self._hurried.is_set():
                yield self._of_a_bench(number)
            if not self._hurried.is_set():
                due += self._pause_s
                time.sleep(max(0.0, due - time.monotonic()))

    @staticmethod
    def _of_a_bench(number: int) -> Message:
        payload = {"ts": time.time_ns() // 1_000_000, "seq": number, "speed": 999.0, "belt": True}
        return Message(f"bench-{random.randrange(BENCHES)}", json.dumps(payload).encode())


class Output:
    """Listens to a topic, and knows when something came."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._came: list[tuple[float, float]] = []
        """When, and how long after the message that it answers had reached us."""
        self._over, self._listens = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._listen(bootstrap, topic)), daemon=True
        )
        self._thread.start()
        assert self._listens.wait(30), f"{topic} is not listened to"

    def __len__(self) -> int:
        return len(self._came)

    @contextmanager
    def silence(self) -> Iterator["Silence"]:
        """How long the block was without output, known at its end."""
        measured, began = Silence(), time.monotonic()
        yield measured
        ended = time.monotonic()
        came = [one for one in list(self._came) if began <= one[0] <= ended]
        seen = [began, *(at for at, _ in came), ended]
        measured.longest_s = max(later - sooner for sooner, later in itertools.pairwise(seen))
        measured.latest_s = max((late for _, late in came), default=0.0)
        measured.records, measured.took_s = len(came), ended - began

    def close(self) -> None:
        self._over.set()
        self._thread.join(30)

    async def _listen(self, bootstrap: str, topic: str) -> None:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            group_id=None,
        )
        await consumer.start()
        self._listens.set()
        try:
            while not self._over.is_set():
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    now, clock = time.monotonic(), time.time()
                    self._came += [(now, clock - one.timestamp / 1_000) for one in records if one.key]
        finally:
            await consumer.stop()


class Silence:
    """What a step was without."""

    longest_s = latest_s = took_s = 0.0
    records = 0

    def __str__(self) -> str:
        most = f"none for {self.longest_s:.1f} s at most, the latest {self.latest_s:.1f} s after its cause"
        return f"{self.records} in {self.took_s:.0f} s, {most}"
