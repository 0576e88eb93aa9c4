"""One test's own topics, MQTT topics and processes on the shared brokers."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt
from tests.bridges.processes import Running
from tests.bridges.topics import PARTITIONS, create_topics
from tests.conftest import KafkaAddress, MqttAddress

Start = Callable[..., Running]


@pytest.fixture
def topics(kafka: KafkaAddress, prefix: str) -> str:
    """The prefix, after its topics were made."""
    asyncio.run(create_topics(kafka.bootstrap, prefix))
    return prefix


@pytest.fixture
def start(kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, tmp_path: Path) -> Iterator[Start]:
    """Start a process of this test's own installation; all are ended with the test."""
    started: list[Running] = []
    number = itertools.count()

    def begin(name: str, **settings: object) -> Running:
        root, this = prefix.rstrip("."), next(number)
        defaults: dict[str, object] = {
            "prefix": prefix,
            "partitions": PARTITIONS,
            "client_id": f"{name}-{this}",
            "kafka_bootstrap": kafka.bootstrap,
            "mqtt_host": mqtt.host,
            "mqtt_port": mqtt.port,
        }
        if name == "uplink":
            defaults["uplink_telemetry_topics"] = f"{root}/{{vehicle_id}}/telemetry"
            defaults["uplink_response_topics"] = f"{root}/{{vehicle_id}}/responses"
        else:
            defaults["downlink_command_topic"] = f"{root}/{{vehicle_id}}/commands/{{name}}"
            defaults["downlink_response_topic"] = f"{root}/{{vehicle_id}}/responses"
        running = Running(name, tmp_path / f"{name}-{this}.log", **(defaults | settings))
        started.append(running)
        return running

    yield begin
    for running in started:
        running.kill()


@pytest.fixture(scope="session")
def own_kafka() -> Iterator[EmbeddedKafka]:
    """A Kafka that these tests may stop and kill; whoever does leaves it running."""
    with EmbeddedKafka() as broker:
        yield broker


@pytest.fixture(scope="session")
def own_mqtt() -> Iterator[EmbeddedMqtt]:
    """An MQTT broker that these tests may stop and kill; whoever does leaves it running."""
    with EmbeddedMqtt() as broker:
        yield broker
