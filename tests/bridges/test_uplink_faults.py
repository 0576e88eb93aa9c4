"""The uplink while processes and brokers die and come back: nothing is lost."""

import asyncio
import contextlib

import pytest

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt
from tests.bridges.brokers import stopped
from tests.bridges.conftest import Start
from tests.bridges.publisher import Publisher, assert_complete, publish_ids
from tests.bridges.topics import create_topics, reading
from tests.conftest import KafkaAddress, MqttAddress

pytestmark = [pytest.mark.integration, pytest.mark.faults]


async def everything_arrives(
    bootstrap: str, prefix: str, publisher: Publisher, *, in_order: bool = True
) -> None:
    """Read until every message that was acknowledged to its vehicle is there, and compare."""
    async with reading(bootstrap, f"{prefix}vehicle.raw") as reader:
        with contextlib.suppress(AssertionError):  # what is missing is said below
            await reader.until(lambda it: len(set(publish_ids(it.records))) >= publisher.confirmed)
    assert_complete(reader.records, publisher.confirmed, in_order=in_order)


async def more(publisher: Publisher, count: int, timeout_s: float = 60) -> None:
    """Wait until so many more messages were acknowledged to their vehicles."""
    goal = publisher.confirmed + count
    async with asyncio.timeout(timeout_s):
        while publisher.confirmed < goal:
            await asyncio.sleep(0.01)


def test_killed_again_and_again_it_loses_nothing(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        publisher = Publisher(mqtt, topics.rstrip("."))
        uplink = await start("uplink", client_id="same").ready()
        publishing = asyncio.create_task(publisher.run())
        for _ in range(3):
            await uplink.until(
                lambda: uplink.metric("telltale_uplink_produced_records_total") > 100,  # noqa: B023
                "producing",
            )
            uplink.kill()
            await more(publisher, 50)
            uplink = await start("uplink", client_id="same").ready()
        publisher.stop()
        await publishing
        await everything_arrives(kafka.bootstrap, topics, publisher)
        assert uplink.terminate() == 0

    asyncio.run(test())


def test_drained_under_load_it_loses_nothing(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        publisher = Publisher(mqtt, topics.rstrip("."))
        first, second = start("uplink"), start("uplink")
        await first.ready()
        await second.ready()
        publishing = asyncio.create_task(publisher.run())
        for uplink in (first, second):
            await uplink.until(
                lambda: uplink.metric("telltale_uplink_produced_records_total") > 50,  # noqa: B023
                "producing",
            )
        assert first.terminate() == 0
        await more(publisher, 100)
        publisher.stop()
        await publishing
        await everything_arrives(kafka.bootstrap, topics, publisher, in_order=False)

    asyncio.run(test())


def test_while_kafka_does_not_answer_the_broker_keeps_the_messages_and_time_stands_still(
    own_kafka: EmbeddedKafka, mqtt: MqttAddress, prefix: str, start: Start
) -> None:
    async def test() -> None:
        await create_topics(own_kafka.bootstrap, prefix)
        publisher = Publisher(mqtt, prefix.rstrip("."))
        uplink = await start(
            "uplink", kafka_bootstrap=own_kafka.bootstrap, uplink_receive_maximum=100
        ).ready()
        publishing = asyncio.create_task(publisher.run())
        await uplink.until(lambda: uplink.metric("telltale_uplink_ticks_total") > 1, "ticking")
        with stopped(own_kafka.port):
            await uplink.until(lambda: "Kafka has not answered" in uplink.get("/readyz")[1], "saying so")
            ticks = uplink.metric("telltale_uplink_ticks_total")
            withheld = uplink.metric("telltale_uplink_ticks_withheld_total")
            await more(publisher, 300)
            await uplink.until(
                lambda: uplink.metric("telltale_uplink_ticks_withheld_total") > withheld + 15, "withholding"
            )
            assert uplink.metric("telltale_uplink_ticks_total") == ticks
            assert uplink.metric("telltale_uplink_in_flight_messages") <= 100
            assert uplink.get("/healthz")[0] == 200
        await uplink.ready()
        await uplink.until(lambda: uplink.metric("telltale_uplink_ticks_total") > ticks, "ticking again")
        publisher.stop()
        await publishing
        await everything_arrives(own_kafka.bootstrap, prefix, publisher)
        assert uplink.terminate() == 0

    asyncio.run(test())


def test_a_kafka_killed_and_restarted_costs_nothing(
    own_kafka: EmbeddedKafka, mqtt: MqttAddress, prefix: str, start: Start
) -> None:
    async def test() -> None:
        await create_topics(own_kafka.bootstrap, prefix)
        publisher = Publisher(mqtt, prefix.rstrip("."))
        uplink = await start("uplink", kafka_bootstrap=own_kafka.bootstrap).ready()
        publishing = asyncio.create_task(publisher.run())
        await uplink.until(lambda: uplink.metric("telltale_uplink_produced_records_total") > 200, "producing")
        await asyncio.to_thread(own_kafka.kill)
        await more(publisher, 100)
        await asyncio.to_thread(own_kafka.restart)
        produced = uplink.metric("telltale_uplink_produced_records_total")
        await uplink.until(
            lambda: uplink.metric("telltale_uplink_produced_records_total") > produced + 200,
            "producing again",
        )
        publisher.stop()
        await publishing
        await everything_arrives(own_kafka.bootstrap, prefix, publisher)
        assert uplink.terminate() == 0

    asyncio.run(test())


def test_an_mqtt_broker_killed_and_restarted_costs_nothing(
    kafka: KafkaAddress, own_mqtt: EmbeddedMqtt, topics: str, start: Start
) -> None:
    async def test() -> None:
        address = MqttAddress(own_mqtt.host, own_mqtt.port)
        publisher = Publisher(address, topics.rstrip("."))
        uplink = await start("uplink", mqtt_port=own_mqtt.port).ready()
        publishing = asyncio.create_task(publisher.run())
        await more(publisher, 200)
        await asyncio.to_thread(own_mqtt.kill)
        await uplink.until(
            lambda: "no connection to the MQTT broker" in uplink.get("/readyz")[1], "saying that it is away"
        )
        await asyncio.to_thread(own_mqtt.restart)
        await more(publisher, 200)
        publisher.stop()
        await publishing
        await everything_arrives(kafka.bootstrap, topics, publisher)
        assert uplink.terminate() == 0

    asyncio.run(test())


def test_a_drain_while_kafka_is_away_leaves_the_messages_with_the_broker(
    own_kafka: EmbeddedKafka, mqtt: MqttAddress, prefix: str, start: Start
) -> None:
    async def test() -> None:
        await create_topics(own_kafka.bootstrap, prefix)
        publisher = Publisher(mqtt, prefix.rstrip("."))
        settings = {
            "kafka_bootstrap": own_kafka.bootstrap,
            "client_id": "same",
            "drain_timeout": "4s",
            # Artemis 2.44 sends a session nothing more that ended with a backlog of a whole window.
            "uplink_receive_maximum": 60_000,
        }
        uplink = await start("uplink", **settings).ready()
        publishing = asyncio.create_task(publisher.run())
        await more(publisher, 50)
        with stopped(own_kafka.port):
            await uplink.until(lambda: uplink.metric("telltale_uplink_in_flight_messages") > 20, "waiting")
            assert await asyncio.to_thread(uplink.terminate) == 0
            assert "the MQTT broker keeps them" in str(uplink.log())
        uplink = await start("uplink", **settings).ready()
        publisher.stop()
        await publishing
        await everything_arrives(own_kafka.bootstrap, prefix, publisher)

    asyncio.run(test())
