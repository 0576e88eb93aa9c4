"""What stands around a stage's pods: their address, their account, who may reach them, who may evict them."""

from __future__ import annotations

from typing import Any

from k8s.kinds import DISRUPTION_BUDGET, NETWORK_POLICY, SERVICE, SERVICE_ACCOUNT
from k8s.pipelines.environment import HTTP_PORT
from k8s.pipelines.names import OPERATOR_PODS, Owner, labels_of, selector_of, stage_name
from k8s.pipelines.spec import RulePipelineSpec


def _head(owner: Owner, stage: str) -> dict[str, Any]:
    return {
        "name": stage_name(owner, stage),
        "namespace": owner.namespace,
        "labels": labels_of(owner, stage),
    }


def service(owner: Owner, stage: str) -> dict[str, Any]:
    """Headless: each worker's metrics and health by its own address, none of them balanced."""
    return {
        **SERVICE.head(),
        "metadata": _head(owner, stage),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": selector_of(owner, stage),
            "ports": [{"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def service_account(owner: Owner, stage: str) -> dict[str, Any]:
    """An account without rights, whose token no pod has: a stage never talks to the API server."""
    return {
        **SERVICE_ACCOUNT.head(),
        "metadata": _head(owner, stage),
        "automountServiceAccountToken": False,
    }


def disruption_budget(owner: Owner, stage: str) -> dict[str, Any]:
    """One worker at a time may be evicted: the others take its partitions over meanwhile."""
    return {
        **DISRUPTION_BUDGET.head(),
        "metadata": _head(owner, stage),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector_of(owner, stage)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def network_policy(owner: Owner, spec: RulePipelineSpec, stage: str) -> dict[str, Any]:
    """In: the HTTP port. Out: names, the brokers' ports, and nothing else."""
    ports = list(spec.kafka.ports)
    if spec.mqtt is not None and stage in ("uplink", "downlink"):
        ports.append(spec.mqtt.effective_port)
    ports += spec.network_policies.egress_ports
    readers: list[dict[str, Any]] = [{"namespaceSelector": {}}]
    if allowed := spec.network_policies.from_namespaces:
        readers = [
            {"namespaceSelector": {"matchLabels": dict(allowed)}},
            {"namespaceSelector": {}, "podSelector": {"matchLabels": OPERATOR_PODS}},
        ]
    return {
        **NETWORK_POLICY.head(),
        "metadata": _head(owner, stage),
        "spec": {
            "podSelector": {"matchLabels": selector_of(owner, stage)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": readers, "ports": [{"port": HTTP_PORT, "protocol": "TCP"}]}],
            "egress": [
                {"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]},
                {"ports": [{"port": port, "protocol": "TCP"} for port in dict.fromkeys(ports)]},
            ],
        },
    }
