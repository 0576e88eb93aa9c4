"""What the workers of a stage say comes back to the resources: who runs a rule, and what fires."""

import json
import time
from pathlib import Path

import pytest

from tests.controlplane.client import wait_until
from tests.e2e.processes import Running
from tests.e2e.topics import write_records
from tests.k8s.resources.conftest import Rules

pytestmark = pytest.mark.integration

FIRST = """
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: first}
spec: {timestamp: {path: ts}, signals: {}}
"""


def alerts(rules: Rules, here: Path) -> Running:
    """A worker of the stage alerts, of this installation."""
    first = here / "first.yaml"  # what it runs until there is a revision
    first.write_text(FIRST)
    environment = {
        "TELLTALE_RULES": str(first),
        "TELLTALE_KAFKA_BOOTSTRAP": rules.settings.kafka.bootstrap,
        "TELLTALE_PREFIX": rules.settings.prefix,
        "TELLTALE_PARTITIONS": "1",
        "TELLTALE_CLIENT_ID": "alerts-0",
        "TELLTALE_HTTP_PORT": "0",
        "TELLTALE_LOG_FORMAT": "json",
    }
    return Running("alerts", environment, here)


def say(rules: Rules, vehicle: str, speed: float) -> None:
    """What normalize would write of a vehicle's message."""
    now = time.time_ns() // 1_000_000
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1000)) + f".{now % 1000:03d}Z"
    record = {"vehicleId": vehicle, "ts": stamp, "receivedAt": stamp, "signals": {"Vehicle.Speed": speed}}
    topic = f"{rules.settings.prefix}vehicle.telemetry"
    write_records(rules.settings.kafka.bootstrap, topic, [(vehicle.encode(), json.dumps(record).encode())])


def test_a_rule_is_ready_when_every_worker_runs_it_and_tells_what_fires(
    rules: Rules, tenants: list[str], tmp_path: Path
) -> None:
    acme, umbra = tenants
    rules.catalog()
    worker = alerts(rules, tmp_path).start()
    try:
        with rules.operator() as operator:
            rules.apply("AlertRule", "fast", {"when": "speed > 100"}, acme)
            rules.apply("AlertRule", "fast", {"when": "speed > 100"}, umbra)
            status = rules.wait_condition("Ready", "True", "Running", "AlertRule", "fast", acme)
            assert (status["workers"], status["firing"]) == ("1/1", 0)
            say(rules, f"{acme}/v1", 120.0)
            say(rules, "v2", 120.0)
            wait_until(lambda: rules.status("AlertRule", "fast", acme)["firing"] == 1, within=60)
            assert rules.status("AlertRule", "fast", umbra)["firing"] == 0

            rules.apply("AlertRule", "fast", {"when": "speed > 110"}, acme)
            before = status["revision"]
            status = rules.wait_condition("Ready", "True", "Running", "AlertRule", "fast", acme)
            assert status["revision"] > before
            assert rules.status("AlertRule", "fast", umbra)["revision"] == before

            user = f"system:serviceaccount:{rules.namespace}:operator"
            mark = rules.cluster.mark()
            time.sleep(5)
            asked = rules.cluster.calls(mark, user=user)
            assert not [call for call in asked if call.verb != "watch" and call.resource != "leases"]
            assert operator.lives
    finally:
        worker.kill()
