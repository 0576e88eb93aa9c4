"""Where the state of each rule began: it goes on through an edit unless the edit changes what it means.

Then the rule begins anew, under a lineage of its own, and only that rule.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rules import Loaded
from rules.documents import Document

_MEANING: Mapping[str, tuple[str, ...]] = {
    "SequenceRule": ("steps", "within", "contiguity", "skip"),
    "AggregationRule": ("window", "groupBy", "aggregates", "where"),
}
"""Alert and geofence rules refer to nothing of their text: thresholds, holds and texts may change."""


def meaning(document: Document) -> str:
    """What the state of a rule refers to: an edit that leaves it alone keeps the state.

    The mode is part of it: what a shadow had fired nobody was told of, so that it could not be ended either.
    """
    written = document.as_written()
    spec: Mapping[str, Any] = written["spec"]
    refers = {key: spec.get(key) for key in _MEANING.get(written["kind"], ())}
    if spec.get("mode", "active") != "active":
        refers["mode"] = spec["mode"]
    return json.dumps([written["kind"], refers], sort_keys=True, ensure_ascii=False)


def lineages_of(
    loaded: Loaded, number: int, before: Loaded, lineages: Mapping[str, int]
) -> tuple[dict[str, int], list[str]]:
    """For each rule of revision `number` the revision at which its state began, and those that begin anew.

    `before` is what the state is of, with its `lineages`.
    """
    old = _rules(before)
    found: dict[str, int] = {}
    restarted = []
    for name, document in sorted(_rules(loaded).items()):
        was = old.get(name)
        if was is not None and meaning(was) == meaning(document):
            found[name] = lineages.get(name, 1)
        else:
            found[name] = number
            if was is not None:
                restarted.append(name)
    return found, restarted


def _rules(loaded: Loaded) -> dict[str, Document]:
    """The rules as they run: adaptations are in them."""
    return {
        placed.document.metadata.name: placed.document
        for placed in loaded.running
        if type(placed.document).__name__.endswith("Rule")
    }
