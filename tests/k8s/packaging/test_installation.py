"""The chart, the kustomizations and the example stack on a real control plane of their own.

Not the shared one: what is installed here belongs to the whole cluster, and its end is part of the test.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import KafkaAddress
from tests.controlplane.build import programs
from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster, ToolFailure
from tests.controlplane.kubelet import ProcessKubelet
from tests.k8s.foreign import install
from tests.k8s.packaging.dockerfile import ROOT
from tests.k8s.packaging.rendering import (
    BY_KUSTOMIZE,
    CHART,
    NAMESPACE,
    RENDERED,
    STACK_VALUES,
    VALUES,
    chart,
    documents,
    kustomized,
)

FOREIGN = ("emqxes", "kafkas", "kafkanodepools", "kafkausers", "servicemonitors")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
STRICTLY = ["apply", "--server-side", "--validate=strict"]
OPERATOR = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/telltale"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A cluster of this file's own, with the CRDs of the projects that ours meets."""
    with Cluster.started() as cluster:
        install(cluster, *FOREIGN)
        make_namespace(cluster, NAMESPACE, RESTRICTED)
        yield cluster


def make_namespace(
    cluster: Cluster, name: str, labels: dict[str, str], annotations: dict[str, str] | None = None
) -> None:
    metadata = {"name": name, "labels": labels, "annotations": annotations or {}}
    cluster.client.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": metadata})


def helm(cluster: Cluster, *words: str | Path) -> str:
    return cluster.helm(*words, "--namespace", NAMESPACE)


def crds(cluster: Cluster) -> dict[str, dict[str, Any]]:
    found = cluster.client.list(CRDS)
    return {crd["metadata"]["name"]: crd for crd in found if crd["spec"]["group"] == "telltale.dev"}


def operator(cluster: Cluster) -> dict[str, Any]:
    return cluster.client.get(OPERATOR)


