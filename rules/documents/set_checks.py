"""What must hold between the documents of one rule set: names once, one catalog, which is everybody's.

Judged on headers, which documents with faults have too: a rule with a wrong field still owns its name, and a
catalog with a wrong range is no missing catalog.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rules.documents.closed import tenant_of
from rules.documents.diagnostics import Diagnostic, quote

_ALONE = ("Geofence", "CommandType")
"""Kinds that mean something without signals."""
OF_THE_SET = frozenset(("SignalCatalog", "Rollout"))
"""Kinds that say something about all rules there are, and so are no tenant's."""


class Header(NamedTuple):
    """Kind and name of a document, and where its name stands."""

    kind: str
    name: str | None
    file: str
    line: int
    column: int


def set_findings(headers: Sequence[Header]) -> Iterator[Diagnostic]:
    """Yield what does not fit together."""
    first: dict[tuple[str, str], Header] = {}
    for header in headers:
        if header.name is None:
            continue
        if header.kind in OF_THE_SET and tenant_of(header.name):
            message = f"a tenant has no {header.kind} of its own: it is of the whole set"
            hint = "take it to what is everybody's: a name without a tenant"
            yield _finding("TT217", header, message, hint)
        earlier = first.setdefault((header.kind, header.name), header)
        if earlier is not header:
            message = f"another {header.kind} has the name {quote(header.name)}"
            hint = f"the first one is at {_place(earlier)}"
            yield _finding("TT201", header, message, hint)
    catalogs = [header for header in headers if header.kind == "SignalCatalog"]
    for header in catalogs[1:]:
        message = f"this rule set has a catalog already, at {_place(catalogs[0])}"
        yield _finding("TT202", header, message, "a set has one; load the other set on its own")
    rollouts = [header for header in headers if header.kind == "Rollout"]
    for header in rollouts[1:]:
        message = f"this rule set has a rollout already, at {_place(rollouts[0])}"
        yield _finding("TT215", header, message, "keep one: it is of the whole set")
    first_header = next((header for header in headers if header.kind not in _ALONE), None)
    if first_header is not None and not catalogs:
        message = "these rules have no signals: no SignalCatalog is among the documents"
        hint = "add the catalog's file to the paths"
        yield Diagnostic("TT203", "error", first_header.file, 1, 1, "", message, hint)


def _place(header: Header) -> str:
    return f"{header.file}:{header.line}"


def _finding(code: str, header: Header, message: str, hint: str) -> Diagnostic:
    return Diagnostic(code, "error", header.file, header.line, header.column, "metadata.name", message, hint)
