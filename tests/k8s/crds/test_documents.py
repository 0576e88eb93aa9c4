"""What is right on disk is right in the cluster, and what the cluster takes runs, or has findings."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from k8s.crds import CUSTOM_KINDS, DOCUMENT_KINDS, definition
from k8s.pipelines.checks import read_spec
from rules import RuleSet, compile_rules
from rules.documents import Source, parse
from rules.documents.yaml_reader import read_yaml
from tests.controlplane.cluster import Cluster
from tests.k8s.crds.conftest import Try
from tests.k8s.crds.fields import spec_of
from tests.k8s.crds.guesses import guess
from tests.k8s.crds.test_every_field import documents_of

ROOT = Path(__file__).parents[3]
LIBRARY = sorted(path for path in (ROOT / "rules/library").rglob("*.yaml") if ".test." not in path.name)
GOOD = sorted((ROOT / "tests/documents/files").glob("*.good.yaml"))
IN_CLUSTER = {each.kind.name for each in DOCUMENT_KINDS}

_NEEDED = {"Adaptation": ("AlertRule",), "CommandType": ("AlertRule",)}
GUESSES = 15


def test_every_kind_is_established_and_structural(cluster: Cluster):
    for custom in CUSTOM_KINDS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{custom.kind.resource}"
        conditions = cluster.client.get(path)["status"]["conditions"]
        told = {each["type"]: each["status"] for each in conditions}
        assert told.get("Established") == "True", conditions
        assert told.get("NamesAccepted") == "True", conditions
        assert "NonStructuralSchema" not in told, conditions


def test_the_api_server_has_the_schema_that_we_wrote(cluster: Cluster):
    """It drops what it does not know, and says nothing."""
    for custom in CUSTOM_KINDS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{custom.kind.resource}"
        assert cluster.client.get(path)["spec"]["versions"] == definition(custom)["spec"]["versions"]


def test_kubectl_applies_the_files_of_the_library_as_they_are(cluster: Cluster, namespace: str):
    files = [word for path in LIBRARY for word in ("-f", path)]
    told = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "--namespace", namespace, *files)
    assert len(told.splitlines()) == sum(len(read_yaml(path.read_text())[0]) for path in LIBRARY)


@pytest.mark.parametrize("files", [GOOD[index::8] for index in range(8)], ids=lambda files: files[0].stem)
def test_the_api_server_takes_every_good_document(files: list[Path], attempt: Try):
    for file in files:
        for root in read_yaml(file.read_text(encoding="utf-8"))[0]:
            document = root.plain()
            if document["kind"] in IN_CLUSTER and "." not in document["metadata"]["name"]:
                assert attempt(document) is None, f"{file.name}:{root.line}"


@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=lambda custom: custom.kind.name)
def test_what_the_api_server_takes_runs_or_has_findings(custom, attempt: Try):
    """Documents at random, of the schema alone: most mean nothing, none stops whoever reads them."""
    chance = random.Random(custom.kind.name)
    beside = {"SignalCatalog", "Definitions", "Geofence", *_NEEDED.get(custom.kind.name, ())}
    others = [each for name in sorted(beside - {custom.kind.name}) for each in documents_of(name)]
    schema, taken = spec_of(custom), 0
    for _ in range(500):
        document: dict[str, Any] = {
            "apiVersion": custom.kind.api_version,
            "kind": custom.kind.name,
            "metadata": {"name": "guess"},
            "spec": guess(schema, chance),
        }
        if attempt(document) is not None:
            continue
        if custom.kind.name == "RulePipeline":
            spec, problems = read_spec(document)
            assert spec is not None or problems
        else:
            sources = [Source(f"{n}.yaml", json.dumps(each)) for n, each in enumerate([*others, document])]
            found = compile_rules(parse(sources))
            assert isinstance(found, RuleSet) or any(each.severity == "error" for each in found)
        taken += 1
        if taken == GUESSES:
            return
    pytest.fail(f"the API server took {taken} of 500 guesses")
