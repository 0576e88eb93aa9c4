"""Everything that an installation should have, as plain manifests: pure, from its spec and what is installed.

A stage's resources follow from one revision of the spec. During an upgrade the stages stand at different
revisions, so that what a stage has is asked for stage by stage, and what they share once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8s.kinds import (
    AUTOSCALER,
    CONFIG_MAP,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    FOREIGN,
    JOB,
    KAFKA_TOPIC,
    NETWORK_POLICY,
    PROMETHEUS_RULE,
    SCALED_OBJECT,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_MONITOR,
    TRIGGER_AUTHENTICATION,
    Kind,
)
from k8s.pipelines import monitoring, scaling, surroundings, topic_resources, workloads
from k8s.pipelines.environment import config_map
from k8s.pipelines.names import APPLIED, CANARY, REVISION, STABLE, TEMPLATE, Owner, Ref, fingerprint, ref
from k8s.pipelines.spec import RulePipelineSpec

MANAGED: tuple[Kind, ...] = (
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    NETWORK_POLICY,
    SERVICE,
    DISRUPTION_BUDGET,
    JOB,
    KAFKA_TOPIC,
    DEPLOYMENT,
    SCALED_OBJECT,
    TRIGGER_AUTHENTICATION,
    AUTOSCALER,
    SERVICE_MONITOR,
    PROMETHEUS_RULE,
)
"""Every kind that an installation is made of, in the order in which they are applied."""
KINDS: Mapping[str, Kind] = {kind.resource: kind for kind in MANAGED}
_BY_NAME: Mapping[tuple[str, str], Kind] = {(kind.api_version, kind.name): kind for kind in MANAGED}

Manifests = dict[Ref, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Which kinds of other projects the cluster has."""

    kinds: frozenset[str] = frozenset()
    """Such as scaledobjects.keda.sh."""

    def __contains__(self, kind: Kind) -> bool:
        return kind.resource in self.kinds


def capabilities_of(served: Iterable[str]) -> Capabilities:
    """Those of the foreign kinds that are among `group/version/plural`."""
    there = set(served)
    return Capabilities(
        frozenset(kind.resource for kind in FOREIGN if f"{kind.group}/{kind.version}/{kind.plural}" in there)
    )


@dataclass(frozen=True, slots=True)
class Revised:
    """A spec, and the name of the revision that it is."""

    revision: str
    spec: RulePipelineSpec


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The managed kind of a manifest."""
    return _BY_NAME[(manifest["apiVersion"], manifest["kind"])]


def stage_manifests(owner: Owner, revised: Revised, stage: str, capabilities: Capabilities) -> Manifests:
    """What one stage has at this revision; nothing if it is switched off in it."""
    spec = revised.spec
    if stage not in spec.stages.enabled:
        return {}
    made = [
        surroundings.service_account(owner, stage),
        config_map(owner, spec, stage),
        surroundings.service(owner, stage),
        surroundings.disruption_budget(owner, stage),
        workloads.deployment(owner, spec, stage, STABLE),
        *scaling.autoscalers(owner, spec, stage, keda=SCALED_OBJECT in capabilities),
    ]
    if spec.network_policies.enabled:
        made.append(surroundings.network_policy(owner, spec, stage))
    if spec.monitoring.enabled and SERVICE_MONITOR in capabilities:
        made.append(monitoring.service_monitor(owner, spec, stage))
    return owned(owner, revised.revision, made)


def canary_manifests(owner: Owner, revised: Revised, stage: str) -> Manifests:
    """The canary of a stage, with the settings of its own revision."""
    made = [config_map(owner, revised.spec, stage), workloads.deployment(owner, revised.spec, stage, CANARY)]
    return owned(owner, revised.revision, made)


def shared_manifests(owner: Owner, revised: Revised, capabilities: Capabilities) -> Manifests:
    """What the stages share: topics, and the alerts of the installation."""
    spec = revised.spec
    made = list(_topics(owner, spec, capabilities))
    if spec.monitoring.enabled and PROMETHEUS_RULE in capabilities:
        made.append(monitoring.prometheus_rule(owner, spec))
    return owned(owner, revised.revision, made, keep_topics=spec.deletion_policy == "Keep")


def _topics(owner: Owner, spec: RulePipelineSpec, capabilities: Capabilities) -> Iterator[dict[str, Any]]:
    match spec.topics.manage:
        case "Job":
            yield topic_resources.topics_settings(owner, spec)
            yield topic_resources.topics_job(owner, spec, "create")
        case "Strimzi" if KAFKA_TOPIC in capabilities:
            yield from topic_resources.kafka_topics(owner, spec)


def owned(
    owner: Owner, revision: str, manifests: Iterable[dict[str, Any]], *, keep_topics: bool = False
) -> Manifests:
    """The manifests by reference, each with its owner, its revision, and the hash of all that."""
    made: Manifests = {}
    for manifest in manifests:
        metadata = dict(manifest["metadata"])
        kind = kind_of(manifest)
        if not (keep_topics and kind is KAFKA_TOPIC):
            metadata["ownerReferences"] = [owner.reference()]
        applied = fingerprint({**manifest, "metadata": metadata})
        metadata["annotations"] = {
            **metadata.get("annotations", {}),
            APPLIED: applied,
            **(
                {REVISION: revision, TEMPLATE: fingerprint(manifest["spec"]["template"])}
                if kind is DEPLOYMENT
                else {}
            ),
        }
        made[ref(kind, metadata["name"])] = {**manifest, "metadata": metadata}
    return made
