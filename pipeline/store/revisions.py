"""Revisions of a rule set: documents by the hash of their content, a manifest for each revision, one head.

    key  document/<hash>     value  {"kind", "name", "document"}: the document as its author wrote it
    key  revision/<number>   value  a Manifest: who, when, why, the documents, where each rule's state began
    key  head                value  {"revision": number}

A change is one transaction with all three, so that a reader has the old set or the new one, whole. Equal
documents of several revisions are one record. `Revisions` is a fold over the topic's records; nothing here
does I/O.

A rule's state goes on through an edit unless the edit changes what the state means (`meaning`): then the rule
begins anew, under a lineage of its own, and only that rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pipeline.process.failures import TelltaleError
from rules import Loaded, RuleSet, Source, compile_rules, parse
from rules.compile import fingerprint
from rules.documents import Document

HEAD = b"head"
KEPT = 50
"""Revisions that stay; a stage that is further behind starts from the oldest of them."""
_DOCUMENT, _REVISION = "document/", "revision/"
_MOST_UNREAD = 100
_NO_RULES = frozenset(("RuleTest",))


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """One document of a revision."""

    kind: str
    name: str
    hash: str


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """One revision. `at` is RFC 3339; `lineages` gives, for each rule, the revision its state began at."""

    revision: int
    parent: int
    author: str
    message: str
    at: str
    fingerprint: str
    documents: tuple[Entry, ...]
    lineages: dict[str, int]


class StoreDamaged(TelltaleError):
    """The topic does not hold what its manifest names."""


@dataclass(slots=True)
class Revisions:
    """What the topic says so far. `take` its records in order."""

    head: int = 0
    """The revision that is to run; 0 where nothing was ever applied."""
    manifests: dict[int, Manifest] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    """Records that are none of ours, by their keys, and why: whoever can write to the topic stops nobody."""

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record; what cannot be read is left out."""
        name = (key or b"").decode("utf-8", "replace")
        try:
            if key == HEAD:
                self.head = int(json.loads(value or b'{"revision": 0}')["revision"])
            elif name.startswith(_REVISION):
                number = int(name.removeprefix(_REVISION))
                if value is None:
                    self.manifests.pop(number, None)
                else:
                    self.manifests[number] = msgspec.json.decode(value, type=Manifest)
            elif name.startswith(_DOCUMENT):
                if value is None:
                    self.documents.pop(name.removeprefix(_DOCUMENT), None)
                else:
                    self.documents[name.removeprefix(_DOCUMENT)] = value
            else:
                self._leave_out(name, "no such record is ours")
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
            self._leave_out(name, str(error))

    def _leave_out(self, name: str, why: str) -> None:
        if len(self.unread) < _MOST_UNREAD:
            self.unread[name[:80]] = why[:200]

    def manifest(self, revision: int) -> Manifest:
        """The manifest of a revision. Raises StoreDamaged where it is not kept any more."""
        found = self.manifests.get(revision)
        if found is None:
            kept = f"{min(self.manifests)} to {max(self.manifests)}" if self.manifests else "none"
            raise StoreDamaged(f"there is no revision {revision}; kept: {kept}")
        return found

    def sources(self, revision: int) -> list[Source]:
        """The documents of a revision, each a text named by kind and name. Raises StoreDamaged."""
        found = []
        for entry in self.manifest(revision).documents:
            stored = self.documents.get(entry.hash)
            if stored is None:
                raise StoreDamaged(
                    f"revision {revision}: the document of {entry.kind} {entry.name} is missing"
                )
            try:
                document = json.loads(stored)["document"]
            except (ValueError, KeyError, TypeError) as error:
                what = f"the document of {entry.kind} {entry.name} cannot be read"
                raise StoreDamaged(f"revision {revision}: {what}: {error}") from None
            text = json.dumps(document, ensure_ascii=False, indent=1)
            found.append(Source(f"{entry.kind}/{entry.name}", text))
        return found

    def loaded(self, revision: int) -> Loaded:
        """The documents of a revision, parsed."""
        return parse(self.sources(revision))

    def rule_set(self, revision: int) -> RuleSet:
        """The rules of a revision, compiled. Raises StoreDamaged where this version refuses them."""
        manifest = self.manifest(revision)
        found = compile_rules(self.loaded(revision), revision, manifest.lineages)
        if isinstance(found, RuleSet):
            return found
        errors = [each.format() for each in found if each.severity == "error"]
        raise StoreDamaged("\n".join([f"revision {revision} is refused by this version", *errors]))


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
            (f"{_DOCUMENT}{key}".encode(), value) for key, value in sorted(self.documents.items())
        ]
        found.append((f"{_REVISION}{manifest.revision}".encode(), msgspec.json.encode(manifest)))
        kept = {
            number: each for number, each in revisions.manifests.items() if number > manifest.revision - KEPT
        }
        found += [
            (f"{_REVISION}{number}".encode(), None) for number in revisions.manifests.keys() - kept.keys()
        ]
        named = {entry.hash for each in (*kept.values(), manifest) for entry in each.documents}
        found += [(f"{_DOCUMENT}{key}".encode(), None) for key in sorted(revisions.documents.keys() - named)]
        found.append((HEAD, json.dumps({"revision": manifest.revision}).encode()))
        return found


