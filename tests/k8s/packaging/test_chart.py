"""The chart: what it renders is what a reviewer has read, and wrong values are refused with their path."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.k8s.foreign import ARE_HERE, manifest
from tests.k8s.packaging.dockerfile import ROOT
from tests.k8s.packaging.rendering import (
    CHART,
    GOLDENS,
    NAMESPACE,
    RENDERED,
    VALUES,
    Refused,
    chart,
    documents,
    golden,
    rights,
    tool,
)

CASES = sorted(VALUES.glob("*.yaml"))
DASHBOARDS = sorted((CHART / "dashboards").glob("*.json"))


def of_kind(rendered: str, kind: str) -> list[dict[str, Any]]:
    return [document for document in documents(rendered) if document["kind"] == kind]


def test_what_is_rendered_is_what_was_read() -> None:
    files = golden()
    assert set(GOLDENS.glob("*.yaml")) | {RENDERED} == set(files)
    for path, text in files.items():
        assert path.read_text() == text, f"{path.name}: `python -m tests.k8s.packaging` writes it anew"


def test_the_charts_rights_are_those_that_the_operator_says_it_needs() -> None:
    files = rights()
    assert set((CHART / "rights").iterdir()) == set(files)
    for path, text in files.items():
        assert path.read_text() == text, f"{path.name}: `python -m tests.k8s.packaging` writes it anew"


@pytest.mark.parametrize("values", CASES, ids=lambda path: path.stem)
def test_the_chart_passes_the_strict_linter(values: Path) -> None:
    tool("helm", "lint", "--strict", CHART, "--values", values)


@pytest.mark.parametrize(
    ("set_", "path"),
    [
        pytest.param("replica=2", "replica", id="misspelt"),
        pytest.param("image.tags=x", "image", id="misspelt-within"),
        pytest.param("replicas=0", "replicas", id="no-replica"),
        pytest.param("replicas=two", "replicas", id="a-word-for-a-number"),
        pytest.param("image.digest=abc", "image.digest", id="digest"),
        pytest.param("webhook.port=8080", "webhook.port", id="two-on-one-port"),
        pytest.param("webhook.port=443", "webhook.port", id="port-of-root"),
        pytest.param("webhook.failurePolicy=Maybe", "webhook.failurePolicy", id="policy"),
        pytest.param("webhook.certificates=secret", "webhook.secret", id="secret-without-name"),
        pytest.param("watch.namespaces={Acme}", "watch.namespaces", id="namespace"),
        pytest.param("settings.TELLTALE_KAFKA_SASL_PASSWORD=x", "settings", id="secret-in-plain-sight"),
        pytest.param("settings.PREFIX=x", "settings", id="not-a-setting"),
        pytest.param("kafka.bootstrap=kafka", "kafka.bootstrap", id="no-port"),
        pytest.param("kafka.sasl.username=a", "kafka.sasl", id="user-without-password"),
        pytest.param("kafka.tls.key.name=a", "kafka.tls", id="key-without-certificate"),
        pytest.param(
            "terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds", id="no-time-to-drain"
        ),
    ],
)
def test_wrong_values_are_refused_with_their_path(set_: str, path: str) -> None:
    with pytest.raises(Refused) as refused:
        chart(None, "--set", set_)
    assert path.replace(".", "/") in str(refused.value) or f"'{path}'" in str(refused.value)


def test_every_value_is_in_the_schema_and_the_schema_is_closed() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    def walk(value: dict[str, Any], described: dict[str, Any], path: str) -> None:
        if "properties" not in described:
            return
        assert described["additionalProperties"] is False, path
        assert value.keys() <= described["properties"].keys(), path
        for key, inner in value.items():
            if isinstance(inner, dict):
                walk(inner, described["properties"][key], f"{path}.{key}")

    walk(values, schema, "")
    assert set(schema["properties"]) - {"global"} == set(values), "each value has a default"


def test_one_replica_that_watches_its_own_namespaces_has_nothing_cluster_wide() -> None:
    for set_ in ("least", "namespaced"):
        kinds = {document["kind"] for document in documents(chart(VALUES / f"{set_}.yaml"))}
        assert not any(kind.startswith("Cluster") for kind in kinds)
    namespaces = {
        role["metadata"]["namespace"] for role in of_kind(chart(VALUES / "namespaced.yaml"), "Role")
    }
    assert namespaces == {NAMESPACE, "acme", "globex"}


def test_every_rule_kind_reaches_the_webhook() -> None:
    (configuration,) = of_kind(chart(), "ValidatingWebhookConfiguration")
    (webhook,) = configuration["webhooks"]
    crds = [yaml.safe_load(path.read_text()) for path in (CHART / "crds").glob("*.yaml")]
    plurals = {crd["spec"]["names"]["plural"] for crd in crds}
    assert set(webhook["rules"][0]["resources"]) == plurals - {"rulepipelines"}
    assert webhook["failurePolicy"] == "Ignore", "a missing operator holds nobody up"


def test_templated_crds_are_kept_when_the_release_goes() -> None:
    crds = of_kind(chart(None, "--set", "crds.templated=true"), "CustomResourceDefinition")
    assert {crd["metadata"]["name"] for crd in crds} == {
        yaml.safe_load(path.read_text())["metadata"]["name"] for path in (CHART / "crds").glob("*.yaml")
    }
    assert all(crd["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for crd in crds)
    assert not of_kind(chart(), "CustomResourceDefinition")


@pytest.mark.skipif(not ARE_HERE, reason="the CRDs of other projects are not beside this checkout")
def test_the_service_monitor_is_one_of_the_prometheus_operators() -> None:
    (monitor,) = of_kind(chart(VALUES / "everything.yaml"), "ServiceMonitor")
    crd = yaml.safe_load(manifest("servicemonitors").read_text())
    (version,) = (each for each in crd["spec"]["versions"] if each["name"] == "v1")
    described = version["schema"]["openAPIV3Schema"]
    jsonschema.validate(monitor, described)
    endpoint = described["properties"]["spec"]["properties"]["endpoints"]["items"]["properties"]
    assert monitor["spec"].keys() <= described["properties"]["spec"]["properties"].keys()
    assert monitor["spec"]["endpoints"][0].keys() <= endpoint.keys()


def test_the_chart_and_the_project_have_one_version() -> None:
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    assert about["version"] == about["appVersion"] == version[1]


METRIC = re.compile(r"^\| `(\w+)` \| \w+ \| ([^|]+) \|", re.MULTILINE)


def test_the_dashboards_show_metrics_that_there_are() -> None:
    """Each name in a query is in docs/metrics.md, and so is each label that it is taken apart by."""
    page = (ROOT / "docs/metrics.md").read_text()
    known = {name: set(labels.split(", ")) - {"–"} for name, labels in METRIC.findall(page)}
    always = {"namespace", "pod", "le"}
    seen = set()
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                names = set(re.findall(r"\btelltale_\w+", expression))
                metrics = {known_name(name, known) for name in names}
                assert metrics, expression
                seen |= metrics
                labels = set().union(*(known[metric] for metric in metrics)) | always
                by = {
                    one.strip()
                    for each in re.findall(r"by \(([^)]*)\)", expression)
                    for one in each.split(",")
                }
                matched = set(re.findall(r"[{,](\w+)=~?\"", expression))
                shown = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                assert by | matched | shown <= labels, expression
                assert shown <= by, target["legendFormat"]
    assert len(seen) > 40


def known_name(name: str, known: dict[str, set[str]]) -> str:
    """The metric that a series belongs to."""
    metric = name.removesuffix("_bucket")
    assert metric in known, f"{name}: not in docs/metrics.md"
    return metric


def test_the_dashboards_are_laid_out_without_a_gap_or_an_overlap() -> None:
    for path in DASHBOARDS:
        taken: set[tuple[int, int]] = set()
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        for panel in panels:
            at = panel["gridPos"]
            cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells
