"""One document against the set that it goes into, as `telltale rules check` would judge it. Pure.

Rules do not depend on each other: beside the document stands only what it may name, so that the answer does
not wait for thousands of other rules. Of a fence the name and the labels matter here, and no shape. What may
be there a moment later (a fence, a definition's rule, the catalog) is a warning: `kubectl apply` of a folder
sends its documents one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from k8s.resources.documents import Place, written
from rules import Diagnostic, RuleSet, Source, compile_rules, parse
from rules.documents import tenant_of, within
from rules.lint import lint

_NAMED = frozenset(("SignalCatalog", "Definitions", "CommandType", "Geofence"))
"""Kinds whose documents others name."""
_LATER = frozenset(("TT203", "TT210", "TT213", "TT240"))
"""Findings that the next document may answer."""
_MOST_USERS = 200
"""Documents that are asked whether they bear a changed catalog, definition or fence."""
_SHAPE = {"circle": {"latitude": 0.0, "longitude": 0.0, "radiusMeters": 1.0}}


@dataclass(frozen=True, slots=True)
class Examined:
    """What is wrong with a document, and what might be."""

    errors: tuple[Diagnostic, ...]
    warnings: tuple[Diagnostic, ...]


def examine(place: Place, text: str, beside: Mapping[Place, str]) -> Examined:
    """Judge a document; `beside` are those that `context` has chosen."""
    sources = [Source(str(each), its) for each, its in beside.items() if each != place]
    loaded = parse([*sources, Source(str(place), text)])
    found = compile_rules(loaded)
    is_right = isinstance(found, RuleSet)
    findings = [*found.warnings, *lint(loaded)] if isinstance(found, RuleSet) else found
    own = [each for each in findings if each.file == str(place)]
    errors = [each for each in own if each.severity == "error" and each.code not in _LATER]
    warnings = [each for each in own if each.severity == "warning" or each.code in _LATER]
    if not errors and not is_right and place.kind in _NAMED:
        warnings += _victims(place, beside, findings)
    return Examined(tuple(errors), tuple(warnings))


def warm() -> None:
    """Judge something, so that all that is needed is there."""
    examine(Place("Definitions", "none"), '{"kind": "Definitions"}', {})


def context(place: Place, documents: Mapping[Place, str]) -> dict[Place, str]:
    """What a document is judged beside: what it may name, and who may name it."""
    tenant = tenant_of(place.name)
    seen = {each: text for each, text in documents.items() if tenant_of(each.name) in ("", tenant)}
    if not tenant and place.kind in _NAMED:
        seen = dict(documents)
    chosen = {each: _slight(each, text) for each, text in seen.items() if each.kind in _NAMED}
    if place.kind in _NAMED:
        users = [each for each in sorted(seen) if each.kind not in _NAMED]
        chosen |= {each: seen[each] for each in users[:_MOST_USERS]}
    else:
        chosen |= {each: text for each, text in seen.items() if _belongs(place, each, documents)}
    return chosen


def _belongs(place: Place, other: Place, documents: Mapping[Place, str]) -> bool:
    """Whether one of the two is an adaptation of the other."""
    if place.kind == "Adaptation":
        return other.kind.endswith("Rule")
    return other.kind == "Adaptation" and _rule_of(other, documents[other]) == place.name


def _rule_of(adaptation: Place, text: str) -> str:
    try:
        return within(tenant_of(adaptation.name), str(json.loads(text)["spec"]["rule"]))
    except (ValueError, KeyError, TypeError):
        return ""


def _slight(place: Place, text: str) -> str:
    """A fence without its shape, which may be large; everything else as it is."""
    if place.kind != "Geofence":
        return text
    document = json.loads(text)
    return written({**document, "spec": _SHAPE})


def _victims(
    place: Place, texts: Mapping[Place, str], findings: Iterable[Diagnostic]
) -> Iterator[Diagnostic]:
    """Warn of documents that would be wrong with a changed one, and are right with what there is."""
    before = compile_rules(parse(Source(str(each), text) for each, text in texts.items()))
    wrong_before = set() if isinstance(before, RuleSet) else {(it.file, it.code) for it in before}
    for each in findings:
        if (
            each.severity == "error"
            and (each.file, each.code) not in wrong_before
            and each.file != str(place)
        ):
            message = f"{each.file} would be wrong with this change, which is held back then: {each.message}"
            yield Diagnostic(each.code, "warning", str(place), 1, 1, "", message, each.hint)
