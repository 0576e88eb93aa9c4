"""The first of two steps to figures of groups: what the vehicles of one partition add to each group.

A message counts as long as the clock of its partition has not passed the end of the first window that its
pane is in, and the lateness: then the pane is sealed, and all its windows see the same. What has changed is
sent whole, once a second of that clock, to where the group is at home; the clock is told to every partition
when it passes an instant at which windows close, after all that belongs before it. So whoever merges knows,
when the clocks of all sources have passed an instant, that nothing is missing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rules.engine.aggregation.accumulators import ACCUMULATORS, Accumulator
from rules.engine.aggregation.running import RunningAggregation
from rules.engine.events import Event
from rules.engine.failures import StateFormatError
from rules.engine.memory import FOREVER, NEVER

MOST_GROUPS = 10_000
"""Groups with open windows, of one rule in one partition. Messages of others are dropped and counted."""
FLUSHED_EVERY_MS = 1_000
_FORMAT = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True)
class GroupSample:
    """What a message says for a rule of groups."""

    rule: RunningAggregation
    group: tuple[object, ...]
    samples: Sequence[tuple[int, Any]]
    vehicle_id: str
    event: Event


@dataclass(frozen=True, slots=True)
class GroupDropped:
    """A message that would have begun one group too many."""

    rule: str


@dataclass(frozen=True, slots=True)
class Partial:
    """All that one source has in one pane of a group, in place of what it said of it before."""

    rule: str
    digest: bytes
    group: str
    """The group's values as JSON text: with the rule its identity."""
    pane: int
    kept: Sequence[Any]

    @property
    def key(self) -> str:
        """Where the group is at home."""
        return group_key(self.rule, self.group)


def group_key(rule: str, group: str) -> str:
    """The key of a group's records."""
    return f"{rule}/{group}"


def group_text(names: Sequence[str], values: Sequence[object]) -> str:
    """The identity of a group within its rule."""
    return json.dumps(dict(zip(names, values, strict=True)), ensure_ascii=False, separators=(",", ":"))


@dataclass(slots=True)
class _Group:
    text: str
    panes: dict[int, list[Accumulator]] = field(default_factory=dict)
    changed_at: dict[int, int] = field(default_factory=dict)
    """How often had been sent when a pane last changed: it is unsent as long as that is how often it was."""


