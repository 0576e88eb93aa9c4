"""A resource as the rule document that it asks for.

The API server keeps no text: line and column of a finding are those of the document as `telltale rules get`
prints it, one key a line, keys in order. Of annotations only ours go along: tools write the others, and a
document that changes with them would be a new revision for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from k8s.resources.tenancy import Tenancy
from rules import Diagnostic, Source, parse

ORIGIN: Final = "telltale.dev/origin"
"""The annotation that says who wrote a document to telltale.rules: what carries our mark is ours."""
_OURS: Final = "telltale.dev/"
_OF_A_SET: Final = frozenset(("TT203", "TT240"))
"""Findings that a document has for want of others."""


class Place(NamedTuple):
    """A document of the set: its kind and its full name."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"

    @classmethod
    def of(cls, text: str) -> Place:
        """Read `AlertRule/overspeed`."""
        kind, _, name = text.partition("/")
        return cls(kind, name)


class Key(NamedTuple):
    """A resource of the cluster."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What one resource asks for."""

    key: Key
    uid: str
    generation: int
    created: str
    place: Place
    text: str
    """The document as JSON, keys in order."""
    canonical: str | None
    """The same as the log has it; None where its shape is wrong."""
    findings: tuple[Diagnostic, ...]
    """What is wrong with it by itself."""

    @property
    def source(self) -> Source:
        """As `rules.parse` takes it."""
        return Source(str(self.place), self.text)


def asked_for(resource: Mapping[str, Any], tenancy: Tenancy, origin: str) -> Asked:
    """Read a resource. Whatever it holds: what is wrong is among the findings."""
    metadata = resource["metadata"]
    kind, namespace, name = str(resource["kind"]), str(metadata.get("namespace", "")), str(metadata["name"])
    place = Place(kind, tenancy.full_name(namespace, name))
    annotations = {
        key: text for key, text in (metadata.get("annotations") or {}).items() if key.startswith(_OURS)
    }
    document = {
        "apiVersion": resource.get("apiVersion"),
        "kind": kind,
        "metadata": {
            "name": place.name,
            **({"labels": metadata["labels"]} if metadata.get("labels") else {}),
            "annotations": {**annotations, ORIGIN: origin},
        },
        "spec": resource.get("spec"),
    }
    text = written(document)
    canonical, findings = _read(str(place), text)
    refused = tenancy.finding(name)
    if refused is not None:
        found = Diagnostic(
            refused.code,
            "error",
            str(place),
            *_line_of(text, '  "name": '),
            "metadata.name",
            refused.message,
            refused.hint,
        )
        canonical, findings = None, (found,)
    return Asked(
        Key(kind, namespace, name),
        str(metadata.get("uid", "")),
        int(metadata.get("generation", 0)),
        str(metadata.get("creationTimestamp", "")),
        place,
        text,
        canonical,
        findings,
    )


def written(document: Mapping[str, Any]) -> str:
    """The text of a document."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)


def origin_of(text: str) -> str:
    """Who wrote a document; no text where nobody says so."""
    try:
        found = json.loads(text)["metadata"]["annotations"][ORIGIN]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(found)


@lru_cache(maxsize=50_000)
def _read(place: str, text: str) -> tuple[str | None, tuple[Diagnostic, ...]]:
    """The document as the log has it, if its shape is right, and what is wrong with it by itself."""
    loaded = parse([Source(place, text)])
    errors = tuple(each for each in loaded.errors if each.code not in _OF_A_SET)
    if errors or len(loaded.documents) != 1:
        return None, errors
    return written(loaded.documents[0].document.as_written()), ()


def _line_of(text: str, begin: str) -> tuple[int, int]:
    lines = text.splitlines()
    number = next((at for at, line in enumerate(lines, 1) if line.startswith(begin)), 1)
    return number, len(begin) + 1 if number > 1 else 1
