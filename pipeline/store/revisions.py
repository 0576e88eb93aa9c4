"""Revisions of a rule set: documents by the hash of their content, a manifest for each revision, one head.

    key  document/<hash>     value  {"kind", "name", "document"}: the document as its author wrote it
    key  revision/<number>   value  a Manifest: who, when, why, the documents, where each rule's state began
    key  head                value  {"revision": number}

A change is one transaction with all three, so that a reader has the old set or the new one, whole. Equal
documents of several revisions are one record. `Revisions` is a fold over the topic's records; nothing here
does I/O.

A revision with a Rollout is a *candidate*: it runs for a share of the vehicles, beside the *stable* revision,
which is never one itself. A plain revision after it ends that: the candidate has won, or is taken back.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

import msgspec

from pipeline.process.failures import TelltaleError
from rules import Loaded, RuleSet, SignalCatalog, Source, compile_rules, parse

HEAD = b"head"
ROLLOUT = "Rollout"
DOCUMENT, REVISION = "document/", "revision/"
_MOST_UNREAD = 100
Role = Literal["plain", "candidate", "promoted", "rolledBack"]


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
    stable: int = 0
    """Of a candidate, the revision beside it; 0: this one is plain, and all vehicles have it."""
    promoted: int = 0
    """The newest candidate that became what all vehicles have, at this revision or before it; 0: none did."""


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
    parse: Callable[[Iterable[Source]], Loaded] = parse
    """How documents are read; whoever reads many sets that are nearly the same has a `Parser`."""

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record; what cannot be read is left out."""
        name = (key or b"").decode("utf-8", "replace")
        try:
            if key == HEAD:
                self.head = int(json.loads(value or b'{"revision": 0}')["revision"])
            elif name.startswith(REVISION):
                number = int(name.removeprefix(REVISION))
                if value is None:
                    self.manifests.pop(number, None)
                else:
                    self.manifests[number] = msgspec.json.decode(value, type=Manifest)
            elif name.startswith(DOCUMENT):
                if value is None:
                    self.documents.pop(name.removeprefix(DOCUMENT), None)
                else:
                    self.documents[name.removeprefix(DOCUMENT)] = value
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

    def sources(self, revision: int, kind: str | None = None) -> list[Source]:
        """The documents of a revision, or those of a kind, as texts named by both. Raises StoreDamaged."""
        found = []
        for entry in self.manifest(revision).documents:
            if kind not in (None, entry.kind):
                continue
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
        return self.parse(self.sources(revision))

    def catalog(self, revision: int) -> SignalCatalog | None:
        """The signal catalog of a revision, if it has one. Raises StoreDamaged."""
        loaded = parse(self.sources(revision, "SignalCatalog"))
        errors = [each.format() for each in loaded.diagnostics if each.severity == "error"]
        if errors:
            raise StoreDamaged("\n".join([f"revision {revision} is refused by this version", *errors]))
        return None if loaded.catalog is None else loaded.catalog.document

    def rule_set(self, revision: int) -> RuleSet:
        """The rules of a revision, compiled. Raises StoreDamaged where this version refuses them."""
        manifest = self.manifest(revision)
        loaded = self.loaded(revision)
        found = compile_rules(loaded, revision, manifest.lineages)
        # One after the other: millions of objects at once would hold all threads for a tenth of a second.
        parts = [*loaded.documents, *loaded.running]
        del loaded
        while parts:
            parts.pop()
        if isinstance(found, RuleSet):
            return found
        errors = [each.format() for each in found if each.severity == "error"]
        raise StoreDamaged("\n".join([f"revision {revision} is refused by this version", *errors]))

    def role(self, manifest: Manifest) -> Role:
        """What the revision is, or what it made of the candidate before it."""
        before = self.manifests.get(manifest.parent)
        if manifest.stable:
            return "candidate"
        if before is None or not before.stable:
            return "plain"
        return "promoted" if manifest.promoted == before.revision else "rolledBack"

    @property
    def candidate(self) -> int:
        """The revision at the head, where it is a candidate; 0 where no rollout runs."""
        manifest = self.manifests.get(self.head)
        return self.head if manifest is not None and manifest.stable else 0

    def has_won(self, candidate: int) -> bool:
        """Whether all vehicles got what the candidate's share had; False while it runs, or was taken back.

        The first plain revision after it decides. Of one that is not kept any more the oldest that is does.
        """
        plain = [number for number, each in self.manifests.items() if number > candidate and not each.stable]
        ended = min((number for number in plain if number <= self.head), default=0)
        return ended > 0 and self.manifests[ended].promoted >= candidate

    def winners(self) -> frozenset[int]:
        """The candidates that have won, of those that are kept."""
        return frozenset(it for it, each in self.manifests.items() if each.stable and self.has_won(it))

    def previous(self) -> int:
        """The plain revision whose documents ran before the head's: where a way back leads; 0 for none."""
        number, gone = self.head, self.manifests.get(self.head)
        while gone is not None and number:
            manifest = self.manifests.get(number)
            if manifest is None or (not manifest.stable and manifest.fingerprint != gone.fingerprint):
                return number
            number = manifest.stable or manifest.parent
        return 0

    def percent(self, manifest: Manifest, new: Mapping[str, bytes] = MappingProxyType({})) -> float | None:
        """The share that a candidate has; None of a plain revision, and where its document cannot be read.

        `new` are documents, by their hashes, that are not written yet.
        """
        for entry in manifest.documents:
            if entry.kind == ROLLOUT:
                stored = new.get(entry.hash) or self.documents.get(entry.hash) or b""
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    return float(json.loads(stored)["document"]["spec"]["percent"])
        return None
