"""Tenants: a document named `acme.overspeed` is acme's, and one named `overspeed` is everybody's.

A tenant's rules are judged for vehicles `acme/...` alone, whatever their selectors say (`Part.selecting`).
They name acme's fences, definitions and commands without the tenant, and everybody's; where both have a name
it means the tenant's own, in a definition that is everybody's, too. Of other tenants they see nothing.
Everybody's rules may name a tenant's fence in full.
"""

from collections.abc import Iterable

from rules.compile.actions import command_types
from rules.compile.definitions import named
from rules.compile.parts import Vocabulary
from rules.documents import CommandType, Loaded, Placed, tenant_of


def add_tenants(vocabulary: Vocabulary, loaded: Loaded) -> None:
    """Define what everybody has defined, then give each tenant of the set a vocabulary of its own."""
    shared = [placed for placed in loaded.definitions if not placed.document.metadata.tenant]
    vocabulary.define(named(vocabulary, shared))
    vocabulary.commands = command_types(_of("", loaded), vocabulary.findings)
    fences: dict[str, list[str]] = {}
    for name in vocabulary.fences:
        fences.setdefault(tenant_of(name), []).append(name)
    for tenant in sorted({placed.document.metadata.tenant for placed in loaded.running} - {""}):
        own = vocabulary.of_tenant(_seen(fences.get("", ()), fences.get(tenant, ())))
        definitions = [it for it in loaded.definitions if it.document.metadata.tenant == tenant]
        own.define({**vocabulary.named, **named(own, definitions)})
        own.commands = vocabulary.commands | command_types(_of(tenant, loaded), vocabulary.findings)
        vocabulary.tenants[tenant] = own


def _of(tenant: str, loaded: Loaded) -> list[Placed[CommandType]]:
    return [it for it in loaded.command_types if it.document.metadata.tenant == tenant]


def _seen(shared: Iterable[str], own: Iterable[str]) -> dict[str, str]:
    return {name: name for name in shared} | {name.rpartition(".")[2]: name for name in own}
