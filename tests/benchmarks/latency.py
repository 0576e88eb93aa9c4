"""From a vehicle's MQTT message to the command in its hands, at half of what this machine carries.

    python -m tests.benchmarks.latency [--seconds 30] [--json]

First the load that the whole chain carries is found (all four processes, both brokers and the fleet share
this machine); then, at half of it, probes are published whose only rule answers with a command. Where the
time goes is told by readers of the topics in between, who see what the next process sees. Last, at fifty
messages a second, the time of the alerts stage's checkpoints is read from its metrics.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import paho.mqtt.client as paho
import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client.parser import text_string_to_metric_families

from bridges.embedded import EmbeddedKafka, EmbeddedMqtt
from tests.benchmarks.measuring import committed, cpu_seconds
from tests.benchmarks.workload import catalog_and_rules
from tests.e2e.processes import Installation, Running, wait_until

PARTITIONS = 8
VEHICLES = 500
PROBES_A_SECOND = 20
SETTLE_S = 4.0
FEW_KEYS_RATE = 50.0
PROBE_RULE = """
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: probe}
spec:
  when: vehicle.id.startsWith("probe-") && Vehicle.Speed > 0.0
  severity: info
  actions:
    - command: {name: answer, payload: {}, expiresAfter: 60s}
"""
HOPS = (
    ("received", "MQTT to the uplink (publish to receivedAt)"),
    ("vehicle.raw", "the uplink to vehicle.raw"),
    ("vehicle.telemetry", "normalize to vehicle.telemetry"),
    ("vehicle.commands", "alerts to vehicle.commands"),
    ("command", "the downlink to the vehicle"),
)


class Probes:
    """Vehicles of which each sends one message and waits for the command that answers it."""

    def __init__(self, host: str, port: int, root: str) -> None:
        self._root = root
        self.published: dict[str, float] = {}
        self.answered: dict[str, float] = {}
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{root}-probes", protocol=paho.MQTTv5
        )
        subscribed = threading.Event()
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect(host, port)
        self._client.loop_start()
        self._client.subscribe(f"{root}/+/commands/+", qos=1)
        assert subscribed.wait(30)

    def publish(self, seconds: float) -> None:
        """So many seconds of probes, evenly spaced."""
        begin = time.monotonic()
        for number in range(int(seconds * PROBES_A_SECOND)):
            time.sleep(max(0.0, begin + number / PROBES_A_SECOND - time.monotonic()))
            vehicle = f"probe-{uuid.uuid4().hex[:12]}"
            now = time.time()
            self.published[vehicle] = now
            payload = orjson.dumps({"ts": int(now * 1000), "seq": 1, "Vehicle.Speed": 50.0})
            self._client.publish(f"{self._root}/{vehicle}/telemetry", payload, qos=1)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.answered[message.topic.split("/")[1]] = time.time()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


class Watchers:
    """Readers of the topics in between, in a thread: when each probe's record could be read."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self._bootstrap, self._prefix = bootstrap, prefix
        self.seen: dict[str, dict[str, float]] = {name: {} for name, _ in HOPS}
        self._ready, self._ended = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))

    def __enter__(self) -> "Watchers":
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    async def _watch(self) -> None:
        names = ("vehicle.raw", "vehicle.telemetry", "vehicle.commands")
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap, isolation_level="read_committed", fetch_max_wait_ms=20
        )
        consumer.assign([TopicPartition(self._prefix + name, n) for name in names for n in range(PARTITIONS)])
        await consumer.start()
        try:
            await consumer.seek_to_end()
            self._ready.set()
            while not self._ended.is_set():
                for where, records in (await consumer.getmany(timeout_ms=100)).items():
                    now = time.time()
                    name = where.topic.removeprefix(self._prefix)
                    for record in records:
                        if record.key and record.key.startswith(b"probe-"):
                            self.seen[name].setdefault(record.key.decode(), now)
                            if name == "vehicle.raw":
                                self.seen["received"][record.key.decode()] = record.timestamp / 1000
        finally:
            await consumer.stop()


