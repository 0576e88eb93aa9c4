"""Rule sets by revision, each with the fold that runs it: what the partitions of a worker swap between.

A worker has one of these. Its partitions ask at each batch whether the current revision is theirs.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pipeline.runtime.failures import RuntimeFailure
from pipeline.stages.failing import Failing
from pipeline.stages.firing import Firing
from rules import RuleSet
from rules.engine import Fold
from rules.engine.shadows import Shadowing
from rules.engine.tracks import Tracks

S = TypeVar("S")
_KEPT = 4
"""So many revisions beside the current one; one that is asked for later is compiled again."""


class NotYet(RuntimeFailure):
    """A revision that this worker has not compiled: the partition tries again."""


@dataclass(frozen=True, slots=True)
class Version(Generic[S]):
    """A revision as it runs; 0 is what the files of the setting `rules` say."""

    revision: int
    rules: RuleSet
    fold: Fold[Any]
    """What runs vehicles: of a candidate both revisions side by side."""
    engine: Fold[S]
    """What runs the rules of this revision, without shadows or a revision beside it."""
    alone: Fold[S]
    """The same, with its rules in shadow mode told apart."""
    stable: Version[S] | None
    """The revision that acts for the vehicles that this one, a candidate, does not have; None: it has all."""
    lineages: Mapping[str, tuple[str, int]]
    """Of each rule its kind, and the revision at which its state began."""
    winners: frozenset[int] = frozenset()
    """The candidates that became what all vehicles run, at this revision or before it."""

    @property
    def base(self) -> Version[S]:
        """What runs every vehicle: the stable revision beside a candidate, otherwise this one."""
        return self.stable or self

    @property
    def tracks(self) -> Tracks[S] | None:
        """The two revisions side by side; None for one that runs alone."""
        return self.fold if isinstance(self.fold, Tracks) else None


def version_of(
    revision: int,
    rules: RuleSet,
    make: Callable[[RuleSet], Fold[S]],
    *,
    stable: Version[S] | None = None,
    winners: frozenset[int] = frozenset(),
) -> Version[S]:
    """Make a version, with `stable` of a candidate; slow for many rules, and safe in a thread."""
    engine = make(rules)
    alone: Fold[S] = Shadowing(engine, rules.shadows) if rules.shadows else engine
    fold: Fold[Any] = alone
    if stable is not None and rules.rollout is not None:
        fold = Tracks(stable.alone, alone, rules.rollout, time.perf_counter_ns)
    return Version(revision, rules, fold, engine, alone, stable, _lineages(rules), winners)


class Versions(Generic[S]):
    """The revisions that this worker has compiled. `current` is the one that is to run."""

    def __init__(self, make: Callable[[RuleSet], Fold[S]], first: Version[S]) -> None:
        self._make = make
        self._first = first.revision
        """Of the files: the log does not have it."""
        self.current = first
        self._known: dict[int, Version[S]] = {first.revision: first}
        self._asked: set[int] = set()
        self.firing = Firing()
        """Of the partitions at work under these versions."""
        self.failing = Failing()
        self.newest = first.revision
        """Of the log, whether it could be compiled or not."""

    def compile(
        self,
        revision: int,
        rules: RuleSet,
        *,
        stable: Version[S] | None = None,
        winners: frozenset[int] = frozenset(),
    ) -> Version[S]:
        """Make a version; slow for many rules, and safe in a thread."""
        return version_of(revision, rules, self._make, stable=stable, winners=winners)

    def know(self, version: Version[S]) -> None:
        """Remember a revision for those that ask for it; of many the newest, and what runs."""
        self._known[version.revision] = version
        self._asked.discard(version.revision)
        needed = {it.revision for it in (self.current, self.current.base, version, version.base)}
        for revision in sorted(self._known.keys() - needed - {self._first})[:-_KEPT]:
            del self._known[revision]

    def known(self, revision: int) -> Version[S] | None:
        """A revision, if it was compiled."""
        return self._known.get(revision)

    def switch(self, version: Version[S]) -> None:
        """From now on this is to run. Partitions that wait keep the versions that they are of."""
        self.current = version
        self.failing.begin()
        self.know(version)

    def wanted(self) -> list[int]:
        """Revisions that a partition has asked for and nobody has compiled yet."""
        return sorted(self._asked)

    def version(self, revision: int) -> Version[S]:
        """A revision that a checkpoint names. Raises NotYet, and remembers that it was asked for."""
        if revision > self.current.revision:
            raise NotYet(f"the state is of revision {revision}, which this worker has not loaded yet")
        found = self._known.get(revision)
        if found is None:
            self._asked.add(revision)
            raise NotYet(f"revision {revision} of the rules is being read")
        return found

    def replace_missing(self, revision: int) -> None:
        """A revision that the log does not keep any more: its state goes to the current one as it is."""
        self.know(dataclasses.replace(self.current, revision=revision))


class Pinned(Generic[S]):
    """Versions of which one stays the current one, whatever is applied."""

    def __init__(self, versions: Versions[S]) -> None:
        self._versions = versions
        self.current = versions.current
        self.firing, self.failing = versions.firing, versions.failing

    def version(self, revision: int) -> Version[S]:
        """A revision that a checkpoint names. Raises NotYet."""
        return self._versions.version(revision)


def names_gone(before: Version[Any], after: Version[Any]) -> frozenset[str]:
    """The rules of `before` whose state means nothing under `after`: deleted, or begun anew."""
    new = after.lineages
    return frozenset(name for name, lineage in before.lineages.items() if new.get(name) != lineage)


def _lineages(rules: RuleSet) -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for part in dataclasses.fields(rules):
        value: Any = getattr(rules, part.name)
        if isinstance(value, tuple):
            for rule in value:
                if hasattr(rule, "lineage"):
                    found[rule.name] = (part.name, rule.lineage)
    return found
