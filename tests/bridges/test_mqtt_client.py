"""One connection, against a broker that does as it is told: refusals, ends, odd packets."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from paho.mqtt import client as paho

from bridges.mqtt import Broker, Connection, ConnectionEnded, ConnectionRefused, Message, Session
from bridges.properties import NONE, MalformedProperties, MessageProperties, decode_properties
from tests.bridges.scripted_broker import CLOSE, SILENCE, ScriptedBroker, scripted_broker

pytestmark = pytest.mark.timeout(30)


def here(broker: ScriptedBroker) -> Broker:
    return Broker("127.0.0.1", broker.port, "client", connect_timeout_s=5)


class Taken:
    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.batches = 0

    def __call__(self, connection: Connection, messages: list[Message]) -> None:
        self.messages += messages
        self.batches += 1


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.005)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_pahos_private_parts_are_as_they_are_used_here() -> None:
    source = inspect.getsource(paho.Client)
    assert "self._sock = self._create_socket()" in source
    assert "return self._handle_publish()" in source
    assert 'self._in_packet["command"], self._in_packet["packet"]' in source
    assert "packed_properties = properties.pack()" in source
    assert inspect.signature(paho.Client._create_socket).parameters.keys() == {"self"}
    assert inspect.signature(paho.Client._handle_publish).parameters.keys() == {"self"}


def test_a_refused_client_is_told_why() -> None:
    async def test() -> None:
        async with scripted_broker(connect_reason=0x86) as broker:
            with pytest.raises(ConnectionRefused, match="Bad user name or password"):
                await Connection.open(here(broker), Session())

    run(test)


def test_a_refused_subscription_is_named() -> None:
    async def test() -> None:
        async with scripted_broker(subscribe_reason=0x87) as broker:
            with pytest.raises(ConnectionRefused, match=r"a/\+/telemetry \(Not authorized\)"):
                await Connection.open(here(broker), Session(), filters=["a/+/telemetry"])

    run(test)


def test_nobody_there_is_an_os_error() -> None:
    async def test() -> None:
        async with scripted_broker() as broker:
            port = broker.port
        with pytest.raises(OSError, match="Connect call failed"):
            await Connection.open(Broker("127.0.0.1", port, "client"), Session())

    run(test)


def test_a_broker_that_does_not_answer_ends_the_patience() -> None:
    async def test() -> None:
        async with scripted_broker(connect_reason=SILENCE) as broker:
            impatient = Broker("127.0.0.1", broker.port, "client", connect_timeout_s=0.2)
            with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
                await Connection.open(impatient, Session())

    run(test)


def test_messages_come_in_order_and_are_acknowledged_when_their_owner_says_so() -> None:
    async def test() -> None:
        taken = Taken()
        async with scripted_broker() as broker:
            connection = await Connection.open(here(broker), Session(), on_messages=taken)
            for n in range(1, 2501):
                broker.publish(b"a/v/telemetry", b"%d" % n, n, duplicate=n == 7)
            await until(lambda: len(taken.messages) == 2500)
            assert [int(message.payload) for message in taken.messages] == list(range(1, 2501))
            assert [message.packet_id for message in taken.messages if message.duplicate] == [7]
            assert taken.batches < 100
            assert broker.acknowledged == []
            connection.acknowledge([3, 1, 2500])
            await until(lambda: len(broker.acknowledged) == 3)
            assert broker.acknowledged == [3, 1, 2500]
            await connection.close()
            assert connection.ended.result() == "closed"

    run(test)


def test_a_packet_may_come_in_pieces() -> None:
    async def test() -> None:
        taken = Taken()
        async with scripted_broker() as broker:
            connection = await Connection.open(here(broker), Session(), on_messages=taken)
            payload = b"x" * 400_000
            body = b"\x00\x01t\x00\x01\x00" + payload
            packet = (
                b"\x32"
                + bytes([len(body) & 0x7F | 0x80, len(body) >> 7 & 0x7F | 0x80, len(body) >> 14])
                + body
            )
            for start, end in ((0, 1), (1, 2), (2, 5), (5, 70_000), (70_000, None)):
                broker.send(packet[start:end])
                await asyncio.sleep(0.02)
            await until(lambda: bool(taken.messages))
            assert taken.messages[0].payload == payload
            await connection.close()

    run(test)


@pytest.mark.parametrize(
    "properties",
    [
        pytest.param(b"\x26\x00\x02\xff\xfe\x00\x01v", id="a-name-that-is-not-utf-8"),
        pytest.param(b"\x7f", id="an-unknown-property"),
        pytest.param(b"\x03\xff\xff", id="cut-off"),
    ],
)
def test_unreadable_properties_do_not_close_the_connection(properties: bytes) -> None:
    async def test() -> None:
        taken = Taken()
        async with scripted_broker() as broker:
            connection = await Connection.open(here(broker), Session(), on_messages=taken)
            broker.publish(b"t", b"1", 1, properties)
            broker.publish(b"t", b"2", 2)
            await until(lambda: len(taken.messages) == 2)
            with pytest.raises(MalformedProperties):
                decode_properties(taken.messages[0].properties)
            assert not connection.ended.done()
            await connection.close()

    run(test)


def test_a_publication_gives_the_brokers_reason() -> None:
    async def test() -> None:
        async with scripted_broker(answer=lambda publication: int(publication.payload)) as broker:
            connection = await Connection.open(here(broker), Session())
            codes = await asyncio.gather(*[connection.publish("t", b"%d" % n, NONE) for n in (0, 16, 151)])
            assert codes == [0, 0x10, 0x97]
            await connection.close()

    run(test)


def test_properties_reach_the_broker() -> None:
    async def test() -> None:
        sent = MessageProperties(
            b"application/json", (("id", b"7"), ("id", b"8")), 60, b"answers/here", b"\x00\xff"
        )
        async with scripted_broker() as broker:
            connection = await Connection.open(here(broker), Session())
            await connection.publish("t", b"x", sent)
            assert decode_properties(broker.published[0].properties) == sent
            await connection.close()

    run(test)


@pytest.mark.parametrize("end", [CLOSE, SILENCE])
def test_what_was_not_acknowledged_when_the_connection_ends_is_unknown(end: int) -> None:
    async def test() -> None:
        async with scripted_broker(answer=lambda publication: end) as broker:
            connection = await Connection.open(here(broker), Session())
            publishing = connection.publish("t", b"x", NONE)
            await until(lambda: bool(broker.published))
            if end == SILENCE:
                broker.disconnect_all()
            with pytest.raises(ConnectionEnded, match="lost"):
                await publishing
            assert "lost" in await connection.ended
            with pytest.raises(ConnectionEnded):
                await connection.publish("t", b"y", NONE)
            connection.acknowledge([1])  # of no consequence

    run(test)


def test_the_brokers_reason_for_the_end_is_kept() -> None:
    async def test() -> None:
        async with scripted_broker() as broker:
            connection = await Connection.open(here(broker), Session())
            broker.disconnect_all(0x8E)
            reason = await connection.ended
            assert "Session taken over; another process connects as 'client'" in reason

    run(test)


def test_the_brokers_bounds_are_known() -> None:
    async def test() -> None:
        properties = b"\x21\x00\x0a" + b"\x27\x00\x00\x10\x00"
        async with scripted_broker(connack_properties=properties) as broker:
            connection = await Connection.open(here(broker), Session())
            assert connection.receive_maximum == 10
            assert connection.maximum_packet_bytes == 4096
            await connection.close()

    run(test)


def test_a_paused_connection_reads_nothing_until_it_is_resumed() -> None:
    async def test() -> None:
        taken = Taken()
        async with scripted_broker() as broker:
            connection = await Connection.open(here(broker), Session(), on_messages=taken)
            connection.pause()
            broker.publish(b"t", b"1", 1)
            for _ in range(100):  # turns of the loop in which it could have read
                await asyncio.sleep(0)
            assert taken.messages == []
            connection.resume()
            await until(lambda: len(taken.messages) == 1)
            await connection.close()

    run(test)
