"""What is acknowledged is in Kafka: the order of two awaits, with an outbox that gives up when told to."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.kafka import Outbox, SendFailed
from bridges.mqtt import Connection, Message
from bridges.records import DEAD_LETTERS, RecordMaker
from bridges.rounds import Rounds
from bridges.settings import UplinkGroup
from bridges.topics import Routes, Template

pytestmark = pytest.mark.timeout(30)


class Log:
    """An outbox with a log: a round is in it whole, or (when it gives up) only its first half."""

    def __init__(self, failures: list[bool]) -> None:
        self._failures = failures
        self._building: list[tuple[bytes | None, bytes]] = []
        self.records: list[tuple[bytes | None, bytes]] = []

    def add(self, topic: str, partition: int, *, key: bytes | None, value: bytes, **rest: object) -> None:
        self._building.append((key, value))

    async def send(self) -> None:
        building, self._building = self._building, []
        await asyncio.sleep(0)
        if self._failures and self._failures.pop(0):
            self.records += building[: len(building) // 2]
            raise SendFailed("told to")
        self.records += building


class Line:
    """A connection that remembers what was acknowledged, and checks that it is in the log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.acknowledged: list[int] = []
        self.paused = 0

    def acknowledge(self, packet_ids: list[int]) -> None:
        values = {value for _, value in self._log.records}
        assert all(b"%d" % packet_id in values for packet_id in packet_ids)
        self.acknowledged += packet_ids

    def pause(self) -> None:
        self.paused += 1

    def resume(self) -> None:
        self.paused -= 1


def made(log: Log, **limits: int) -> Rounds:
    routes = Routes([(Template.parse("v/{vehicle_id}", frozenset({"vehicle_id"})), "vehicle.raw")], 4)
    names = {name: name for name in ("vehicle.raw", DEAD_LETTERS)}
    return Rounds(RecordMaker(routes, 4, 100_000), cast(Outbox, log), names, UplinkGroup(**limits))


def messages(numbers: range, qos: int = 1) -> list[Message]:
    return [Message(b"v/%d" % (n % 3), b"%d" % n, b"", n, qos, False, 1_000 + n) for n in numbers]


async def work(rounds: Rounds) -> None:
    """As the process does: again and again, whatever gives up."""
    while True:
        try:
            return await rounds.forward()
        except SendFailed:
            continue


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


@given(st.lists(st.integers(1, 5), max_size=8), st.lists(st.booleans(), max_size=6))
def test_each_message_is_acknowledged_once_in_order_and_after_it_is_in_kafka(
    batches: list[int], failures: list[bool]
) -> None:
    async def test() -> None:
        log = Log(failures)
        line, rounds, sent = Line(log), made(log), 0
        working = asyncio.create_task(work(rounds))
        for size in batches:
            rounds.receive(cast(Connection, line), messages(range(sent + 1, sent + 1 + size)))
            sent += size
            await asyncio.sleep(0)
        rounds.finish()
        await working
        assert line.acknowledged == list(range(1, sent + 1))
        assert rounds.in_flight == 0
        seen: set[bytes] = set()
        first = [value for _, value in log.records if not (value in seen or seen.add(value))]  # type: ignore[func-returns-value]
        assert first == [b"%d" % n for n in range(1, sent + 1)]

    run(test)


def test_a_tick_stands_behind_what_was_received_before_it() -> None:
    async def test() -> None:
        log = Log([True])
        rounds = made(log)
        rounds.receive(cast(Connection, Line(log)), messages(range(1, 4)))
        rounds.tick("vehicle.raw", 4)
        rounds.receive(cast(Connection, Line(log)), messages(range(4, 6)))
        rounds.finish()
        await work(rounds)
        keys = [key is None for key, _ in log.records[-9:]]
        assert keys == [False] * 3 + [True] * 4 + [False] * 2

    run(test)


def test_messages_without_acknowledgement_are_bounded_too() -> None:
    async def test() -> None:
        log = Log([])
        line, rounds = Line(log), made(log, receive_maximum=10)
        rounds.receive(cast(Connection, line), messages(range(1, 31), qos=0))
        assert line.paused == 1
        rounds.finish()
        await work(rounds)
        assert line.acknowledged == []
        assert len(log.records) == 30

    run(test)


def test_reading_goes_on_when_the_round_is_over() -> None:
    async def test() -> None:
        log = Log([])
        line, rounds = Line(log), made(log, max_in_flight_bytes=1024)
        rounds.receive(cast(Connection, line), [Message(b"v/1", b"x" * 2000, b"", 1, 0, False, 1)])
        assert line.paused == 1
        working = asyncio.create_task(work(rounds))
        while line.paused:
            await asyncio.sleep(0)
        rounds.finish()
        await working

    run(test)


def test_what_waits_is_known_with_its_age() -> None:
    async def test() -> None:
        log = Log([True])
        rounds = made(log)
        assert rounds.waiting_since is None
        rounds.receive(cast(Connection, Line(log)), messages(range(1, 3)))
        since = rounds.waiting_since
        assert since is not None
        with pytest.raises(SendFailed):
            await rounds.forward()
        assert rounds.waiting_since == since
        assert rounds.in_flight == 2
        rounds.finish()
        await rounds.forward()
        assert rounds.waiting_since is None

    run(test)
