"""An operator as a process, under exactly the rights that the chart grants, and pipelines to look after."""

import json
import os
import re
import signal
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k8s.operator.rights import cluster_rules, lease_rules
from tests.controlplane.client import ApiFailure, wait_until
from tests.controlplane.cluster import Cluster, ToolFailure
from tests.programs import Program

ROOT = Path(__file__).parents[3]
CRDS = ROOT / "k8s" / "helm" / "telltale" / "crds"
PIPELINES = "/apis/telltale.dev/v1alpha1/namespaces/{}/rulepipelines"
SHORT_LEASE = {
    "TELLTALE_OPERATOR_LEASE_DURATION": "6s",
    "TELLTALE_OPERATOR_RENEW_DEADLINE": "5s",
    "TELLTALE_OPERATOR_RETRY_PERIOD": "500ms",
}


def install(cluster: Cluster) -> None:
    """Our CRDs."""
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", CRDS)
    cluster.kubectl("wait", "--for=condition=Established", "crd/rulepipelines.telltale.dev")
    # Established is not served: for some moments the API server still says that it is initializing.
    wait_until(lambda: _is_served(cluster), within=30, saying="RulePipelines are served")


def _is_served(cluster: Cluster) -> bool:
    try:
        cluster.kubectl("get", "rulepipelines", "--all-namespaces")
    except ToolFailure:
        return False
    return True


def account(cluster: Cluster, namespace: str, to: Path) -> Path:
    """A kubeconfig of a ServiceAccount with the operator's rights in this namespace, and no others."""
    name = "operator"
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": [*cluster_rules(), *lease_rules()],
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    serviceaccount = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    cluster.apply(serviceaccount, role, binding, namespace=namespace)
    return cluster.account(namespace, name, to)


class Operator:
    """One process of `telltale run operator`."""

    def __init__(self, kubeconfig: Path, namespace: str, log: Path, **settings: str) -> None:
        self.log = log
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")},
            "TELLTALE_OPERATOR_KUBECONFIG": str(kubeconfig),
            "TELLTALE_OPERATOR_NAMESPACES": namespace,
            "TELLTALE_OPERATOR_NAMESPACE": namespace,
            "TELLTALE_RESOURCES_ENABLED": "false",
            "TELLTALE_OPERATOR_CANARY_INTERVAL": "500ms",
            "TELLTALE_OPERATOR_SCRAPE_INTERVAL": "1s",
            "TELLTALE_OPERATOR_DISCOVERY_INTERVAL": "2s",
            "TELLTALE_HTTP_PORT": "0",
            "TELLTALE_HTTP_HOST": "127.0.0.1",
            "TELLTALE_LOG_FORMAT": "json",
            **SHORT_LEASE,
            **settings,
        }
        self.process = Program("run", "operator", environment=environment, log=log)

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def leads(self) -> bool:
        return '"message": "Leading"' in self.text

    def wait_for_lead(self, within: float = 40.0) -> None:
        def leads_or_ended() -> bool:
            assert self.process.poll() is None, self.text[-4000:]
            return self.leads

        wait_until(leads_or_ended, within=within, saying="it leads")

    @property
    def port(self) -> int:
        found = re.search(r'"http_port": (\d+)', self.text)
        assert found is not None, self.text[-2000:]
        return int(found[1])

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@contextmanager
def space(cluster: Cluster, annotations: dict[str, str]) -> Iterator[str]:
    """A namespace for the tests of a module; at its end no finalizer holds it."""
    name = f"t{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "annotations": annotations}
    cluster.client.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        for each in cluster.client.list(PIPELINES.format(name)):
            cluster.client.patch(
                f"{PIPELINES.format(name)}/{each['metadata']['name']}", {"metadata": {"finalizers": []}}
            )
        cluster.client.delete(f"/api/v1/namespaces/{name}")


