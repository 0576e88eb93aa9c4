"""Rules change on a running installation: no restart, no state lost; of two changes at once one is told."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.fleet import Message
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import Installation, wait_until
from tests.e2e.topics import read_topic, write_records

pytestmark = pytest.mark.integration

CATALOG = """\
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec: {timestamp: {path: ts}, sequence: {path: seq}, signals: {Vehicle.Speed: {path: speed, alias: speed}}}
"""


def alert(name: str, spec: str) -> str:
    head = f"apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{{spec}}}\n"


class Run:
    """An installation whose rules are in Kafka, and one vehicle's messages."""

    def __init__(
        self, installation: Installation, kafka: KafkaAddress, mqtt: MqttAddress, here: Path
    ) -> None:
        self._installation = installation
        self._kafka = kafka
        self._here = here
        self._vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
        self._sequence = 0

    def telltale(self, *arguments: str, code: int = 0) -> str:
        done = self._installation.telltale("rules", *arguments)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def file(self, name: str, *texts: str) -> str:
        path = self._here / name
        path.write_text("---\n".join(texts))
        return str(path)

    def say(self, vehicle: str, speed: float, **more: float) -> None:
        self._sequence += 1
        payload = {"ts": time.time_ns() // 1_000_000, "seq": self._sequence, "speed": speed, **more}
        self._vehicles.publish([Message(vehicle, json.dumps(payload).encode())])

    def alerts(self) -> list[dict[str, Any]]:
        records = read_topic(self._kafka.bootstrap, f"{self._installation.prefix}vehicle.alerts")
        return [json.loads(record.value) for record in records]

    def status(self) -> dict[str, int]:
        """The revision of each stage's one worker; none of a worker that has ended."""
        records = read_topic(self._kafka.bootstrap, f"{self._installation.prefix}telltale.rule-status")
        last = {record.key: record.value for record in sorted(records, key=lambda it: it.offset)}
        said = [json.loads(value) for value in last.values() if value is not None]
        return {it["stage"]: it["revision"] for it in said}

    def wait_for(self, *states: tuple[str, str, str]) -> None:
        def there() -> bool:
            seen = {(it["rule"], it["vehicleId"], it["reason"] or it["state"]) for it in self.alerts()}
            return seen.issuperset(states)

        wait_until(there, lambda: f"{states}; there are {self.alerts()}")

    def wait_revision(self, revision: int, *stages: str) -> None:
        wait_until(
            lambda: all(self.status().get(stage) == revision for stage in stages),
            lambda: f"revision {revision} runs; they say {self.status()}",
        )

    def close(self) -> None:
        self._vehicles.close()


def test_rules_are_changed_while_they_run(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install, tmp_path: Path
) -> None:
    installation = install(kafka, mqtt)
    run = Run(installation, kafka, mqtt, tmp_path)
    try:
        first = run.file(
            "first.yaml", CATALOG, alert("fast", "when: speed > 100"), alert("slow", "when: speed < 5")
        )
        assert "would be revision 1" in run.telltale("apply", first, "--dry-run")
        assert "nothing was applied yet" in run.telltale("history")
        run.telltale("apply", first, "--message", "to begin with")
        started = installation.start("uplink", "normalize", "alerts", "geofences", "aggregations")
        run.wait_revision(1, "alerts", "geofences", "aggregations")
        run.say("v1", 120.0)
        run.say("v2", 2.0)
        run.wait_for(("fast", "v1", "firing"), ("slow", "v2", "firing"))

        edited = run.file("edited.yaml", alert("fast", "when: speed > 150, severity: critical"))
        assert "~ AlertRule fast" in run.telltale("apply", edited)
        run.telltale("delete", "slow")
        run.wait_revision(3, "alerts", "geofences", "aggregations")
        run.wait_for(("slow", "v2", "deleted"))
        run.say("v1", 120.0)
        run.wait_for(("fast", "v1", "cleared"))

        assert "wrong" in run.telltale("apply", run.file("bad.yaml", alert("fast", "when: sped > 1")), code=2)
        run.telltale("rollback", "--to", "1")
        run.wait_revision(4, "alerts")
        run.say("v1", 120.0)
        wait_until(
            lambda: [it["revision"] for it in run.alerts() if it["rule"] == "fast"][-1] == 4,
            lambda: f"fast fires again; there are {run.alerts()}",
        )
        history = [json.loads(line) for line in run.telltale("history", "--json").splitlines()]
        assert [(it["revision"], it["parent"]) for it in history] == [(4, 3), (3, 2), (2, 1), (1, 0)]
        less = run.telltale("backtest", first, "--from", "vehicle.telemetry", "--against", "3")
        assert "+ fast  v1" in less
        assert '"speed > 150"' in run.telltale("get", "fast", "--revision", "3")

        running = next(one for one in started if one.name == "alerts")
        running.kill()
        running.start().wait_ready()
        run.say("v1", 50.0)
        wait_until(
            lambda: run.alerts()[-1]["state"] == "resolved", "what fired before the kill ends after it"
        )

        # A new signal is read without a restart of anything.
        more = "signals: {Vehicle.Load: {path: load, alias: load}, "
        wider = run.file("wider.yaml", CATALOG.replace("signals: {", more), alert("heavy", "when: load > 3"))
        run.telltale("apply", wider)
        normalize = next(one for one in started if one.name == "normalize")
        run.wait_revision(5, "alerts")
        wait_until(
            lambda: json.loads(normalize.get("/version")[1]).get("ruleRevision") == 5,
            lambda: f"normalize has the new catalog: {normalize.get('/version')}",
        )
        run.say("v1", 50.0, load=4.0)
        run.wait_for(("heavy", "v1", "firing"))

        assert run.status().keys() == {"alerts", "geofences", "aggregations"}
        assert next(one for one in started if one.name == "geofences").drain() == 0
        assert run.status().keys() == {"alerts", "aggregations"}
    finally:
        run.close()


def test_a_change_while_workers_are_killed_and_the_topic_holds_rubbish(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install, tmp_path: Path
) -> None:
    """Two workers of a stage, of which each is killed while vehicles go to a new revision: told once."""
    installation = install(kafka, mqtt)
    run = Run(installation, kafka, mqtt, tmp_path)
    try:
        write_records(
            kafka.bootstrap,
            f"{installation.prefix}telltale.rules",
            [(b"revision/7", b"{"), (b"head", b"[]"), (b"rubbish", b"\xff"), (b"document/0", b"")],
        )
        doomed = run.file(
            "doomed.yaml", CATALOG, alert("doomed", "when: speed > 100"), alert("stays", "when: speed > 110")
        )
        run.telltale("apply", doomed)
        installation.start("uplink", "normalize")
        workers = installation.start("alerts", "alerts@2")
        vehicles = [f"v{number}" for number in range(40)]
        for vehicle in vehicles:
            run.say(vehicle, 120.0)
        run.wait_for(*(("doomed", vehicle, "firing") for vehicle in vehicles))
        run.telltale("delete", "doomed")
        for worker in workers:
            worker.kill()
            worker.start().wait_ready()
        run.wait_for(*(("doomed", vehicle, "deleted") for vehicle in vehicles))
        for vehicle in vehicles:
            run.say(vehicle, 50.0)
        run.wait_for(*(("stays", vehicle, "cleared") for vehicle in vehicles))
        told = Counter((it["rule"], it["vehicleId"], it["state"]) for it in run.alerts())
        assert set(told.values()) == {1}
        assert len(told) == 4 * len(vehicles)
    finally:
        run.close()


def test_of_two_changes_at_once_one_is_told(
    kafka: KafkaAddress, mqtt: MqttAddress, install: Install, tmp_path: Path
) -> None:
    installation = install(kafka, mqtt)
    run = Run(installation, kafka, mqtt, tmp_path)
    try:
        run.telltale("apply", run.file("catalog.yaml", CATALOG, alert("zero", "when: speed > 1")))
        files = [run.file(f"{name}.yaml", alert(name, "when: speed > 1")) for name in ("a", "b", "c")]
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda file: installation.telltale("rules", "apply", file), files))
        assert {it.returncode for it in done} <= {0, 1}
        written = [it for it in done if it.returncode == 0]
        assert written
        for refused in (it for it in done if it.returncode == 1):
            assert "somebody else" in refused.stderr or "the rules are at revision" in refused.stderr
        history = run.telltale("history", "--json").splitlines()
        assert len(history) == 1 + len(written)
        assert "at revision" in run.telltale("apply", files[0], "--expect", "77", code=1)
    finally:
        run.close()
