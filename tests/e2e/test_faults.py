"""No alert missing, none twice, every state right: while workers, bridges and brokers die and come back."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import RULES, Install
from tests.e2e.fleet import Drive, drive, interleaved
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import Installation, wait_until
from tests.e2e.topics import read_topic
from tests.e2e.verdict import assert_exactly_once, assert_state, wait_drained

pytestmark = [pytest.mark.integration, pytest.mark.faults]

SECONDS = 400


def _drives(seed: int) -> list[Drive]:
    start = time.time_ns() // 1_000_000 - (SECONDS + 60) * 1000
    return [drive(f"car-{number}", start, SECONDS, seed) for number in range(8, 16)]


class Load:
    """A fleet that goes on publishing while a test breaks things."""

    def __init__(self, vehicles: Vehicles, drives: Sequence[Drive], per_second: float) -> None:
        self._thread = threading.Thread(target=self._run, args=(vehicles, drives, per_second), daemon=True)
        self.published = 0
        self._thread.start()

    def _run(self, vehicles: Vehicles, drives: Sequence[Drive], per_second: float) -> None:
        self.published = vehicles.publish(interleaved(drives), per_second=per_second)

    def is_over(self) -> bool:
        return not self._thread.is_alive()


@contextmanager
def _under_load(
    installation: Installation, kafka: KafkaAddress, mqtt: MqttAddress, seed: int
) -> Iterator[Load]:
    """Publish while the block breaks things; afterwards everything must have been said exactly once."""
    drives = _drives(seed)
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    try:
        load = Load(vehicles, drives, per_second=160)
        yield load
        wait_until(load.is_over, "the fleet has published everything", 180)
        wait_drained(kafka.bootstrap, installation.prefix)
        counted = assert_exactly_once(kafka.bootstrap, installation.prefix, drives)
        assert_state(kafka.bootstrap, installation.prefix, drives, RULES)
        assert counted["uplinked"] >= counted["published"] == load.published
    finally:
        vehicles.close()


def _alerts(kafka: KafkaAddress, installation: Installation) -> Callable[[], int]:
    return lambda: len(read_topic(kafka.bootstrap, f"{installation.prefix}vehicle.alerts"))


def test_the_alerts_worker_killed_at_several_moments_while_a_second_comes_and_goes(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt)
    installation.start("uplink", "normalize", "downlink")
    (first,) = installation.start("alerts")
    second = installation.process("alerts@2")
    said = _alerts(kafka, installation)
    with _under_load(installation, kafka, mqtt, seed=2):
        wait_until(lambda: said() > 10, "alerts come")
        first.kill()
        first.start().wait_ready()
        second.start().wait_ready()
        before = said()
        wait_until(lambda: said() > before, "alerts go on with two workers")
        second.kill()
        first.wait_ready()
        second.start().wait_ready()
        assert second.drain() == 0
        first.kill()
        first.start().wait_ready()


@pytest.mark.parametrize("point", ["begin", "produced"])
def test_a_kill_inside_an_open_transaction(
    point: str, kafka: KafkaAddress, mqtt: MqttAddress, install: Install, tmp_path: Path
) -> None:
    hit = tmp_path / "hit"
    installation = install(kafka, mqtt)
    installation.start("uplink", "normalize", "downlink")
    doomed = installation.process(
        "alerts",
        TELLTALE_TESTING="1",
        TELLTALE_FAILPOINTS=f"{point}:12",
        TELLTALE_FAILPOINT_FILE=str(hit),
    )
    with _under_load(installation, kafka, mqtt, seed=3):
        doomed.start()
        assert doomed.wait() == -signal.SIGKILL
        assert point in hit.read_text()
        installation.start("alerts")


def test_a_worker_stopped_past_its_session_time_out_and_continued(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt)
    installation.start("uplink", "normalize", "downlink")
    first, second = installation.start("alerts", "alerts@2")
    said = _alerts(kafka, installation)
    with _under_load(installation, kafka, mqtt, seed=4):
        wait_until(lambda: said() > 10, "alerts come")
        first.signal(signal.SIGSTOP)
        time.sleep(14)  # what is tested is that this much time passes: the session's time-out is 10 s
        first.signal(signal.SIGCONT)
        first.wait_ready()
        second.wait_ready()


def test_the_uplink_killed_and_normalize_killed(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt)
    uplink, normalize, *_ = installation.start("uplink", "normalize", "downlink", "alerts")
    said = _alerts(kafka, installation)
    with _under_load(installation, kafka, mqtt, seed=5):
        for doomed in (uplink, normalize, uplink):
            before = said()
            wait_until(lambda before=before: said() > before + 5, "alerts come")
            doomed.kill()
            doomed.start().wait_ready()


def test_either_broker_restarted(install: Install) -> None:
    with EmbeddedKafka() as kafka_broker, EmbeddedMqtt() as mqtt_broker:
        kafka = KafkaAddress(kafka_broker.bootstrap)
        mqtt = MqttAddress(mqtt_broker.host, mqtt_broker.port)
        installation = install(kafka, mqtt)
        started = installation.start("uplink", "normalize", "downlink", "alerts")
        said = _alerts(kafka, installation)
        with _under_load(installation, kafka, mqtt, seed=6):
            wait_until(lambda: said() > 10, "alerts come")
            mqtt_broker.kill()
            mqtt_broker.restart()
            before = said()
            wait_until(lambda: said() > before + 5, "alerts go on after the MQTT broker's restart")
            kafka_broker.kill()
            kafka_broker.restart()
            for running in started:
                running.wait_ready()
