"""AggregationRule: figures over windows of event time, for each vehicle or for groups of vehicles.

The words for windows are Flink's: tumbling, hopping and session windows; calendar windows follow a time zone.
docs/aggregations.md says what each means here.
"""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from rules.documents.alert_rule import Action, Severity
from rules.documents.closed import (
    Actions,
    Closed,
    Document,
    Expression,
    Finding,
    Template,
    exactly_one,
    told,
)
from rules.documents.diagnostics import Path, quote
from rules.documents.durations import UNITS, Duration, format_duration
from rules.documents.exceptions import Exceptable

MOST_AGGREGATES = 32
MOST_GROUP_NAMES = 8
MOST_PANES = 1_440
"""Panes of one hopping window: a day by the minute."""
SHORTEST_MS = 1_000
LONGEST_MS = 400 * UNITS["d"]
"""A year and some days, of a window and of what it waits for late data."""

_KINDS = ("tumbling_ms", "hopping_ms", "sliding_ms", "session_ms", "calendar")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}\Z")
_TAKEN = frozenset(
    {"vehicle", "group", "value", "bool", "bytes", "double", "dyn", "int", "list", "map", "string", "type"}
    | {"uint", "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function"}
    | {"if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while", "null_type"}
)


@lru_cache(maxsize=1024)
def is_time_zone(name: str) -> bool:
    """Whether the time zone database has the name."""
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


class Window(Closed):
    """Exactly one kind of window, and what belongs to it."""

    model_config = ConfigDict(
        json_schema_extra=exactly_one("tumbling", "hopping", "sliding", "session", "calendar")
    )

    tumbling_ms: Duration | None = None
    """Windows of this length, one after another."""
    hopping_ms: Duration | None = None
    """Windows of this length that overlap."""
    every_ms: Duration | None = None
    """So often a hopping window begins."""
    sliding_ms: Duration | None = None
    """For each message, the time before it."""
    session_ms: Duration | None = None
    """Windows that end with a pause of this length."""
    calendar: Literal["day", "week", "month", "quarter", "year"] | None = None
    """Days, weeks, months, quarters or years."""
    time_zone: str | None = None
    """On whose calendar: a name of the IANA database."""

    elsewhere: ClassVar = {"size": "tumbling", "gap": "session", "advance": "every", "slide": "every"}

    @property
    def kinds(self) -> tuple[str, ...]:
        """The YAML keys of the kinds that are given; one, in a document without findings."""
        return tuple(name.removesuffix("_ms") for name in _KINDS if getattr(self, name) is not None)


class Every(Closed):
    """Results of windows that are still open, so often."""

    every_ms: Duration
    """So often."""


class AggregateAlert(Closed):
    """An alert for each vehicle or group: fires with a window for which `when` holds, until one clears it."""

    when: Expression
    """The condition over the aggregates, in CEL."""
    severity: Severity = "warning"
    """One severity."""
    value: Expression | None = None
    """What is told as the alert's value, in CEL."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Fixed texts of the alert; may have {{ CEL }}."""
    annotations: dict[str, Template] = Field(default_factory=dict)
    """Texts for people; may have {{ CEL }}."""
    actions: Actions[Action] = ()
    """What is done about it; no commands to groups."""

    elsewhere: ClassVar = {"condition": "when", "expr": "when", "if": "when"}


def _aggregate_name(value: object) -> object:
    if isinstance(value, str) and (not _NAME.match(value) or value in _TAKEN):
        raise PydanticCustomError(
            "aggregate_name",
            "an aggregate's name has letters, digits and _, begins with a letter, and means nothing else",
        )
    return value


AggregateName = Annotated[str, BeforeValidator(_aggregate_name)]


class AggregationRuleSpec(Exceptable):
    """See docs/aggregations.md, which describes each field."""

    vehicles: Expression | None = None
    """For which vehicles the rule is, in CEL; left out: for all."""
    window: Window
    """Over which times."""
    where: Expression | None = None
    """Which messages count, in CEL; left out: all."""
    group_by: Annotated[
        dict[AggregateName, Expression] | None, told(minProperties=1, maxProperties=MOST_GROUP_NAMES)
    ] = None
    """Expressions that tell groups apart, by name; left out: by vehicle."""
    aggregates: Annotated[dict[AggregateName, str], told(minProperties=1, maxProperties=MOST_AGGREGATES)]
    """Figures by name, each one call such as max(speed)."""
    having: Expression | None = None
    """Which windows are told of, in CEL over the aggregates."""
    allowed_lateness_ms: Duration = 0
    """So late a message still corrects a window."""
    emit: Literal["onClose", "onUpdate"] | Every = "onClose"
    """When a window is told of."""
    alert: AggregateAlert | None = None
    """An alert over the figures."""

    elsewhere: ClassVar = {
        "when": "where",
        "filter": "where",
        "by": "groupBy",
        "lateness": "allowedLateness",
        "metrics": "aggregates",
        "select": "aggregates",
    }


