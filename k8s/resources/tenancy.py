"""Namespaces are tenants: `overspeed` in the namespace `acme` is the document `acme.overspeed`.

What the name means is the language's (`rules.compile.tenants`): acme's vehicles alone, acme's fences and
definitions, and everybody's. Everybody's are the documents of one shared namespace, which write plain names;
so do all namespaces where tenancy is off.
"""

from __future__ import annotations

from dataclasses import dataclass

from k8s.resources.settings import RuleResources
from rules.documents import Finding, quote, tenant_of, within


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Whose the resources of a namespace are."""

    shared: str = ""
    """The namespace whose documents are everybody's."""
    on: bool = True

    def tenant(self, namespace: str) -> str:
        """The tenant that a namespace is; no text where it is none."""
        return namespace if self.on and namespace != self.shared else ""

    def full_name(self, namespace: str, name: str) -> str:
        """The name of the document that a resource asks for."""
        return within(self.tenant(namespace), name)

    def finding(self, name: str) -> Finding | None:
        """Why a resource of this name cannot be a document; None if it can."""
        if self.on and tenant_of(name):
            message = f"{quote(name)} has a dot, which ends the name of a tenant"
            return Finding(
                "TT025", ("metadata", "name"), message, "the tenant is the namespace: take the dot out"
            )
        return None


def tenancy_of(options: RuleResources, namespace: str) -> Tenancy:
    """Whose a namespace is, as the settings say; `namespace` is the operator's own."""
    return Tenancy(options.shared_namespace or namespace, options.tenancy == "namespaces")
