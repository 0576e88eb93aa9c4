"""Commands on their way, against a broker that refuses, forgets, closes and comes back."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bridges.commands import Command, State
from bridges.couriers import Couriers
from bridges.link import Link
from bridges.mqtt import Broker, Session
from tests.bridges.scripted_broker import CLOSE, Publication, ScriptedBroker, scripted_broker

pytestmark = pytest.mark.timeout(60)


def command(vehicle: str, identity: str, expires_in_ms: int = 60_000, size: int = 2) -> Command:
    return Command(
        id=identity,
        vehicle_id=vehicle,
        name="stop",
        expires_at=time.time_ns() // 1_000_000 + expires_in_ms,
        topic=f"v/{vehicle}/stop",
        payload=identity.encode().ljust(size),
        content_type=b"application/json",
        response_topic=f"v/{vehicle}/responses",
        user=(),
    )


class Yard:
    """Couriers on a link to a scripted broker, and what became of their commands."""

    def __init__(self, broker: ScriptedBroker, max_in_flight: int = 100) -> None:
        self.broker = broker
        self.link = Link(Broker("127.0.0.1", broker.port, "downlink"), Session())
        self.couriers = Couriers(self.link, max_in_flight)
        self.outcomes: dict[str, tuple[State, str | None]] = {}
        self.order: dict[str, list[str]] = defaultdict(list)

    def take(self, *commands: Command) -> None:
        for each in commands:
            self.couriers.take(each, self._done)

    def _done(self, done: Command, state: State, reason: str | None) -> None:
        assert done.id not in self.outcomes
        self.outcomes[done.id] = (state, reason)
        self.order[done.vehicle_id].append(done.id)

    async def settled(self, count: int) -> dict[str, tuple[State, str | None]]:
        while len(self.outcomes) < count:
            assert not self.couriers.failure.done(), self.couriers.failure
            await asyncio.sleep(0.005)
        return self.outcomes

    def sent(self) -> list[bytes]:
        return [publication.payload.strip() for publication in self.broker.published]


@asynccontextmanager
async def yard(
    answer: Callable[[Publication], int] = lambda publication: 0, *, connected: bool = True, **script: object
) -> AsyncIterator[Yard]:
    async with scripted_broker(answer=answer, **script) as broker:
        place = Yard(broker)
        if connected:
            place.link.release()
        line = asyncio.create_task(place.link.run())
        try:
            yield place
        finally:
            await place.couriers.stop(1)
            line.cancel()
            await asyncio.wait({line})


def test_each_vehicles_commands_arrive_in_order_one_after_another() -> None:
    async def test() -> None:
        async with yard() as place:
            place.take(*[command(f"v{n % 5}", f"{n}") for n in range(100)])
            await place.settled(100)
            for vehicle in range(5):
                expected = [f"{n}" for n in range(100) if n % 5 == vehicle]
                assert [i.decode() for i in place.sent() if int(i) % 5 == vehicle] == expected
                assert place.order[f"v{vehicle}"] == expected

    asyncio.run(test())


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(0x10, "no matching subscribers", id="nobody-listens"),
        pytest.param(0x87, "the MQTT broker refuses it: not authorized (0x87)", id="not-authorized"),
        pytest.param(0x90, "the MQTT broker refuses it: topic name invalid (0x90)", id="topic"),
        pytest.param(0x83, "the MQTT broker refuses it: implementation specific error (0x83)", id="other"),
    ],
)
def test_what_the_broker_does_not_pass_on_is_undeliverable(code: int, reason: str) -> None:
    async def test() -> None:
        async with yard(lambda publication: code) as place:
            place.take(command("v", "1"))
            assert await place.settled(1) == {"1": (State.UNDELIVERABLE, reason)}

    asyncio.run(test())


def test_over_quota_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridges.couriers._QUOTA_PAUSE_S", 0.01)
    answers = iter([0x97, 0x97, 0])

    async def test() -> None:
        async with yard(lambda publication: next(answers)) as place:
            place.take(command("v", "1"))
            assert await place.settled(1) == {"1": (State.PUBLISHED, None)}
            assert place.sent() == [b"1"] * 3

    asyncio.run(test())


def test_a_command_past_its_expiry_is_not_sent() -> None:
    async def test() -> None:
        async with yard() as place:
            await place.link.wait_connected()
            place.take(command("v", "1", expires_in_ms=0), command("v", "2"))
            outcomes = await place.settled(2)
            assert outcomes["1"][0] is State.EXPIRED
            assert outcomes["2"] == (State.PUBLISHED, None)
            assert place.sent() == [b"2"]

    asyncio.run(test())


def test_a_command_waits_for_the_broker_until_it_expires() -> None:
    async def test() -> None:
        async with yard(connected=False) as place:
            place.take(command("v", "short", expires_in_ms=100), command("w", "long"))
            state, reason = (await place.settled(1))["short"]
            assert state is State.EXPIRED
            assert "no connection to the MQTT broker" in str(reason)
            place.link.release()
            assert (await place.settled(2))["long"] == (State.PUBLISHED, None)

    asyncio.run(test())


def test_what_was_in_flight_when_the_connection_ended_is_sent_again_in_order() -> None:
    closed = iter([False, False, True] + [False] * 20)

    async def test() -> None:
        async with yard(lambda publication: CLOSE if next(closed) else 0) as place:
            place.take(*[command("v", f"{n}") for n in range(5)])
            await place.settled(5)
            assert place.order["v"] == ["0", "1", "2", "3", "4"]
            assert place.sent() == [b"0", b"1", b"2", b"2", b"3", b"4"]
            assert place.broker.connections == 2

    asyncio.run(test())


def test_a_command_that_closes_the_connection_is_given_up_and_costs_nobody_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridges.link._FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("bridges.link._LONGEST_PAUSE_S", 0.01)

    async def test() -> None:
        poison = b"poison"
        async with yard(lambda it: CLOSE if it.payload.strip() == poison else 0) as place:
            place.take(command("bad", "poison"), *[command(f"v{n}", f"{n}") for n in range(20)])
            outcomes = await place.settled(21)
            assert outcomes.pop("poison") == (
                State.UNDELIVERABLE,
                "the MQTT broker closes the connection on it",
            )
            assert set(outcomes.values()) == {(State.PUBLISHED, None)}

    asyncio.run(test())


def test_a_command_larger_than_the_broker_takes_is_undeliverable() -> None:
    async def test() -> None:
        async with yard(connack_properties=b"\x27\x00\x00\x04\x00") as place:
            place.take(command("v", "1", size=2000), command("v", "2"))
            outcomes = await place.settled(2)
            assert outcomes["1"] == (
                State.UNDELIVERABLE,
                "the MQTT broker takes no packet of more than 1024 bytes",
            )
            assert outcomes["2"] == (State.PUBLISHED, None)
            assert place.sent() == [b"2"]

    asyncio.run(test())


def test_no_more_in_flight_than_the_broker_allows() -> None:
    async def test() -> None:
        in_flight: list[Publication] = []
        greatest = 0

        def hold(publication: Publication) -> int:
            nonlocal greatest
            in_flight.append(publication)
            greatest = max(greatest, len(in_flight))
            asyncio.get_running_loop().call_later(0.002, in_flight.remove, publication)
            return 0

        async with yard(hold, connack_properties=b"\x21\x00\x03") as place:
            place.take(*[command(f"v{n}", f"{n}") for n in range(30)])
            await place.settled(30)
            assert greatest <= 30

    asyncio.run(test())


def test_stopping_gives_back_what_was_not_sent_and_the_couriers_go_on_afterwards() -> None:
    async def test() -> None:
        async with yard(connected=False) as place:
            place.take(*[command("v", f"{n}") for n in range(3)])
            await place.couriers.stop(0.05)
            assert place.outcomes == {}
            place.link.release()
            place.take(command("v", "again"))
            assert await place.settled(1) == {"again": (State.PUBLISHED, None)}
            assert place.sent() == [b"again"]

    asyncio.run(test())
