"""What the resources of an installation are called, and the labels by which they are found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from k8s.kinds import GROUP, RULE_PIPELINE, Kind

OPERATOR: Final = "telltale-operator"
STABLE: Final = "stable"
CANARY: Final = "canary"
TRACK: Final = f"{GROUP}/track"
REVISION: Final = f"{GROUP}/revision"
"""Annotation: the name of the ControllerRevision that a resource was made from."""
TEMPLATE: Final = f"{GROUP}/template"
"""Annotation of a Deployment: the hash of its pod, by which an upgrade is told from a change of scale."""
APPLIED: Final = f"{GROUP}/applied"
"""Annotation: the hash of what was applied, by which a dropped field is noticed."""
INSTANCE: Final = "app.kubernetes.io/instance"
COMPONENT: Final = "app.kubernetes.io/component"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
OURS: Final = f"{MANAGED_BY}={OPERATOR}"
"""The label selector of all that the operator owns, pods included."""
OPERATOR_PODS: Final = {"app.kubernetes.io/name": "telltale", COMPONENT: "operator"}
"""The labels of the operator's own pods, in whatever namespace: they read the metrics of all stages."""
TOPICS: Final = "topics"
"""The component of what makes topics."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The RulePipeline that resources belong to."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    def reference(self) -> dict[str, Any]:
        """The owner reference: what has it is deleted with its owner."""
        return {
            **RULE_PIPELINE.head(),
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """One resource in the namespace of its pipeline: its plural with group, and its name."""

    resource: str
    name: str

    def __str__(self) -> str:
        return f"{self.resource}/{self.name}"


def ref(kind: Kind, name: str) -> Ref:
    """The reference to the resource of that kind and name."""
    return Ref(kind.resource, name)


def owner_of(resource: Mapping[str, Any]) -> Owner:
    """The owner that a RulePipeline is."""
    metadata = resource["metadata"]
    return Owner(metadata["namespace"], metadata["name"], metadata["uid"])


def labels_of(owner: Owner, component: str, track: str | None = None) -> dict[str, str]:
    """The labels of a resource; pods of a stage carry their track too."""
    labels = {
        "app.kubernetes.io/name": "telltale",
        INSTANCE: owner.name,
        COMPONENT: component,
        MANAGED_BY: OPERATOR,
    }
    return labels if track is None else {**labels, TRACK: track}


def selector_of(owner: Owner, component: str, track: str | None = None) -> dict[str, str]:
    """The labels by which the pods of a stage are selected; all tracks where none is named."""
    labels = labels_of(owner, component, track)
    return {key: labels[key] for key in (INSTANCE, COMPONENT, TRACK) if key in labels}


def stage_name(owner: Owner, stage: str, track: str = STABLE) -> str:
    """The name of what a stage has one of."""
    name = f"{owner.name}-{stage}"
    return name if track == STABLE else f"{name}-{track}"


def fingerprint(content: Any, length: int = 10) -> str:
    """A short hash of plain data: equal data have equal ones."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
