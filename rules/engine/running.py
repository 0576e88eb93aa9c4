"""A rule as it runs: its expressions and texts tied to the slots of a layout."""

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar

from rules.engine import alerts
from rules.engine.alerts import Alert, Phase
from rules.engine.expressions import Expression, Text
from rules.engine.memory import Layout
from rules.engine.ruleset import Absence, Alarm, CommandAction, Pattern, PublishAction, Rule, Telling


class RunningRule:
    """A rule of the set; `index` is its place in the masks."""

    part: ClassVar = "rule/"
    """Before its name: the part of a vehicle's state that is its own."""
    __slots__ = (
        "actions",
        "ages_beside",
        "annotations",
        "clear_when",
        "count",
        "facts_beside",
        "index",
        "labels",
        "ladder",
        "rule",
        "schedule",
        "slots_beside",
        "value",
        "when",
        "windows_beside",
    )

    def __init__(self, index: int, rule: Rule, layout: Layout) -> None:
        self.index = index
        self.rule = rule
        self.count = rule.count
        self.schedule = rule.schedule
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
        """Read by anything but the condition: they concern the alert only while there is one."""
        self.ages_beside = frozenset(limit for part in beside for limit in part.ages)
        self.facts_beside = frozenset(key for part in beside for key in part.facts)
        self.windows_beside = frozenset(window for part in beside for window in part.windows)

    def is_open(self, at: int) -> bool:
        """Whether the rule applies at an instant."""
        return self.schedule is None or self.schedule.is_open(at)

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

    def only_measures(self, alert: Alert, at: int) -> bool:
        """Whether a message for which the condition holds can do no more than move the alert's value."""
        if alert.phase is Phase.PENDING:
            return self.count is None and at - alert.since < self.rule.for_ms
        return (
            alert.phase is Phase.FIRING
            and self.clear_when is None
            and len(self.ladder) == 1
            and alert.clear_since is None
            and alert.unknown_since is None
        )

    def goes_on(self, alert: Alert) -> bool:
        """Whether an alert that fires, and is not clear, can only have its value moved."""
        return (
            len(self.ladder) == 1
            and alert.clear_since is None
            and alert.unknown_since is None
            and not alert.by_silence
        )

    def due(self, alert: Alert) -> int | None:
        """When time alone moves the alert."""
        return alerts.due(alert, self.rule)

    def forgotten_after(self, alert: Alert) -> int | None:
        """How long a resting alert means something."""
        return alerts.forgotten_after(alert, self.rule)


class Face:
    """What is told of one kind of ending, tied to the slots of a layout."""

    __slots__ = ("actions", "annotations", "labels", "ladder", "rule")

    def __init__(self, pattern: Pattern | Alarm, telling: Telling, layout: Layout) -> None:
        self.rule = pattern
        self.ladder = ((telling.severity, None),)
        self.labels = _texts(pattern.labels, layout)
        self.annotations = _texts(telling.annotations, layout)
        self.actions = tuple(_action(action, layout) for action in telling.actions)


class RunningSequence:
    """A sequence of the set; `index` is its place among them."""

    part: ClassVar = "sequence/"
    """Before its name: the part of a vehicle's state that is its own."""
    __slots__ = (
        "conditions",
        "digest",
        "index",
        "match",
        "names",
        "pattern",
        "plan",
        "schedule",
        "slots",
        "timeout",
    )

    def __init__(self, index: int, pattern: Pattern, layout: Layout) -> None:
        self.index = index
        self.pattern = pattern
        self.plan = pattern.plan
        self.schedule = pattern.schedule
        self.names = tuple(name for name, _ in pattern.steps)
        self.conditions = tuple(Expression(condition, layout) for _, condition in pattern.steps)
        self.slots = frozenset(slot for condition in self.conditions for slot in condition.slots)
        self.match = Face(pattern, pattern.upon_match, layout)
        self.timeout = None if pattern.upon_timeout is None else Face(pattern, pattern.upon_timeout, layout)
        texts = [(name, condition.text) for name, condition in pattern.steps]
        self.digest = hashlib.blake2b(repr((texts, pattern.plan)).encode(), digest_size=8).digest()
        """Of what partial matches refer to: those of another version of the rule mean nothing."""


class RunningAbsence:
    """A rule about silence; `index` is its place among them, `ear` the place of what it listens for."""

    part: ClassVar = "absence/"
    """Before its name: the part of a vehicle's state that is its own."""
    __slots__ = ("actions", "annotations", "ear", "index", "labels", "ladder", "rule", "value")

    def __init__(self, index: int, rule: Absence, ear: int, layout: Layout) -> None:
        self.index = index
        self.rule = rule
        self.ear = ear
        self.value = None if rule.value is None else Expression(rule.value, layout)
        self.ladder = tuple(
            (rung.severity, None if rung.condition is None else Expression(rung.condition, layout))
            for rung in rule.ladder
        )
        self.labels = _texts(rule.labels, layout)
        self.annotations = _texts(rule.annotations, layout)
        self.actions = tuple(_action(action, layout) for action in rule.actions)


def _texts(texts: Mapping[str, Any], layout: Layout) -> dict[str, str | Text]:
    return {key: text if isinstance(text, str) else Text(text, layout) for key, text in texts.items()}


def _action(
    action: CommandAction | PublishAction, layout: Layout
) -> tuple[CommandAction | PublishAction, Any]:
    """An action with its payload, the templates in it tied to slots."""
    return action, _tied(action.payload, layout) if isinstance(action, CommandAction) else None


def _tied(payload: Any, layout: Layout) -> object:
    if isinstance(payload, Mapping):
        return {key: _tied(item, layout) for key, item in payload.items()}
    if isinstance(payload, list | tuple):
        return [_tied(item, layout) for item in payload]
    return Text(payload, layout) if hasattr(payload, "render") else payload