def test_the_chart_is_installed_upgraded_rolled_back_and_uninstalled(
    cluster: Cluster, tmp_path: Path
) -> None:
    """In the order of a release's life; its pods are simulated ones, in a namespace that is restricted."""
    older = older_chart(tmp_path)
    said = helm(cluster, "install", "telltale", older, "--wait", "--timeout", "60s")
    assert "rollout status deployment/telltale" in said
    assert operator(cluster)["status"]["readyReplicas"] == 2
    installed = crds(cluster)
    assert len(installed) == len(list((CHART / "crds").glob("*.yaml")))

    # Helm leaves CRDs as they are; our own command does not.
    helm(cluster, "upgrade", "telltale", CHART, "--wait", "--timeout", "60s")
    assert shown(cluster) == OLDER
    new = telltale("crds", environment={})
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=new)
    assert shown(cluster) != OLDER

    image = "example/telltale:1.2.3"
    words = ["--set", "image.repository=example/telltale", "--set", "image.tag=1.2.3", "--set", "replicas=3"]
    helm(cluster, "upgrade", "telltale", CHART, *words, "--wait", "--timeout", "60s")
    assert containers(operator(cluster))[0]["image"] == image
    assert operator(cluster)["status"]["readyReplicas"] == 3

    # What the operator wrote into the webhook's configuration is no business of an upgrade.
    path = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{NAMESPACE}-telltale"
    bundle = [{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": authority(cluster)}]
    cluster.client.patch(path, bundle, "application/json-patch+json")
    helm(cluster, "rollback", "telltale", "2", "--wait", "--timeout", "60s")
    assert containers(operator(cluster))[0]["image"] == "telltale:0.1.0"
    assert operator(cluster)["spec"]["replicas"] == 2
    assert cluster.client.get(path)["webhooks"][0]["clientConfig"]["caBundle"] == authority(cluster)

    # The CRDs become the release's own, and stay when it goes, with what there is of their kinds.
    words = ["--set", "crds.templated=true", "--take-ownership"]
    helm(cluster, "upgrade", "telltale", CHART, *words, "--wait", "--timeout", "60s")
    cluster.kubectl(*STRICTLY, "-n", "default", "-f", ROOT / "k8s/examples/rules/fleet/catalog.yaml")
    assert all(owner(crd) == "telltale" for crd in crds(cluster).values())
    helm(cluster, "uninstall", "telltale", "--wait")
    assert cluster.client.find(OPERATOR) is None
    assert crds(cluster).keys() == installed.keys()
    assert cluster.kubectl("get", "signalcatalogs", "-A", "--no-headers").split()[:2] == [
        "default",
        "default",
    ]
    left = cluster.kubectl(
        "get",
        "clusterroles,clusterrolebindings,roles,rolebindings",
        "-A",
        "-l",
        "app.kubernetes.io/component=operator",
        "-o",
        "name",
    )
    assert left == ""
    cluster.kubectl("delete", "signalcatalogs", "--all", "-n", "default")


OLDER = "what it said in an older version"


def older_chart(folder: Path) -> Path:
    """The chart with one CRD that says something else."""
    chart = folder / "telltale"
    shutil.copytree(CHART, chart)
    crd = yaml.safe_load((chart / "crds/alertrules.yaml").read_text())
    crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = OLDER
    (chart / "crds/alertrules.yaml").write_text(yaml.safe_dump(crd))
    return chart


def shown(cluster: Cluster) -> str:
    """The description that the cluster's CRD of AlertRule has."""
    version = cluster.client.get(f"{CRDS}/alertrules.telltale.dev")["spec"]["versions"][0]
    return str(version["schema"]["openAPIV3Schema"]["description"])


def containers(deployment: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment["spec"]["template"]["spec"]["containers"]
    return found


def authority(cluster: Cluster) -> str:
    """Some certificate that the API server takes: its own authority's."""
    return base64.b64encode(cluster.authority.read_bytes()).decode()


def owner(crd: dict[str, Any]) -> str | None:
    annotations: dict[str, str] = crd["metadata"].get("annotations") or {}
    return annotations.get("meta.helm.sh/release-name")


def test_without_helm_the_rendered_chart_is_applied(cluster: Cluster) -> None:
    cluster.kubectl(*STRICTLY, "-f", CHART / "crds")
    cluster.kubectl(*STRICTLY, "--force-conflicts", "-k", RENDERED.parent)
    wait_until(lambda: operator(cluster)["status"].get("readyReplicas") == 2)
    cluster.kubectl("delete", "-f", RENDERED)


@pytest.mark.parametrize("values", sorted(VALUES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_way_to_set_the_chart_is_taken_by_the_api_server(cluster: Cluster, values: Path) -> None:
    for name in ("acme", "globex", "fleet"):
        if cluster.client.find(f"/api/v1/namespaces/{name}") is None:
            make_namespace(cluster, name, {})
    # cert-manager's kinds: its CRDs are not at hand, and its manifests are read in the golden file alone.
    ours = [
        document
        for document in documents(chart(values))
        if not document["apiVersion"].startswith("cert-manager.io/")
    ]
    bundle = yaml.safe_dump_all(ours)
    cluster.kubectl(*STRICTLY, "--dry-run=server", "-f", "-", stdin=bundle)


def test_a_namespace_of_the_restricted_standard_takes_the_operators_pods(cluster: Cluster) -> None:
    (deployment,) = (each for each in documents(chart()) if each["kind"] == "Deployment")
    template = deployment["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": template["spec"]}
    pod["spec"]["serviceAccountName"] = "default"
    cluster.kubectl(*STRICTLY, "--dry-run=server", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(pod))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(ToolFailure, match="restricted"):
        cluster.kubectl(*STRICTLY, "--dry-run=server", "-n", NAMESPACE, "-f", "-", stdin=json.dumps(pod))


@pytest.mark.parametrize("folder", BY_KUSTOMIZE)
def test_a_kustomization_is_applied(cluster: Cluster, folder: str) -> None:
    """By server-side apply, with unknown fields refused, against our CRDs and those of EMQX and Strimzi."""
    cluster.kubectl(*STRICTLY, "-f", CHART / "crds")
    rendered = kustomized(folder)
    name = f"telltale-{BY_KUSTOMIZE.index(folder)}"
    # Each in a namespace of its own, so that none builds on what another left.
    text = rendered.replace("namespace: telltale\n", f"namespace: {name}\n")
    text = text.replace(
        "kind: Namespace\nmetadata:\n  name: telltale\n", f"kind: Namespace\nmetadata:\n  name: {name}\n"
    )
    cluster.kubectl(*STRICTLY, "-f", "-", stdin=text)
    for document in documents(text):
        if document["kind"] != "Namespace":
            group = document["apiVersion"].partition("/")[0]
            kind = f"{document['kind']}.{group}" if "/" in document["apiVersion"] else document["kind"]
            cluster.kubectl("get", kind, document["metadata"]["name"], "-n", name)
    cluster.client.delete(f"/api/v1/namespaces/{name}")


WRONG = """
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: wrong}
spec: {when: coolent > 110, severity: warning}
"""
PIPELINE = """
apiVersion: telltale.dev/v1alpha1
kind: RulePipeline
metadata: {name: fleet}
spec:
  image: telltale:0.1.0
  kafka: {bootstrap: "%s"}
  topics: {manage: None}
  upgrade: {minReady: 0s}
  stages: {uplink: {enabled: false}, downlink: {enabled: false}}
"""


@pytest.mark.integration
def test_the_installed_operator_looks_after_pipelines_and_rules(
    cluster: Cluster, kafka: KafkaAddress, prefix: str
) -> None:
    """Two operators under the chart's rights, processes in pods; the pipeline's own pods are simulated.

    The rules are in the release's namespace, as on the page: it is the one that is everybody's.
    """
    release, fleet = "telltale-live", "live-fleet"
    topics = {
        "TELLTALE_KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TELLTALE_PREFIX": prefix,
        "TELLTALE_PARTITIONS": "1",
    }
    telltale("topics", "create", environment=topics)
    make_namespace(cluster, fleet, {})
    with ProcessKubelet(cluster) as node:
        make_namespace(cluster, release, RESTRICTED, node.annotations)
        values = {"kafka.bootstrap": kafka.bootstrap, "kafka.prefix": prefix}
        sets = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
        words = [*sets, "--wait", "--timeout", "120s", "--namespace", release]
        cluster.helm("install", "telltale", CHART, *words)

        # The catalog first: the webhook judges a rule by it.
        rules = ROOT / "k8s/examples/rules/fleet"
        cluster.kubectl(*STRICTLY, "-n", release, "-f", rules / "catalog.yaml")
        refused = wait_until(
            lambda: refusal(cluster, release), within=60, saying="the webhook refuses a rule"
        )
        assert "undeclared signal 'coolent'" in refused
        assert "did you mean 'coolant'" in refused
        cluster.kubectl(*STRICTLY, "-n", release, "-k", ROOT / "k8s/examples/rules")
        said = wait_until(lambda: accepted(cluster, release, "alertrules", "coolant-overheat"), within=60)
        assert said["reason"] == "Valid"
        assert "coolant-overheat" in telltale("rules", "get", environment=topics)

        cluster.kubectl(*STRICTLY, "-n", fleet, "-f", "-", stdin=PIPELINE % kafka.bootstrap)
        cluster.kubectl("wait", "rulepipeline/fleet", "-n", fleet, "--for=condition=Ready", "--timeout=90s")
        deployed = cluster.kubectl("get", "deployments", "-n", fleet, "-o", "name").split()
        assert len(deployed) == 4

        # Pipelines go before the operator: their ends are its work.
        cluster.kubectl("delete", "rulepipeline/fleet", "-n", fleet, "--timeout=60s")
        cluster.helm("uninstall", "telltale", "--wait", "--namespace", release)
        pods = f"/api/v1/namespaces/{release}/pods"
        wait_until(lambda: not cluster.client.list(pods), within=60, saying="the operators have ended")


def refusal(cluster: Cluster, namespace: str) -> str | None:
    """What the webhook says of a wrong rule; None while it lets everything in."""
    try:
        cluster.kubectl("apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-", stdin=WRONG)
    except ToolFailure as failure:
        return str(failure)
    return None


def accepted(cluster: Cluster, namespace: str, plural: str, name: str) -> dict[str, str] | None:
    path = f"/apis/telltale.dev/v1alpha1/namespaces/{namespace}/{plural}/{name}"
    conditions = cluster.client.get(path).get("status", {}).get("conditions", [])
    return next(
        (each for each in conditions if each["type"] == "Accepted" and each["status"] == "True"), None
    )


def telltale(*words: str, environment: dict[str, str]) -> str:
    program = Path(sys.executable).parent / "telltale"
    done = subprocess.run(
        [program, *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_stacks_values_name_what_the_stack_makes() -> None:
    """User, Secrets and address of the operator's Kafka are those of the manifests beside them."""
    values = yaml.safe_load(STACK_VALUES.read_text())["kafka"]
    stack = documents(kustomized("k8s/examples/stack"))
    users = {each["metadata"]["name"]: each for each in stack if each["kind"] == "KafkaUser"}
    user = users[values["sasl"]["username"]]
    assert values["sasl"]["passwordSecret"] == {"name": user["metadata"]["name"], "key": "password"}
    assert user["metadata"]["namespace"] == NAMESPACE, "Strimzi puts the Secret where the user is"
    writes = {
        acl["resource"]["name"]
        for acl in user["spec"]["authorization"]["acls"]
        if "Write" in acl["operations"]
    }
    assert "telltale.rules" in writes
    (pipeline,) = (each["spec"]["kafka"] for each in stack if each["kind"] == "RulePipeline")
    for key in ("bootstrap", "securityProtocol", "tls"):
        assert values[key] == pipeline[key], key
    # Whose rules are everybody's: those of the release's namespace, which is the stack's.
    assert {each["metadata"]["namespace"] for each in stack if each["kind"] == "SignalCatalog"} == {NAMESPACE}


def test_flux_gives_the_operator_the_kafka_of_its_overlay() -> None:
    flux = documents((ROOT / "k8s/examples/gitops/flux/flux.yaml").read_text())
    (release,) = (each["spec"] for each in flux if each["kind"] == "HelmRelease")
    (fleet,) = (each["spec"] for each in flux if each["metadata"]["name"] == "fleet")
    overlay = documents(kustomized(fleet["path"]))
    (pipeline,) = (each for each in overlay if each["kind"] == "RulePipeline")
    assert release["values"]["kafka"] == {
        key: value for key, value in pipeline["spec"]["kafka"].items() if key != "tls"
    }
    assert release["targetNamespace"] == pipeline["metadata"]["namespace"]
    argo = documents((ROOT / "k8s/examples/gitops/argocd/applications.yaml").read_text())
    (source,) = (each["spec"]["source"] for each in argo if "helm" in each["spec"]["source"])
    (values,) = source["helm"]["valueFiles"]
    assert (ROOT / source["path"] / values).resolve() == STACK_VALUES
    assert {each["spec"]["destination"]["namespace"] for each in argo} == {NAMESPACE}


PAGE = (ROOT / "docs/kubernetes-install.md").read_text()


def test_the_page_on_installing_works_word_for_word(cluster: Cluster, tmp_path: Path) -> None:
    """Its `sh` blocks, in order, by somebody in the project's folder who has keys and certificates."""
    cluster.client.delete(f"/api/v1/namespaces/{NAMESPACE}")
    gone = f"/api/v1/namespaces/{NAMESPACE}"
    wait_until(lambda: cluster.client.find(gone) is None, within=60)
    for name in ("k8s", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("ca.crt", "tls.crt", "tls.key", "vehicle-ca.crt"):
        (tmp_path / name).write_text("-")
    path = f"{programs()}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"KUBECONFIG": str(cluster.admin), "PATH": path, "MQTT_PASSWORD": "x"}
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 4
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        if "k8s/examples/stack/values.yaml" in block:
            environment_of = {
                each["name"]: each.get("value") for each in containers(operator(cluster))[0]["env"]
            }
            assert environment_of["TELLTALE_KAFKA_SASL_USERNAME"] == "telltale-operator"
            assert environment_of["TELLTALE_RESOURCES_ENABLED"] == "true"
    assert "alertrules.telltale.dev" in done.stdout, "the CRDs stay"
