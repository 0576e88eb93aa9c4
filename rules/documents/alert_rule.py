"""AlertRule: a condition over one vehicle's signals, the life of the alert, and what to do about it.

The life cycle is Prometheus's (inactive, pending, firing, resolved) with hysteresis (`clearWhen`), counting
(`forEvents`) and a severity that may rise but never falls. Expressions are kept here as text; the language
package compiles and type-checks them.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from rules.documents.closed import (
    Actions,
    Closed,
    Document,
    Expression,
    Finding,
    Many,
    Template,
    exactly_one,
    told,
    yaml_key,
)
from rules.documents.command_type import COMMAND_PATTERN
from rules.documents.durations import Duration
from rules.documents.exceptions import Exceptable
from rules.documents.schedule import Span, schedule_findings

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""Least first."""

Upon = Literal["firing", "severityRaised", "resolved"]


class Rung(Closed):
    """One step of a severity ladder: exactly one severity and the condition under which it holds."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    critical: Expression | None = None
    """When it is critical."""
    warning: Expression | None = None
    """When it is a warning."""
    info: Expression | None = None
    """When it is for information."""

    @property
    def named(self) -> tuple[tuple[Severity, str], ...]:
        """The severities that this rung names, with their conditions; one, in a document without findings."""
        pairs = ((severity, getattr(self, severity)) for severity in SEVERITIES)
        return tuple((severity, text) for severity, text in pairs if text is not None)


class ForEvents(Closed):
    """So many messages for which the condition holds: within a time, or (without `within`) in a row."""

    count: Annotated[int, Field(ge=1, le=10_000)]
    """So many messages."""
    within_ms: Duration | None = None
    """Within this time; left out: in a row."""


class AbsentFor(Closed):
    """No message, or none that carries one of these signals, has come for so long."""

    signals: Annotated[Many[str] | None, told(minItems=1)] = None
    """Names or aliases of the catalog; left out for any message at all."""
    duration_ms: Duration
    """For so long, not counting times in which no uplink was there to hear."""

    elsewhere: ClassVar = {"for": "duration", "after": "duration", "signal": "signals"}


class Command(Closed):
    """A command to the vehicle that the alert is about."""

    name: Annotated[str, Field(pattern=COMMAND_PATTERN)]
    """Becomes a level of an MQTT topic, hence no `/`, `+` and `#`."""
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    """Any JSON; its texts are templates."""
    expires_after_ms: Duration = 60_000
    """From the receipt of the message that caused it; later the command is not delivered."""
    max_age_ms: Duration = 60_000
    """No command at all when that message reached us later than this after its event time."""


class Publish(Closed):
    """The alert's record, also on a Kafka topic of the author's choice."""

    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")]
    """Its name, without the installation's prefix."""


class Action(Closed):
    """Exactly one of `command` and `publish`, and the moment at which it acts."""

    model_config = ConfigDict(json_schema_extra=exactly_one("command", "publish"))

    upon: Upon = "firing"
    """`severityRaised` acts once for each higher rung that a firing alert reaches."""
    command: Command | None = None
    publish: Publish | None = None

    elsewhere: ClassVar = {"on": "upon", "when": "upon", "state": "upon"}


class AlertRuleSpec(Exceptable):
    """See docs/rules.md, which describes each field."""

    model_config = ConfigDict(json_schema_extra=exactly_one("when", "absentFor"))

    vehicles: Expression | None = None
    """For which vehicles the rule is, in CEL; left out: for all."""
    when: Expression | None = None
    """The condition, in CEL."""
    absent_for: AbsentFor | None = None
    """Instead of `when`: nothing was heard for a time."""
    schedule: Annotated[Many[Span] | None, told(minItems=1)] = None
    """When the rule applies; outside of it the condition is false."""
    for_ms: Duration = 0
    """The condition holds for so long before the alert fires."""
    for_events: ForEvents | None = None
    """The condition holds for so many messages before the alert fires."""
    clear_when: Expression | None = None
    """When a firing alert ends, in CEL; left out: when the condition no longer holds."""
    keep_firing_for_ms: Duration = 0
    """For so long it must be clear before the alert ends."""
    cooldown_ms: Duration = 0
    """No new alert so soon after the end of one."""
    stale_grace_ms: Duration = 600_000
    """An alert ends when its condition has been unknown for so long."""
    severity: Annotated[Severity | Many[Rung], told(minItems=1, maxItems=3)] = "warning"
    """One severity, or a ladder: the first step that holds, the last one true."""
    value: Expression | None = None
    """What is told as the alert's value, in CEL; left out: the one signal of the condition."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Fixed texts of the alert; may have {{ CEL }}."""
    annotations: dict[str, Template] = Field(default_factory=dict)
    """Texts for people; may have {{ CEL }}."""
    actions: Actions[Action] = ()
    """What is done about it."""

    elsewhere: ClassVar = {
        "expr": "when",
        "condition": "when",
        "if": "when",
        "duration": "for",
        "hold": "for",
        "absent": "absentFor",
        "silentFor": "absentFor",
        "activeTimeIntervals": "schedule",
    }

    @model_validator(mode="after")
    def _has_a_condition(self) -> Self:
        if self.when is None and self.absent_for is None:
            raise PydanticCustomError("condition", "'when' is missing")
        return self

    @property
    def ladder(self) -> tuple[tuple[Severity, str], ...]:
        """The severities with their conditions, highest first; a single severity is a ladder of one."""
        if isinstance(self.severity, str):
            return ((self.severity, "true"),)
        return tuple(pair for rung in self.severity for pair in rung.named)


