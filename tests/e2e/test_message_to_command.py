"""A known input over MQTT; the alerts and commands that a plain recomputation expects, compared exactly."""

import json
import time

import pytest

from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import RULES, Install
from tests.e2e.fleet import drive, interleaved
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import wait_until
from tests.e2e.topics import read_topic
from tests.e2e.verdict import assert_exactly_once, assert_state, wait_drained

STAGES = ("uplink", "normalize", "alerts", "downlink")

pytestmark = pytest.mark.integration


def test_every_alert_and_command_is_the_one_that_a_recomputation_expects(
    kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, install: Install
) -> None:
    installation = install(kafka, mqtt)
    started = installation.start(*STAGES)
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    now = time.time_ns() // 1_000_000
    drives = [drive(f"car-{number}", now - 400_000, 300, seed=1) for number in range(8, 16)]
    try:
        published = vehicles.publish(interleaved(drives))
        wait_drained(kafka.bootstrap, prefix)
        counted = assert_exactly_once(kafka.bootstrap, prefix, drives)
        assert_state(kafka.bootstrap, prefix, drives, RULES)
        assert published == counted["uplinked"]
        assert counted["dead"] == sum(one.dead for one in drives)
        duplicates = sum(one.duplicates for one in drives)
        assert counted["uplinked"] == counted["normalized"] + duplicates + counted["dead"]
        assert counted["alerts"] > 100
        requested = {
            json.loads(record.value)["id"]
            for record in read_topic(kafka.bootstrap, f"{prefix}vehicle.commands")
        }
        wait_until(lambda: len(vehicles.commands) >= len(requested), "every command came")
        assert {identity for identity, _, _ in vehicles.commands} == requested
        assert len(vehicles.commands) == len(requested)
        assert all(json.loads(payload)["limit"] == 110 for _, _, payload in vehicles.commands)
    finally:
        vehicles.close()
    assert [running.drain() for running in started] == [0, 0, 0, 0]
