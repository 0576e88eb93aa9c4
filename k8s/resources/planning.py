"""What to write to telltale.rules, if anything: resources against the log. Pure.

The resources' documents are written beside those of others, which nobody here touches. What the log says is
compared with what we last wrote: where somebody has rolled back or taken out documents of ours since, that
stands until a resource changes. An emergency roll-back is worth more than a loop that undoes it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from k8s.resources.asking import Demand, demand, others
from k8s.resources.documents import Asked, Key, Place
from k8s.resources.judging import Findings, Judged, judge
from pipeline.store import Change, Manifest, Revisions, propose
from rules import Diagnostic

AUTHOR = "operator"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Began:
    """With which revision a document, as it is at the head, began, and who wrote that."""

    revision: int
    author: str


@dataclass(slots=True)
class Plan:
    """What all resources come to."""

    asked: Mapping[Key, Asked]
    demand: Demand
    judged: Judged
    running: Mapping[Place, str] = field(default_factory=dict)
    """The documents at the head."""
    began: Mapping[Place, Began] = field(default_factory=dict)
    change: Change | None = None
    """The next revision; None where there is none to be."""
    overridden: Manifest | None = None
    """The head, where somebody else has put it in the place of what we wrote."""


def plan(
    revisions: Revisions,
    asked: Iterable[Asked],
    *,
    origin: str,
    at: str,
    before: Plan | None = None,
    unfit: Findings | None = None,
) -> Plan:
    """Find the next revision. Raises StoreDamaged where the head cannot be read.

    `before` is the plan before this one: what has not changed since is not judged again. `unfit` documents
    are right, and cannot be run here.
    """
    running = texts_at(revisions, revisions.head)
    began = history(revisions)
    foreign = others(running, origin)
    resources = {each.key: each for each in asked}
    found = demand(resources.values(), {place: began[place].author for place in foreign})
    for place, why in ((unfit or {}) | _early(revisions, found)).items():
        found.refuse(place, why)
    wanted = {place: text for place, text in running.items() if place in foreign or place in found.malformed}
    judged_before = before.judged if before is not None and before.judged.is_clean else None
    judged = judge(running, wanted | found.texts, foreign, before=judged_before, parse=revisions.parse)
    made = Plan(resources, found, judged, running, began)
    if judged.lacks_catalog or judged.blocked:
        return made
    change = propose(revisions, judged.loaded, author=AUTHOR, message="", at=at)
    if change.is_empty:
        return made
    ours = {(place.kind, place.name) for place in judged.texts.keys() - foreign}
    head = revisions.manifests.get(revisions.head)
    if head is not None and head.author != AUTHOR:
        left = _ours_when_we_left(revisions, origin)
        if left is not None and left == _hashes(change.manifest, ours):
            made.overridden = head
            return made
    made.change = replace(change, manifest=msgspec.structs.replace(change.manifest, message=_message(change)))
    return made


def _early(revisions: Revisions, found: Demand) -> Findings:
    """A rollout stands beside what runs: the rules that it came with are written first, and then it is."""
    message = "no revision runs yet that a rollout could begin beside"
    return {
        place: (Diagnostic("TT215", "error", str(place), 1, 1, "", message),)
        for place in found.texts
        if place.kind == "Rollout" and not revisions.head
    }


def texts_at(revisions: Revisions, revision: int) -> dict[Place, str]:
    """The documents of a revision; none of revision 0."""
    if not revision:
        return {}
    return {Place.of(source.name): source.text for source in revisions.sources(revision)}


def history(revisions: Revisions) -> dict[Place, Began]:
    """Since when each document of the head is what it is, as far as revisions are kept."""
    manifest = revisions.manifests.get(revisions.head)
    if manifest is None:
        return {}
    open_ = {Place(entry.kind, entry.name): entry.hash for entry in manifest.documents}
    found: dict[Place, Began] = {}
    while open_:
        said = Began(manifest.revision, manifest.author)
        for place in open_:
            found[place] = said
        before = revisions.manifests.get(manifest.parent)
        if before is None:
            break
        hashes = {(entry.kind, entry.name): entry.hash for entry in before.documents}
        open_ = {place: its for place, its in open_.items() if hashes.get(place) == its}
        manifest = before
    return found


def _ours_when_we_left(revisions: Revisions, origin: str) -> dict[tuple[str, str], str] | None:
    """Our documents, as we last wrote them."""
    by_us = [number for number, manifest in revisions.manifests.items() if manifest.author == AUTHOR]
    if not by_us:
        return None
    texts = texts_at(revisions, max(by_us))
    ours = {(place.kind, place.name) for place in texts.keys() - others(texts, origin)}
    return _hashes(revisions.manifest(max(by_us)), ours)


def _hashes(manifest: Manifest, places: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    return {
        (entry.kind, entry.name): entry.hash
        for entry in manifest.documents
        if (entry.kind, entry.name) in places
    }


def _message(change: Change) -> str:
    """What changes, in a line."""
    named = [
        *(f"+ {entry.kind}/{entry.name}" for entry in change.added),
        *(f"- {entry.kind}/{entry.name}" for entry in change.removed),
        *(f"~ {entry.kind}/{entry.name}" for _, entry in change.edited),
    ]
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return ", ".join(named[:_NAMED]) + more