class AlertRule(Document):
    """One rule, one possible alert for each vehicle at a time."""

    kind: Literal["AlertRule"] = "AlertRule"
    spec: AlertRuleSpec

    def findings(self) -> Iterator[Finding]:
        """Yield faults of the condition, of the ladder and of the actions."""
        spec = self.spec
        yield from _condition_findings(spec)
        yield from schedule_findings(spec.schedule, ("spec", "schedule"))
        if not isinstance(spec.severity, str):
            yield from _ladder_findings(spec.severity)
        for index, action in enumerate(spec.actions):
            path = ("spec", "actions", index)
            if (action.command is None) == (action.publish is None):
                message = "an action is exactly one of command and publish"
                yield Finding("TT027", path, message, "write each action as an item of its own")
            if action.upon == "severityRaised" and spec.absent_for is not None:
                message = "a silence begins with one severity, which is never raised"
                hint = "write a second rule with a longer duration and the higher severity"
                yield Finding("TT027", (*path, "upon"), message, hint)
            elif action.upon == "severityRaised" and len(spec.ladder) < 2:
                message = "the severity of this rule has one step and is never raised"
                yield Finding(
                    "TT027", (*path, "upon"), message, "give spec.severity a ladder, or drop this action"
                )
        if spec.for_events is not None and spec.for_events.within_ms == 0:
            message = "messages within no time are none"
            yield Finding("TT023", ("spec", "forEvents", "within"), message, "leave within out for: in a row")


_NOT_OF_SILENCES = {
    "for_ms": "the silence itself has a duration: absentFor.duration",
    "for_events": "a silence has no messages that could be counted",
    "clear_when": "a silence ends when the vehicle is heard again; keepFiringFor can put that off",
    "stale_grace_ms": "whether a vehicle is heard is always known",
    "schedule": "a schedule goes by the vehicle's own time, a silence by when messages arrive",
}


def _condition_findings(spec: AlertRuleSpec) -> Iterator[Finding]:
    """A rule is about what a vehicle says, or about its silence."""
    if spec.absent_for is None:
        return
    if spec.when is not None:
        message = "a rule has a when or an absentFor, not both"
        hint = (
            "write two rules; for a signal that grows old while others come, when: age(...) > duration(...)"
        )
        yield Finding("TT050", ("spec", "absentFor"), message, hint, of_key=True)
        return
    for name, reason in _NOT_OF_SILENCES.items():
        if name in spec.model_fields_set:
            key = yaml_key(name)
            message = f"a rule with absentFor has no {key}"
            yield Finding("TT051", ("spec", key), message, reason, of_key=True)
    if spec.absent_for.duration_ms == 0:
        path = ("spec", "absentFor", "duration")
        yield Finding("TT023", path, "nothing is silent for no time", "for example: duration: 10m")
    if spec.absent_for.signals == ():
        message = "these are no signals: no message could end the silence"
        hint = "leave signals out: any message of the vehicle counts then"
        yield Finding("TT052", ("spec", "absentFor", "signals"), message, hint)


def _ladder_findings(rungs: tuple[Rung, ...]) -> Iterator[Finding]:
    path = ("spec", "severity")
    if not rungs:
        yield Finding("TT026", path, "a ladder has at least one step", "severity: warning")
        return
    ranks = []
    for index, rung in enumerate(rungs):
        if len(rung.named) != 1:
            message = f"a step names exactly one severity, this one names {len(rung.named)}"
            yield Finding("TT026", (*path, index), message, '- critical: "speed > 150"')
            return
        ranks.append(SEVERITIES.index(rung.named[0][0]))
        if index and ranks[-1] >= ranks[-2]:
            message = "the first step that holds decides, so the higher severity stands first, each once"
            yield Finding("TT026", (*path, index), message, "order the steps: critical, warning, info")
    severity, text = rungs[-1].named[0]
    if text.strip() != "true":
        message = "without a last step that always holds an alert could be without severity"
        yield Finding(
            "TT026", (*path, len(rungs) - 1, severity), message, f"end the ladder with: {severity}: true"
        )
