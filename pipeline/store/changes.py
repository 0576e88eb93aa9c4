"""Changes of the rules: each makes the next revision out of what runs, and says what becomes of state.

    plain      + a set with a Rollout       a candidate, beside the plain revision
    candidate  + a set with a Rollout       a candidate, beside the same one
    candidate  + a set without              plain: the candidate is promoted, its state goes on
    candidate  + `revert` to a plain one    plain: it is taken back, the state of the stable one goes on

Nothing here does I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from pipeline.process.failures import ConfigurationError
from pipeline.store.lineages import lineages_of
from pipeline.store.revisions import DOCUMENT, HEAD, REVISION, ROLLOUT, Entry, Manifest, Revisions
from rules import Loaded, Source, parse
from rules.compile import fingerprint
from rules.documents import Document

KEPT = 50
"""Revisions that stay; a stage that is further behind starts from the oldest of them."""
_NO_RULES = frozenset(("RuleTest",))


@dataclass(frozen=True, slots=True)
class Change:
    """What `propose` came to: a manifest, the documents that are new, and what differs from the parent."""

    manifest: Manifest
    documents: Mapping[str, bytes]
    """By hash, those that the topic does not have yet."""
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    edited: tuple[tuple[Entry, Entry], ...]
    """Before and after."""
    restarted: tuple[str, ...]
    """Rules whose state begins anew."""

    @property
    def is_empty(self) -> bool:
        """Whether the rules would be what they are."""
        return not (self.added or self.removed or self.edited)

    def records(self, revisions: Revisions) -> list[tuple[bytes, bytes | None]]:
        """All records of the transaction, the head last; tombstones for what nobody names any more."""
        manifest = self.manifest
        found: list[tuple[bytes, bytes | None]] = [
            (f"{DOCUMENT}{key}".encode(), value) for key, value in sorted(self.documents.items())
        ]
        found.append((f"{REVISION}{manifest.revision}".encode(), msgspec.json.encode(manifest)))
        kept = _kept(revisions, manifest)
        found += [
            (f"{REVISION}{number}".encode(), None)
            for number in sorted(revisions.manifests.keys() - kept.keys())
        ]
        named = {entry.hash for each in (*kept.values(), manifest) for entry in each.documents}
        found += [(f"{DOCUMENT}{key}".encode(), None) for key in sorted(revisions.documents.keys() - named)]
        found.append((HEAD, json.dumps({"revision": manifest.revision}).encode()))
        return found


def _kept(revisions: Revisions, manifest: Manifest) -> dict[int, Manifest]:
    """The newest revisions, and those beside their candidates: a checkpoint may name either."""
    oldest = manifest.revision - KEPT
    newest = [each for number, each in revisions.manifests.items() if number > oldest]
    stables = {each.stable for each in (*newest, manifest)}
    return {
        number: each for number, each in revisions.manifests.items() if number > oldest or number in stables
    }


def propose(revisions: Revisions, loaded: Loaded, *, author: str, message: str, at: str) -> Change:
    """The change that makes `loaded`, a set without errors, the next revision. `at` is RFC 3339.

    Raises ConfigurationError for a Rollout that has no revision to stand beside.
    """
    promoted = 0 if loaded.rollout is not None else revisions.candidate
    return _change(revisions, loaded, (author, message, at), goes_on=revisions.head, promoted=promoted)


def revert(revisions: Revisions, to: int, *, author: str, message: str, at: str) -> Change:
    """The change that makes an earlier revision's documents the next revision. Raises StoreDamaged.

    Of a candidate at the head nothing goes on, unless the earlier revision is a candidate, too.
    """
    loaded = revisions.loaded(to)
    goes_on = revisions.head
    if revisions.candidate and loaded.rollout is None:
        goes_on = revisions.manifest(revisions.candidate).stable
    return _change(revisions, loaded, (author, message, at), goes_on=goes_on, promoted=0)


def promote(revisions: Revisions, *, author: str, message: str, at: str) -> Change:
    """The change that gives the candidate's documents to all vehicles. ConfigurationError without one."""
    if not revisions.candidate:
        raise ConfigurationError(
            "no rollout runs: there is nothing to promote; `telltale rules apply --percent` begins one"
        )
    sources = [
        source for source in revisions.sources(revisions.head) if not source.name.startswith(f"{ROLLOUT}/")
    ]
    return propose(revisions, parse(sources), author=author, message=message, at=at)


def merged(loaded: Loaded, over: Sequence[Source]) -> list[Source]:
    """The documents of `over`, with those of `loaded` in the place of those of the same kind and name."""
    new = [_stored(placed.document) for placed in loaded.documents]
    places = {(entry.kind, entry.name) for entry, _ in new}
    kept = [source for source in over if tuple(source.name.split("/", 1)) not in places]
    texts = [
        Source(
            f"{entry.kind}/{entry.name}",
            json.dumps(json.loads(value)["document"], ensure_ascii=False, indent=1),
        )
        for entry, value in new
    ]
    return [*kept, *texts]


def _change(
    revisions: Revisions, loaded: Loaded, said: tuple[str, str, str], *, goes_on: int, promoted: int
) -> Change:
    """`goes_on` is the revision whose state the new one takes over, `promoted` the candidate that has won."""
    head = revisions.manifests.get(revisions.head)
    stable = 0
    if loaded.rollout is not None:
        stable = revisions.head if head is None else head.stable or head.revision
        if not stable:
            raise ConfigurationError(
                "no revision runs yet that a rollout could begin beside: apply the rules without it first"
            )
    number = max([revisions.head, *revisions.manifests]) + 1
    before = revisions.manifests.get(goes_on)
    lineages, restarted = lineages_of(
        loaded,
        number,
        Loaded() if before is None else revisions.loaded(goes_on),
        {} if before is None else before.lineages,
    )
    written = {}
    for placed in loaded.documents:
        if type(placed.document).__name__ not in _NO_RULES:
            entry, value = _stored(placed.document)
            written[entry.kind, entry.name] = (entry, value)
    old = {} if head is None else {(entry.kind, entry.name): entry for entry in head.documents}
    entries = {place: entry for place, (entry, _) in written.items()}
    manifest = Manifest(
        number,
        revisions.head,
        *said,
        fingerprint(loaded),
        tuple(entries[place] for place in sorted(entries)),
        lineages,
        stable,
        max(promoted, 0 if head is None else head.promoted),
    )
    return Change(
        manifest,
        {entry.hash: value for entry, value in written.values() if entry.hash not in revisions.documents},
        tuple(entries[place] for place in sorted(entries.keys() - old.keys())),
        tuple(old[place] for place in sorted(old.keys() - entries.keys())),
        tuple(
            (old[place], entries[place])
            for place in sorted(old.keys() & entries.keys())
            if old[place].hash != entries[place].hash
        ),
        tuple(restarted),
    )


def _stored(document: Document) -> tuple[Entry, bytes]:
    written = document.as_written()
    kind, name = str(written["kind"]), document.metadata.name
    value = json.dumps(
        {"kind": kind, "name": name, "document": written}, sort_keys=True, ensure_ascii=False
    ).encode("utf-8", "surrogatepass")
    return Entry(kind, name, hashlib.blake2b(value, digest_size=16).hexdigest()), value
