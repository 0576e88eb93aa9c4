"""What the operator may do, and nothing else: the one list from which every role of it is made.

    python -m k8s.operator.rights [cluster|lease]      prints the rules as JSON, which is YAML

`cluster` is what it needs wherever pipelines and rules are, `lease` what it needs in its own namespace.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from k8s.crds import DOCUMENT_KINDS
from k8s.kinds import (
    CONTROLLER_REVISION,
    EVENT,
    LEASE,
    POD,
    RULE_PIPELINE,
    SECRET,
    VALIDATING_WEBHOOK,
    Kind,
)
from k8s.pipelines.desired import MANAGED

Rule = dict[str, list[str]]

_OWN: Final = ["create", "delete", "list", "patch", "watch"]


def _rule(kind: Kind, verbs: list[str], *, part: str | None = None, names: list[str] | None = None) -> Rule:
    resource = kind.plural if part is None else f"{kind.plural}/{part}"
    rule = {"apiGroups": [kind.group], "resources": [resource], "verbs": verbs}
    return rule if names is None else {**rule, "resourceNames": names}


def pipeline_rules() -> list[Rule]:
    """For pipelines, in each namespace that has one: their parts, never a Secret."""
    return [
        _rule(RULE_PIPELINE, ["list", "patch", "watch"]),
        _rule(RULE_PIPELINE, ["patch"], part="status"),
        # Owner references that block the deletion of their owner are its finalizers.
        _rule(RULE_PIPELINE, ["update"], part="finalizers"),
        *(_rule(kind, _OWN) for kind in MANAGED),
        _rule(CONTROLLER_REVISION, ["create", "delete", "list", "watch"]),
        _rule(POD, ["list", "watch"]),
        _rule(EVENT, ["create"]),
    ]


def resource_rules() -> list[Rule]:
    """For rule resources: read them, and write what became of them."""
    kinds = [custom.kind for custom in DOCUMENT_KINDS]
    return [
        *(_rule(kind, ["list", "watch"]) for kind in kinds),
        *(_rule(kind, ["patch"], part="status") for kind in kinds),
    ]


def lease_rules(lease_name: str = "telltale-operator") -> list[Rule]:
    """In the operator's own namespace: its Lease, and the Secret of its webhook's certificates."""
    return [
        # A name cannot be asked for in a create: it is not known to the check.
        _rule(LEASE, ["create"]),
        _rule(LEASE, ["get", "update"], names=[lease_name]),
    ]


def admission_rules(webhook: str, secret: str) -> tuple[list[Rule], list[Rule]]:
    """For the webhook: cluster-wide its configuration, by name; in its own namespace its certificates."""
    return (
        [_rule(VALIDATING_WEBHOOK, ["get", "patch"], names=[webhook])],
        [_rule(SECRET, ["create"]), _rule(SECRET, ["get", "update"], names=[secret])],
    )


def cluster_rules() -> list[Rule]:
    """What is granted cluster-wide, or in each namespace that is looked after."""
    return _joined([*pipeline_rules(), *resource_rules()])


def _joined(rules: list[Rule]) -> list[Rule]:
    """Rules with the same groups and verbs as one, in a stable order."""
    found: dict[tuple[Any, ...], Rule] = {}
    for rule in rules:
        key = (tuple(rule["apiGroups"]), tuple(rule["verbs"]), tuple(rule.get("resourceNames", ())))
        if key in found:
            found[key]["resources"] = sorted({*found[key]["resources"], *rule["resources"]})
        else:
            found[key] = {**rule, "resources": list(rule["resources"])}
    return list(found.values())


if __name__ == "__main__":
    rules = {"cluster": cluster_rules, "lease": lease_rules}
    print(json.dumps(rules[sys.argv[1] if len(sys.argv) > 1 else "cluster"](), indent=2))
