"""The uplink as a process, on a real Kafka and a real MQTT broker."""

import asyncio
import json

import jsonschema
import pytest

from bridges.mqtt import Broker, Connection, Session
from bridges.properties import MessageProperties
from pipeline.process import format_time, parse_time, partition_of
from pipeline.schemas import schema_text
from tests.bridges.conftest import Start
from tests.bridges.topics import PARTITIONS, create_topics, reading
from tests.conftest import KafkaAddress, MqttAddress

pytestmark = pytest.mark.integration

RAW_HEADERS = json.loads(schema_text("raw.headers.json"))


async def vehicle(mqtt: MqttAddress, name: str) -> Connection:
    return await Connection.open(Broker(mqtt.host, mqtt.port, name), Session())


def test_messages_become_records_and_time_goes_on(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        root = topics.rstrip(".")
        uplink = await start("uplink").ready()
        sender = await vehicle(mqtt, f"{root}-v")
        properties = MessageProperties(content_type=b"application/json", user=(("publish-id", b"7"),))
        publishing = [
            sender.publish(f"{root}/v{n % 3}/telemetry", b'{"n":%d}' % n, properties) for n in range(300)
        ]
        publishing.append(sender.publish(f"{root}/v1/responses", b"no \xff json", MessageProperties()))
        await asyncio.gather(*publishing)
        async with reading(
            kafka.bootstrap, f"{topics}vehicle.raw", f"{topics}vehicle.command-responses"
        ) as reader:
            await reader.count(301)
            await reader.until(lambda it: len({tick.partition for tick in it.ticks}) == PARTITIONS)
        answers = [record for record in reader.records if record.topic.endswith("responses")]
        assert [(answer.key, answer.value) for answer in answers] == [(b"v1", b"no \xff json")]
        records = [record for record in reader.records if record not in answers]
        for record in records:
            headers = {name: value.decode() for name, value in record.headers}
            jsonschema.validate(headers, RAW_HEADERS, format_checker=jsonschema.FormatChecker())
            assert record.partition == partition_of(record.key, PARTITIONS)
            assert headers["received-at"] == format_time(record.timestamp)
            assert headers["mqtt-topic"] == f"{root}/{record.key.decode()}/telemetry"
            assert (headers["content-type"], headers["mqtt-user-publish-id"]) == ("application/json", "7")
        for name in (b"v0", b"v1", b"v2"):
            numbers = [json.loads(record.value)["n"] for record in records if record.key == name]
            assert numbers == list(range(int(name[1:]), 300, 3))
        for tick in reader.ticks:
            assert parse_time(json.loads(tick.value)["receivedAt"]) == tick.timestamp
        assert uplink.metric("telltale_uplink_received_messages_total") == 301
        assert uplink.metric("telltale_uplink_produced_records_total", topic="vehicle.raw") == 300
        assert uplink.metric("telltale_uplink_produced_records_total") == 301
        assert uplink.metric("telltale_uplink_in_flight_messages") == 0
        await sender.close()
        assert uplink.terminate() == 0

    asyncio.run(test())


def test_what_cannot_be_used_is_a_dead_letter_and_holds_nobody_up(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        root = topics.rstrip(".")
        uplink = await start("uplink", uplink_receive_maximum=1).ready()
        sender = await vehicle(mqtt, f"{root}-v")
        large = b"x" * 1_100_000
        for topic, payload in (
            (f"{root}/v1/telemetry", b""),
            (f"{root}/v1/telemetry", large),
            (f"{root}/{'x' * 300}/telemetry", b"{}"),
            (f"{root}/v\u00851/telemetry", b"{}"),
            (f"{root}/v1/telemetry", b"good"),
        ):
            await sender.publish(topic, payload, MessageProperties())
        async with reading(kafka.bootstrap, f"{topics}vehicle.raw", f"{topics}vehicle.dead-letter") as reader:
            await reader.count(5)
        dead = {
            dict(record.headers)["code"].decode(): record
            for record in reader.records
            if record.topic.endswith("dead-letter")
        }
        assert dead.keys() == {"payload-empty", "payload-too-large", "vehicle-id-invalid"}
        assert dead["payload-empty"].key == b"v1"
        assert large.startswith(dead["payload-too-large"].value)
        assert dict(dead["payload-too-large"].headers)["truncated-from-bytes"] == b"1100000"
        for record in dead.values():
            headers = dict(record.headers)
            assert headers["stage"] == b"uplink"
            assert headers["reason"]
            assert headers["source-topic"].startswith(root.encode())
        assert [record.value for record in reader.records if record.topic.endswith("raw")] == [b"good"]
        await uplink.until(lambda: not uplink.metric("telltale_uplink_in_flight_messages"), "empty")
        received = uplink.metric("telltale_uplink_received_messages_total")
        assert received == uplink.metric("telltale_uplink_produced_records_total") + uplink.metric(
            "telltale_uplink_dead_letters_total"
        )
        assert uplink.metric("telltale_uplink_dead_letters_total", code="vehicle-id-invalid") == 2
        await sender.close()

    asyncio.run(test())


def test_a_record_that_kafka_finds_too_large_is_found_out_and_set_aside(
    kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, start: Start
) -> None:
    async def test() -> None:
        root = prefix.rstrip(".")
        await create_topics(kafka.bootstrap, prefix, configs={"max.message.bytes": "20000"})
        await start("uplink").ready()
        sender = await vehicle(mqtt, f"{root}-v")
        for payload in (b"x" * 30_000, b"good"):
            await sender.publish(f"{root}/v1/telemetry", payload, MessageProperties())
        async with reading(kafka.bootstrap, f"{prefix}vehicle.raw", f"{prefix}vehicle.dead-letter") as reader:
            await reader.until(
                lambda it: (
                    {record.topic.rpartition(".")[2] for record in it.records} == {"raw", "dead-letter"}
                )
            )
        codes = {dict(record.headers).get("code") for record in reader.records}
        assert codes == {None, b"payload-too-large"}
        await sender.close()

    asyncio.run(test())


def test_topics_with_another_partition_count_are_refused(
    kafka: KafkaAddress, topics: str, start: Start
) -> None:
    for name in ("uplink", "downlink"):
        process = start(name, partitions=PARTITIONS + 1)
        assert process.process.wait(60) == 4
        assert f"{topics}vehicle.dead-letter has 4 partitions, the settings say 5" in str(process.log())


def test_a_kafka_that_does_not_come_is_waited_for_and_then_said(start: Start) -> None:
    started = [
        start(name, kafka_bootstrap="127.0.0.1:9", start_timeout="1s") for name in ("uplink", "downlink")
    ]
    for process in started:
        assert process.process.wait(60) == 3
        assert "Kafka did not come within 1s" in str(process.log())


def test_missing_topics_are_said_and_waited_for(kafka: KafkaAddress, prefix: str, start: Start) -> None:
    async def test() -> None:
        waiting = [start(name) for name in ("uplink", "downlink")]
        for process, first in zip(waiting, ("vehicle.raw", "vehicle.commands"), strict=True):
            await process.until(
                lambda: f"there are no topics {prefix}{first}" in process.get("/readyz")[1],  # noqa: B023
                "saying so",
            )
            assert "`telltale topics create` makes them" in str(process.log())
        await create_topics(kafka.bootstrap, prefix)
        for process in waiting:
            await process.ready()

    asyncio.run(test())


def test_topics_that_nobody_makes_end_the_wait_with_their_names(
    kafka: KafkaAddress, prefix: str, start: Start
) -> None:
    started = [start(name, start_timeout="4s") for name in ("uplink", "downlink")]
    for process in started:
        assert process.process.wait(60) == 3
        log = str(process.log())
        assert "the topics in Kafka did not come within 4s" in log
        assert f"{prefix}vehicle.dead-letter" in log


def test_wrong_settings_end_at_once(start: Start) -> None:
    process = start("uplink", uplink_telemetry_topics="vehicles/telemetry", mqtt_tls_cafile="/ca.pem")
    assert process.process.wait(60) == 2
    log = str(process.log())
    assert "needs {vehicle_id}" in log
    assert "ask for tls: true" in log


def test_a_missing_mqtt_broker_is_said_and_waited_for(topics: str, start: Start) -> None:
    async def test() -> None:
        processes = [start(name, mqtt_port=9) for name in ("uplink", "downlink")]
        for process in processes:
            await process.until(
                lambda: "no connection to the MQTT broker 127.0.0.1:9" in process.get("/readyz")[1],  # noqa: B023
                "saying so",
            )
            assert process.get("/healthz")[0] == 200
        for process in processes:
            assert process.terminate() == 0

    asyncio.run(test())


def test_no_tick_without_a_connection(kafka: KafkaAddress, topics: str, start: Start) -> None:
    async def test() -> None:
        uplink = start("uplink", mqtt_port=9)
        await uplink.until(
            lambda: uplink.metric("telltale_uplink_ticks_withheld_total", reason="not connected") > 20,
            "ticking",
        )
        assert uplink.metric("telltale_uplink_ticks_total") == 0

    asyncio.run(test())
