"""What a catalog declares of vehicles, and what of somebody's words does not fit it.

A name that nobody declared is most often a slip, and rules would never see it; so is a text where rules ask
for a number.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rules.documents.signal_catalog import VehicleFacts

_KINDS = {bool: "bool", str: "string"}


def misfits(facts: VehicleFacts, labels: Mapping[str, Any], attributes: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each label and attribute that the catalog would not have."""
    for name, text in labels.items():
        label = facts.labels.get(name)
        if label is None:
            yield _undeclared("label", name, facts.labels)
        elif label.allowed is not None and text not in label.allowed:
            yield f"the label {name!r} is {text!r}, the catalog allows {', '.join(label.allowed)}"
    for name, value in attributes.items():
        attribute = facts.attributes.get(name)
        if attribute is None:
            yield _undeclared("attribute", name, facts.attributes)
        elif _KINDS.get(type(value), "number") != attribute.type:
            yield f"the attribute {name!r} is {value!r}, the catalog says {attribute.type}"


def type_of(facts: VehicleFacts | None, name: str) -> str | None:
    """The type that is declared for an attribute; None if none is."""
    attribute = None if facts is None else facts.attributes.get(name)
    return None if attribute is None else attribute.type


def _undeclared(kind: str, name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"the {kind} {name!r} is not declared" + (f": did you mean {near[0]!r}?" if near else "")