def propose(revisions: Revisions, loaded: Loaded, *, author: str, message: str, at: str) -> Change:
    """The change that makes `loaded`, a set without errors, the next revision. `at` is RFC 3339."""
    written = {}
    for placed in loaded.documents:
        if type(placed.document).__name__ not in _NO_RULES:
            entry, value = _stored(placed.document)
            written[entry.kind, entry.name] = (entry, value)
    before = revisions.manifests.get(revisions.head)
    old = {} if before is None else {(entry.kind, entry.name): entry for entry in before.documents}
    entries = {place: entry for place, (entry, _) in written.items()}
    number = max([revisions.head, *revisions.manifests]) + 1
    lineages, restarted = _lineages(revisions, loaded, number)
    manifest = Manifest(
        number,
        revisions.head,
        author,
        message,
        at,
        fingerprint(loaded),
        tuple(entries[place] for place in sorted(entries)),
        lineages,
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


def revert(revisions: Revisions, to: int, *, author: str, message: str, at: str) -> Change:
    """The change that makes an earlier revision's documents the next revision. Raises StoreDamaged."""
    return propose(revisions, revisions.loaded(to), author=author, message=message, at=at)


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


def meaning(document: Document) -> str:
    """What the state of a rule refers to: an edit that leaves it alone keeps the state."""
    written = document.as_written()
    spec: Mapping[str, Any] = written["spec"]
    refers = {key: spec.get(key) for key in _MEANING.get(written["kind"], ())}
    return json.dumps([written["kind"], refers], sort_keys=True, ensure_ascii=False)


_MEANING: Mapping[str, tuple[str, ...]] = {
    "SequenceRule": ("steps", "within", "contiguity", "skip"),
    "AggregationRule": ("window", "groupBy", "aggregates", "where"),
}
"""Alert and geofence rules refer to nothing of their text: thresholds, holds and texts may change."""


def _lineages(revisions: Revisions, loaded: Loaded, number: int) -> tuple[dict[str, int], list[str]]:
    before = revisions.manifests.get(revisions.head)
    old = _rules(revisions.loaded(revisions.head)) if before is not None else {}
    lineages: dict[str, int] = {}
    restarted = []
    for name, document in sorted(_rules(loaded).items()):
        was = old.get(name)
        if before is not None and was is not None and meaning(was) == meaning(document):
            lineages[name] = before.lineages.get(name, 1)
        else:
            lineages[name] = number
            if was is not None:
                restarted.append(name)
    return lineages, restarted


def _rules(loaded: Loaded) -> dict[str, Document]:
    """The rules as they run: adaptations are in them."""
    return {
        placed.document.metadata.name: placed.document
        for placed in loaded.running
        if type(placed.document).__name__.endswith("Rule")
    }


def _stored(document: Document) -> tuple[Entry, bytes]:
    written = document.as_written()
    kind, name = str(written["kind"]), document.metadata.name
    value = json.dumps(
        {"kind": kind, "name": name, "document": written}, sort_keys=True, ensure_ascii=False
    ).encode("utf-8", "surrogatepass")
    return Entry(kind, name, hashlib.blake2b(value, digest_size=16).hexdigest()), value
