"""The real brokers of a test run: one pair for all tests, each test with its own prefix.

Started when the first test asks. `tests/brokers.py` keeps a pair running between runs: its two variables,
exported, make these fixtures use that pair.
"""

import os
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt

pytest.register_assert_rewrite("tests.e2e.verdict", "tests.e2e.topics", "tests.e2e.processes")


class KafkaAddress(NamedTuple):
    """Where the Kafka of this run is."""

    bootstrap: str


class MqttAddress(NamedTuple):
    """Where the MQTT broker of this run is."""

    host: str
    port: int


@pytest.fixture(scope="session")
def kafka() -> Iterator[KafkaAddress]:
    """A real Kafka that all tests share; a test that breaks its broker starts its own."""
    if address := os.environ.get("TELLTALE_TEST_KAFKA"):
        yield KafkaAddress(address)
        return
    with EmbeddedKafka() as broker:
        yield KafkaAddress(broker.bootstrap)


@pytest.fixture(scope="session")
def mqtt() -> Iterator[MqttAddress]:
    """A real MQTT broker that all tests share; a test that breaks its broker starts its own."""
    if address := os.environ.get("TELLTALE_TEST_MQTT"):
        host, _, port = address.rpartition(":")
        yield MqttAddress(host, int(port))
        return
    with EmbeddedMqtt() as broker:
        yield MqttAddress(broker.host, broker.port)


@pytest.fixture
def prefix() -> str:
    """What this test's topics, groups and transactional ids begin with: nobody else's do."""
    return f"t{uuid.uuid4().hex[:10]}."
