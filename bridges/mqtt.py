"""One MQTT 5 connection, as the bridges need it; the only module that knows paho.

A message is acknowledged when its owner says so, on the connection that it came by, and in the order of
arrival, as section 4.6 of the standard asks. A connection ends once, and says why in a sentence; whoever
wants another opens another. A packet id means nothing on the next connection: what was not acknowledged
comes again.

Four of paho's private parts are replaced (its socket, its reading of PUBLISH, and who is told when it ends):
its own decoding builds two dictionaries and a lock for every message, and closes the connection for good over
one property that it cannot read. `tests/bridges/test_mqtt_client.py` fails when those parts change.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridges.properties import MalformedProperties, MessageProperties, encode_properties, read_length
from bridges.sockets import BufferedSocket, open_socket

NO_MATCHING_SUBSCRIBERS = 0x10
REFUSED = 0x80
NOT_AUTHORIZED = 0x87
QUOTA_EXCEEDED = 0x97

_TAKEN_OVER = 0x8E

_PACKETS_A_TURN = 2000
_HOUSEKEEPING_S = 1.0
_PUBACK = 0x40020000


class ConnectionRefused(ConnectionError):
    """The broker answered and said no: to the client, or to one of its subscriptions."""


class ConnectionEnded(ConnectionError):
    """The connection ended before the broker had acknowledged the message: nobody knows whether it has it."""


class Message(NamedTuple):
    """One PUBLISH packet as it arrived; `properties` are bytes until somebody asks (bridges.properties)."""

    topic: bytes
    payload: bytes
    properties: bytes
    packet_id: int
    qos: int
    duplicate: bool
    received_at: int


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and who we are to it. A client id belongs to one process at a time."""

    host: str
    port: int
    client_id: str
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None
    keep_alive_s: int = 30
    connect_timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Session:
    """What is agreed at CONNECT: how long the broker remembers us, how much it sends unacknowledged."""

    expiry_s: int = 0
    receive_maximum: int = 65535
    clean_start: bool = True


class _Paho(paho.Client):
    """paho with a socket that is opened for it and PUBLISH packets that go straight to their reader."""

    opened: BufferedSocket
    received: list[Message]

    def _create_socket(self) -> Any:
        return self.opened

    def _handle_publish(self) -> MQTTErrorCode:
        flags = self._in_packet["command"]
        packet = bytes(self._in_packet["packet"])
        qos = flags >> 1 & 3
        position = 2 + int.from_bytes(packet[:2], "big")
        topic = packet[2:position]
        packet_id = 0
        if qos:
            packet_id = int.from_bytes(packet[position : position + 2], "big")
            position += 2
        try:
            length, position = read_length(packet, position)
        except MalformedProperties:
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        end = position + length
        if end > len(packet):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL
        self.received.append(
            Message(
                topic,
                packet[end:],
                packet[position:end],
                packet_id,
                qos,
                flags & 8 != 0,
                time.time_ns() // 1_000_000,
            )
        )
        return MQTTErrorCode.MQTT_ERR_SUCCESS


class _Packed:
    """Stands where paho expects its Properties, of which a PUBLISH needs nothing but the bytes."""

    def __init__(self, properties: MessageProperties) -> None:
        self._data = encode_properties(properties)

    def pack(self) -> bytes:
        return self._data


