"""An MQTT 5 broker that answers as a test tells it to: for what a real one does only when it must.

It speaks CONNECT, SUBSCRIBE, PUBLISH, PUBACK, PINGREQ and DISCONNECT, on a real socket.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from bridges.properties import encode_length, read_length

CLOSE = -1
"""Instead of a reason code: close the connection without a word."""
SILENCE = -2
"""Instead of a reason code: no answer."""


@dataclass
class Publication:
    topic: bytes
    payload: bytes
    properties: bytes
    packet_id: int


@dataclass
class ScriptedBroker:
    """What it says: to CONNECT, to SUBSCRIBE, and (a function) to each PUBLISH."""

    connect_reason: int = 0
    subscribe_reason: int = 1
    connack_properties: bytes = b""
    answer: Callable[[Publication], int] = lambda publication: 0
    published: list[Publication] = field(default_factory=list)
    acknowledged: list[int] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    def send(self, data: bytes) -> None:
        """Send bytes to everybody who is connected."""
        for writer in self._writers:
            writer.write(data)

    def publish(
        self, topic: bytes, payload: bytes, packet_id: int, properties: bytes = b"", duplicate: bool = False
    ) -> None:
        body = len(topic).to_bytes(2, "big") + topic + packet_id.to_bytes(2, "big")
        body += encode_length(len(properties)) + properties + payload
        self.send(bytes([0x3A if duplicate else 0x32]) + encode_length(len(body)) + body)

    def disconnect_all(self, reason: int | None = None) -> None:
        if reason is not None:
            self.send(bytes([0xE0, 2, reason, 0]))
        for writer in self._writers:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._packet(reader, writer):
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self._writers.discard(writer)

    async def _packet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first = (await reader.readexactly(1))[0]
        length = b""
        while not length or length[-1] & 0x80:
            length += await reader.readexactly(1)
        body = await reader.readexactly(read_length(length, 0)[0])
        match first >> 4:
            case 1:
                if self.connect_reason == SILENCE:
                    return True
                properties = encode_length(len(self.connack_properties)) + self.connack_properties
                answer = bytes([0, self.connect_reason]) + properties
                writer.write(bytes([0x20]) + encode_length(len(answer)) + answer)
                return self.connect_reason == 0
            case 3:
                return self._publish(body, writer)
            case 4:
                self.acknowledged.append(int.from_bytes(body[:2], "big"))
            case 8:
                filters = body.count(b"telemetry") or 1
                answer = body[:2] + b"\x00" + bytes([self.subscribe_reason]) * filters
                writer.write(bytes([0x90, len(answer)]) + answer)
            case 12:
                writer.write(b"\xd0\x00")
            case 14:
                return False
        return True

    def _publish(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        end = 2 + int.from_bytes(body[:2], "big")
        topic, packet_id = body[2:end], body[end : end + 2]
        length, start = read_length(body, end + 2)
        publication = Publication(
            topic, body[start + length :], body[start : start + length], int.from_bytes(packet_id, "big")
        )
        self.published.append(publication)
        reason = self.answer(publication)
        if reason == CLOSE:
            return False
        if reason != SILENCE:
            writer.write(b"\x40\x03" + packet_id + bytes([reason]))
        return True


@contextlib.asynccontextmanager
async def scripted_broker(**script: object) -> AsyncIterator[ScriptedBroker]:
    broker = ScriptedBroker(**script)  # type: ignore[arg-type]
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        broker.disconnect_all()
        while broker._writers:
            await asyncio.sleep(0.001)
        await server.wait_closed()
