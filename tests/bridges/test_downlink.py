"""The downlink as a process, on a real Kafka and a real MQTT broker."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jsonschema
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt
from bridges.mqtt import Broker, Connection, Message, Session
from bridges.properties import decode_properties
from pipeline.process import format_time, group_id, partition_of, read_envelope
from pipeline.schemas import schema_text
from tests.bridges.conftest import Start
from tests.bridges.processes import Running
from tests.bridges.topics import PARTITIONS, create_topics, reading, write
from tests.conftest import KafkaAddress, MqttAddress

pytestmark = pytest.mark.integration

Written = tuple[bytes, bytes, int]
DELIVERY = json.loads(schema_text("command-delivery.json"))


def command(vehicle: str, identity: str, *, expires_in_ms: int = 600_000, **changes: Any) -> Written:
    now = time.time_ns() // 1_000_000
    document = {
        "id": identity,
        "vehicleId": vehicle,
        "name": "reduce-power",
        "payload": {"limit": 50},
        "expiresAt": format_time(now + expires_in_ms),
        "cause": {"rule": "overspeed", "revision": 1, "alertId": "a-1", "eventTime": format_time(now)},
    } | changes
    key = vehicle.encode()
    return key, json.dumps(document).encode(), partition_of(key, PARTITIONS)


class Fleet:
    """All vehicles of an installation: keeps the commands that arrive."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def receive(self, connection: Connection, messages: list[Message]) -> None:
        self.messages += messages
        connection.acknowledge([message.packet_id for message in messages if message.qos])

    def ids(self) -> dict[str, list[str]]:
        """The ids of each vehicle's commands, as they came first."""
        ids: dict[str, list[str]] = defaultdict(list)
        for message in self.messages:
            vehicle = message.topic.decode().split("/")[1]
            correlation = decode_properties(message.properties).correlation
            assert correlation is not None
            if correlation.decode() not in ids[vehicle]:
                ids[vehicle].append(correlation.decode())
        return dict(ids)


@asynccontextmanager
async def listening(mqtt: MqttAddress, prefix: str) -> AsyncIterator[Fleet]:
    root = prefix.rstrip(".")
    fleet = Fleet()
    connection = await Connection.open(
        Broker(mqtt.host, mqtt.port, f"{root}-fleet"),
        Session(expiry_s=600, clean_start=False),
        filters=[f"{root}/+/commands/+"],
        on_messages=fleet.receive,
    )
    try:
        yield fleet
    finally:
        await connection.close()


