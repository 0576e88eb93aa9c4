"""From an edited rule resource to all workers on the new revision; and ten thousand resources at once.

    python -m tests.benchmarks.rule_resources [--rules 100] [--edits 20] [--many 10000] [--json]

A real control plane, a real Kafka, `telltale run operator` under the chart's rights and two `telltale run
alerts`, all on this machine. First, with so many rules, one of them is edited again and again: when is it on
telltale.rules, when do both workers run it, when does its status say so (of the first, the operator waits
0.2 s for companions). Then, without workers, many resources are created as fast as one client with 16
connections can: when are all on telltale.rules, when do all statuses say so; what the operator asks the API
server for in ten seconds afterwards, watches and its Lease apart, and its memory.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from bridges.embedded import EmbeddedKafka
from pipeline.store import Revisions, RulesLog
from pipeline.store.statuses import ALIVE_S, StatusLog
from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.e2e.processes import Running
from tests.e2e.topics import create_topics
from tests.k8s.resources.conftest import Rules, install

LONG_LEASE = {
    "TELLTALE_OPERATOR_LEASE_DURATION": "60s",
    "TELLTALE_OPERATOR_RENEW_DEADLINE": "50s",
    "TELLTALE_OPERATOR_RETRY_PERIOD": "5s",
    "TELLTALE_RESOURCES_STATUS_RATE": "1000",
}
FIRST = """
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: first}
spec: {timestamp: {path: ts}, signals: {}}
"""
SIGNALS = 200
IDLE_S = 10.0


class Edit(NamedTuple):
    """Seconds from the request to the API server."""

    written: float
    all_workers: float
    status: float


def rule(number: int, limit: float) -> dict[str, Any]:
    """The spec of one rule."""
    return {"when": f"s{number % SIGNALS} > {limit}", "for": "5s", "severity": "warning"}


class Watcher:
    """What is on the two topics, followed in a thread."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.log = Revisions()
        self.workers: dict[str, int] = {}
        self._pool = ThreadPoolExecutor(1)
        self._over = False

    def __enter__(self) -> "Watcher":
        self._pool.submit(asyncio.run, self._follow())
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._pool.shutdown()

    async def _follow(self) -> None:
        async with RulesLog(self._rules.settings) as log, StatusLog(self._rules.settings) as statuses:
            while not self._over:
                self.log = await log.poll(5)
                await statuses.poll(5)
                alive = statuses.workers.alive(time.time_ns() // 1_000_000)
                self.workers = {worker.worker: worker.revision for worker in alive}


def until(claim: Callable[[], Any], within: float = 600) -> float:
    """Wait; the time at which it was so."""
    wait_until(claim, within=within, every=0.005)
    return time.monotonic()


def edits(rules: Rules, watcher: Watcher, count: int) -> list[Edit]:
    """Edit one rule so often."""
    found = []
    for number in range(count):
        before = watcher.log.head
        began = time.monotonic()
        made = rules.apply("AlertRule", "r0", rule(0, 1_000.0 + number))
        written = until(lambda before=before: watcher.log.head > before)
        running = until(lambda before=before: all(it > before for it in watcher.workers.values()))
        generation = made["metadata"]["generation"]

        def told(generation: int = generation) -> bool:
            status = rules.status("AlertRule", "r0")
            ready = [it["status"] for it in status.get("conditions", []) if it["type"] == "Ready"]
            return status.get("observedGeneration") == generation and ready == ["True"]

        found.append(Edit(written - began, running - began, until(told) - began))
    return found


def create(rules: Rules, numbers: range) -> None:
    """Create resources, 16 at a time."""

    def one(number: int) -> None:
        metadata = {"name": f"r{number}"}
        body = {"apiVersion": "telltale.dev/v1alpha1", "kind": "AlertRule", "metadata": metadata}
        rules.cluster.client.create(rules.path("AlertRule"), {**body, "spec": rule(number, float(number))})

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(one, numbers))


def accepted(rules: Rules) -> int:
    """How many resources say that they are on telltale.rules."""
    listed = rules.cluster.client.list(rules.path("AlertRule"))
    return sum(it.get("status", {}).get("revision") is not None for it in listed)


def asked(rules: Rules, mark: int) -> int:
    """What the operator has asked the API server for, watches and its Lease apart."""
    calls = rules.cluster.calls(mark, user=f"system:serviceaccount:{rules.namespace}:operator")
    return len([it for it in calls if it.verb != "watch" and it.resource != "leases"])


def settled(rules: Rules, workers_ended: float) -> None:
    """Wait until the operator has nothing to tell: that workers are gone was noticed and told, too."""
    time.sleep(max(0.0, workers_ended + ALIVE_S + 20 - time.monotonic()))
    ends = time.monotonic() + 300
    while time.monotonic() < ends:
        mark = rules.cluster.mark()
        time.sleep(20)
        if not asked(rules, mark):
            return


