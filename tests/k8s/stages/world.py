"""An installation whose operator and stages run as processes, by the chart and by one RulePipeline."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import KafkaAddress, MqttAddress
from tests.controlplane.client import Object, wait_until
from tests.controlplane.cluster import Cluster, ToolFailure
from tests.controlplane.kubelet import ProcessKubelet
from tests.e2e.conftest import RULES
from tests.e2e.processes import PARTITIONS, Installation

CHART = Path(__file__).parents[3] / "k8s" / "helm" / "telltale"
UP_WITHIN_S = 120.0
WITHOUT = {"geofences": {"enabled": False}, "aggregations": {"enabled": False}}
"""The recomputation is of alerts and commands."""


class World:
    """A RulePipeline `fleet` in a namespace, and who runs it."""

    def __init__(
        self,
        cluster: Cluster,
        kubelet: ProcessKubelet,
        namespace: str,
        installation: Installation,
    ) -> None:
        self.cluster, self.kubelet, self.namespace = cluster, kubelet, namespace
        self.installation = installation
        self.path = f"/apis/telltale.dev/v1alpha1/namespaces/{namespace}/rulepipelines/fleet"

    def install_operator(self) -> None:
        """By the chart, under its roles."""
        quick = {"CANARY_INTERVAL": "1s", "SCRAPE_INTERVAL": "2s"}
        words = [f"settings.TELLTALE_OPERATOR_{name}={value}" for name, value in quick.items()]
        words += [f"watch.namespaces={{{self.namespace}}}", "replicas=1", "webhook.enabled=false"]
        sets = [word for one in words for word in ("--set", one)]
        try:
            self.cluster.helm(
                "install", "telltale", CHART, "-n", self.namespace, *sets, "--wait", "--timeout", "60s"
            )
        except ToolFailure as failure:
            raise AssertionError(f"{failure}\n{self.told()}") from None

    def create(self, kafka: KafkaAddress, mqtt: MqttAddress, **spec: Any) -> None:
        """The pipeline, up, with the rules of the recomputation."""
        said = self.installation.environment
        topics = {
            stage: {"settings": {name: said[name] for name in names}}
            for stage, names in {
                "uplink": ("TELLTALE_UPLINK_TELEMETRY_TOPICS", "TELLTALE_UPLINK_RESPONSE_TOPICS"),
                "downlink": ("TELLTALE_DOWNLINK_COMMAND_TOPIC", "TELLTALE_DOWNLINK_RESPONSE_TOPIC"),
            }.items()
        }
        self.cluster.apply(
            {
                "apiVersion": "telltale.dev/v1alpha1",
                "kind": "RulePipeline",
                "metadata": {"name": "fleet"},
                "spec": {
                    "image": "example/telltale:1",
                    "prefix": self.installation.prefix,
                    "partitions": PARTITIONS,
                    "kafka": {"bootstrap": kafka.bootstrap},
                    "mqtt": {"host": mqtt.host, "port": mqtt.port},
                    "settings": {"TELLTALE_QUIET_AFTER": "5m"},
                    "stages": topics | WITHOUT,
                    "upgrade": {"minReady": "0s", "progressDeadline": "90s"},
                    **spec,
                },
            },
            namespace=self.namespace,
        )
        self.wait(lambda: self.is_up(), "the installation is up")
        for words in (("topics", "create", "--rules", RULES), ("rules", "apply", RULES)):
            done = self.installation.telltale(*words)
            assert done.returncode == 0, done.stdout + done.stderr

    def edit(self, **spec: Any) -> None:
        """Merge into the spec."""
        self.cluster.client.patch(self.path, {"spec": spec})

    @property
    def status(self) -> Object:
        status: Object = self.cluster.client.get(self.path).get("status") or {}
        return status

    def condition(self, kind: str) -> Object:
        return next((one for one in self.status.get("conditions", ()) if one["type"] == kind), {})

    def is_up(self) -> bool:
        """At its newest generation, wholly."""
        found = self.cluster.client.get(self.path)
        status = found.get("status") or {}
        conditions = {one["type"]: one for one in status.get("conditions", ())}
        return bool(
            status.get("observedGeneration") == found["metadata"]["generation"]
            and conditions.get("Ready", {}).get("status") == "True"
            and conditions.get("Progressing", {}).get("reason") == "Complete"
        )

    def wait(self, claim: Callable[[], object], what: str, within: float = UP_WITHIN_S) -> None:
        try:
            wait_until(claim, within=within, every=0.2, saying=what)
        except AssertionError as failure:
            raise AssertionError(f"{failure}\n{self.told()}") from None

    def pods(self, stage: str = "") -> list[Object]:
        """Those of a stage, until the last process of them is gone; Jobs that are done are left out."""
        selector = "app.kubernetes.io/instance=fleet" + (
            f",app.kubernetes.io/component={stage}" if stage else ""
        )
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        found = self.cluster.client.list(path, labelSelector=selector)
        return [pod for pod in found if pod["status"]["phase"] not in ("Succeeded", "Failed")]

    def images(self) -> set[str]:
        """Tags of all that runs, or tries to."""
        return {pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in self.pods()}

    def scale(self, stage: str, replicas: int) -> None:
        """As a person does, and wait until that many are ready and no other is left."""
        name = f"deployment/fleet-{stage}"
        self.cluster.kubectl("scale", name, f"--replicas={replicas}", "-n", self.namespace)

        def done() -> bool:
            pods = self.pods(stage)
            return len(pods) == replicas and all(map(_is_ready, pods))

        self.wait(done, f"{replicas} of {stage} are ready")

    def told(self) -> str:
        """What a person would look at."""
        lines = [json.dumps(self.cluster.client.find(self.path), indent=1)]
        lines += [self.cluster.kubectl("get", "pods", "-o", "wide", "-n", self.namespace)]
        for pod in self.cluster.client.list(f"/api/v1/namespaces/{self.namespace}/pods"):
            name = pod["metadata"]["name"]
            container = pod["spec"]["containers"][0]["name"]
            lines.append(f"{name}:\n{self.kubelet.log(self.namespace, name, container)[-1500:]}")
        return "\n".join(lines)


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
