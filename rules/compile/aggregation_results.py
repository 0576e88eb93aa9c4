"""What is said of results of windows, compiled: conditions on aggregates, and the alert with its texts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.compile.actions import compiled_actions
from rules.compile.parts import Part, Path
from rules.documents import AggregateAlert, quote
from rules.engine import CommandAction, PublishAction
from rules.engine.ruleset import Alarm, Telling
from rules.language import BOOL, DOUBLE, INT, STRING, Compiled, Environment, Read, Type

_LOWEST = re.compile(r"\s*[A-Za-z_][A-Za-z0-9_]*\s*<")
_PATH: Path = ("spec", "alert")


@dataclass(slots=True)
class Results:
    """The names of a window's results: aggregates, what groups are told by, and the vehicle if it is one."""

    part: Part
    types: Mapping[str, Type]
    groups: tuple[tuple[str, Compiled], ...] | None
    _names: dict[str, Type] = field(init=False)

    def __post_init__(self) -> None:
        self._names = {f"group.{name}": by.type for name, by in self.groups or ()} | dict(self.types)

    def environment(self, **names: Type) -> Environment:
        """The names, and further ones such as a text's `value`."""
        vocabulary = self.part.vocabulary
        known = {**self._names, **names}
        named = [each for each in vocabulary.named.values() if each.name not in known]
        return Environment({}, locals=known, named=named).naming((), vocabulary.used)

    def condition(self, text: str, path: Path) -> Compiled | None:
        """A condition on results; None after noting what is wrong."""
        return self.expression(text, path, BOOL)

    def expression(self, text: str, path: Path, expect: Type | None = None) -> Compiled | None:
        """An expression over results; None after noting what is wrong."""
        compiled = self.part.expression(self.environment(), text, path, expect)
        return None if compiled is None or self._names_vehicle(compiled.reads, path) else compiled

    def _names_vehicle(self, reads: tuple[Read, ...], path: Path) -> bool:
        """Whether a group is asked for what only a vehicle has; that is noted."""
        if self.groups is None:
            return False
        for read in reads:
            if read.signal not in self._names:
                message = f"a group has no {quote(read.signal)}"
                self.part.find("TT225", path, message, hint="name what it is grouped by: group.NAME")
                return True
        return False


def alarm_of(results: Results, alert: AggregateAlert) -> Alarm | None:
    """The alert of a rule; None after noting what is wrong."""
    part = results.part
    when = results.condition(alert.when, (*_PATH, "when"))
    value = None if when is None else _value(results, alert, when)
    texts = results.environment() if value is None else results.environment(value=value.type)
    annotations = part.texts(texts, alert.annotations, (*_PATH, "annotations"))
    actions: tuple[CommandAction | PublishAction, ...]
    actions = compiled_actions(part, texts, alert.actions, (*_PATH, "actions"))
    if when is None or not part.is_right:
        return None
    return Alarm(
        name=part.placed.document.metadata.name,
        when=when,
        telling=Telling(alert.severity, annotations, actions),
        value=value,
        lowest=_LOWEST.match(when.text) is not None,
        labels=dict(alert.labels),
    )


def _value(results: Results, alert: AggregateAlert, when: Compiled) -> Compiled | None:
    """The alert's value: what the author wrote, else the one aggregate that the condition names."""
    path = (*_PATH, "value")
    if alert.value is None:
        names = list(dict.fromkeys(read.signal for read in when.reads if read.signal in results.types))
        if len(names) != 1:
            return None
        return results.expression(names[0], path)
    value = results.expression(alert.value, path)
    if value is not None and value.type not in (DOUBLE, INT, BOOL, STRING):
        message = f"the value of an alert is a number, a bool or a string, this is a {value.type}"
        results.part.find("TT104", path, message, hint="write a condition on it instead")
        return None
    return value
