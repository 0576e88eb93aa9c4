"""The real brokers of a test run, and the wheel: one pair and one wheel for all tests.

Started when the first test asks. `tests/brokers.py` keeps a pair running between runs: its two variables,
exported, make these fixtures use that pair.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, settings

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt

ROOT = Path(__file__).parent.parent

# No law fails by the clock: a busy machine is no counter-example.
settings.register_profile("telltale", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("telltale")

pytest.register_assert_rewrite("tests.e2e.verdict", "tests.e2e.topics", "tests.e2e.processes")


SLOW = ("k8s", "e2e", "demo", "runtime", "bridges", "embedded", "backtest", "stages", "engine")
"""Folders whose files take long, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: a long one at the end would leave the other workers idle."""

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        return SLOW.index(folder) if folder in SLOW else len(SLOW)

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What tests have measured with `record_property`."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


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


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", directory],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in a directory of its own; what it depends on comes from this environment."""
    directory = tmp_path_factory.mktemp("installed")
    words = ["install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run(
        [sys.executable, "-m", "pip", *words, "--target", directory, wheel], check=True, capture_output=True
    )
    return directory