@contextlib.contextmanager
def load(mqtt: EmbeddedMqtt, root: str, rate: float) -> Iterator[None]:
    """The fleet talks at this rate."""
    command = [sys.executable, "-m", "tests.benchmarks.load", mqtt.host, str(mqtt.port), root]
    with subprocess.Popen([*command, str(VEHICLES), str(rate)]) as process:
        try:
            yield
        finally:
            process.kill()


def capacity(installation: Installation, kafka: EmbeddedKafka, mqtt: EmbeddedMqtt, seconds: float) -> float:
    """Messages a second that reach the end of the alerts stage while the fleet talks as fast as it can."""

    async def progress() -> tuple[float, float]:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
        await admin.start()
        group, topic = f"{installation.prefix}telltale.alerts", f"{installation.prefix}vehicle.telemetry"
        try:
            await asyncio.sleep(SETTLE_S)
            first, began = await committed(admin, group, topic), time.monotonic()
            await asyncio.sleep(seconds)
            return await committed(admin, group, topic) - first, time.monotonic() - began
        finally:
            await admin.close()

    with load(mqtt, installation.root, 0):
        records, spent = asyncio.run(progress())
    return records / spent


def wait_drained(stages: Sequence[Running]) -> None:
    """Return when no stage has anything left to read."""

    def drained() -> bool:
        lags = [
            sample.value
            for stage in stages
            for family in text_string_to_metric_families(stage.get("/metrics")[1])
            for sample in family.samples
            if sample.name.endswith("_lag_records")
        ]
        return len(lags) >= 2 and not any(lags)

    wait_until(drained, "all was processed")
    time.sleep(1.0)


class Effort:
    """What each process spends between two looks: processor time, and transactions where it has them."""

    def __init__(self, processes: Sequence[Running]) -> None:
        self._processes = processes
        self._began, self._first = time.monotonic(), self._look()

    def _look(self) -> dict[str, tuple[float, float]]:
        return {
            each.name: (cpu_seconds(psutil.Process(each.pid)), _transactions(each))
            for each in self._processes
        }

    def since(self) -> dict[str, dict[str, float]]:
        """Cores used and transactions a second, by process."""
        spent = time.monotonic() - self._began
        return {
            name: {
                "cores": (cpu - self._first[name][0]) / spent,
                "transactions_per_second": (transactions - self._first[name][1]) / spent,
            }
            for name, (cpu, transactions) in self._look().items()
        }


def _transactions(process: Running) -> float:
    return sum(
        sample.value
        for family in text_string_to_metric_families(process.get("/metrics")[1])
        for sample in family.samples
        if sample.name.endswith("_transactions_total")
    )


