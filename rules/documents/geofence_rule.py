"""GeofenceRule: what is told when vehicles enter fences, leave, stay, cross, or are too fast inside.

The life of a visit is unknown, outside, entering, inside, exiting; docs/geofences.md says when each begins.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import ConfigDict, Field

from rules.documents.alert_rule import Command, Publish, Severity
from rules.documents.amounts import AMOUNT
from rules.documents.closed import (
    Actions,
    Closed,
    Document,
    Expression,
    Finding,
    Many,
    Name,
    Template,
    exactly_one,
)
from rules.documents.diagnostics import quote
from rules.documents.durations import Duration
from rules.documents.exceptions import Exceptable

FenceEventName = Literal["enter", "exit", "dwell", "cross"]
EVENTS: tuple[FenceEventName, ...] = get_args(FenceEventName)
SPEEDING = "speeding"
"""What a rule with a speedLimit tells, too."""


class FenceSelector(Closed):
    """Exactly one of the two."""

    names: Many[Name] = ()
    """Names of fences."""
    match_labels: dict[str, str] = Field(default_factory=dict)
    """Labels that the fences have, all of them."""

    elsewhere: ClassVar = {"labels": "matchLabels", "selector": "matchLabels", "name": "names"}


class SpeedLimit(Closed):
    """How fast a vehicle may be inside."""

    limit: Annotated[float, Field(ge=0), *AMOUNT]
    """In the signal's unit."""
    signal: str = "Vehicle.Speed"
    """A signal, or its alias."""
    for_ms: Duration = 0
    """Told when it has been exceeded for so long."""

    elsewhere: ClassVar = {"max": "limit", "above": "limit", "value": "limit"}


class FenceAction(Closed):
    """Exactly one of `command` and `publish`, and the event upon which it acts."""

    model_config = ConfigDict(json_schema_extra=exactly_one("command", "publish"))

    upon: Literal["every", "enter", "exit", "dwell", "cross", "speeding"] = "every"
    """The event upon which it acts; every: each that the rule tells of."""
    command: Command | None = None
    """A command to the vehicle."""
    publish: Publish | None = None
    """The event's record, on a topic of yours."""

    elsewhere: ClassVar = {"on": "upon", "when": "upon", "event": "upon"}


class GeofenceRuleSpec(Exceptable):
    """See docs/rules.md, which describes each field."""

    vehicles: Expression | None = None
    """For which vehicles the rule is, in CEL; left out: for all."""
    fences: FenceSelector
    """Which fences."""
    events: Many[FenceEventName] = ("enter", "exit")
    """What is told."""
    enter_after_ms: Duration = 0
    """For so long a vehicle is inside before it has entered."""
    exit_after_ms: Duration = 0
    """For so long it is outside before it has left."""
    dwell_ms: Duration | None = None
    """The stay after which dwell is told."""
    position_stale_after_ms: Duration = 120_000
    """Without a position for so long, what began is confirmed."""
    exit_buffer_meters: Annotated[float, Field(ge=0, le=10_000), *AMOUNT] = 0
    """So far beyond the fence it is still inside."""
    max_accuracy_meters: Annotated[float | None, Field(gt=0)] = None
    """Positions less exact than this are not looked at."""
    speed_limit: SpeedLimit | None = None
    """How fast a vehicle may be inside."""
    severity: Severity = "info"
    """Of the events."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Fixed texts of the event; may have {{ CEL }}."""
    annotations: dict[str, Template] = Field(default_factory=dict)
    """Texts for people; may have {{ CEL }}."""
    actions: Actions[FenceAction] = ()
    """What is done about it."""

    elsewhere: ClassVar = {
        "fence": "fences",
        "geofences": "fences",
        "dwellFor": "dwell",
        "exitBuffer": "exitBufferMeters",
        "maxAccuracy": "maxAccuracyMeters",
        "staleAfter": "positionStaleAfter",
    }

    @property
    def told(self) -> tuple[str, ...]:
        """The events that the rule tells of."""
        return (*self.events, *([] if self.speed_limit is None else [SPEEDING]))


class GeofenceRule(Document):
    """One rule over some fences; each vehicle's visit of each fence has a life of its own."""

    kind: Literal["GeofenceRule"] = "GeofenceRule"
    spec: GeofenceRuleSpec

    def findings(self) -> Iterator[Finding]:
        """Yield what does not hold together."""
        spec = self.spec
        if bool(spec.fences.names) == bool(spec.fences.match_labels):
            message = "a rule names its fences, or says which labels they have: exactly one of the two"
            yield Finding("TT068", ("spec", "fences"), message, "fences: {matchLabels: {type: depot}}")
        yield from _event_findings(spec)
        for index, action in enumerate(spec.actions):
            path = ("spec", "actions", index)
            if (action.command is None) == (action.publish is None):
                message = "an action is exactly one of command and publish"
                yield Finding("TT027", path, message, "write each action as an item of its own")
            if action.upon not in ("every", *spec.told):
                message = f"this rule does not tell of {action.upon}"
                hint = "give it a speedLimit" if action.upon == SPEEDING else f"add {action.upon} to events"
                yield Finding("TT027", (*path, "upon"), message, hint)


def _event_findings(spec: GeofenceRuleSpec) -> Iterator[Finding]:
    path = ("spec", "events")
    if not spec.told:
        message = "a rule without events and without a speedLimit tells nothing"
        yield Finding("TT069", path, message, "events: [enter, exit]")
    for index, event in enumerate(spec.events):
        if event in spec.events[:index]:
            yield Finding("TT069", (*path, index), f"{quote(event)} stands here twice", "once is enough")
    if "dwell" in spec.events and spec.dwell_ms is None:
        yield Finding("TT069", path, "dwell needs a time: after how long?", "dwell: 15m")
    if spec.dwell_ms is not None and "dwell" not in spec.events:
        message = "nobody is told of it: dwell is not among the events"
        yield Finding("TT069", ("spec", "dwell"), message, f"events: [{', '.join([*spec.events, 'dwell'])}]")
    if spec.dwell_ms == 0:
        yield Finding("TT069", ("spec", "dwell"), "a stay of no time is an enter", "dwell: 15m")
    if spec.position_stale_after_ms == 0:
        message = "every position would be stale at once"
        yield Finding("TT069", ("spec", "positionStaleAfter"), message, "longer than between two positions")
