"""The rules as they run: expressions tied to slots, indexed by what they read; and the shapes met so far.

Vehicles to which the same rules apply share a program. A shape gets generated code once it has been seen a
few times; rarer ones go the plain way, so that messages of ever new shapes cost no compiling, and memory is
bounded.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rules.engine import alerts
from rules.engine.alerts import Alert, Phase
from rules.engine.expressions import Expression, Text
from rules.engine.memory import Layout, Look, Memory, layout_of
from rules.engine.ruleset import CommandAction, PublishAction, Rule, RuleSet
from rules.engine.shapes import Doubts, Shape, shape_run, soonest_of

_MOST_CONDITIONS = 50_000
_MOST_SHAPES = 10_000


class RunningRule:
    """A rule of the set, tied to a layout."""

    __slots__ = (
        "actions",
        "ages_beside",
        "annotations",
        "clear_when",
        "count",
        "index",
        "labels",
        "ladder",
        "rule",
        "slots_beside",
        "value",
        "when",
    )

    def __init__(self, index: int, rule: Rule, layout: Layout) -> None:
        self.index = index
        self.rule = rule
        self.count = rule.count
        self.when = Expression(rule.when, layout)
        self.clear_when = None if rule.clear_when is None else Expression(rule.clear_when, layout)
        self.value = None if rule.value is None else Expression(rule.value, layout)
        self.ladder = tuple(
            (rung.severity, None if rung.condition is None else Expression(rung.condition, layout))
            for rung in rule.ladder
        )
        self.labels = _texts(rule.labels, layout)
        self.annotations = _texts(rule.annotations, layout)
        self.actions = tuple(_action(action, layout) for action in rule.actions)
        everything = [self.clear_when, self.value, *(condition for _, condition in self.ladder)]
        beside = [part for part in everything if part is not None]
        self.slots_beside = frozenset(slot for part in beside for slot in part.slots)
        self.ages_beside = frozenset(limit for part in beside for limit in part.ages)

    def wants_attention(self, alert: Alert) -> bool:
        """Whether a message can move the alert without changing the truth of its condition."""
        if self.value is not None:
            return True
        if alert.phase is Phase.PENDING:
            return self.count is not None
        return (
            self.clear_when is not None
            or len(self.ladder) > 1
            or alert.clear_since is not None
            or alert.unknown_since is not None
        )

    def due(self, alert: Alert) -> int | None:
        """When time alone moves the alert."""
        return alerts.due(alert, self.rule)

    def forgotten_after(self, alert: Alert) -> int | None:
        """How long a resting alert means something."""
        return alerts.forgotten_after(alert, self.rule)


class Program:
    """The rules that apply to some vehicles, with the code for the shapes of their messages."""

    def __init__(
        self, rules: Sequence[RunningRule], layout: Layout, enabled: int, doubts: Doubts, patience: int
    ) -> None:
        self.rules = rules
        self.layout = layout
        self.enabled = enabled
        self.shapes: dict[tuple[str, ...], Shape] = {}
        self._doubts = doubts
        self._sightings: dict[tuple[str, ...], int] = {}
        self._conditions = 0
        self._patience = patience
        self.readers = [0] * len(layout.names)
        self.readers_beside = [0] * len(layout.names)
        self.age_readers: dict[tuple[int, int], int] = {}
        self.age_readers_beside: dict[tuple[int, int], int] = {}
        for rule in rules:
            bit = 1 << rule.index
            if not enabled & bit:
                continue
            for slot in rule.when.slots:
                self.readers[slot] |= bit
            for slot in rule.slots_beside:
                self.readers_beside[slot] |= bit
            for limit in rule.when.ages:
                self.age_readers[limit] = self.age_readers.get(limit, 0) | bit
            for limit in rule.ages_beside:
                self.age_readers_beside[limit] = self.age_readers_beside.get(limit, 0) | bit

    def shape_of(self, names: tuple[str, ...]) -> Shape:
        """The shape of a message that `shapes` does not hold: compiled if it is met often enough."""
        slots = self.layout.slots
        places = tuple(slots.get(name, -1) for name in names)
        carried = frozenset(slot for slot in places if slot >= 0)
        mask = beside = 0
        for slot in carried:
            mask |= self.readers[slot]
            beside |= self.readers_beside[slot]
        run = None
        if self._is_familiar(names):
            conditions = {index: self.rules[index].when for index in bits(mask)}
            self._make_room(len(conditions))
            run = shape_run(names, self.layout, conditions, self._doubts)
        shape = Shape(run, carried, places, mask, beside, soonest_of(carried, self.layout))
        if run is not None:
            self.shapes[names] = shape
        return shape

    def _is_familiar(self, names: tuple[str, ...]) -> bool:
        if len(self._sightings) >= _MOST_SHAPES:
            self._sightings.clear()
        sightings = self._sightings[names] = self._sightings.get(names, 0) + 1
        return sightings > self._patience

    def _make_room(self, conditions: int) -> None:
        """Start anew when there is too much code, and be slower to write more of it."""
        self._conditions += conditions + 10
        if self._conditions > _MOST_CONDITIONS:
            self.shapes.clear()
            self._sightings.clear()
            self._conditions = conditions + 10
            self._patience *= 4


class Programs:
    """All programs of an engine, one for each set of rules that applies to some vehicle."""

    def __init__(self, rules: RuleSet, familiar_after: int) -> None:
        self._familiar_after = familiar_after
        ordered = sorted(rules.rules, key=lambda rule: rule.name)
        self.layout = layout_of(rules)
        self.rules = tuple(RunningRule(index, rule, self.layout) for index, rule in enumerate(ordered))
        self.doubts = Doubts(set(), [])
        self._selectors = [
            (1 << index, Expression(rule.vehicles, self.layout))
            for index, rule in enumerate(ordered)
            if rule.vehicles is not None
        ]
        self._for_all = (1 << len(ordered)) - 1
        for bit, _ in self._selectors:
            self._for_all &= ~bit
        self._programs: dict[int, Program] = {}

    def for_vehicle(self, vehicle_id: str) -> Program:
        """The program of one vehicle. A selector without a value selects nothing."""
        enabled = self._for_all
        if self._selectors:
            look = Look(Memory.empty(self.layout), vehicle_id, 0)
            for bit, selector in self._selectors:
                try:
                    if selector.truth(look):
                        enabled |= bit
                except Exception:
                    continue
        program = self._programs.get(enabled)
        if program is None:
            program = Program(self.rules, self.layout, enabled, self.doubts, self._familiar_after)
            self._programs[enabled] = program
        return program


def bits(mask: int) -> list[int]:
    """The places of a mask's bits, ascending."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return found


Rendered = Callable[[Look], Any]


def _texts(texts: Mapping[str, Any], layout: Layout) -> dict[str, str | Text]:
    return {key: text if isinstance(text, str) else Text(text, layout) for key, text in texts.items()}


def _action(
    action: CommandAction | PublishAction, layout: Layout
) -> tuple[CommandAction | PublishAction, Any]:
    """An action with its payload, the templates in it tied to slots."""
    return action, _tied(action.payload, layout) if isinstance(action, CommandAction) else None


def _tied(payload: object, layout: Layout) -> object:
    if isinstance(payload, Mapping):
        return {key: _tied(item, layout) for key, item in payload.items()}
    if isinstance(payload, list | tuple):
        return [_tied(item, layout) for item in payload]
    return Text(payload, layout) if hasattr(payload, "render") else payload  # type: ignore[arg-type]
