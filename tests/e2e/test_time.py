"""Time without messages: timers end on time while an uplink lives, and none ends while it is dead."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from rules.instants import format_instant
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.fleet import Message
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import Installation, wait_until
from tests.e2e.topics import read_topic

pytestmark = pytest.mark.integration

HOLD_MS = 3_000
KEEP_MS = 2_000
RULES = {
    "TELLTALE_RULES": str(Path(__file__).parent / "time"),
    "TELLTALE_PARTITIONS": "1",  # so that all vehicles share their partition, and its clock
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Scene:
    """An installation whose vehicles say what the test tells them."""

    def __init__(self, kafka: KafkaAddress, installation: Installation, vehicles: Vehicles) -> None:
        self._bootstrap = kafka.bootstrap
        self._prefix = installation.prefix
        self._vehicles = vehicles

    def say(self, vehicle: str, **signals: float) -> int:
        """Send one message over MQTT; its event time."""
        at = now_ms()
        self.say_at(at, vehicle, **signals)
        return at

    def say_at(self, at: int, vehicle: str, **signals: float) -> None:
        """Send one message, with a time of the test's choice, to the MQTT broker."""
        self._vehicles.publish([Message(vehicle, json.dumps({"ts": at, **signals}).encode())])

    def write(self, vehicle: str, **signals: float) -> None:
        """Write one message to Kafka, as another uplink would."""
        asyncio.run(self._write(vehicle, json.dumps({"ts": now_ms(), **signals}).encode()))

    async def _write(self, vehicle: str, payload: bytes) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self._bootstrap) as producer:
            await producer.send_and_wait(f"{self._prefix}vehicle.raw", payload, key=vehicle.encode())

    def telemetry(self) -> list[Any]:
        """The partition's log, ticks included."""
        return read_topic(self._bootstrap, f"{self._prefix}vehicle.telemetry")

    def heard(self, vehicle: str) -> bool:
        return any(record.key == vehicle.encode() for record in self.telemetry())

    def alerts(self, vehicle: str, state: str) -> list[dict[str, Any]]:
        values = (
            json.loads(one.value) for one in read_topic(self._bootstrap, f"{self._prefix}vehicle.alerts")
        )
        return [one for one in values if (one["vehicleId"], one["state"]) == (vehicle, state)]

    def wait_for_alert(self, vehicle: str, state: str) -> dict[str, Any]:
        wait_until(lambda: self.alerts(vehicle, state), f"an alert of {vehicle} is {state}")
        (alert,) = self.alerts(vehicle, state)
        return alert


@contextmanager
def scene(kafka: KafkaAddress, mqtt: MqttAddress, installation: Installation) -> Iterator[Scene]:
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    try:
        yield Scene(kafka, installation, vehicles)
    finally:
        vehicles.close()


def noticed_at(log: Sequence[Any], vehicle: str, number: int, silence_ms: int) -> int | None:
    """The receivedAt of the tick that must notice so much silence after the vehicle's message `number`.

    Computed from the log alone: the time between two ticks, and one second where it is more than five.
    """
    ticked, alive, messages = 0, 0, 0
    since: int | None = None
    for record in log:
        if record.key == vehicle.encode():
            messages += 1
            since = alive if messages == number else None
        elif record.key is None and record.timestamp > ticked:
            passed = record.timestamp - ticked if ticked else 0
            ticked = record.timestamp
            alive += passed if passed <= 5_000 else 1_000
            if since is not None and alive - since > silence_ms:
                return ticked
    return None


def test_timers_of_a_silent_vehicle_end_on_time_while_the_uplink_lives(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    quiet_ms = 2_000
    installation = install(kafka, mqtt, TELLTALE_QUIET_AFTER="2s", **RULES)
    installation.start("uplink", "normalize", "alerts")
    with scene(kafka, mqtt, installation) as stage:
        begun = stage.say("v1", coolant=120)
        fired = stage.wait_for_alert("v1", "firing")
        assert (fired["rule"], fired["by"]) == ("hot", "silence")
        assert fired["startsAt"] == format_instant(begun)
        assert fired["firedAt"] == format_instant(begun + HOLD_MS)
        expected = noticed_at(stage.telemetry(), "v1", 1, quiet_ms + HOLD_MS)
        assert expected is not None
        assert fired["receivedAt"] == format_instant(expected)

        cooled = stage.say("v1", coolant=90)
        resolved = stage.wait_for_alert("v1", "resolved")
        assert (resolved["id"], resolved["by"], resolved["reason"]) == (fired["id"], "silence", "cleared")
        assert resolved["endsAt"] == format_instant(cooled + KEEP_MS)
        expected = noticed_at(stage.telemetry(), "v1", 2, quiet_ms + KEEP_MS)
        assert expected is not None
        assert resolved["receivedAt"] == format_instant(expected)


@pytest.mark.faults
def test_a_dead_uplink_makes_no_vehicle_silent_and_its_backlog_counts_as_if_it_had_come_in_time(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    quiet_ms = 6_000  # time enough to kill the uplink in
    installation = install(kafka, mqtt, TELLTALE_QUIET_AFTER="6s", **RULES)
    uplink, _, _ = installation.start("uplink", "normalize", "alerts")
    with scene(kafka, mqtt, installation) as stage:
        begun = stage.say("silent", coolant=120)
        stage.say_at(begun, "speaking", coolant=120)
        wait_until(lambda: stage.heard("silent") and stage.heard("speaking"), "both are in the log")
        uplink.kill()
        # The broker keeps this: it was hot for a second, and is hot again since the fourth.
        stage.say_at(begun + 1_000, "speaking", coolant=90)
        stage.say_at(begun + 4_000, "speaking", coolant=120)
        # What is tested is that this much time passes, and that the partition gets on meanwhile.
        over = begun + quiet_ms + HOLD_MS + 2_000
        wait_until(lambda: now_ms() > over, "the hold is long over")
        stage.write("witness", speed=130)
        assert stage.wait_for_alert("witness", "firing")["receivedAt"] > format_instant(over)
        assert noticed_at(stage.telemetry(), "silent", 1, quiet_ms + HOLD_MS) is None
        assert stage.alerts("silent", "firing") == stage.alerts("speaking", "firing") == []

        uplink.start().wait_ready()
        for vehicle, since, messages in (("silent", begun, 1), ("speaking", begun + 4_000, 3)):
            fired = stage.wait_for_alert(vehicle, "firing")
            assert (fired["by"], fired["startsAt"]) == ("silence", format_instant(since))
            assert fired["firedAt"] == format_instant(since + HOLD_MS)
            expected = noticed_at(stage.telemetry(), vehicle, messages, quiet_ms + HOLD_MS)
            assert expected is not None
            assert fired["receivedAt"] == format_instant(expected)
        assert stage.alerts("silent", "resolved") == stage.alerts("speaking", "resolved") == []
