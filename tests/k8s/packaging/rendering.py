"""What helm and kustomize make of our folders; `python -m tests.k8s.packaging` writes the golden files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from k8s.operator.rights import admission_rules, cluster_rules, lease_rules
from tests.controlplane.build import programs
from tests.k8s.packaging.dockerfile import ROOT

CHART = ROOT / "k8s/helm/telltale"
VALUES = Path(__file__).parent / "values"
STACK_VALUES = ROOT / "k8s/examples/stack/values.yaml"
GOLDENS = Path(__file__).parent / "goldens"
RENDERED = ROOT / "k8s/kustomize/operator/operator.yaml"
"""The chart with its own values, for those who have no helm; a golden file like the others."""
NAMESPACE = "telltale"
BY_KUSTOMIZE = (
    "k8s/kustomize/overlays/private",
    "k8s/kustomize/overlays/public",
    "k8s/kustomize/overlays/hybrid/edge",
    "k8s/kustomize/overlays/hybrid/cloud",
    "k8s/examples/stack",
)


class Refused(Exception):
    """What helm or kustomize said when it ended with an error."""


def tool(name: str, *words: str | Path) -> str:
    """Run one of the built programs, without a cluster; its output, or Refused."""
    done = subprocess.run(
        [programs() / name, *words], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise Refused(done.stderr)
    return done.stdout


def chart(values: Path | None = None, *words: str) -> str:
    """The chart's manifests, release `telltale` in NAMESPACE."""
    given = ["--values", str(values)] if values else []
    return tool("helm", "template", "telltale", CHART, "--namespace", NAMESPACE, *given, *words)


def kustomized(folder: str) -> str:
    """The manifests of a kustomization."""
    return tool("kubectl", "kustomize", ROOT / folder)


def documents(text: str) -> list[dict[str, Any]]:
    """The manifests of a rendering."""
    return [document for document in yaml.load_all(text, yaml.CSafeLoader) if document]


def rights() -> dict[Path, str]:
    """The chart's rules of roles, from the operator's own list; names are the chart's templates."""
    configuration, certificates = admission_rules(
        webhook="{{ include `telltale.clusterName` . }}", secret="{{ include `telltale.webhookSecret` . }}"
    )
    lists = {
        "watched": cluster_rules(),
        "lease": lease_rules("{{ include `telltale.name` . }}"),
        "certificates": certificates,
        "webhook": configuration,
    }
    return {
        # By way of JSON: equal lists are to be written out, not to be aliases of each other.
        CHART / "rights" / f"{name}.yaml": yaml.safe_dump(
            json.loads(json.dumps(rules)), default_flow_style=None, width=200
        )
        for name, rules in lists.items()
    }


def golden() -> dict[Path, str]:
    """Every golden file and what it should hold now; the chart is rendered with the rights that it has."""
    files = {GOLDENS / f"chart-{path.stem}.yaml": chart(path) for path in sorted(VALUES.glob("*.yaml"))}
    files[GOLDENS / "chart-stack.yaml"] = chart(STACK_VALUES)
    files[RENDERED] = chart()
    for folder in BY_KUSTOMIZE:
        files[GOLDENS / f"{folder.replace('/', '-')}.yaml"] = kustomized(folder)
    return files
