"""The uplink as a process, on a real Kafka and a real MQTT broker."""

import asyncio

import pytest

from bridges.mqtt import Broker, Connection, Session
from bridges.properties import MessageProperties
from tests.bridges.conftest import Start
from tests.bridges.topics import PARTITIONS, reading
from tests.conftest import KafkaAddress, MqttAddress

pytestmark = pytest.mark.integration


async def vehicle(mqtt: MqttAddress, name: str) -> Connection:
    return await Connection.open(Broker(mqtt.host, mqtt.port, name), Session())


def test_messages_arrive_as_records(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    asyncio.run(_messages_arrive(kafka, mqtt, topics, start))


async def _messages_arrive(kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start) -> None:
    root = topics.rstrip(".")
    uplink = await start("uplink").ready()
    sender = await vehicle(mqtt, f"{topics}v1")
    properties = MessageProperties(content_type=b"application/json", user=(("publish-id", b"7"),))
    reasons = await asyncio.gather(
        *[sender.publish(f"{root}/v{n % 3}/telemetry", b'{"n":%d}' % n, properties) for n in range(300)]
    )
    assert set(reasons) <= {0, 0x10}
    async with reading(kafka.bootstrap, f"{topics}vehicle.raw") as reader:
        records = await reader.count(300)
        await reader.until(lambda it: {tick.partition for tick in it.ticks} == set(range(PARTITIONS)))
    print(records[0], reader.ticks[:3], uplink.log())
    await sender.close()
    assert uplink.terminate() == 0
