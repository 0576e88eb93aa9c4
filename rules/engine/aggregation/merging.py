"""The second of two steps to figures of groups: what the sources have, put together.

A source's partial replaces what it said before, so it may come as often as it likes. A window closes when the
clock of the source that is furthest behind has passed its end, so an idle partition holds nothing up as long
as its clock goes on, and none that is slow is left out. What is in a final window does not depend on how the
records of the sources lay between each other.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rules.engine.aggregation import state
from rules.engine.aggregation.running import RunningAggregation
from rules.engine.aggregation.sources import Partial, group_key, packed, restored_pane, unpacked, words_of
from rules.engine.aggregation.telling import Cause, Subject, Teller
from rules.engine.aggregation.vehicle import Status, Windows
from rules.engine.memory import NEVER


@dataclass(slots=True)
class _Group:
    subject: Subject
    text: str
    windows: Windows = field(default_factory=Windows)
    shares: dict[int, dict[int, Sequence[Any]]] = field(default_factory=dict)
    """By pane and source, packed: they are only put together when somebody wants to know."""
    stale: set[int] = field(default_factory=set)
    """Panes whose shares are not yet put together."""


class Merger:
    """The groups that are at home in one partition, and the clocks of all sources. It is state."""

    def __init__(self, rules: Sequence[RunningAggregation], teller: Teller, sources: int) -> None:
        self._rules = {rule.name: rule for rule in rules if rule.groups is not None}
        self._teller = teller
        self._sources = sources
        self._clocks: dict[int, int] = {}
        self.least = NEVER
        """The clock of the source that is furthest behind."""
        self._groups: dict[tuple[str, str], _Group] = {}
        self._changed: dict[bytes, tuple[_Group, RunningAggregation, int, int]] = {}
        self._clocks_changed: set[int] = set()
        self._gone: dict[bytes, None] = {}

    def take(self, source: int, partial: Partial, received_at: int, out: list[Any]) -> None:
        """A partial of one source. One of another version of the rule is not ours to understand."""
        rule = self._rules.get(partial.rule)
        if rule is None or rule.digest != partial.digest:
            return
        group = self._groups.get((rule.name, partial.group)) or self._new(rule, partial.group)
        if not self._open(rule, group.windows, partial.pane):
            return
        self._groups[rule.name, partial.group] = group
        group.shares.setdefault(partial.pane, {})[source] = partial.kept
        group.windows.panes.setdefault(partial.pane, [])
        group.stale.add(partial.pane)
        self._changed[_share_key(rule, group, partial.pane, source)] = group, rule, partial.pane, source
        if rule.waits(group.windows, partial.pane):
            return
        self._refresh(rule, group)
        tell_at = max(self.least, 0)
        if rule.every:
            tell_at = tell_at - tell_at % rule.every + rule.every - 1
        cause = Cause(None, received_at)
        self._teller.touched(group.subject, rule, group.windows, partial.pane, tell_at, cause, out)

    def pass_time(self, source: int, clock: int, received_at: int, out: list[Any]) -> None:
        """The clock of one source stands here, and what belongs before it has come."""
        if clock <= self._clocks.get(source, NEVER):
            return
        self._clocks[source] = clock
        self._clocks_changed.add(source)
        if len(self._clocks) < self._sources:
            return
        least = min(self._clocks.values())
        if least == self.least:
            return
        self.least = least
        for (name, _), group in sorted(self._groups.items(), key=lambda item: item[0]):
            rule = self._rules[name]
            if group.windows.due(rule.lateness) < least:
                self._refresh(rule, group)
                cause = Cause(None, received_at)
                self._teller.sweep(group.subject, {rule.index: group.windows}, least, cause, out)
                self._tidy(rule, group)

    def retire(self, names: Collection[str], received_at: int, out: list[Any]) -> None:
        """The rules of these names are no more: their alerts end, and nothing of them is kept or taken."""
        for (name, text), group in sorted(self._groups.items(), key=lambda item: item[0]):
            if name not in names:
                continue
            rule = self._rules[name]
            self._teller.retire(group.subject, rule, group.windows, self.least, received_at, out)
            group.windows.panes.clear()
            self._tidy(rule, group)
            if self._groups.pop((name, text), None) is not None:
                self._gone[_windows_key(rule, group)] = None
        for name in names:
            self._rules.pop(name, None)

    def _new(self, rule: RunningAggregation, text: str) -> _Group:
        values: dict[str, object] = json.loads(text)
        return _Group(Subject(group_key(rule.name, text), values, None, words_of(values)), text)

    def _open(self, rule: RunningAggregation, windows: Windows, pane: int) -> bool:
        """Whether some window of a pane is not final; those that were not there are now."""
        assert rule.fixed is not None
        is_open = False
        for start, end in rule.fixed.windows_of(pane):
            if start in windows.windows:
                is_open = True
            elif end > windows.final_until and end + rule.lateness > self.least:
                is_closed = end <= self.least
                windows.windows[start] = Status(start, start, end, closed=is_closed)
                if is_closed:
                    windows.closed_until = max(windows.closed_until, end)
                windows.changed = is_open = True
        return is_open

    def _refresh(self, rule: RunningAggregation, group: _Group) -> None:
        for pane in group.stale:
            shares = [restored_pane(rule, kept) for _, kept in sorted(group.shares[pane].items())]
            group.windows.panes[pane] = shares[0] if len(shares) == 1 else rule.merged(shares)
        group.stale.clear()

    def _tidy(self, rule: RunningAggregation, group: _Group) -> None:
        """Forget the shares of panes that are over, and a group that has no window."""
        for pane in [pane for pane in group.shares if pane not in group.windows.panes]:
            for source in group.shares.pop(pane):
                key = _share_key(rule, group, pane, source)
                self._changed.pop(key, None)
                self._gone[key] = None
        group.windows.panes_changed.clear()
        if not group.windows.windows and not group.windows.is_firing:
            del self._groups[rule.name, group.text]
            self._gone[_windows_key(rule, group)] = None

    def firing(self) -> list[str]:
        """The rules whose alert fires, once for each group."""
        return [name for (name, _), group in self._groups.items() if group.windows.is_firing]

    # -- state ---------------------------------------------------------------------------------------------

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What changed since the last call, by its keys; None for what is gone."""
        for key in self._gone:
            yield key, None
        self._gone.clear()
        for source in sorted(self._clocks_changed):
            yield f"c{source}".encode(), packed(self._clocks[source])
        self._clocks_changed.clear()
        for key, (group, rule, pane, source) in self._changed.items():
            yield key, packed((rule.digest, group.shares[pane][source]))
        self._changed.clear()
        for (name, _), group in self._groups.items():
            if group.windows.changed:
                group.windows.changed = False
                rule = self._rules[name]
                yield _windows_key(rule, group), state.packed_windows(rule, group.windows)

    def restore(self, key: bytes, value: bytes) -> None:
        """One piece of the state. Raises StateFormatError."""
        kind, rest = key[:1], key[1:].decode()
        if kind == b"c":
            self._clocks[int(rest)] = int(unpacked(value))
            return
        name, text, *more = rest.split("\0")
        rule = self._rules.get(name)
        windows = None
        if rule is not None and kind == b"w":
            windows = state.read_windows(value, rule)
        if rule is None or (kind == b"w" and windows is None):
            self._gone[key] = None
            return
        group = self._groups.get((name, text))
        if group is None:
            group = self._groups[name, text] = self._new(rule, text)
        if windows is not None:
            windows.panes = group.windows.panes
            group.windows = windows
            return
        digest, kept = unpacked(value)
        if digest != rule.digest:
            self._gone[key] = None
            return
        pane, source = map(int, more)
        group.shares.setdefault(pane, {})[source] = kept
        group.windows.panes.setdefault(pane, [])
        group.stale.add(pane)

    def restored(self) -> None:
        """Everything is in. Of a rule that means something else now nothing is left."""
        for name_and_text, group in list(self._groups.items()):
            if not group.windows.windows and not group.windows.is_firing:
                del self._groups[name_and_text]
        if len(self._clocks) >= self._sources:
            self.least = min(self._clocks.values())


def _share_key(rule: RunningAggregation, group: _Group, pane: int, source: int) -> bytes:
    return f"p{rule.name}\0{group.text}\0{pane}\0{source}".encode()


def _windows_key(rule: RunningAggregation, group: _Group) -> bytes:
    return f"w{rule.name}\0{group.text}".encode()
