"""The uplink between a broker that a test controls to the packet and a real Kafka.

A real broker shows that the parts work together; this one shows the order of two awaits: what is
acknowledged is in Kafka, in the order of arrival, and what comes again is in the log again, in order.
"""

import asyncio

import pytest

from bridges.embedded import EmbeddedKafka
from tests.bridges.brokers import stopped
from tests.bridges.conftest import Start
from tests.bridges.scripted_broker import ScriptedBroker, scripted_broker
from tests.bridges.topics import create_topics, reading
from tests.conftest import KafkaAddress

pytestmark = pytest.mark.integration


def deliver(broker: ScriptedBroker, root: str, numbers: range, *, duplicate: bool = False) -> None:
    for n in numbers:
        topic = f"{root}/v{n % 7}/telemetry".encode()
        broker.publish(topic, b"%d" % n, n + 1, duplicate=duplicate)


def test_each_vehicle_in_order_and_acknowledged_in_order_through_reconnects(
    kafka: KafkaAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        root = topics.rstrip(".")
        async with scripted_broker() as broker:
            uplink = await start("uplink", mqtt_port=broker.port).ready()
            deliver(broker, root, range(1000))
            await uplink.until(lambda: len(broker.acknowledged) == 1000, "acknowledging")
            assert broker.acknowledged == list(range(1, 1001))
            broker.disconnect_all()
            await uplink.until(lambda: broker.connections == 2 and bool(broker._writers), "connecting")
            await uplink.ready()
            deliver(broker, root, range(900, 1500), duplicate=True)
            await uplink.until(lambda: len(broker.acknowledged) == 1600, "acknowledging")
            assert broker.acknowledged[1000:] == list(range(901, 1501))
            assert uplink.metric("telltale_uplink_redelivered_messages_total") == 600
            assert uplink.terminate() == 0
        async with reading(kafka.bootstrap, f"{topics}vehicle.raw") as reader:
            records = await reader.count(1600)
        for vehicle in range(7):
            numbers = [int(record.value) for record in records if record.key == b"v%d" % vehicle]
            sent = [*range(1000), *range(900, 1500)]
            assert numbers == [n for n in sent if n % 7 == vehicle]

    asyncio.run(test())


def test_nothing_is_acknowledged_that_kafka_does_not_have(
    own_kafka: EmbeddedKafka, prefix: str, start: Start
) -> None:
    async def test() -> None:
        root = prefix.rstrip(".")
        await create_topics(own_kafka.bootstrap, prefix)
        async with scripted_broker() as broker:
            uplink = await start("uplink", kafka_bootstrap=own_kafka.bootstrap, mqtt_port=broker.port).ready()
            with stopped(own_kafka.port):
                deliver(broker, root, range(100))
                await uplink.until(
                    lambda: uplink.metric("telltale_uplink_in_flight_messages") == 100, "receiving"
                )
                ticks = uplink.metric("telltale_uplink_ticks_withheld_total", reason="waiting for Kafka")
                await uplink.until(
                    lambda: uplink.metric("telltale_uplink_ticks_withheld_total") > ticks + 5, "waiting"
                )
                assert broker.acknowledged == []
            await uplink.until(lambda: len(broker.acknowledged) == 100, "acknowledging")
            assert broker.acknowledged == list(range(1, 101))

    asyncio.run(test())
