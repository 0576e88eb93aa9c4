"""A candidate on a running installation: for a share of the vehicles, promoted, and taken back by itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rules.engine.rollouts import Rollout
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.processes import wait_until
from tests.e2e.test_live_rules import CATALOG, Run, alert
from tests.e2e.topics import read_topic

pytestmark = pytest.mark.integration

VEHICLES = [f"v{number}" for number in range(12)]
TAKEN = [vehicle for vehicle in VEHICLES if Rollout(50.0).takes(vehicle)]
LEFT = [vehicle for vehicle in VEHICLES if not Rollout(50.0).takes(vehicle)]


def records(kafka: KafkaAddress, prefix: str, topic: str) -> list[dict[str, Any]]:
    found = read_topic(kafka.bootstrap, f"{prefix}{topic}")
    return [json.loads(it.value) for it in sorted(found, key=lambda it: it.offset)]


def test_a_candidate_acts_for_its_share_and_is_promoted_or_taken_back(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install, tmp_path: Path
) -> None:
    installation = install(kafka, mqtt)
    run = Run(installation, kafka, mqtt, tmp_path)

    def fires() -> set[str]:
        """The vehicles of which a reader of vehicle.alerts believes that an alert fires."""
        firing: dict[str, str] = {}
        for it in run.alerts():
            if it["state"] == "firing":
                firing[it["id"]] = it["vehicleId"]
            else:
                firing.pop(it["id"], None)
        return set(firing.values())

    def said() -> dict[str, Any]:
        return records(kafka, installation.prefix, "telltale.rule-status")[-1]

    def speak(speed: float) -> None:
        for vehicle in VEHICLES:
            run.say(vehicle, speed)

    try:
        strict = run.file("strict.yaml", CATALOG, alert("fast", "when: speed > 100"))
        refused = run.telltale("apply", strict, "--percent", "50", code=2)
        assert "apply the rules without it first" in refused
        run.telltale("apply", strict)
        installation.start("uplink", "normalize", "alerts")
        run.wait_revision(1, "alerts")
        speak(80.0)

        looser = run.file("looser.yaml", alert("fast", "when: speed > 60"))
        run.telltale("apply", looser, "--percent", "50")
        run.wait_revision(2, "alerts")
        speak(80.0)
        wait_until(lambda: fires() == set(TAKEN), lambda: f"{TAKEN} fire; there are {run.alerts()}")
        speak(120.0)
        wait_until(lambda: fires() == set(VEHICLES), lambda: f"all fire; there are {run.alerts()}")
        shadows = records(kafka, installation.prefix, "telltale.shadow")
        assert {it["vehicleId"] for it in shadows} == set(TAKEN)
        assert {(it["track"], it["revision"]) for it in shadows} == {("stable", 1)}
        by_vehicle = {it["vehicleId"]: it["revision"] for it in run.alerts()}
        assert by_vehicle == {vehicle: 2 if vehicle in TAKEN else 1 for vehicle in VEHICLES}
        wait_until(
            lambda: said().get("firing") == {"fast": len(VEHICLES)} and said()["stable"] == 1,
            lambda: f"the status tells what fires: {said()}",
        )
        assert said()["comparison"]["candidate"]["events"] >= len(TAKEN)

        run.telltale("promote", "-m", "looks good")
        run.wait_revision(3, "alerts")
        speak(80.0)
        before = len(run.alerts())
        speak(50.0)
        wait_until(lambda: not fires(), lambda: f"nothing fires; there are {run.alerts()[before:]}")
        assert {it["reason"] for it in run.alerts() if it["state"] == "resolved"} == {"cleared"}

        limits = "spec: {percent: 100, rollBackIf: {afterEvents: 10, fireRatioAbove: 2}}\n"
        rollout = f"apiVersion: telltale.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: rollout}}\n{limits}"
        run.telltale("apply", run.file("wild.yaml", alert("fast", "when: speed > 20"), rollout))
        run.wait_revision(4, "alerts")
        speak(50.0)
        run.wait_revision(5, "alerts")
        wait_until(lambda: not fires(), lambda: f"all is taken back; there are {run.alerts()}")
        newest = json.loads(run.telltale("history", "--json").splitlines()[0])
        assert newest["author"] == "telltale"
        assert re.search(r"it fired 1\d times, the stable 0, over", newest["message"])
        assert "rolledBack" in {it["reason"] for it in run.alerts()}
    finally:
        run.close()
