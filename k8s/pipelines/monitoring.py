"""What the Prometheus operator is told: where the workers' metrics are, and what should wake a person."""

from __future__ import annotations

from typing import Any

from k8s.kinds import PROMETHEUS_RULE, SERVICE_MONITOR
from k8s.pipelines.names import CANARY, COMPONENT, INSTANCE, Owner, labels_of, selector_of, stage_name
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import GROUPED
from rules.documents.durations import format_duration


def service_monitor(owner: Owner, spec: RulePipelineSpec, stage: str) -> dict[str, Any]:
    """Each worker of a stage is read on its own; instance and component become labels of its metrics."""
    return {
        **SERVICE_MONITOR.head(),
        "metadata": {
            "name": stage_name(owner, stage),
            "namespace": owner.namespace,
            "labels": {**spec.monitoring.labels, **labels_of(owner, stage)},
        },
        "spec": {
            "selector": {"matchLabels": selector_of(owner, stage)},
            "podTargetLabels": [INSTANCE, COMPONENT],
            "endpoints": [
                {"port": "http", "path": "/metrics", "interval": format_duration(spec.monitoring.interval_ms)}
            ],
        },
    }


def prometheus_rule(owner: Owner, spec: RulePipelineSpec) -> dict[str, Any]:
    """One PrometheusRule for the installation."""
    enabled = [stage for stage in spec.stages.enabled if stage in GROUPED]
    rules = []
    for stage in enabled:
        # Exactly the pods of this stage's Deployments: another pipeline's name may begin with this one's.
        pods = f"{stage_name(owner, stage)}(-{CANARY})?-[a-z0-9]+-[a-z0-9]+"
        rules += _stage_rules(stage, f'namespace="{owner.namespace}",pod=~"{pods}"')
    return {
        **PROMETHEUS_RULE.head(),
        "metadata": {
            "name": owner.name,
            "namespace": owner.namespace,
            "labels": {**spec.monitoring.labels, **labels_of(owner, "pipeline")},
        },
        "spec": {"groups": [{"name": f"telltale-{owner.namespace}-{owner.name}", "rules": rules}]},
    }


def _stage_rules(stage: str, where: str) -> list[dict[str, Any]]:
    name = "".join(word.capitalize() for word in stage.split("-"))
    metric = f"telltale_{stage}"
    labels = {"stage": stage}
    rules = [
        {
            "alert": f"Telltale{name}FallsBehind",
            "expr": f"sum({metric}_lag_records{{{where}}}) > 100000"
            f" and deriv(sum({metric}_lag_records{{{where}}})[15m:1m]) > 0",
            "for": "15m",
            "labels": {**labels, "severity": "warning"},
            "annotations": {"summary": f"The stage {stage} falls behind: its lag is large, and grows"},
        },
        {
            "alert": f"Telltale{name}DeadLetters",
            "expr": f"sum(rate({metric}_dead_letters_total{{{where}}}[10m])) > 1",
            "for": "10m",
            "labels": {**labels, "severity": "warning"},
            "annotations": {"summary": f"The stage {stage} writes more than one dead letter a second"},
        },
    ]
    if stage != "downlink":
        rules.append(
            {
                "alert": f"Telltale{name}LostRecords",
                "expr": f"increase({metric}_records_lost_total{{{where}}}[1h]) > 0",
                "labels": {**labels, "severity": "critical"},
                "annotations": {
                    "summary": f"The stage {stage} lost records: retention was shorter than its lag"
                },
            }
        )
    return rules
