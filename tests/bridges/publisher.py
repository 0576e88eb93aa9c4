"""Vehicles that publish without a break, and publish again what the broker did not acknowledge.

Each message carries its vehicle, a number that rises with the vehicle and a publish-id of its own. What was
sent again keeps its id, as a vehicle's own queue would do.
"""

import asyncio
import contextlib
import itertools
import json
from collections import deque

from aiokafka import ConsumerRecord

from bridges.mqtt import Broker, Connection, Session
from bridges.properties import MessageProperties
from tests.conftest import MqttAddress

_WINDOW = 20


class Publisher:
    """Publishes round and round for some vehicles, at most `_WINDOW` messages unacknowledged."""

    def __init__(self, mqtt: MqttAddress, root: str, vehicles: int = 10, pause_s: float = 0.002) -> None:
        self._broker = Broker(mqtt.host, mqtt.port, f"{root}-publisher", connect_timeout_s=5)
        self._root = root
        self._vehicles = vehicles
        self._pause_s = pause_s
        self._numbers = itertools.count()
        self._waiting: deque[int] = deque()
        self._stopping = False
        self.confirmed = 0

    async def run(self) -> None:
        """Publish until `stop`, then until the last one is acknowledged."""
        while not self._stopping or self._waiting:
            with contextlib.suppress(OSError):
                connection = await Connection.open(self._broker, Session())
                try:
                    await self._publish(connection)
                finally:
                    await connection.close()
            await asyncio.sleep(0.1)

    def stop(self) -> None:
        self._stopping = True

    async def _publish(self, connection: Connection) -> None:
        """On one connection; in order, what is unacknowledged from the one before first."""
        acknowledgements = deque((number, self._send(connection, number)) for number in self._waiting)
        while True:
            while not self._stopping and len(acknowledgements) < _WINDOW:
                number = next(self._numbers)
                self._waiting.append(number)
                acknowledgements.append((number, self._send(connection, number)))
                await asyncio.sleep(self._pause_s)
            if not acknowledgements:
                return
            number, acknowledgement = acknowledgements.popleft()
            try:
                await acknowledgement
            except OSError:
                for _, other in acknowledgements:
                    other.add_done_callback(lambda it: it.exception())
                return
            self.confirmed += 1
            assert self._waiting.popleft() == number

    def _send(self, connection: Connection, number: int) -> asyncio.Future[int]:
        vehicle = number % self._vehicles
        payload = json.dumps({"n": number}).encode()
        properties = MessageProperties(user=(("publish-id", str(number).encode()),))
        return connection.publish(f"{self._root}/v{vehicle}/telemetry", payload, properties)


def publish_ids(records: list[ConsumerRecord]) -> list[int]:
    return [int(dict(record.headers)["mqtt-user-publish-id"]) for record in records]


def assert_complete(records: list[ConsumerRecord], published: int, *, in_order: bool = True) -> None:
    """Every message at least once, and each partition in the order in which one uplink received it.

    What a broker does to the order before that is not the uplink's: Artemis, which keeps a journal, lets
    messages of one publisher overtake each other within some milliseconds.
    """
    ids = publish_ids(records)
    assert set(ids) == set(range(published)), f"lost: {sorted(set(range(published)) - set(ids))[:20]}"
    latest: dict[int, int] = {}
    for record in records if in_order else ():
        assert record.timestamp >= latest.get(record.partition, 0)
        latest[record.partition] = record.timestamp
