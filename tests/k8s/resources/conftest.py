"""The kinds in the cluster, an installation's topics, and a tenant's view of both."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8s.crds import CUSTOM_KINDS, DOCUMENT_KINDS, definition
from pipeline.process.settings import KafkaSettings, ProcessSettings
from pipeline.store import Manifest, Revisions, RulesLog
from tests.conftest import KafkaAddress
from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.e2e.topics import create_topics
from tests.k8s.resources.operating import Operating, account

PLURALS = {custom.kind.name: custom.kind.plural for custom in DOCUMENT_KINDS}
GROUP = "/apis/telltale.dev/v1alpha1"


class Rules:
    """The rules of one installation: resources on one side, the log on the other."""

    def __init__(
        self,
        cluster: Cluster,
        bootstrap: str,
        prefix: str,
        namespaces: list[str],
        here: Path,
        *,
        partitions: int = 1,
    ) -> None:
        self.cluster, self.namespaces, self.here = cluster, namespaces, here
        kafka = KafkaSettings(bootstrap=bootstrap)
        self.settings = ProcessSettings(prefix=prefix, partitions=partitions, kafka=kafka)

    @property
    def namespace(self) -> str:
        """The shared one."""
        return self.namespaces[0]

    def operator(self, *, dies: bool = False, **settings: str) -> Operating:
        """The operator for these namespaces."""
        webhook = settings.get("TELLTALE_RESOURCES_WEBHOOK_CONFIGURATION", "telltale-rules")
        kubeconfig = account(self.cluster, self.namespaces, self.here / "kubeconfig", webhook=webhook)
        environment = {
            "TELLTALE_KAFKA_BOOTSTRAP": self.settings.kafka.bootstrap,
            "TELLTALE_PREFIX": self.settings.prefix,
            "TELLTALE_PARTITIONS": "1",
            "TELLTALE_OPERATOR_KUBECONFIG": str(kubeconfig),
            "TELLTALE_OPERATOR_NAMESPACE": self.namespace,
            "TELLTALE_OPERATOR_NAMESPACES": ",".join(self.namespaces),
            "TELLTALE_RESOURCES_ENABLED": "true",
            **settings,
        }
        return Operating(self.here, environment, dies=dies)

    def path(self, kind: str, name: str = "", namespace: str | None = None) -> str:
        where = f"{GROUP}/namespaces/{namespace or self.namespace}/{PLURALS[kind]}"
        return f"{where}/{name}" if name else where

    def apply(
        self, kind: str, name: str, spec: Any, namespace: str | None = None, **metadata: Any
    ) -> dict[str, Any]:
        """Apply one resource, as it is in the cluster then."""
        body = {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": {"name": name, **metadata}}
        return self.cluster.client.apply(self.path(kind, name, namespace), {**body, "spec": spec})

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        self.cluster.client.delete(self.path(kind, name, namespace))

    def status(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        return self.cluster.client.get(self.path(kind, name, namespace)).get("status", {})

    def condition(self, type_: str, kind: str, name: str, namespace: str | None = None) -> tuple[str, str]:
        """Status and reason."""
        found = self.status(kind, name, namespace).get("conditions", [])
        return next(((it["status"], it["reason"]) for it in found if it["type"] == type_), ("", ""))

    def wait_condition(
        self, type_: str, status: str, reason: str, kind: str, name: str, namespace: str | None = None
    ) -> dict[str, Any]:
        """The status, once a condition of the resource's newest generation is so."""

        def there() -> dict[str, Any] | None:
            resource = self.cluster.client.get(self.path(kind, name, namespace))
            said = resource.get("status", {})
            same = said.get("observedGeneration") == resource["metadata"]["generation"]
            held = [(it["status"], it["reason"]) for it in said.get("conditions", []) if it["type"] == type_]
            return said if same and held == [(status, reason)] else None

        try:
            return wait_until(there, within=60, saying=f"{kind} {name} is {type_}={status} ({reason})")
        except AssertionError as failure:
            logs = sorted(self.here.glob("operator-*.log"))
            told = logs[-1].read_text()[-3000:] if logs else "no operator was started"
            found = self.cluster.client.find(self.path(kind, name, namespace))
            raise AssertionError(f"{failure}\n{json.dumps(found)}\n{told}") from None

    def log(self) -> Revisions:
        """telltale.rules, read to its end."""

        async def read() -> Revisions:
            async with RulesLog(self.settings) as log:
                return await log.read()

        return asyncio.run(read())

    def head(self) -> Manifest:
        """The manifest at the head."""
        log = self.log()
        return log.manifest(log.head)

    def documents(self) -> dict[str, Any]:
        """What runs, by kind and name."""
        log = self.log()
        found = log.sources(log.head) if log.head else []
        return {source.name: json.loads(source.text) for source in found}

    def wait_documents(self, claim: Callable[[dict[str, Any]], object], within: float = 60) -> dict[str, Any]:
        """What runs, once it is as claimed."""

        def there() -> dict[str, Any] | None:
            found = self.documents()
            return found if claim(found) else None

        return wait_until(there, within=within, every=0.2, saying="telltale.rules is as claimed")

    def catalog(self, *signals: str) -> None:
        """The catalog, in the shared namespace."""
        found = {f"Vehicle.{it.title()}": {"path": it, "alias": it} for it in signals or ("speed",)}
        position = {"latitude": "lat", "longitude": "lon"}
        spec = {"timestamp": {"path": "ts"}, "position": position, "signals": found}
        self.apply("SignalCatalog", "default", spec)


def install(cluster: Cluster) -> None:
    """Our kinds."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for custom in CUSTOM_KINDS:
        cluster.client.apply(f"{path}/{custom.kind.resource}", definition(custom), manager="crds")
    for custom in CUSTOM_KINDS:
        kind = custom.kind
        wait_until(lambda kind=kind: cluster.client.find(f"/apis/{kind.api_version}/{kind.plural}"))


@pytest.fixture(scope="session")
def rule_kinds(control_plane: Cluster) -> Cluster:
    """The cluster, once it knows the kinds of rules."""
    install(control_plane)
    return control_plane


@pytest.fixture
def tenants(rules: Rules) -> Iterator[list[str]]:
    """Two more namespaces, which the operator of `rules` looks after, too."""
    client = rules.cluster.client
    made = [f"{tenant}-{rules.namespace}" for tenant in ("acme", "umbra")]
    for name in made:
        client.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": name}})
    rules.namespaces += made
    yield made
    for name in made:
        client.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def rules(rule_kinds: Cluster, namespace: str, kafka: KafkaAddress, prefix: str, tmp_path: Path) -> Rules:
    """An installation of this test's own, and a namespace in which its rules are."""
    made = Rules(rule_kinds, kafka.bootstrap, prefix, [namespace], tmp_path)

    create_topics(made.settings)
    return made
