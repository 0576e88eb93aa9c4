"""Rule sets by revision, each with the fold that runs it: what the partitions of a worker swap between.

A worker has one of these. Its partitions ask at each batch whether the current revision is theirs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pipeline.runtime.failures import RuntimeFailure
from rules import RuleSet
from rules.engine import Fold

S = TypeVar("S")


class NotYet(RuntimeFailure):
    """A revision that this worker has not compiled: the partition tries again."""


@dataclass(frozen=True, slots=True)
class Version(Generic[S]):
    """A revision as it runs; 0 is what the files of the setting `rules` say."""

    revision: int
    rules: RuleSet
    fold: Fold[S]


class Versions(Generic[S]):
    """The revisions that this worker has compiled. `current` is the one that is to run."""

    def __init__(self, make: Callable[[RuleSet], Fold[S]], first: Version[S]) -> None:
        self._make = make
        self._known: dict[int, Version[S]] = {first.revision: first}
        self._asked: set[int] = set()
        self.current = first
        self.newest = first.revision
        """Of the log, whether it could be compiled or not."""

    def compile(self, revision: int, rules: RuleSet) -> Version[S]:
        """Make a version; slow for many rules, and safe in a thread."""
        return Version(revision, rules, self._make(rules))

    def know(self, version: Version[S]) -> None:
        """Remember a revision for those that ask for it."""
        self._known[version.revision] = version

    def switch(self, version: Version[S]) -> None:
        """From now on this is to run. Partitions that wait keep the versions that they are of."""
        self.know(version)
        self.current = version

    def wanted(self) -> list[int]:
        """Revisions that a partition has asked for and nobody has compiled yet."""
        return sorted(self._asked - self._known.keys())

    def version(self, revision: int) -> Version[S]:
        """A revision that a checkpoint names. Raises NotYet, and remembers that it was asked for."""
        found = self._known.get(revision)
        if found is None:
            self._asked.add(revision)
            raise NotYet(f"revision {revision} of the rules is being read")
        return found

    def replace_missing(self, revision: int) -> None:
        """A revision that the log does not keep any more: its state goes to the current one as it is."""
        self._known[revision] = Version(revision, self.current.rules, self.current.fold)


class Pinned(Generic[S]):
    """Versions of which one stays the current one, whatever is applied."""

    def __init__(self, versions: Versions[S]) -> None:
        self._versions = versions
        self.current = versions.current

    def version(self, revision: int) -> Version[S]:
        """A revision that a checkpoint names. Raises NotYet."""
        return self._versions.version(revision)


def names_gone(before: RuleSet, after: RuleSet) -> frozenset[str]:
    """The rules of `before` whose state means nothing under `after`: deleted, or begun anew."""
    old, new = _lineages(before), _lineages(after)
    return frozenset(name for name, lineage in old.items() if new.get(name) != lineage)


def _lineages(rules: RuleSet) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for part in dataclasses.fields(rules):
        value: Any = getattr(rules, part.name)
        if isinstance(value, tuple):
            for rule in value:
                if hasattr(rule, "lineage"):
                    found[rule.name] = (part.name, rule.lineage)
    return found
