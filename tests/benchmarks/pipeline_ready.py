"""From `kubectl apply` of a RulePipeline to Ready, beside kubectl with the same manifests written by hand.

    python -m tests.benchmarks.pipeline_ready [--times 10] [--json]

A real control plane whose pods are simulated and ready at once, and `telltale run operator` under the chart's
rights: what is measured is the operator's own work, not the start of a worker. Each time a pipeline with all
its stages is applied until it says that it is Ready; then a copy of everything that the operator made is
applied by kubectl in one go, until all Deployments are available. At the end, with all pipelines there, what
the operator asks the API server for in ten seconds, watches and its Lease apart, its processor and memory.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.controlplane.fixtures import SIMULATED
from tests.k8s.operator.operators import Operator, Pipeline, account, install, space

IDLE_S = 10.0
KINDS = {
    "ConfigMap": ("v1", "configmaps"),
    "ServiceAccount": ("v1", "serviceaccounts"),
    "Service": ("v1", "services"),
    "Deployment": ("apps/v1", "deployments"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
}
OF_THE_SERVER = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "uid",
)


def apply_pipeline(cluster: Cluster, pipeline: Pipeline) -> float:
    """Seconds until it says that it is Ready."""
    document = {
        "apiVersion": "telltale.dev/v1alpha1",
        "kind": "RulePipeline",
        "metadata": {"name": pipeline.name},
        "spec": pipeline.spec,
    }
    began = time.monotonic()
    cluster.apply(document, namespace=pipeline.namespace)
    wait_until(lambda: pipeline.condition("Ready").get("status") == "True", within=60, every=0.02)
    return time.monotonic() - began


def manifests(pipeline: Pipeline) -> list[dict[str, Any]]:
    """What the operator made of it, as somebody would write it by hand under another name."""
    found = []
    for kind, (group, plural) in KINDS.items():
        for each in pipeline.resources(group, plural):
            each["metadata"] = {
                key: value for key, value in each["metadata"].items() if key not in OF_THE_SERVER
            }
            each.pop("status", None)
            each.get("spec", {}).pop("clusterIP", None)
            each.get("spec", {}).pop("clusterIPs", None)
            text = json.dumps({"apiVersion": group, "kind": kind, **each}).replace(
                pipeline.name, f"{pipeline.name}-hand"
            )
            found.append(json.loads(text))
    return found


def apply_by_hand(cluster: Cluster, pipeline: Pipeline, documents: list[dict[str, Any]]) -> float:
    """Seconds until all Deployments are available."""
    wanted = sum(each["kind"] == "Deployment" for each in documents)
    there = pipeline.path_of("apps/v1", "deployments")
    selector = f"app.kubernetes.io/instance={pipeline.name}-hand"

    def available() -> bool:
        found = cluster.client.list(there, labelSelector=selector)
        return sum(each.get("status", {}).get("availableReplicas", 0) > 0 for each in found) == wanted

    began = time.monotonic()
    cluster.apply(*documents, namespace=pipeline.namespace)
    wait_until(available, within=60, every=0.02)
    return time.monotonic() - began


def asked(cluster: Cluster, namespace: str, mark: int) -> int:
    """What the operator has asked the API server for, watches and its Lease apart."""
    calls = cluster.calls(mark, user=f"system:serviceaccount:{namespace}:operator")
    return len([each for each in calls if each.verb != "watch" and each.resource != "leases"])


def measure(cluster: Cluster, namespace: str, here: Path, times: int) -> dict[str, Any]:
    """All figures."""
    operator = Operator(account(cluster, namespace, here / "kubeconfig"), namespace, here / "operator.log")
    try:
        operator.wait_for_lead()
        ready, by_hand, calls, parts = [], [], [], 0
        for _ in range(times):
            pipeline = Pipeline(cluster, namespace)
            mark = cluster.mark()
            ready.append(apply_pipeline(cluster, pipeline))
            pipeline.wait_up()
            calls.append(asked(cluster, namespace, mark))
            documents = manifests(pipeline)
            parts = len(documents)
            by_hand.append(apply_by_hand(cluster, pipeline, documents))
        process = psutil.Process(operator.process.pid)
        time.sleep(IDLE_S)
        mark, cpu = cluster.mark(), sum(process.cpu_times()[:2])
        time.sleep(IDLE_S)
        return {
            "times": times,
            "parts": parts,
            "ready_s": ready,
            "by_hand_s": by_hand,
            "calls": statistics.median(calls),
            "idle_calls": asked(cluster, namespace, mark),
            "idle_cpu_percent": (sum(process.cpu_times()[:2]) - cpu) / IDLE_S * 100,
            "operator_mb": process.memory_info().rss / 1e6,
        }
    finally:
        operator.stop()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    with Cluster.started() as cluster, tempfile.TemporaryDirectory() as here:
        install(cluster)
        with space(cluster, {"scheduler.alpha.kubernetes.io/node-selector": SIMULATED}) as namespace:
            found = measure(cluster, namespace, Path(here), said.times)
    if said.json:
        print(json.dumps(found))
        return
    print(f"{found['times']} pipelines, one after the other, each of {found['parts']} resources:")
    for name, key in (("RulePipeline to Ready", "ready_s"), ("kubectl apply to available", "by_hand_s")):
        took = found[key]
        print(f"  {name:<27} median {statistics.median(took):.2f} s, worst {max(took):.2f} s")
    print(f"  the operator's requests     {found['calls']:.0f} until it is wholly up")
    calls, load, memory = found["idle_calls"], found["idle_cpu_percent"], found["operator_mb"]
    print(f"idle for {IDLE_S:.0f} s: {calls} requests, {load:.1f} % of a core, {memory:.0f} MB")


if __name__ == "__main__":
    main()