class AggregationRule(Document):
    """Named aggregates over windows; each window of each vehicle is a record."""

    kind: Literal["AggregationRule"] = "AggregationRule"
    spec: AggregationRuleSpec

    def findings(self) -> Iterator[Finding]:
        """Yield what does not hold together: the window, its times, and what is told when."""
        spec = self.spec
        yield from _window_findings(spec.window)
        if not 1 <= len(spec.aggregates) <= MOST_AGGREGATES:
            message = f"a rule has 1 to {MOST_AGGREGATES} aggregates, this one has {len(spec.aggregates)}"
            yield Finding("TT073", ("spec", "aggregates"), message, "samples: count()")
        if spec.group_by is not None:
            yield from _group_findings(spec)
        if spec.alert is not None:
            yield from _alert_findings(spec.alert, of_groups=spec.group_by is not None)
        if spec.allowed_lateness_ms and spec.window.session_ms is not None:
            message = "a session that has ended is not changed any more"
            hint = "leave it out: late messages join the session that is open"
            yield Finding("TT074", ("spec", "allowedLateness"), message, hint)
        elif spec.allowed_lateness_ms and spec.window.sliding_ms is not None:
            message = "a sliding window is told of with its last message, and not corrected"
            hint = "leave it out: a late message counts in the windows of the messages after it"
            yield Finding("TT074", ("spec", "allowedLateness"), message, hint)
        elif spec.allowed_lateness_ms > LONGEST_MS:
            yield Finding("TT071", ("spec", "allowedLateness"), f"at most {format_duration(LONGEST_MS)}")
        if spec.emit != "onClose" and spec.window.sliding_ms is not None:
            message = "a sliding window is told of once, with its last message"
            yield Finding("TT075", ("spec", "emit"), message, "leave emit out; having says which are told of")
        elif not isinstance(spec.emit, str) and spec.emit.every_ms < SHORTEST_MS:
            message = f"results come at most every {format_duration(SHORTEST_MS)}"
            yield Finding("TT075", ("spec", "emit", "every"), message, "emit: onUpdate tells of each change")


def _window_findings(window: Window) -> Iterator[Finding]:
    path: Path = ("spec", "window")
    kinds = window.kinds
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none"
        known = "tumbling, hopping, sliding, session and calendar"
        message = f"a window is exactly one of {known}, this one is {found}"
        yield Finding("TT070", path, message, "window: {tumbling: 1h}")
        return
    for key, size in (
        ("tumbling", window.tumbling_ms),
        ("hopping", window.hopping_ms),
        ("sliding", window.sliding_ms),
        ("session", window.session_ms),
        ("every", window.every_ms),
    ):
        if size is not None and not SHORTEST_MS <= size <= LONGEST_MS:
            message = f"from {format_duration(SHORTEST_MS)} to {format_duration(LONGEST_MS)}"
            yield Finding("TT071", (*path, key), message, "for example: 5m")
            return
    if window.hopping_ms is not None:
        yield from _hopping_findings(window.hopping_ms, window.every_ms, path)
    elif window.every_ms is not None:
        yield Finding(
            "TT070", (*path, "every"), f"{kinds[0]} windows have no every", "take hopping, or leave it out"
        )
    if window.time_zone is None:
        return
    if window.calendar is None:
        message = f"{kinds[0]} windows have no time zone: they count from 1970-01-01T00:00:00Z"
        yield Finding("TT070", (*path, "timeZone"), message, "window: {calendar: day, timeZone: …}")
    elif not is_time_zone(window.time_zone):
        message = f"no time zone is called {quote(window.time_zone)}"
        yield Finding("TT072", (*path, "timeZone"), message, "for example: Asia/Shanghai, Europe/Berlin, UTC")


def _alert_findings(alert: AggregateAlert, *, of_groups: bool) -> Iterator[Finding]:
    for index, action in enumerate(alert.actions):
        path: Path = ("spec", "alert", "actions", index)
        if (action.command is None) == (action.publish is None):
            message = "an action is exactly one of command and publish"
            yield Finding("TT027", path, message, "write each action as an item of its own")
        if action.upon == "severityRaised":
            message = "the severity of an alert on windows is never raised"
            yield Finding("TT027", (*path, "upon"), message, "upon: firing")
        if action.command is not None and of_groups:
            message = "a group is no vehicle that could receive a command"
            yield Finding("TT078", (*path, "command"), message, "publish the alert, or leave groupBy out")


def _group_findings(spec: AggregationRuleSpec) -> Iterator[Finding]:
    path: Path = ("spec", "groupBy")
    names = spec.group_by or {}
    if not 1 <= len(names) <= MOST_GROUP_NAMES:
        message = f"a group is told by 1 to {MOST_GROUP_NAMES} expressions, here are {len(names)}"
        yield Finding("TT076", path, message, "leave groupBy out for: by vehicle")
    for kind, size in (("session", spec.window.session_ms), ("sliding", spec.window.sliding_ms)):
        if size is None:
            continue
        message = f"a {kind} window is one vehicle's, and these are groups of vehicles"
        yield Finding("TT077", ("spec", "window", kind), message, "take a fixed window, or leave groupBy out")


def _hopping_findings(size: int, every: int | None, path: Path) -> Iterator[Finding]:
    if every is None:
        message = "hopping windows begin so often: every is missing"
        yield Finding("TT070", path, message, f"window: {{hopping: {format_duration(size)}, every: 5m}}")
    elif every > size:
        message = f"messages between two windows would be in none: every is above {format_duration(size)}"
        yield Finding("TT071", (*path, "every"), message, "every is at most the window's length")
    elif (panes := size // (pane := math.gcd(size, every))) > MOST_PANES:
        message = f"one window has {panes} panes of {format_duration(pane)}"
        hint = f"at most {MOST_PANES}: take a longer every, one that divides the window"
        yield Finding("TT071", (*path, "every"), message, hint)