class Connection:
    """An open connection. `ended` is done when it is not any more, with the reason as its result."""

    def __init__(self, broker: Broker, session: Session, on_messages: OnMessages | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._broker = broker
        self._session = session
        self._on_messages = on_messages
        self._publishing: dict[int, asyncio.Future[int]] = {}
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._filters: Sequence[str] = ()
        self._housekeeping: asyncio.TimerHandle | None = None
        self._paused = False
        self._writing = False
        self._closing = False
        self._descriptor = -1
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self.receive_maximum = 65535
        self.maximum_packet_bytes: int | None = None
        self._client = _Paho(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client = self._client
        client.received = []
        client.max_inflight_messages_set(0)
        client.username_pw_set(broker.username, broker.password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_socket_close = self._on_socket_close

    # -- beginning and end ---------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls,
        broker: Broker,
        session: Session,
        *,
        filters: Sequence[str] = (),
        on_messages: OnMessages | None = None,
    ) -> Connection:
        """Connect and subscribe at QoS 1. Raises ConnectionRefused, another OSError, or TimeoutError."""
        connection = cls(broker, session, on_messages)
        try:
            async with asyncio.timeout(broker.connect_timeout_s):
                await connection._begin()
                if filters:
                    await connection._subscribe(filters)
        except TimeoutError:
            await connection.close()
            raise TimeoutError(f"no answer within {broker.connect_timeout_s:g} s") from None
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _begin(self) -> None:
        socket = await open_socket(self._broker.host, self._broker.port, self._broker.tls)
        self._client.opened = socket
        self._descriptor = socket.fileno()
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.SessionExpiryInterval = self._session.expiry_s
        properties.ReceiveMaximum = self._session.receive_maximum
        self._client.connect(
            self._broker.host,
            self._broker.port,
            keepalive=self._broker.keep_alive_s,
            clean_start=self._session.clean_start,
            properties=properties,
        )
        self._loop.add_reader(self._descriptor, self._read)
        self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)
        self._flush()
        await self._connected

    async def _subscribe(self, filters: Sequence[str]) -> None:
        self._filters = filters
        self._client.subscribe([(name, SubscribeOptions(qos=1)) for name in filters])
        self._flush()
        await self._subscribed

    async def close(self) -> None:
        """Say goodbye; the session stays at the broker for as long as was agreed."""
        self._closing = True
        if self._descriptor >= 0:
            self._client.disconnect()
            self._turn()
        self._end("closed")

    def _end(self, reason: str) -> None:
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        if self._descriptor >= 0:  # paho has not noticed: leave without a word
            self._forget_socket()
            self._client.opened.close()
        for waiting in (self._connected, self._subscribed):
            if not waiting.done():
                waiting.set_exception(ConnectionRefused(reason))
                waiting.exception()  # nobody may be waiting for it
        for publishing in self._publishing.values():
            if not publishing.done():
                publishing.set_exception(ConnectionEnded(reason))
                publishing.exception()
        self._publishing.clear()
        if not self.ended.done():
            self.ended.set_result(reason)

    # -- messages ------------------------------------------------------------------------------------------

    def acknowledge(self, packet_ids: Iterable[int]) -> None:
        """PUBACK, in this order. On a connection that has ended it does nothing: the messages come again."""
        if self._descriptor < 0:
            return
        # Whole packets may go past paho: its socket is a buffer that takes every packet whole.
        self._client.opened.send(b"".join([(_PUBACK | n).to_bytes(4, "big") for n in packet_ids]))
        self._flush()

    def publish(self, topic: str, payload: bytes, properties: MessageProperties) -> asyncio.Future[int]:
        """Send at QoS 1; the result is the reason code of the PUBACK, the failure ConnectionEnded.

        Raises ValueError for a topic or properties that MQTT cannot carry.
        """
        done: asyncio.Future[int] = self._loop.create_future()
        packed = cast(Properties, _Packed(properties))
        if self._descriptor < 0:
            done.set_exception(ConnectionEnded("the connection has ended"))
            return done
        info = self._client.publish(topic, payload, qos=1, properties=packed)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            done.set_exception(ConnectionEnded(paho.error_string(info.rc)))
            return done
        self._publishing[info.mid] = done
        self._flush_soon()
        return done

    def pause(self) -> None:
        """Read nothing more, so that the broker keeps what it has."""
        if not self._paused and self._descriptor >= 0:
            self._paused = True
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        """Read again."""
        if self._paused and self._descriptor >= 0:
            self._paused = False
            self._loop.add_reader(self._descriptor, self._read)
            self._loop.call_soon(self._read)

    # -- the event loop ------------------------------------------------------------------------------------

    def _read(self) -> None:
        if self._descriptor < 0 or self._paused:
            return
        client = self._client
        socket = client.opened
        for _ in range(_PACKETS_A_TURN):
            client.loop_read()
            if self._descriptor < 0 or not socket.has_input:
                break
        else:
            self._loop.call_soon(self._read)
        if client.received and self._on_messages is not None:
            received, client.received = client.received, []
            self._on_messages(self, received)
        self._turn()

    def _turn(self) -> None:
        """Let paho write what its callbacks have queued, and send it."""
        if self._client.want_write():
            self._client.loop_write()
        self._flush()

    def _flush_soon(self) -> None:
        if not self._writing:
            self._writing = True
            self._loop.call_soon(self._write)

    def _flush(self) -> None:
        if not self._writing:
            self._write()

    def _write(self) -> None:
        self._writing = False
        if self._descriptor < 0:
            return
        try:
            emptied = self._client.opened.flush()
        except OSError as error:
            self._end(f"the connection was lost: {error}")
            return
        if emptied:
            self._loop.remove_writer(self._descriptor)
        else:
            self._writing = True
            self._loop.add_writer(self._descriptor, self._write)

    def _keep_house(self) -> None:
        """Pings, and the end of a connection whose broker is silent; not while we are the silent side."""
        if self._descriptor < 0:
            return
        if not self._paused:
            self._client.loop_misc()
            self._turn()
        self._housekeeping = self._loop.call_later(_HOUSEKEEPING_S, self._keep_house)

    # -- what paho tells -----------------------------------------------------------------------------------

    def _on_connect(self, _: Any, __: Any, ___: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._refuse(self._connected, f"the broker refuses the client: {reason}")
            return
        self.receive_maximum = getattr(properties, "ReceiveMaximum", 65535)
        self.maximum_packet_bytes = getattr(properties, "MaximumPacketSize", None)
        if not self._connected.done():
            self._connected.set_result(None)

    def _on_subscribe(self, _: Any, __: Any, ___: Any, reasons: list[ReasonCode], ____: Properties) -> None:
        refused = [
            f"{name} ({reason})"
            for name, reason in zip(self._filters, reasons, strict=False)
            if reason.value >= REFUSED
        ]
        if refused:
            self._refuse(self._subscribed, f"the broker refuses the subscription {', '.join(refused)}")
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _on_publish(self, _: Any, __: Any, mid: int, reason: ReasonCode, ___: Properties) -> None:
        publishing = self._publishing.pop(mid, None)
        if publishing is not None and not publishing.done():
            publishing.set_result(reason.value)

    def _on_disconnect(self, _: Any, __: Any, flags: Any, reason: Any, ___: Any) -> None:
        if self._closing:
            self._end("closed")
        elif flags.is_disconnect_packet_from_server:
            advice = ""
            if reason.value == _TAKEN_OVER:
                advice = (
                    f"; another process connects as {self._broker.client_id!r}, each needs its own clientId"
                )
            self._end(f"the broker closed the connection: {reason}{advice}")
        else:
            self._end(f"the connection was lost: {reason}")

    def _on_socket_close(self, _: Any, __: Any, ___: Any) -> None:
        self._forget_socket()

    def _forget_socket(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
            self._descriptor = -1

    @staticmethod
    def _refuse(waiting: asyncio.Future[None], reason: str) -> None:
        with contextlib.suppress(asyncio.InvalidStateError):
            waiting.set_exception(ConnectionRefused(reason))
            waiting.exception()


OnMessages = Callable[[Connection, list[Message]], None]