def checkpoints(alerts: Running) -> dict[float, float]:
    """The stage's histogram of checkpoint times: upper bound in seconds to how many; the sum at 0."""
    found: dict[float, float] = {}
    for family in text_string_to_metric_families(alerts.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == "telltale_alerts_checkpoint_seconds_bucket":
                found[float(sample.labels["le"])] = sample.value
            if sample.name == "telltale_alerts_checkpoint_seconds_sum":
                found[0.0] = sample.value
    return found


def checkpoint_times(before: dict[float, float], after: dict[float, float]) -> dict[str, float]:
    """Mean, and the bound under which 99 of 100 stayed, in milliseconds, of the checkpoints in between."""
    count = after[float("inf")] - before[float("inf")]
    within = [bound for bound in sorted(after) if bound and (after[bound] - before[bound]) >= 0.99 * count]
    return {
        "checkpoints": count,
        "mean_ms": (after[0.0] - before[0.0]) / count * 1000,
        "p99_below_ms": within[0] * 1000,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}


def measure(kafka: EmbeddedKafka, mqtt: EmbeddedMqtt, folder: Path, seconds: float) -> dict[str, object]:
    """The whole measurement on two fresh brokers."""
    (folder / "rules.yaml").write_text(catalog_and_rules() + PROBE_RULE)
    root = "vehicles"
    installation = Installation(
        {
            "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
            "TELLTALE_MQTT_HOST": mqtt.host,
            "TELLTALE_MQTT_PORT": str(mqtt.port),
            "TELLTALE_PREFIX": "latency.",
            "TELLTALE_PARTITIONS": str(PARTITIONS),
            "TELLTALE_RULES": str(folder / "rules.yaml"),
            "TELLTALE_LOG_FORMAT": "json",
        },
        folder,
        root,
    )
    made = installation.telltale("topics", "create")
    assert made.returncode == 0, made.stderr
    try:
        stages = installation.start("uplink", "normalize", "alerts", "downlink")
        alerts = stages[2]
        probes = Probes(mqtt.host, mqtt.port, root)
        most = capacity(installation, kafka, mqtt, seconds / 2)
        wait_drained(stages[1:3])
        with Watchers(kafka.bootstrap, installation.prefix) as watchers, load(mqtt, root, most / 2):
            time.sleep(SETTLE_S)
            effort = Effort(stages)
            probes.publish(seconds)
            spent = effort.since()
            wait_until(lambda: len(probes.answered) == len(probes.published), "every probe is answered")
        with load(mqtt, root, FEW_KEYS_RATE):
            time.sleep(SETTLE_S)
            before = checkpoints(alerts)
            time.sleep(seconds / 2)
            few_keys = checkpoint_times(before, checkpoints(alerts))
        probes.close()
    finally:
        installation.stop()
    return {
        "capacity_per_second": most,
        "load_per_second": most / 2,
        "probes": len(probes.answered),
        "end_to_end": spread([probes.answered[each] - at for each, at in probes.published.items()]),
        "hops": hops(probes, watchers),
        "effort": spent,
        "checkpoint_under_100_keys": few_keys,
    }


def hops(probes: Probes, watchers: Watchers) -> dict[str, dict[str, float]]:
    """What each part of the way took."""
    instants = [probes.published]
    instants += [watchers.seen[name] for name, _ in HOPS[:-1]] + [probes.answered]
    budget = {}
    for (name, _), earlier, later in zip(HOPS, instants[:-1], instants[1:], strict=True):
        # A reader may see a record after the process that it is for; what it lost there comes back later.
        budget[name] = spread([later[each] - earlier[each] for each in probes.published])
    return budget


def main() -> int:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="telltale-benchmark-") as folder,
        EmbeddedKafka() as kafka,
        EmbeddedMqtt() as mqtt,
    ):
        found = measure(kafka, mqtt, Path(folder), arguments.seconds)
    if arguments.json:
        print(json.dumps(found))
        return 0
    end_to_end, checkpoint = found["end_to_end"], found["checkpoint_under_100_keys"]
    assert isinstance(end_to_end, dict)
    assert isinstance(checkpoint, dict)
    print(
        f"The chain carries {found['capacity_per_second']:,.0f} messages/s here, fleet and brokers included."
    )
    print(f"At half of it, {found['probes']} probes, MQTT publish to command received:")
    print(f"  {'all':46} p50 {end_to_end['p50_ms']:6.1f} ms   p99 {end_to_end['p99_ms']:6.1f} ms")
    budget = found["hops"]
    assert isinstance(budget, dict)
    for name, title in HOPS:
        print(f"  {title:46} p50 {budget[name]['p50_ms']:6.1f} ms   p99 {budget[name]['p99_ms']:6.1f} ms")
    effort = found["effort"]
    assert isinstance(effort, dict)
    for name, each in effort.items():
        print(
            f"  {name:12} {each['cores']:.2f} cores, "
            f"{each['transactions_per_second']:.0f} transactions a second"
        )
    print(
        f"Checkpoints under 100 keys: mean {checkpoint['mean_ms']:.1f} ms, "
        f"99 of 100 below {checkpoint['p99_below_ms']:.0f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
