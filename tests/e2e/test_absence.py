"""Silence on real brokers: told once although the stage dies in it, and never because an uplink is dead."""

from pathlib import Path

import pytest

from rules.instants import format_instant, parse_instant
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.processes import wait_until
from tests.e2e.test_time import Scene, noticed_at, now_ms, scene

pytestmark = [pytest.mark.integration, pytest.mark.faults]

DURATION_MS = 6_000
RULES = {"TELLTALE_RULES": str(Path(__file__).parent / "absence"), "TELLTALE_PARTITIONS": "1"}


def received(stage: Scene, vehicle: str) -> list[int]:
    """When the uplink got the vehicle's messages."""
    return [record.timestamp for record in stage.telemetry() if record.key == vehicle.encode()]


def test_a_silence_is_told_once_although_the_stage_dies_in_the_middle_of_it(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt, **RULES)
    _, _, alerts = installation.start("uplink", "normalize", "alerts")
    with scene(kafka, mqtt, installation) as stage:
        stage.say("v1", speed=50)
        wait_until(lambda: stage.heard("v1"), "it is in the log")
        (heard,) = received(stage, "v1")
        alerts.kill()
        alerts.start().wait_ready()
        fired = stage.wait_for_alert("v1", "firing")
        assert (fired["rule"], fired["by"]) == ("silent", "silence")
        assert fired["startsAt"] == format_instant(heard)
        assert fired["firedAt"] == format_instant(heard + DURATION_MS)
        assert fired["annotations"] == {"summary": "v1 was last at 50"}
        expected = noticed_at(stage.telemetry(), "v1", 1, DURATION_MS)
        assert expected is not None
        # The tick before the one that has passed its date too.
        assert 0 <= parse_instant(fired["receivedAt"]) - expected <= 2_000

        alerts.kill()
        alerts.start().wait_ready()
        stage.say("v1", speed=60)
        resolved = stage.wait_for_alert("v1", "resolved")
        _, back = received(stage, "v1")
        assert (resolved["id"], resolved["reason"], resolved["by"]) == (fired["id"], "cleared", None)
        assert resolved["endsAt"] == format_instant(back)
        assert len(stage.alerts("v1", "firing")) == 1


def test_a_dead_uplink_makes_no_vehicle_absent(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install
) -> None:
    installation = install(kafka, mqtt, **RULES)
    uplink, _, _ = installation.start("uplink", "normalize", "alerts")
    with scene(kafka, mqtt, installation) as stage:
        begun = stage.say("v1", speed=50)
        wait_until(lambda: stage.heard("v1"), "it is in the log")
        uplink.kill()
        over = begun + 2 * DURATION_MS
        wait_until(lambda: now_ms() > over, "the duration is long over")
        stage.write("witness", speed=130)
        wait_until(lambda: stage.heard("witness"), "the partition went on meanwhile")
        assert stage.alerts("v1", "firing") == []
        uplink.start().wait_ready()
        fired = stage.wait_for_alert("v1", "firing")
        (heard,) = received(stage, "v1")
        assert fired["startsAt"] == format_instant(heard)
        assert parse_instant(fired["firedAt"]) > over, "what nobody could hear is no silence"