class Pipeline:
    """A RulePipeline of a test, and what the cluster has of it."""

    def __init__(self, cluster: Cluster, namespace: str, **spec: Any) -> None:
        self.cluster = cluster
        self.client = cluster.client
        self.namespace = namespace
        self.name = f"p{uuid.uuid4().hex[:6]}"
        self.path = f"{PIPELINES.format(namespace)}/{self.name}"
        self.spec: dict[str, Any] = {
            "image": "registry.example/telltale:1",
            "partitions": 8,
            "prefix": f"{self.name}.",
            "kafka": {"bootstrap": "kafka:9092"},
            "mqtt": {"host": "mqtt"},
            "upgrade": {"minReady": "0s", "progressDeadline": "3s"},
            **spec,
        }

    def create(self) -> "Pipeline":
        document = {
            "apiVersion": "telltale.dev/v1alpha1",
            "kind": "RulePipeline",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        }
        self.client.create(PIPELINES.format(self.namespace), document)
        return self

    def edit(self, **spec: Any) -> int:
        """Merge into the spec; the new generation."""
        return int(self.client.patch(self.path, {"spec": spec})["metadata"]["generation"])

    def delete(self) -> None:
        self.client.delete(self.path)

    @property
    def exists(self) -> bool:
        return self.client.find(self.path) is not None

    @property
    def status(self) -> dict[str, Any]:
        return self.client.get(self.path).get("status") or {}

    def condition(self, kind: str) -> dict[str, Any]:
        return next((each for each in self.status.get("conditions", ()) if each["type"] == kind), {})

    def is_up(self, revision: int | None = None) -> bool:
        """Wholly up at its newest generation."""
        found = self.client.get(self.path)
        status = found.get("status") or {}
        conditions = {each["type"]: each for each in status.get("conditions", ())}
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and conditions.get("Ready", {}).get("status") == "True"
            and conditions.get("Progressing", {}).get("reason") == "Complete"
            and revision in (None, status.get("revision"))
        )

    def wait_up(self, revision: int | None = None, within: float = 60.0) -> "Pipeline":
        try:
            wait_until(lambda: self.is_up(revision), within=within, saying=f"{self.name} is up")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{json.dumps(self.status, indent=1)}") from None
        return self

    def wait_for(self, kind: str, reason: str, within: float = 40.0) -> dict[str, Any]:
        """Wait for a condition's reason."""

        def found() -> dict[str, Any] | None:
            condition = self.condition(kind)
            return condition if condition.get("reason") == reason else None

        try:
            return wait_until(found, within=within, saying=f"{kind} {reason}")
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{json.dumps(self.status, indent=1)}") from None

    def deployment(self, stage: str) -> dict[str, Any]:
        return self.client.get(self.path_of("apps/v1", "deployments", f"{self.name}-{stage}"))

    def path_of(self, group: str, plural: str, name: str = "") -> str:
        root = "/api/v1" if group == "v1" else f"/apis/{group}"
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def resources(self, group: str, plural: str) -> list[dict[str, Any]]:
        """Resources of a kind that carry our label; none where the kind is not there."""
        try:
            return self.client.list(
                self.path_of(group, plural), labelSelector=f"app.kubernetes.io/instance={self.name}"
            )
        except ApiFailure as failure:
            if failure.code == 404:
                return []
            raise

    def images(self) -> dict[str, str]:
        return {
            each["metadata"]["labels"]["app.kubernetes.io/component"]: each["spec"]["template"]["spec"][
                "containers"
            ][0]["image"].rpartition(":")[2]
            for each in self.resources("apps/v1", "deployments")
            if each["metadata"]["labels"]["telltale.dev/track"] == "stable"
        }

    def events(self) -> list[tuple[str, str, str]]:
        """Type, reason and note of each event."""
        found = self.client.list(self.path_of("events.k8s.io/v1", "events"))
        return [
            (each["type"], each["reason"], each["note"])
            for each in found
            if each["regarding"]["name"] == self.name and each["regarding"]["kind"] == "RulePipeline"
        ]

    def wait_for_event(self, reason: str, within: float = 20.0) -> str:
        return wait_until(
            lambda: next((note for _, found, note in self.events() if found == reason), None),
            within=within,
            saying=f"an event {reason}; there are {self.events()}",
        )
