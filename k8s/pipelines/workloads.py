"""The Deployment of a stage, and the pod in it: what the process contract promises, said to Kubernetes.

A new pod is added before an old one is taken away, and counts when it is ready, which a worker is when its
partitions are restored. The pod can write nowhere but in two empty directories, and has no token.
"""

from __future__ import annotations

import math
from typing import Any, Final

from k8s.kinds import DEPLOYMENT
from k8s.pipelines.environment import (
    HTTP_PORT,
    SECRET_FILE,
    SECRETS_DIR,
    STATE_DIR,
    config_map,
    secret_files,
)
from k8s.pipelines.names import CANARY, STABLE, Owner, labels_of, selector_of, stage_name
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import Resources, Stage

_SECRET_MODE: Final = 0o444
"""Readable by whatever user the pod runs as; only its own containers see it."""


def image_of(spec: RulePipelineSpec, stage: str) -> str:
    """The image that a stage runs."""
    return spec.stages.of(stage).image or spec.image


def deployment(owner: Owner, spec: RulePipelineSpec, name: str, track: str = STABLE) -> dict[str, Any]:
    """The Deployment of a stage; its replicas are left out where somebody else scales it."""
    stage = spec.stages.of(name)
    scaled: dict[str, Any] = {}
    if track == CANARY and stage.canary is not None:
        scaled = {"replicas": stage.canary.replicas}
    elif (replicas := spec.replicas_of(name)) is not None:
        scaled = {"replicas": replicas}
    min_ready_s = math.ceil(spec.upgrade.min_ready_ms / 1000)
    return {
        **DEPLOYMENT.head(),
        "metadata": {
            "name": stage_name(owner, name, track),
            "namespace": owner.namespace,
            "labels": labels_of(owner, name, track),
        },
        "spec": {
            **scaled,
            "selector": {"matchLabels": selector_of(owner, name, track)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "minReadySeconds": min_ready_s,
            "progressDeadlineSeconds": max(
                math.ceil(spec.upgrade.progress_deadline_ms / 1000), min_ready_s + 1
            ),
            "revisionHistoryLimit": 2,
            "template": pod_template(owner, spec, name, track),
        },
    }


def pod_template(owner: Owner, spec: RulePipelineSpec, name: str, track: str = STABLE) -> dict[str, Any]:
    """The pod of a stage."""
    stage = spec.stages.of(name)
    metadata: dict[str, Any] = {"labels": {**stage.pod_labels, **labels_of(owner, name, track)}}
    if stage.pod_annotations:
        metadata["annotations"] = dict(stage.pod_annotations)
    return {
        "metadata": metadata,
        "spec": {
            **common_pod(spec),
            "serviceAccountName": stage_name(owner, name),
            "terminationGracePeriodSeconds": stage.termination_grace_period_seconds,
            **_placement(owner, stage, name),
            "containers": [_container(owner, spec, name)],
            "volumes": [
                {"name": "state", "emptyDir": {"sizeLimit": stage.state_size}},
                *volumes(spec, name),
            ],
        },
    }


def common_pod(spec: RulePipelineSpec) -> dict[str, Any]:
    """What every pod of ours has."""
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    if spec.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in spec.image_pull_secrets]
    return pod


def common_container(owner: Owner, spec: RulePipelineSpec, component: str) -> dict[str, Any]:
    """What every container of ours has: settings, secrets, and no rights."""
    container: dict[str, Any] = {
        "env": [{"name": "TELLTALE_CLIENT_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "envFrom": [{"configMapRef": {"name": config_map(owner, spec, component)["metadata"]["name"]}}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    if spec.image_pull_policy is not None:
        container["imagePullPolicy"] = spec.image_pull_policy
    return container


def volumes(spec: RulePipelineSpec, component: str) -> list[dict[str, Any]]:
    """The directory for temporary files, and one for each secret file."""
    return [
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        *(
            {
                "name": name,
                "secret": {
                    "secretName": key.name,
                    "defaultMode": _SECRET_MODE,
                    "items": [{"key": key.key, "path": SECRET_FILE}],
                },
            }
            for name, key in secret_files(spec, component).items()
        ),
    ]


def mounts(spec: RulePipelineSpec, component: str) -> list[dict[str, Any]]:
    """Where the volumes are seen."""
    return [
        {"name": "tmp", "mountPath": "/tmp"},
        *(
            {"name": name, "mountPath": f"{SECRETS_DIR}/{name}", "readOnly": True}
            for name in secret_files(spec, component)
        ),
    ]


def _container(owner: Owner, spec: RulePipelineSpec, name: str) -> dict[str, Any]:
    stage = spec.stages.of(name)

    def ask(path: str, **timing: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 3, **timing}

    return {
        "name": name,
        "image": image_of(spec, name),
        "command": ["telltale", "run", name],
        **common_container(owner, spec, name),
        "ports": [{"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"}],
        "resources": amounts(stage.resources),
        "volumeMounts": [{"name": "state", "mountPath": STATE_DIR}, *mounts(spec, name)],
        # The port answers long before the brokers are reached, so that a slow Kafka restarts nobody.
        "startupProbe": ask("/healthz", periodSeconds=2, failureThreshold=60),
        "livenessProbe": ask("/healthz", periodSeconds=10, failureThreshold=6),
        "readinessProbe": ask("/readyz", periodSeconds=2, failureThreshold=3),
    }


def _placement(owner: Owner, stage: Stage, name: str) -> dict[str, Any]:
    placed: dict[str, Any] = {}
    if stage.node_selector:
        placed["nodeSelector"] = dict(stage.node_selector)
    if stage.tolerations:
        placed["tolerations"] = [
            each.model_dump(by_alias=True, exclude_none=True) for each in stage.tolerations
        ]
    if stage.affinity:
        placed["affinity"] = dict(stage.affinity)
    if stage.priority_class_name is not None:
        placed["priorityClassName"] = stage.priority_class_name
    if stage.topology_spread:
        placed["topologySpreadConstraints"] = [
            {
                **each.model_dump(by_alias=True),
                "labelSelector": {"matchLabels": selector_of(owner, name)},
            }
            for each in stage.topology_spread
        ]
    return placed


def amounts(resources: Resources) -> dict[str, Any]:
    """Requests and limits as a container has them."""
    said = resources.model_dump(by_alias=True, exclude_none=True)
    return {kind: {name: str(amount) for name, amount in each.items()} for kind, each in said.items() if each}
