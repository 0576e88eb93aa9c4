"""A backtest over the topics that stages have read says what the stages said, with the same ids."""

import json
import time
from collections import Counter

import pytest

from pipeline.process.names import group_id
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import RULES, Install
from tests.e2e.fleet import drive, interleaved
from tests.e2e.mqtt import Vehicles
from tests.e2e.topics import read_topic, wait_for_group

pytestmark = pytest.mark.integration


def test_a_backtest_and_a_live_run_give_the_same_records(
    kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, install: Install
) -> None:
    installation = install(kafka, mqtt)
    started = installation.start("uplink", "normalize", "alerts")
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    now = time.time_ns() // 1_000_000
    drives = [drive(f"car-{number}", now - 400_000, 200, seed=3) for number in range(8, 14)]
    try:
        vehicles.publish(interleaved(drives))
        for stage, topic in (("normalize", "vehicle.raw"), ("alerts", "vehicle.telemetry")):
            wait_for_group(kafka.bootstrap, group_id(prefix, stage), prefix + topic)
    finally:
        vehicles.close()
    assert [running.drain() for running in started] == [0, 0, 0]
    live = Counter(
        (topic, record.key.decode(), json.dumps(json.loads(record.value), sort_keys=True))
        for topic in ("vehicle.alerts", "vehicle.commands")
        for record in read_topic(kafka.bootstrap, f"{prefix}{topic}")
    )
    assert len(live) > 50
    for source in ("vehicle.telemetry", "vehicle.raw"):
        done = installation.telltale("rules", "backtest", RULES, "--from", source, "--json")
        assert done.returncode == 0, done.stderr
        again = Counter(
            (it["topic"], it["key"], json.dumps(it["value"], sort_keys=True))
            for it in map(json.loads, done.stdout.splitlines())
            if it["topic"] in ("vehicle.alerts", "vehicle.commands")
        )
        assert again == live

    rule, vehicle, state = next(
        (it["rule"], it["vehicleId"], it["state"])
        for it in reversed([json.loads(value) for topic, _, value in live if topic == "vehicle.alerts"])
        if it["rule"] == "hot"
    )
    assert state in ("firing", "resolved")
    told = {}
    for name, more in (("now", []), ("telemetry", ["--from", "vehicle.telemetry"])):
        done = installation.telltale("rules", "explain", rule, vehicle, "--rules", RULES, "--json", *more)
        assert done.returncode == 0, done.stderr
        told[name] = json.loads(done.stdout)
    assert told["now"]["state"] == told["telemetry"]["state"]
    assert told["now"]["moments"] == told["telemetry"]["moments"]
    said = [it for moment in told["now"]["moments"] for it in moment["told"] if "state" in it]
    assert Counter(("vehicle.alerts", vehicle, json.dumps(it, sort_keys=True)) for it in said) == Counter(
        it for it in live if it[:2] == ("vehicle.alerts", vehicle) and f'"rule": "{rule}"' in it[2]
    )


def test_a_topic_that_does_not_exist_is_named(
    kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, install: Install
) -> None:
    installation = install(kafka, mqtt)
    installation.environment["TELLTALE_PREFIX"] = f"{prefix}nowhere."
    done = installation.telltale("rules", "backtest", RULES, "--from", "vehicle.telemetry")
    assert done.returncode == 2
    assert f"there is no topic {prefix}nowhere.vehicle.telemetry" in done.stderr
