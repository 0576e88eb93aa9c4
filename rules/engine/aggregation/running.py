"""An aggregation rule as it runs: its expressions tied to a layout, and what messages mean to it."""

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rules.engine.aggregation.accumulators import ACCUMULATORS, Accumulator, result
from rules.engine.aggregation.alarms import RunningAlarm
from rules.engine.aggregation.vehicle import Status, Windows
from rules.engine.aggregation.windows import Session, Sliding
from rules.engine.expressions import Expression, fast_function, truth_of
from rules.engine.memory import NEVER, Layout, Look
from rules.engine.ruleset import Aggregation
from rules.language.values import UNKNOWN, UnknownValue
from rules.language.windows import Window

LONGEST_GROUP = 256
"""Characters of a text that tells groups apart; longer ones are cut."""


class RunningAggregation:
    """A rule of the set; `index` is its place among them."""

    __slots__ = (
        "_having",
        "alarm",
        "arguments",
        "digest",
        "every",
        "fixed",
        "group_names",
        "groups",
        "index",
        "lateness",
        "lineage",
        "measures",
        "name",
        "rule",
        "session",
        "sliding",
        "slots",
        "where",
    )

    def __init__(self, index: int, rule: Aggregation, layout: Layout) -> None:
        self.index = index
        self.rule = rule
        self.name = rule.name
        self.lineage = f"aggregation/{rule.name}@{rule.lineage}"
        self.lateness = rule.lateness_ms
        self.every = rule.every_ms if rule.emit == "every" else 0
        self.session = rule.window if isinstance(rule.window, Session) else None
        self.sliding = rule.window if isinstance(rule.window, Sliding) else None
        self.fixed = None if isinstance(rule.window, Session | Sliding) else rule.window
        self.where = None if rule.where is None else Expression(rule.where, layout)
        self.measures = rule.measures
        self.group_names = tuple(name for name, _ in rule.groups or ())
        self.groups = None
        if rule.groups is not None:
            self.groups = tuple(Expression(by, layout) for _, by in rule.groups)
        self.arguments = tuple(
            None if measure.argument is None else Expression(measure.argument, layout)
            for measure in rule.measures
        )
        self.slots = tuple(
            None if argument is None else argument.slots or None for argument in self.arguments
        )
        """Of each measure the signals one of which a message must carry; None: any message will do."""
        self.alarm = None if rule.alarm is None else RunningAlarm(rule.alarm, self.lineage)
        self._having = None if rule.having is None else fast_function(rule.having)
        texts = [(it.function, it.argument and it.argument.text, it.percent) for it in rule.measures]
        where = rule.where and rule.where.text
        by = [(name, expression.text) for name, expression in rule.groups or ()]
        meant = repr((texts, where, rule.window, by))
        self.digest = hashlib.blake2b(meant.encode(), digest_size=8).digest()
        """Of what is added up and where: sums of another version of the rule mean nothing."""

    def new_pane(self) -> list[Accumulator]:
        """A pane without samples."""
        return [ACCUMULATORS[measure.function]() for measure in self.measures]

    def values(self, panes: Iterable[Sequence[Accumulator]]) -> dict[str, object]:
        """The results over some panes together."""
        panes = list(panes)
        kept: Sequence[Accumulator] = panes[0] if len(panes) == 1 else self.merged(panes)
        return {
            measure.name: result(measure.function, each, measure.percent)
            for measure, each in zip(self.measures, kept, strict=True)
        }

    def merged(self, panes: Iterable[Sequence[Accumulator]]) -> list[Accumulator]:
        """One pane with the samples of all."""
        whole = self.new_pane()
        for pane in panes:
            for mine, theirs in zip(whole, pane, strict=True):
                mine.merge(theirs)
        return whole

    def panes_of(self, windows: Windows, status: Status) -> list[list[Accumulator]]:
        """The panes of one window that hold something."""
        if self.session is not None:
            return [windows.panes[status.key]]
        if self.sliding is not None:
            whole = self.new_pane()
            for ts, samples in windows.samples:
                for place, value in samples:
                    whole[place].add(value, ts, "")
            return [whole]
        return [kept for start, kept in windows.panes.items() if status.start <= start < status.end]

    def touched(self, windows: Windows, pane: int) -> list[Status]:
        """The windows that a pane is part of, those that are not final."""
        spans = [(pane, 0)] if self.fixed is None else self.fixed.windows_of(pane)
        return [windows.windows[start] for start, _ in spans if start in windows.windows]

    def waits(self, windows: Windows, pane: int) -> bool:
        """Whether a change of a pane is told of in time anyway, when its windows close."""
        if self.rule.emit != "onClose":
            return False
        return self.fixed is None or self.fixed.first_end(pane) > windows.closed_until

    def drop_panes(self, windows: Windows, status: Status) -> None:
        """A window is final: forget what no other one needs."""
        if self.fixed is None:
            over = [status.key]
        else:
            last_end = self.fixed.last_end
            over = [pane for pane in windows.panes if last_end(pane) <= windows.final_until]
        for pane in over:
            del windows.panes[pane]
        windows.panes_changed.update(over)

    def is_wanted(self, values: Mapping[str, object], words: Mapping[str, object]) -> bool:
        """Whether `having` holds; unknown is no. Raises what the language calls an error."""
        having = self.rule.having
        if having is None or self._having is None:
            return True
        arguments = [
            operand(values[read.signal]) if read.signal in values else words.get(read.signal, UNKNOWN)
            for read in having.reads
        ]
        try:
            return truth_of(self._having(*arguments)) is True
        except Exception:
            try:
                return truth_of(having.evaluate(arguments)) is True
            except UnknownValue:
                return False


def operand(value: object) -> object:
    """A result as conditions see it: every number is a double, and what is not there is unknown."""
    if value is None:
        return UNKNOWN
    return float(value) if type(value) is int else value


def is_sample(value: object) -> bool:
    """Whether a value can be added up: it is known, and finite if it is a number."""
    return value is not UNKNOWN and (not isinstance(value, float) or math.isfinite(value))


@dataclass(frozen=True, slots=True)
class Shape:
    """What a message with certain signals means: their slots, and the rules with the measures to sample."""

    slots: tuple[int, ...]
    carried: frozenset[int]
    rules: tuple[tuple[int, tuple[int, ...]], ...]
    wilts_after: int
    """The time after which the first of its values turns stale."""


@dataclass(slots=True)
class LateLook(Look):
    """The world at an instant in the past, as far as it is remembered.

    What the message itself says is known, and of other signals the last value, if it is not newer than the
    message. What the vehicle has said anew since then is forgotten: it is unknown.
    """

    said: Mapping[int, object] = field(default_factory=dict)
    """What the message says of signals that have been said anew since."""

    def get(self, kind: str | Window, slot: int) -> object:
        """One value; UNKNOWN where there is none."""
        if slot < 0:
            return Look.get(self, kind, slot)
        memory = self.memory
        time = memory.times[slot]
        if slot in self.said:
            match kind:
                case "value":
                    return self.said[slot]
                case "age":
                    return 0
            return UNKNOWN
        if kind == "changed" and slot not in self.carried:
            return False
        if time > self.at or time == NEVER or self.at > time + memory.layout.stale_after[slot]:
            return UNKNOWN
        return memory.last(slot) if kind == "value" else Look.get(self, kind, slot)


def group_value(value: object) -> object:
    """A value that tells groups apart: JSON can hold it, and it is not long. What is unknown is null."""
    match value:
        case bool() | int():
            return value
        case float():
            return value + 0.0 if math.isfinite(value) else None
        case str():
            return value[:LONGEST_GROUP]
    return None
