"""What the registry says reaches rules on a real Kafka, and a vehicle is forgotten everywhere."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from aiokafka import AIOKafkaProducer

from pipeline.process.names import changelog_topic
from pipeline.process.partitioning import partition_of
from pipeline.schemas import schema_text
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.fleet import Message
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import PARTITIONS, Installation, wait_until
from tests.e2e.topics import latest, read_topic

pytestmark = pytest.mark.integration

RULES = {"TELLTALE_RULES": str(Path(__file__).parent / "registry")}


class Fleet:
    """An installation, its vehicles, and the people who look after its registry."""

    def __init__(self, kafka: KafkaAddress, installation: Installation, vehicles: Vehicles) -> None:
        self._bootstrap = kafka.bootstrap
        self._installation = installation
        self._vehicles = vehicles

    def vehicles(self, *words: str) -> str:
        done = self._installation.telltale("vehicles", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def say(self, vehicle: str, speed: float) -> None:
        at = time.time_ns() // 1_000_000
        payload = json.dumps({"ts": at, "speed": speed, "lat": 31.23, "lon": 121.47}).encode()
        self._vehicles.publish([Message(vehicle, payload)])

    def write(self, topic: str, partition: int, key: bytes, value: bytes) -> None:
        """Write one record as a program that is not ours would."""

        async def work() -> None:
            async with AIOKafkaProducer(bootstrap_servers=self._bootstrap) as producer:
                name = self._installation.prefix + topic
                await producer.send_and_wait(name, value, key=key, partition=partition)

        asyncio.run(work())

    def records(self, topic: str) -> list[Any]:
        return read_topic(self._bootstrap, self._installation.prefix + topic)

    def alerts(self, vehicle: str) -> list[dict[str, Any]]:
        found = [
            json.loads(one.value) for one in self.records("vehicle.alerts") if one.key == vehicle.encode()
        ]
        schema = jsonschema.Draft202012Validator(json.loads(schema_text("alert.json")))
        for alert in found:
            schema.validate(alert)
        return found

    def told(self, vehicle: str) -> list[tuple[str, str, str | None]]:
        return [(it["rule"], it["state"], it["reason"]) for it in self.alerts(vehicle)]

    def wait_told(self, vehicle: str, expected: list[tuple[str, str, str | None]]) -> None:
        wait_until(lambda: self.told(vehicle) == expected, lambda: f"{expected}, but {self.told(vehicle)}")

    def state(self, stage: str, vehicle: str) -> list[bytes]:
        """The parts of a vehicle's state in a stage's changelog."""
        kept = latest(self.records(changelog_topic(stage)))
        return [key for key in kept if vehicle.encode() + b"\0" in key]


FIRING, OVER = ("fast", "firing", None), ("fast", "resolved", "cleared")


@pytest.mark.timeout(600)
def test_thresholds_of_vehicles_selectors_and_forgetting(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt, **RULES)
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    fleet = Fleet(kafka, installation, vehicles)
    sheet = installation.directory / "fleet.csv"
    sheet.write_text("vehicleId,labels.driver,attributes.limit\ncar-1,Ann,80\ncar-2,Bob,120\n")
    assert fleet.vehicles("import", str(sheet)) == "2 vehicles: 2 new, 0 changed, 0 as before\n"
    installation.start("uplink", "normalize")
    try:
        fleet.say("car-1", 100)
        fleet.say("car-2", 100)
        *_, alerts = installation.start("aggregations", "geofences", "alerts")
        fleet.wait_told("car-1", [FIRING])
        assert fleet.alerts("car-1")[0]["by"] is None, "the registry was read before the message"
        assert fleet.alerts("car-1")[0]["annotations"] == {"summary": "Ann at 100 km/h"}

        fleet.vehicles("set", "car-2", "--attribute", "limit=90")
        fleet.wait_told("car-2", [FIRING])
        assert fleet.alerts("car-2")[0]["by"] == "registry"

        home = partition_of(b"car-2", PARTITIONS)
        fleet.write("vehicle.registry", (home + 1) % PARTITIONS, b"car-2", b'{"attributes": {"limit": 5}}')
        fleet.write("vehicle.registry", home, b"car-2", b'{"attributes": {"limit": null}}')

        def dead() -> set[bytes]:
            headers = [dict(one.headers) for one in fleet.records("vehicle.dead-letter")]
            return {header["code"] for header in headers if header["stage"] == b"alerts"}

        wait_until(lambda: dead() == {b"wrong-partition", b"registry-invalid"}, lambda: f"{dead()}")

        alerts.kill()
        alerts.start().wait_ready()
        fleet.vehicles("set", "car-2", "--attribute", "limit=110", "--label", "kind=truck")
        moving = ("moving-truck", "firing", None)
        fleet.wait_told("car-2", [FIRING, OVER, moving])
        fleet.vehicles("set", "car-2", "--label", "kind=car")
        fleet.wait_told("car-2", [FIRING, OVER, moving, ("moving-truck", "resolved", "deselected")])

        stages = ("normalize", "alerts", "aggregations", "geofences")
        assert all(fleet.state(stage, "car-1") for stage in stages)
        fleet.vehicles("forget", "car-1")
        fleet.wait_told("car-1", [FIRING, ("fast", "resolved", "forgotten")])

        def kept() -> dict[str, list[bytes]]:
            return {stage: parts for stage in stages if (parts := fleet.state(stage, "car-1"))}

        wait_until(lambda: not kept(), lambda: f"{kept()}")
        assert installation.telltale("vehicles", "get", "car-1").returncode == 1

        fleet.say("car-1", 200)
        wait_until(lambda: fleet.state("alerts", "car-1"), "a message begins the vehicle anew")
        assert fleet.told("car-1") == [FIRING, ("fast", "resolved", "forgotten")], "it has no limit any more"
    finally:
        vehicles.close()