def states(records: list[ConsumerRecord]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        document = json.loads(record.value)
        found[document["id"]].append(document["state"])
    return dict(found)


async def deliveries(bootstrap: str, prefix: str, commands: int) -> list[ConsumerRecord]:
    """Delivery records, when so many commands have one."""
    async with reading(bootstrap, f"{prefix}vehicle.command-deliveries") as reader:
        await reader.until(lambda it: len(states(it.records)) >= commands)
        return reader.records


def test_commands_become_messages_and_each_has_its_delivery(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        downlink = await start("downlink").ready()
        async with listening(mqtt, topics) as fleet:
            wrong = partition_of(b"v0", PARTITIONS)
            await write(
                kafka.bootstrap,
                f"{topics}vehicle.commands",
                [
                    *[command(f"v{n % 3}", f"c{n}") for n in range(30)],
                    command("v0", "late", expires_in_ms=-1),
                    (b"v0", b"{", wrong),
                    (None, b"{}", 0),
                ],
            )
            records = await deliveries(kafka.bootstrap, topics, 31)
            async with reading(kafka.bootstrap, f"{topics}vehicle.dead-letter") as reader:
                dead = await reader.count(2)
            await downlink.until(lambda: not downlink.metric("telltale_downlink_in_flight_commands"), "done")
        found = states(records)
        assert found.pop("late") == ["expired"]
        assert found == {f"c{n}": ["published"] for n in range(30)}
        for record in records:
            document = json.loads(record.value)
            jsonschema.validate(document, DELIVERY, format_checker=jsonschema.FormatChecker())
            envelope = read_envelope(record.headers)
            assert envelope["id"] == f"{document['id']}-{document['state']}"
            assert envelope["type"] == "dev.telltale.command-delivery"
            assert envelope["subject"] == document["vehicleId"] == record.key.decode()
            assert record.partition == partition_of(record.key, PARTITIONS)
        assert fleet.ids() == {f"v{v}": [f"c{n}" for n in range(v, 30, 3)] for v in range(3)}
        message = fleet.messages[0]
        properties = decode_properties(message.properties)
        vehicle = message.topic.decode().split("/")[1]
        assert message.topic.decode().endswith(f"/{vehicle}/commands/reduce-power")
        assert json.loads(message.payload) == {"limit": 50}
        assert properties.response_topic == f"{topics.rstrip('.')}/{vehicle}/responses".encode()
        assert properties.content_type == b"application/json"
        assert 0 < (properties.expiry_s or 0) <= 600
        user = dict(properties.user)
        assert (user["id"], user["cause-rule"]) == (properties.correlation, b"overspeed")
        codes = [dict(record.headers)["code"] for record in dead]
        assert codes == [b"command-invalid"] * 2
        assert {dict(record.headers)["source-topic"] for record in dead} == {
            f"{topics}vehicle.commands".encode()
        }
        assert {record.value for record in dead} == {b"{", b"{}"}
        counted = {
            state: downlink.metric("telltale_downlink_commands_total", state=state)
            for state in ("published", "expired", "undeliverable")
        }
        assert counted == {"published": 30, "expired": 1, "undeliverable": 0}
        assert downlink.metric("telltale_downlink_requested_commands_total") == 33
        assert downlink.metric("telltale_downlink_dead_letters_total") == 2
        assert downlink.terminate() == 0

    asyncio.run(test())


def test_offsets_are_committed_to_the_end_of_a_transaction(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        downlink = await start("downlink").ready()
        name = f"{topics}vehicle.commands"
        async with AIOKafkaProducer(
            bootstrap_servers=kafka.bootstrap, transactional_id=f"{topics}tx"
        ) as producer:
            for commands in ([command("v0", "a")], [command("v1", "b"), command("v0", "c")]):
                async with producer.transaction():
                    for key, value, partition in commands:
                        await producer.send(name, value, key=key, partition=partition)
            await producer.begin_transaction()
            key, value, partition = command("v2", "aborted")
            await producer.send_and_wait(name, value, key=key, partition=partition)
            await producer.abort_transaction()
        found = states(await deliveries(kafka.bootstrap, topics, 3))
        assert found == {"a": ["published"], "b": ["published"], "c": ["published"]}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap, group_id=group_id(topics, "downlink"), enable_auto_commit=False
        )
        await consumer.start()
        try:
            ends = await consumer.end_offsets([TopicPartition(name, n) for n in range(PARTITIONS)])
            async with asyncio.timeout(30):
                for place, end in ends.items():
                    while ((await consumer.committed(place)) or 0) < end:
                        await asyncio.sleep(0.05)
        finally:
            await consumer.stop()
        assert downlink.terminate() == 0

    asyncio.run(test())


async def _all_delivered(
    bootstrap: str, prefix: str, fleet: Fleet, count: int, *, once: bool
) -> list[ConsumerRecord]:
    records = await deliveries(bootstrap, prefix, count)
    found = states(records)
    assert found.keys() == {f"{n}" for n in range(count)}
    assert {state for each in found.values() for state in each} == {"published"}
    if once:
        assert {identity for identity, each in found.items() if len(each) > 1} == set()
    for vehicle, ids in fleet.ids().items():
        expected = [f"{n}" for n in range(count) if n % 5 == int(vehicle[1:])]
        assert ids == expected, f"{vehicle}: order or loss"
    return records


@pytest.mark.faults
def test_killed_again_and_again_every_command_arrives_and_is_recorded_once(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        async with listening(mqtt, topics) as fleet:
            count, downlink = 0, await start("downlink").ready()
            for _ in range(2):
                batch = [command(f"v{n % 5}", f"{n}") for n in range(count, count + 200)]
                count += 200
                await write(kafka.bootstrap, f"{topics}vehicle.commands", batch)
                seen = len(fleet.messages)
                await downlink.until(lambda: len(fleet.messages) > seen + 20, "publishing")  # noqa: B023
                downlink.kill()
                downlink = await start("downlink").ready()
            await _all_delivered(kafka.bootstrap, topics, fleet, count, once=True)
            assert downlink.terminate() == 0

    asyncio.run(test())


@pytest.mark.faults
def test_a_second_downlink_joins_and_leaves_without_loss(
    kafka: KafkaAddress, mqtt: MqttAddress, topics: str, start: Start
) -> None:
    async def test() -> None:
        async with listening(mqtt, topics) as fleet:
            first = await start("downlink").ready()

            async def feed() -> None:
                for n in range(0, 600, 10):
                    batch = [command(f"v{m % 5}", f"{m}") for m in range(n, n + 10)]
                    await write(kafka.bootstrap, f"{topics}vehicle.commands", batch)

            feeding = asyncio.create_task(feed())
            second = await start("downlink").ready()
            await second.until(
                lambda: second.metric("telltale_downlink_sent_messages_total") > 10 or feeding.done(),
                "sharing",
            )
            assert await asyncio.to_thread(first.terminate) == 0
            await feeding
            await _all_delivered(kafka.bootstrap, topics, fleet, 600, once=False)
            assert second.terminate() == 0

    asyncio.run(test())


@pytest.mark.faults
def test_while_the_mqtt_broker_is_away_commands_wait_and_expire(
    kafka: KafkaAddress, own_mqtt: EmbeddedMqtt, topics: str, start: Start
) -> None:
    async def test() -> None:
        downlink = await start("downlink", mqtt_port=own_mqtt.port).ready()
        await asyncio.to_thread(own_mqtt.kill)
        try:
            await write(
                kafka.bootstrap,
                f"{topics}vehicle.commands",
                [command("v0", "short", expires_in_ms=500), command("v0", "long"), command("v1", "other")],
            )
            assert states(await deliveries(kafka.bootstrap, topics, 1)) == {"short": ["expired"]}
            assert "no connection to the MQTT broker" in downlink.get("/readyz")[1]
        finally:
            await asyncio.to_thread(own_mqtt.restart)
        assert states(await deliveries(kafka.bootstrap, topics, 3)) == {
            "short": ["expired"],
            "long": ["published"],
            "other": ["published"],
        }
        assert downlink.terminate() == 0

    asyncio.run(test())


@pytest.mark.faults
def test_a_kafka_killed_and_restarted_costs_no_command(
    own_kafka: EmbeddedKafka, mqtt: MqttAddress, prefix: str, start: Start
) -> None:
    async def test() -> None:
        await create_topics(own_kafka.bootstrap, prefix)
        downlink: Running = await start("downlink", kafka_bootstrap=own_kafka.bootstrap).ready()
        async with listening(mqtt, prefix) as fleet:
            for batch in range(2):
                commands = [command(f"v{n % 5}", f"{n}") for n in range(100 * batch, 100 * batch + 100)]
                await write(own_kafka.bootstrap, f"{prefix}vehicle.commands", commands)
                await downlink.until(lambda: len(fleet.messages) > 10, "publishing")
                if batch == 0:
                    await asyncio.to_thread(own_kafka.kill)
                    await downlink.until(lambda: downlink.get("/readyz")[0] == 503, "saying that it is away")
                    await asyncio.to_thread(own_kafka.restart)
            records = await _all_delivered(own_kafka.bootstrap, prefix, fleet, 200, once=False)
        repeated = [key for key, n in Counter(dict(r.headers)["ce_id"] for r in records).items() if n > 1]
        assert len(repeated) <= 100  # of the round that was under way
        await downlink.ready()
        assert downlink.terminate() == 0

    asyncio.run(test())
