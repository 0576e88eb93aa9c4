"""An installation of its own for each test, on the brokers that all share."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.process.settings import KafkaSettings, ProcessSettings
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.processes import PARTITIONS, Installation
from tests.e2e.topics import create_topics

RULES = str(Path(__file__).parent / "rules")

Install = Callable[..., Installation]


@pytest.fixture
def install(prefix: str, tmp_path: Path) -> Iterator[Install]:
    """Topics and settings on the given brokers; its processes are killed at the end of the test."""
    made: list[Installation] = []

    def _install(kafka: KafkaAddress, mqtt: MqttAddress, **more: str) -> Installation:
        root = prefix.rstrip(".")
        installation = Installation(
            {
                "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
                "TELLTALE_MQTT_HOST": mqtt.host,
                "TELLTALE_MQTT_PORT": str(mqtt.port),
                "TELLTALE_UPLINK_TELEMETRY_TOPICS": root + "/{vehicle_id}/telemetry",
                "TELLTALE_UPLINK_RESPONSE_TOPICS": root + "/{vehicle_id}/responses",
                "TELLTALE_DOWNLINK_COMMAND_TOPIC": root + "/{vehicle_id}/commands/{name}",
                "TELLTALE_DOWNLINK_RESPONSE_TOPIC": root + "/{vehicle_id}/responses",
                "TELLTALE_PREFIX": prefix,
                "TELLTALE_PARTITIONS": str(PARTITIONS),
                "TELLTALE_RULES": RULES,
                "TELLTALE_QUIET_AFTER": "5m",
                "TELLTALE_LOG_FORMAT": "json",
                **more,
            },
            tmp_path,
            root,
        )
        made.append(installation)
        said = installation.environment
        settings = ProcessSettings(
            prefix=prefix,
            partitions=int(said["TELLTALE_PARTITIONS"]),
            kafka=KafkaSettings(bootstrap=kafka.bootstrap),
        )
        create_topics(settings, Path(said["TELLTALE_RULES"]))
        return installation

    yield _install
    for installation in made:
        installation.stop()
