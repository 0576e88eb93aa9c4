"""The downlink as a process, on a real Kafka and a real MQTT broker."""

import asyncio
import json
import time
from typing import Any

import pytest

from bridges.mqtt import Broker, Connection, Message, Session
from bridges.properties import decode_properties
from pipeline.process import format_time, partition_of
from tests.bridges.conftest import Start
from tests.bridges.topics import PARTITIONS, reading, write
from tests.conftest import KafkaAddress, MqttAddress

pytestmark = pytest.mark.integration


def command(
    vehicle: str, identity: str, *, expires_in_ms: int = 60_000, **changes: Any
) -> tuple[bytes, bytes, int]:
    now = time.time_ns() // 1_000_000
    document = {
        "id": identity,
        "vehicleId": vehicle,
        "name": "reduce-power",
        "payload": {"limit": 50},
        "expiresAt": format_time(now + expires_in_ms),
        "cause": {
            "rule": "overspeed",
            "revision": 1,
            "alertId": "a-1",
            "eventTime": format_time(now),
            "receivedAt": format_time(now),
        },
    } | changes
    key = vehicle.encode()
    return key, json.dumps(document).encode(), partition_of(key, PARTITIONS)


class Fleet:
    """Subscribes to all commands of an installation and keeps what arrives."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def receive(self, connection: Connection, messages: list[Message]) -> None:
        self.messages += messages
        connection.acknowledge([message.packet_id for message in messages if message.qos])

    async def subscribe(self, mqtt: MqttAddress, root: str) -> Connection:
        return await Connection.open(
            Broker(mqtt.host, mqtt.port, f"{root}-fleet"),
            Session(),
            filters=[f"{root}/+/commands/+"],
            on_messages=self.receive,
        )


def test_commands_are_published_and_recorded(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def run() -> None:
        root = topics.rstrip(".")
        fleet = Fleet()
        subscription = await fleet.subscribe(mqtt, root)
        downlink = await start("downlink").ready()
        await write(
            kafka.bootstrap,
            f"{topics}vehicle.commands",
            [command(f"v{n % 3}", f"c{n}") for n in range(30)] + [command("v0", "late", expires_in_ms=-1)],
        )
        async with reading(kafka.bootstrap, f"{topics}vehicle.command-deliveries") as reader:
            records = await reader.count(31)
        states = {json.loads(record.value)["id"]: json.loads(record.value) for record in records}
        assert states.pop("late")["state"] == "expired"
        assert {entry["state"] for entry in states.values()} == {"published"}
        assert len(fleet.messages) == 30
        print(fleet.messages[0], decode_properties(fleet.messages[0].properties), records[0])
        await subscription.close()
        assert downlink.terminate() == 0
        print(downlink.log())

    asyncio.run(run())
