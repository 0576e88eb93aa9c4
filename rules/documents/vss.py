"""A VSS export becomes a SignalCatalog: every leaf that is one number, boolean or text is a signal.

The format is what `vspec export json` of COVESA's vss-tools writes: a tree of nodes with `type`, `datatype`
and `children`. A leaf that is an array or a struct is reported and left out: which element a rule would mean
is not ours to guess. The signal's full name is one key at the payload's root (`{"Vehicle.Speed": 90}`), as
VSS's own services send it; a catalog with other paths is made from `as_written()`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from rules.documents.closed import API_VERSION, Finding
from rules.documents.diagnostics import Path, quote
from rules.documents.shapes import shape_findings
from rules.documents.signal_catalog import DATATYPES, SignalCatalog

_LEAVES = frozenset(("sensor", "actuator", "attribute"))
_KEPT = ("unit", "min", "max", "allowed", "description")
_DEEPEST = 32

ENVELOPE: Mapping[str, Any] = {
    "timestamp": {"path": "ts", "format": "unixMillis"},
    "sequence": {"path": "seq"},
}
"""What a VSS export does not say of a payload, as the shipped catalog has it."""


def looks_like_vss(tree: object) -> bool:
    """Tell whether `tree` is the root of a VSS export rather than a document of ours."""
    return (
        isinstance(tree, dict)
        and "apiVersion" not in tree
        and any(_is_branch(node) for node in tree.values())
    )


def read_vss(
    text: str, *, name: str = "default", envelope: Mapping[str, Any] = ENVELOPE
) -> tuple[SignalCatalog | None, list[Finding]]:
    """Return the catalog of a VSS export, None if it is none, and what was left out or is wrong.

    `envelope` is the catalog's spec without its signals. Paths of findings are those of the catalog, or the
    leaf's own name.
    """
    try:
        tree = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        reason = "it nests too deep" if isinstance(error, RecursionError) else str(error)
        return None, [_not_vss((), f"this is not JSON: {reason}")]
    if not looks_like_vss(tree):
        return None, [_not_vss((), "no branch of VSS stands at the root")]
    findings: list[Finding] = []
    signals: dict[str, dict[str, Any]] = {}
    for root, node in tree.items():
        for leaf_name, leaf in _leaves(root, node, 1, findings):
            if leaf["datatype"] in DATATYPES:
                signals[leaf_name] = {
                    "type": leaf["datatype"],
                    **{key: leaf[key] for key in _KEPT if key in leaf},
                }
            else:
                message = f"left out: {quote(leaf['datatype'])} is not one number, boolean or text"
                hint = "elements of arrays and members of structs need names of their own"
                findings.append(Finding("TT041", (leaf_name,), message, hint, "warning"))
    document = {
        "apiVersion": API_VERSION,
        "kind": "SignalCatalog",
        "metadata": {"name": name},
        "spec": {**envelope, "signals": signals},
    }
    try:
        catalog = SignalCatalog.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        return None, [*findings, *shape_findings(SignalCatalog, document, error)]
    return catalog, [*findings, *catalog.findings()]


def _leaves(
    name: str, node: Any, depth: int, findings: list[Finding]
) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = node.get("type") if isinstance(node, dict) else None
    if kind in ("struct", "property"):
        message = "left out: a struct describes a type and is no signal"
        findings.append(Finding("TT041", (name,), message, severity="warning"))
    elif kind in _LEAVES:
        if isinstance(node.get("datatype"), str):
            yield name, node
        else:
            findings.append(_not_vss((name,), f"{quote(name)} has no datatype"))
    elif kind != "branch":
        findings.append(_not_vss((name,), f"{quote(name)} is neither a branch nor a leaf"))
    elif depth > _DEEPEST:
        findings.append(_not_vss((name,), f"nested deeper than {_DEEPEST} levels"))
    elif "instances" in node:
        findings.append(_not_vss((name,), f"{quote(name)} stands for instances that are not expanded"))
    elif not isinstance(children := node.get("children", {}), dict):
        findings.append(_not_vss((name,), f"the children of {quote(name)} are no mapping"))
    else:
        for key, child in children.items():
            yield from _leaves(f"{name}.{key}", child, depth + 1, findings)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _is_branch(node: object) -> bool:
    return isinstance(node, dict) and node.get("type") == "branch"


def _not_vss(path: Path, message: str) -> Finding:
    return Finding("TT040", path, message, "make the file with: vspec export json")
