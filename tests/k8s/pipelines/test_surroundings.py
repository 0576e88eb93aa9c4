"""Who may reach a stage's pods."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from k8s.pipelines.surroundings import network_policy
from tests.k8s.pipelines.specs import OWNER, spec

MANIFESTS = Path(__file__).parents[3] / "k8s" / "kustomize" / "operator" / "operator.yaml"
MONITORING = {"kubernetes.io/metadata.name": "monitoring"}


def operator_labels() -> dict[str, str]:
    """Those of the operator's pods, as the chart makes them."""
    for manifest in yaml.safe_load_all(MANIFESTS.read_text()):
        if manifest["kind"] == "Deployment":
            return manifest["spec"]["template"]["metadata"]["labels"]
    raise AssertionError("there is no operator")


def may_reach(policy: dict[str, Any], namespace: dict[str, str], pod: dict[str, str]) -> bool:
    """Whether the policy lets a pod with these labels in."""

    def fits(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
        return selector is None or selector.get("matchLabels", {}).items() <= labels.items()

    (rule,) = policy["spec"]["ingress"]
    return any(
        fits(peer.get("namespaceSelector"), namespace) and fits(peer.get("podSelector"), pod)
        for peer in rule["from"]
    )


@pytest.mark.parametrize(
    ("said", "namespace", "pod", "expected"),
    [
        ({}, {}, {}, True),
        ({"fromNamespaces": MONITORING}, MONITORING, {}, True),
        ({"fromNamespaces": MONITORING}, {}, {}, False),
        ({"fromNamespaces": MONITORING}, {}, operator_labels(), True),
    ],
)
def test_who_may_read_metrics(
    said: dict[str, Any], namespace: dict[str, str], pod: dict[str, str], *, expected: bool
) -> None:
    policy = network_policy(OWNER, spec(networkPolicies=said), "alerts")
    assert may_reach(policy, namespace, pod) is expected