@contextlib.contextmanager
def two_workers(rules: Rules) -> Iterator[None]:
    first = rules.here / "first.yaml"
    first.write_text(FIRST)
    environment = {
        "TELLTALE_RULES": str(first),
        "TELLTALE_KAFKA_BOOTSTRAP": rules.settings.kafka.bootstrap,
        "TELLTALE_PREFIX": rules.settings.prefix,
        "TELLTALE_PARTITIONS": "2",
        "TELLTALE_HTTP_PORT": "0",
        "TELLTALE_LOG_FORMAT": "json",
    }
    workers = [
        Running(name, {**environment, "TELLTALE_CLIENT_ID": name.replace("@", "-")}, rules.here)
        for name in ("alerts@1", "alerts@2")
    ]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.wait_ready()
        yield
    finally:
        for worker in workers:
            worker.kill()


def measure(rules: Rules, count: int, times: int, many: int) -> dict[str, Any]:
    """All figures."""
    signals = {f"Vehicle.S{it}": {"path": f"s{it}", "alias": f"s{it}"} for it in range(SIGNALS)}
    rules.apply("SignalCatalog", "default", {"timestamp": {"path": "ts"}, "signals": signals})
    found: dict[str, Any] = {"rules": count, "edits": times, "many": many}
    with rules.operator(**LONG_LEASE) as operator, Watcher(rules) as watcher:
        operator.wait_said("Leading")
        create(rules, range(count))
        with two_workers(rules):
            until(lambda: watcher.log.head and len(watcher.log.manifest(watcher.log.head).documents) > count)
            until(lambda: list(watcher.workers.values()) == [watcher.log.head] * 2)
            said = edits(rules, watcher, times)
            for part in Edit._fields:
                values = [getattr(each, part) for each in said]
                found[f"edit_{part}_s"] = {"median": statistics.median(values), "worst": max(values)}
        workers_ended = time.monotonic()
        process = psutil.Process(operator.pid)
        head, cpu, began = watcher.log.head, sum(process.cpu_times()[:2]), time.monotonic()
        create(rules, range(count, many))
        created = time.monotonic()
        written = until(lambda: len(watcher.log.manifest(watcher.log.head).documents) > many)
        told = until(lambda: accepted(rules) == many)
        found |= {
            "created_s": created - began,
            "written_s": written - began,
            "written_after_the_last_s": written - created,
            "told_s": told - began,
            "revisions": watcher.log.head - head,
            "operator_cpu_s": sum(process.cpu_times()[:2]) - cpu,
            "operator_mb": process.memory_info().rss / 1e6,
        }
        settled(rules, workers_ended)
        mark, cpu = rules.cluster.mark(), sum(process.cpu_times()[:2])
        time.sleep(IDLE_S)
        found["idle_calls"] = asked(rules, mark)
        found["idle_cpu_percent"] = (sum(process.cpu_times()[:2]) - cpu) / IDLE_S * 100
        began = time.monotonic()
        head = watcher.log.head
        rules.apply("AlertRule", "r0", rule(0, 5.0))
        found["edit_among_many_s"] = until(lambda: watcher.log.head > head) - began
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rules", type=int, default=100)
    parser.add_argument("--edits", type=int, default=20)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    with Cluster.started() as cluster, EmbeddedKafka() as kafka, tempfile.TemporaryDirectory() as here:
        install(cluster)
        cluster.client.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "fleet"}})
        rules = Rules(cluster, kafka.bootstrap, "bench.", ["fleet"], Path(here), partitions=2)
        create_topics(rules.settings)
        found = measure(rules, said.rules, said.edits, said.many)
    if said.json:
        print(json.dumps(found))
        return
    print(f"one of {found['rules']} rules edited {found['edits']} times, two alerts workers:")
    names = {"written": "on telltale.rules", "all_workers": "run by both workers", "status": "in its status"}
    for part, name in names.items():
        times = found[f"edit_{part}_s"]
        print(f"  {name:<22} median {times['median']:.2f} s, worst {times['worst']:.2f} s")
    print(f"{found['many']:,} resources, created in {found['created_s']:.1f} s:")
    after, revisions = found["written_after_the_last_s"], found["revisions"]
    print(f"  on telltale.rules      {after:.1f} s after the last one, {revisions} revisions")
    print(f"  in all statuses        {found['told_s']:.1f} s after the first one")
    print(f"  an edit among them     on telltale.rules in {found['edit_among_many_s']:.1f} s")
    cpu, memory = found["operator_cpu_s"], found["operator_mb"]
    print(f"  the operator           {cpu:.1f} s of processor, {memory:.0f} MB")
    calls, load = found["idle_calls"], found["idle_cpu_percent"]
    print(f"  idle for {IDLE_S:.0f} s          {calls} calls, {load:.1f} % of a core")


if __name__ == "__main__":
    main()