class Sources:
    """The groups of one partition's vehicles, by rule and values. It is state; the caller keeps it."""

    def __init__(self, rules: Sequence[RunningAggregation]) -> None:
        self._rules = {rule.index: rule for rule in rules if rule.groups is not None}
        self._groups: dict[int, dict[tuple[object, ...], _Group]] = {index: {} for index in self._rules}
        self._unsent: dict[tuple[int, tuple[object, ...], int], None] = {}
        self._changed: dict[tuple[int, tuple[object, ...], int], str] = {}
        self._gone: set[bytes] = set()
        self.clock = NEVER
        self._flushed = NEVER
        self._flushes = 0
        self.told = NEVER
        """The clock as the other partitions know it."""
        self._boundary = NEVER
        self._sealed_next = NEVER

    @property
    def is_empty(self) -> bool:
        """Whether the set has no rule of groups."""
        return not self._rules

    def add(self, sample: GroupSample) -> bool | GroupDropped:
        """Count a message. False if it came too late for one of its windows."""
        rule, fixed = sample.rule, sample.rule.fixed
        assert fixed is not None
        pane = fixed.pane_of(sample.event.ts)
        if fixed.first_end(pane) + rule.lateness <= self.clock:
            return False
        groups = self._groups[rule.index]
        group = groups.get(sample.group)
        if group is None:
            if len(groups) >= MOST_GROUPS:
                return GroupDropped(rule.name)
            group = groups[sample.group] = _Group(group_text(rule.group_names, sample.group))
        kept = group.panes.get(pane)
        if kept is None:
            kept = group.panes[pane] = rule.new_pane()
            self._sealed_next = min(self._sealed_next, fixed.first_end(pane) + rule.lateness)
        for place, value in sample.samples:
            kept[place].add(value, sample.event.ts, sample.vehicle_id)
        group.changed_at[pane] = self._flushes
        place_of = (rule.index, sample.group, pane)
        self._unsent[place_of] = None
        self._changed[place_of] = group.text
        return True

    def pass_time(self, clock: int) -> tuple[list[Partial], int | None]:
        """The partition's clock stands here: what to send, and after it the clock, if it is to be told."""
        if clock <= self.clock or self.is_empty:
            return [], None
        self.clock = clock
        if self.told == NEVER:
            told = True
        else:
            if self._boundary == NEVER:
                self._boundary = self._next_boundary()
            told = clock >= self._boundary
        partials = []
        if told or clock - clock % FLUSHED_EVERY_MS > self._flushed:
            self._flushed = clock - clock % FLUSHED_EVERY_MS
            self._flushes += 1
            unsent = sorted(self._unsent, key=lambda it: (it[0], self._groups[it[0]][it[1]].text, it[2]))
            partials = [self._partial(*place) for place in unsent]
            self._unsent.clear()
        if told:
            self.told = clock
            self._boundary = self._next_boundary()
        if clock >= self._sealed_next:
            self._seal()
        return partials, clock if told else None

    @property
    def next_due(self) -> int:
        """The clock from which on `pass_time` may have something to tell; FOREVER if it never has."""
        if self.is_empty:
            return FOREVER
        if self._unsent or self.told == NEVER:
            return self.clock + 1
        return self._next_boundary()

    def _next_boundary(self) -> int:
        """The next instant at which some window of a group closes, becomes final, or is told of."""
        told, soonest = self.told, FOREVER
        for rule in self._rules.values():
            assert rule.fixed is not None
            soonest = min(soonest, rule.fixed.boundary_after(told))
            if rule.lateness:
                soonest = min(soonest, rule.fixed.boundary_after(told - rule.lateness) + rule.lateness)
            if rule.every:
                soonest = min(soonest, told - told % rule.every + rule.every)
        return soonest

    def _seal(self) -> None:
        """Forget the panes that nothing can change any more; they have been sent."""
        soonest = FOREVER
        for index, groups in self._groups.items():
            rule = self._rules[index]
            assert rule.fixed is not None
            for values, group in list(groups.items()):
                for pane in list(group.panes):
                    sealed = rule.fixed.first_end(pane) + rule.lateness
                    if sealed > self.clock or (index, values, pane) in self._unsent:
                        soonest = min(soonest, sealed)
                        continue
                    del group.panes[pane], group.changed_at[pane]
                    self._changed[index, values, pane] = group.text
                if not group.panes:
                    del groups[values]
        self._sealed_next = soonest

    def _partial(self, index: int, values: tuple[object, ...], pane: int) -> Partial:
        rule, group = self._rules[index], self._groups[index][values]
        kept = [each.pack() for each in group.panes[pane]]
        return Partial(rule.name, rule.digest, group.text, pane, kept)

    # -- state ---------------------------------------------------------------------------------------------

    def pack(self) -> tuple[int, int, int, int]:
        """The clock as it stands, as it was at the last sending, and as it was told; how often was sent."""
        return self.clock, self._flushed, self.told, self._flushes

    def restored(self, clocks: tuple[int, int, int, int]) -> None:
        """All panes are in."""
        self.clock, self._flushed, self.told, self._flushes = clocks
        self._boundary = NEVER
        self._sealed_next = NEVER
        for index, groups in self._groups.items():
            for values, group in groups.items():
                for pane, changed_at in group.changed_at.items():
                    if changed_at == self._flushes:
                        self._unsent[index, values, pane] = None

    def changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """The panes that changed since the last call, by their keys; None for one that is gone."""
        for key in sorted(self._gone):
            yield key, None
        self._gone.clear()
        for (index, values, pane), text in self._changed.items():
            rule = self._rules[index]
            group = self._groups[index].get(values)
            kept = None if group is None else group.panes.get(pane)
            key = f"{rule.name}\0{text}\0{pane}".encode()
            if kept is None:
                yield key, None
                continue
            assert group is not None
            content = (rule.digest, values, group.changed_at[pane], [each.pack() for each in kept])
            yield key, packed(content)
        self._changed.clear()

    def restore(self, key: bytes, value: bytes) -> None:
        """One pane. Raises StateFormatError."""
        name, text, pane = key.decode().split("\0")
        digest, values, changed_at, kept = unpacked(value)
        rule = next((rule for rule in self._rules.values() if rule.name == name), None)
        if rule is None or rule.digest != digest:
            self._gone.add(key)
            return
        group = self._groups[rule.index].setdefault(tuple(values), _Group(text))
        group.panes[int(pane)] = restored_pane(rule, kept)
        group.changed_at[int(pane)] = changed_at


def restored_pane(rule: RunningAggregation, kept: Sequence[Any]) -> list[Accumulator]:
    """The accumulators of a pane that was packed."""
    return [
        ACCUMULATORS[measure.function].unpack(packed)
        for measure, packed in zip(rule.measures, kept, strict=True)
    ]


def packed(content: Any) -> bytes:
    """Plain data behind the version of the format."""
    return _FORMAT + _encode(content)


def unpacked(value: bytes) -> Any:
    """What follows the version of the format. Raises StateFormatError."""
    if value[:1] != _FORMAT:
        raise StateFormatError(f"a group in format {value[:1].hex() or 'none'}, known is {_FORMAT.hex()}")
    try:
        return _decode(memoryview(value)[1:])
    except (msgspec.DecodeError, ValueError) as error:
        raise StateFormatError(f"a group: {error}") from error


def words_of(group: Mapping[str, object]) -> dict[str, object]:
    """What expressions may name of a group."""
    return {f"group.{name}": value for name, value in group.items()}
