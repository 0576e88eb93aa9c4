"""Who scales a stage: KEDA by the consumer group's lag where it is installed, else the HPA by CPU.

The uplink reads MQTT and has no lag: it is always scaled by CPU. KEDA makes an HPA of its own, so that never
both are written for one stage.
"""

from __future__ import annotations

from typing import Any

from k8s.kinds import AUTOSCALER, DEPLOYMENT, SCALED_OBJECT, TRIGGER_AUTHENTICATION
from k8s.pipelines.names import Owner, labels_of, stage_name
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import GROUPED
from pipeline.process.names import group_id, topic_name

INPUTS = {
    "normalize": "vehicle.raw",
    "alerts": "vehicle.telemetry",
    "geofences": "vehicle.telemetry",
    "aggregations": "vehicle.telemetry",
    "downlink": "vehicle.commands",
}
"""The topic whose lag a stage is scaled by."""
_SASL = {"PLAIN": "plaintext", "SCRAM-SHA-256": "scram_sha256", "SCRAM-SHA-512": "scram_sha512"}


def autoscalers(owner: Owner, spec: RulePipelineSpec, stage: str, *, keda: bool) -> list[dict[str, Any]]:
    """What scales the stage; nothing where `replicas`, or a person, does."""
    if spec.stages.of(stage).autoscaling is None:
        return []
    if keda and stage in GROUPED:
        authentication = _trigger_authentication(owner, spec, stage)
        return [_scaled_object(owner, spec, stage, bool(authentication)), *authentication]
    return [_autoscaler(owner, spec, stage)]


def _head(owner: Owner, stage: str) -> dict[str, Any]:
    return {
        "name": stage_name(owner, stage),
        "namespace": owner.namespace,
        "labels": labels_of(owner, stage),
    }


def _autoscaler(owner: Owner, spec: RulePipelineSpec, stage: str) -> dict[str, Any]:
    scaling = spec.stages.of(stage).autoscaling
    assert scaling is not None
    return {
        **AUTOSCALER.head(),
        "metadata": _head(owner, stage),
        "spec": {
            "scaleTargetRef": {**DEPLOYMENT.head(), "name": stage_name(owner, stage)},
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": scaling.cpu_utilization},
                    },
                }
            ],
            # Each change of the number moves partitions, and a moved partition is restored first.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
        },
    }


def _scaled_object(owner: Owner, spec: RulePipelineSpec, stage: str, authenticated: bool) -> dict[str, Any]:
    scaling = spec.stages.of(stage).autoscaling
    assert scaling is not None
    return {
        **SCALED_OBJECT.head(),
        "metadata": _head(owner, stage),
        "spec": {
            "scaleTargetRef": {**DEPLOYMENT.head(), "name": stage_name(owner, stage)},
            "minReplicaCount": scaling.min_replicas,
            "maxReplicaCount": scaling.max_replicas,
            "cooldownPeriod": 600,
            "advanced": {
                "horizontalPodAutoscalerConfig": {
                    "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}
                }
            },
            "triggers": [
                {
                    "type": "kafka",
                    "metadata": {
                        "bootstrapServers": spec.kafka.bootstrap.replace(" ", ""),
                        "consumerGroup": group_id(spec.prefix, stage),
                        "topic": topic_name(spec.prefix, INPUTS[stage]),
                        "lagThreshold": str(scaling.lag_threshold),
                        "offsetResetPolicy": "earliest",
                        **_security(spec),
                    },
                    **({"authenticationRef": {"name": stage_name(owner, stage)}} if authenticated else {}),
                }
            ],
        },
    }


def _security(spec: RulePipelineSpec) -> dict[str, str]:
    said = {}
    if spec.kafka.sasl is not None:
        said["sasl"] = _SASL[spec.kafka.sasl.mechanism]
    if spec.kafka.security_protocol.endswith("SSL"):
        said["tls"] = "enable"
    return said


def _trigger_authentication(owner: Owner, spec: RulePipelineSpec, stage: str) -> list[dict[str, Any]]:
    """How KEDA proves who it is: the stage's own user, by the same Secrets."""
    kafka = spec.kafka
    secrets: list[dict[str, str]] = []
    environment: list[dict[str, str]] = []
    if kafka.sasl is not None:
        environment.append({"parameter": "username", "name": "TELLTALE_KAFKA_SASL_USERNAME"})
        password = kafka.sasl.password_secret
        secrets.append({"parameter": "password", "name": password.name, "key": password.key})
    if kafka.security_protocol.endswith("SSL"):
        tls = kafka.tls
        for parameter, key in (
            ("ca", tls.ca if tls else None),
            ("cert", tls.certificate if tls else None),
            ("key", tls.key if tls else None),
        ):
            if key is not None:
                secrets.append({"parameter": parameter, "name": key.name, "key": key.key})
    if not secrets and not environment:
        return []
    return [
        {
            **TRIGGER_AUTHENTICATION.head(),
            "metadata": _head(owner, stage),
            "spec": {
                **({"env": environment} if environment else {}),
                **({"secretTargetRef": secrets} if secrets else {}),
            },
        }
    ]
