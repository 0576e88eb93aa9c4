"""One CustomResourceDefinition for each kind, made from the kind's model.

There is one version, v1alpha1: served, stored, conversion `None`. A later version is added beside it, under
the same rules: the new model's `apiVersion` joins the documents that `parse` reads, both are served, and as
long as a field only came, conversion stays `None`; once a field has changed its meaning, the operator's
webhook converts. The stored version moves only when every served version can be read by every operator that
may be running: one release after the version came.
"""

from typing import Any

from k8s.crds.kinds import Column, CustomKind
from k8s.crds.structural import structural
from k8s.kinds import Kind
from rules.documents import schema_of

CATEGORY = "telltale"
"""`kubectl get telltale` lists resources of every kind."""
_CRD = Kind("apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", False)

_SCALE = {
    "specReplicasPath": ".spec.replicas",
    "statusReplicasPath": ".status.replicas",
    "labelSelectorPath": ".status.selector",
}


def definition(custom: CustomKind) -> dict[str, Any]:
    """Return the CustomResourceDefinition of a kind."""
    kind = custom.kind
    return {
        **_CRD.head(),
        "metadata": {"name": kind.resource, "labels": {"app.kubernetes.io/name": "telltale"}},
        "spec": {
            "group": kind.group,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "names": {
                "kind": kind.name,
                "listKind": f"{kind.name}List",
                "plural": kind.plural,
                "singular": kind.name.lower(),
                "shortNames": list(custom.short_names),
                "categories": [CATEGORY],
            },
            "conversion": {"strategy": "None"},
            "versions": [
                {
                    "name": kind.version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema(custom)},
                    "subresources": {"status": {}} | ({"scale": _SCALE} if custom.is_scaled else {}),
                    "additionalPrinterColumns": [_column(each) for each in custom.columns],
                }
            ],
        },
    }


def _schema(custom: CustomKind) -> dict[str, Any]:
    spec: Any = custom.model.model_fields["spec"].annotation
    name = {"type": "string", "pattern": custom.name_pattern, "maxLength": custom.longest_name}
    return {
        "description": (custom.model.__doc__ or "").strip(),
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": "telltale.dev/v1alpha1."},
            "kind": {"type": "string", "description": f"{custom.kind.name}."},
            "metadata": {
                "type": "object",
                "properties": {"name": name},
            },
            "spec": structural(schema_of(spec), sets_defaults=custom.sets_defaults),
            "status": structural(schema_of(custom.status)),
        },
    }


def _column(column: Column) -> dict[str, Any]:
    found = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        found["description"] = column.description
    return found | ({"priority": 1} if column.is_wide else {})
