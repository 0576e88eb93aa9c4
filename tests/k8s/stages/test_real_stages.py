"""The stages that the operator writes, as real processes, are scaled, upgraded and spoilt under load.

Through all of it every alert is said once, and every state is that of the newest message.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import KafkaAddress, MqttAddress
from tests.controlplane.cluster import Cluster
from tests.controlplane.kubelet import ProcessKubelet
from tests.controlplane.pods import Image
from tests.e2e.conftest import RULES
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import PARTITIONS, Installation
from tests.e2e.verdict import assert_exactly_once, assert_state, wait_drained
from tests.k8s.stages.load import Load, Output, drives
from tests.k8s.stages.world import World

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

WORSE = Path(__file__).parent / "worse"


@pytest.fixture
def world(
    control_plane: Cluster,
    process_node: ProcessKubelet,
    process_namespace: str,
    kafka: KafkaAddress,
    prefix: str,
    tmp_path: Path,
) -> Iterator[World]:
    root = prefix.rstrip(".")
    environment = {
        "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TELLTALE_UPLINK_TELEMETRY_TOPICS": root + "/{vehicle_id}/telemetry",
        "TELLTALE_UPLINK_RESPONSE_TOPICS": root + "/{vehicle_id}/responses",
        "TELLTALE_DOWNLINK_COMMAND_TOPIC": root + "/{vehicle_id}/commands/{name}",
        "TELLTALE_DOWNLINK_RESPONSE_TOPIC": root + "/{vehicle_id}/responses",
        "TELLTALE_PREFIX": prefix,
        "TELLTALE_PARTITIONS": str(PARTITIONS),
    }
    process_node.images["4"] = Image({"PYTHONPATH": str(WORSE)})
    world = World(control_plane, process_node, process_namespace, Installation(environment, tmp_path, root))
    world.install_operator()
    yield world
    control_plane.kubectl(
        "delete", "rulepipeline/fleet", "-n", process_namespace, "--timeout=60s", "--ignore-not-found"
    )
    control_plane.helm("uninstall", "telltale", "-n", process_namespace)


def test_every_alert_is_said_once_while_stages_are_scaled_upgraded_and_spoilt(
    world: World,
    kafka: KafkaAddress,
    mqtt: MqttAddress,
    prefix: str,
    record_property: Callable[[str, object], None],
) -> None:
    world.create(kafka, mqtt)
    fleet = drives(seed=8)
    vehicles = Vehicles(mqtt.host, mqtt.port, prefix.rstrip("."))
    output = Output(kafka.bootstrap, f"{prefix}vehicle.alerts")
    load = Load(vehicles, fleet, per_second=60)
    try:
        world.wait(lambda: len(output) > 20, "alerts come")

        def step(name: str, *actions: Callable[[], None]) -> None:
            with output.silence() as silence:
                for action in actions:
                    action()
                came = len(output)
                world.wait(lambda: len(output) > came + 5, f"alerts come after: {name}")
            record_property(f"alerts during: {name}", str(silence))
            assert load.is_on, "the fleet drives longer than the test takes"

        step("alerts scaled from 1 to 3", lambda: world.scale("alerts", 3))
        assert world.condition("Ready")["status"] == "True"
        step("alerts scaled from 3 to 1", lambda: world.scale("alerts", 1))

        step(
            "rolling upgrade of all stages",
            lambda: world.edit(image="example/telltale:2"),
            lambda: world.wait(lambda: world.is_up() and world.images() == {"2"}, "all stages are upgraded"),
        )

        step(
            "an image that cannot be pulled",
            lambda: world.edit(image="example/telltale:bad", upgrade={"progressDeadline": "10s"}),
            lambda: world.wait(lambda: "bad" in world.images(), "it is tried"),
            lambda: world.wait(
                lambda: world.condition("Degraded").get("reason") == "RolledBack", "it is told"
            ),
            lambda: world.wait(lambda: world.images() == {"2"}, "nothing tries it any more"),
        )
        assert world.images() == {"2"}
        assert world.condition("Ready")["status"] == "True"
        step(
            "a good image after it",
            lambda: world.edit(image="example/telltale:3", upgrade={"progressDeadline": "90s"}),
            lambda: world.wait(lambda: world.is_up() and world.images() == {"3"}, "it gets out of it"),
        )

        canary = {"replicas": 1, "for": "60s", "checks": {"minRecords": 50}}
        step(
            "a version that throws good messages away, taken back by its canary",
            lambda: world.edit(image="example/telltale:4", stages={"normalize": {"canary": canary}}),
            lambda: world.wait(
                lambda: world.status.get("canary", {}).get("state") == "RolledBack", "it is rolled back"
            ),
            lambda: world.wait(lambda: world.images() == {"3"}, "the old version runs"),
        )
        assert "errors are" in world.status["canary"]["message"]

        load.finish()
        wait_drained(kafka.bootstrap, prefix)
        counted = assert_exactly_once(kafka.bootstrap, prefix, fleet)
        assert_state(kafka.bootstrap, prefix, fleet, RULES)
        assert counted["uplinked"] >= load.published

        others = {"geofences": None, "aggregations": None, "normalize": {"canary": None}}
        world.edit(image="example/telltale:3", stages=others)
        world.wait(lambda: world.is_up() and world.status["readyStages"] == "6/6", "all stages are up")
    finally:
        vehicles.close()
        output.close()
