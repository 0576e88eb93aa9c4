"""SequenceRule: steps that follow each other within a time, and what to do when they have, or have not.

The words are those of Flink's library for patterns of events; docs/rules.md says what each means here.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from rules.documents.alert_rule import Action, Severity
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
)
from rules.documents.diagnostics import Path, quote
from rules.documents.durations import Duration, format_duration
from rules.documents.exceptions import Exceptable
from rules.documents.schedule import Span, schedule_findings

MOST_STEPS = 32
MOST_PARTIALS = 64
"""Partial matches that are kept of a vehicle and rule."""


class Times(Closed):
    """So many messages of one step, at least and at most."""

    min: Annotated[int, Field(ge=1, le=1_000)]
    """At least."""
    max: Annotated[int, Field(ge=1, le=1_000)]
    """At most."""


class Step(Closed):
    """A message for which `when` holds, or a time in which `not` does not."""

    model_config = ConfigDict(json_schema_extra=exactly_one("when", "not"))

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
    """Of this step alone."""
    when: Expression | None = None
    """A message for which this holds, in CEL."""
    not_: Annotated[Expression | None, Field(alias="not")] = None
    """Instead of when: this does not hold until the next step, in CEL."""
    for_ms: Duration | None = None
    """For so long not must not hold."""
    within_ms: Duration | None = None
    """So soon after the step before."""
    times: Annotated[int, Field(ge=1, le=1_000)] | Times = 1
    """So many messages."""

    elsewhere: ClassVar = {"condition": "when", "where": "when", "count": "times", "until": "within"}

    @property
    def least_and_most(self) -> tuple[int, int]:
        """How many messages the step takes."""
        return (self.times, self.times) if isinstance(self.times, int) else (self.times.min, self.times.max)


class SkipTo(Closed):
    """Exactly one of the two, with the name of a step."""

    model_config = ConfigDict(json_schema_extra={"maxProperties": 1, **exactly_one("toFirst", "toLast")})

    to_first: str | None = None
    """Go on at the first message of this step."""
    to_last: str | None = None
    """Go on at the last message of this step."""


class OnTimeout(Closed):
    """What is told when a partial match runs out of time."""

    severity: Severity = "warning"
    """One severity."""
    annotations: dict[str, Template] = Field(default_factory=dict)
    """Texts for people; may have {{ CEL }}."""
    actions: Actions[Action] = ()
    """What is done about it."""


class SequenceRuleSpec(Exceptable):
    """See docs/rules.md, which describes each field."""

    vehicles: Expression | None = None
    """For which vehicles the rule is, in CEL; left out: for all."""
    steps: Annotated[Many[Step], told(minItems=1, maxItems=MOST_STEPS)]
    """What follows each other."""
    within_ms: Duration
    """The time in which all of it happens."""
    contiguity: Literal["strict", "relaxed", "relaxedAny"] = "relaxed"
    """Whether other messages may come between."""
    skip: Literal["pastLastEvent", "noSkip", "toNext"] | SkipTo = "pastLastEvent"
    """Where a new match may begin after one."""
    cooldown_ms: Duration = 0
    """No new match so soon after one."""
    schedule: Annotated[Many[Span] | None, told(minItems=1)] = None
    """When the rule applies; all messages of a match are in one opening."""
    severity: Severity = "warning"
    """One severity."""
    labels: dict[str, str] = Field(default_factory=dict)
    """Fixed texts of the alert; may have {{ CEL }}."""
    annotations: dict[str, Template] = Field(default_factory=dict)
    """Texts for people; may have {{ CEL }}."""
    actions: Actions[Action] = ()
    """What is done about a match."""
    on_timeout: OnTimeout | None = None
    """What is told of a match that ran out of time."""

    elsewhere: ClassVar = {
        "pattern": "steps",
        "timeout": "onTimeout",
        "afterMatch": "skip",
        "window": "within",
    }

    @property
    def every_action(self) -> tuple[Action, ...]:
        """The actions of matches and of time-outs."""
        return self.actions + (() if self.on_timeout is None else self.on_timeout.actions)


class SequenceRule(Document):
    """One sequence; each match is an alert of its own that ends when it begins."""

    kind: Literal["SequenceRule"] = "SequenceRule"
    spec: SequenceRuleSpec

    def findings(self) -> Iterator[Finding]:
        """Yield what does not hold together among the steps, their times, and what refers to them."""
        spec = self.spec
        yield from _steps_findings(spec.steps)
        yield from _times_findings(spec)
        yield from _skip_findings(spec)
        yield from schedule_findings(spec.schedule, ("spec", "schedule"))
        yield from _actions_findings(spec.actions, ("spec", "actions"))
        if spec.on_timeout is not None:
            yield from _actions_findings(spec.on_timeout.actions, ("spec", "onTimeout", "actions"))


def _steps_findings(steps: tuple[Step, ...]) -> Iterator[Finding]:
    path: Path = ("spec", "steps")
    if not 1 <= len(steps) <= MOST_STEPS:
        message = f"a sequence has 1 to {MOST_STEPS} steps, this one has {len(steps)}"
        yield Finding("TT080", path, message, "- {name: started, when: speed > 0}")
        return
    names: set[str] = set()
    for index, step in enumerate(steps):
        if step.name in names:
            message = f"another step has the name {quote(step.name)}"
            yield Finding("TT081", (*path, index, "name"), message, "give each step a name of its own")
        names.add(step.name)
        if (step.when is None) == (step.not_ is None):
            yield Finding(
                "TT082", (*path, index), "a step is exactly one of when and not", "split it into two steps"
            )
        elif step.not_ is not None:
            yield from _not_findings(step, (*path, index), is_first=index == 0, is_last=step is steps[-1])
        else:
            yield from _when_findings(step, (*path, index), is_first=index == 0)


def _not_findings(step: Step, path: Path, *, is_first: bool, is_last: bool) -> Iterator[Finding]:
    if is_first:
        hint = "begin with the message after which it must not happen"
        yield Finding("TT083", (*path, "not"), "a sequence cannot begin with not", hint)
    if is_last and step.for_ms is None:
        message = "a last step that waits for nothing has no end: not needs for here"
        yield Finding("TT084", (*path, "not"), message, "for example: for: 20s")
    for key in ("times", "within_ms"):
        if key in step.model_fields_set:
            word = key.removesuffix("_ms")
            hint = "its time is for" if word == "within" else "once is too often already"
            yield Finding("TT085", (*path, word), f"a step with not has no {word}", hint)
    if step.for_ms == 0:
        yield Finding("TT023", (*path, "for"), "nothing can happen within no time", "leave for out, or 1s")


def _when_findings(step: Step, path: Path, *, is_first: bool) -> Iterator[Finding]:
    if step.for_ms is not None:
        hint = "a message is an instant; a step with not has a for, and an AlertRule has one"
        yield Finding("TT085", (*path, "for"), "a step with when has no for", hint)
    least, most = step.least_and_most
    if least > most:
        message = f"min is {least} and max is {most}"
        yield Finding("TT086", (*path, "times"), message, f"times: {{min: {most}, max: {least}}}")
    if is_first and least > MOST_PARTIALS:
        message = (
            f"each message of the first step begins a partial match and {MOST_PARTIALS} are kept, "
            f"so {least} messages of it never come together"
        )
        hint = "begin with the one message before them, or use an AlertRule with forEvents"
        yield Finding("TT089", (*path, "times"), message, hint)
    if is_first and step.within_ms is not None and most == 1:
        hint = "within of the second step is the time from here to there"
        yield Finding("TT085", (*path, "within"), "the first message is within any time of itself", hint)
    if step.within_ms == 0:
        yield Finding("TT023", (*path, "within"), "no message is within no time", "for example: within: 30s")


def _times_findings(spec: SequenceRuleSpec) -> Iterator[Finding]:
    if spec.within_ms == 0:
        yield Finding(
            "TT023", ("spec", "within"), "no sequence is within no time", "for example: within: 90s"
        )
        return
    away = sum(step.for_ms or 0 for step in spec.steps if step.not_ is not None)
    if away >= spec.within_ms:
        message = (
            f"this can never match: its steps wait {format_duration(away)}, "
            f"and all of it is over in less than {format_duration(spec.within_ms)}"
        )
        hint = f"within is strict: write more than {format_duration(away)}"
        yield Finding("TT087", ("spec", "within"), message, hint)


def _skip_findings(spec: SequenceRuleSpec) -> Iterator[Finding]:
    if isinstance(spec.skip, str):
        return
    path: Path = ("spec", "skip")
    targets = [
        (key, getattr(spec.skip, name)) for key, name in (("toFirst", "to_first"), ("toLast", "to_last"))
    ]
    targets = [(key, target) for key, target in targets if target is not None]
    if len(targets) != 1:
        yield Finding("TT088", path, "exactly one of toFirst and toLast", "skip: {toFirst: started}")
        return
    key, target = targets[0]
    takes = [step.name for step in spec.steps if step.when is not None]
    if target not in takes:
        message = f"no step with when has the name {quote(target)}"
        yield Finding("TT088", (*path, key), message, f"known here: {', '.join(takes)}" if takes else None)


def _actions_findings(actions: tuple[Action, ...], path: Path) -> Iterator[Finding]:
    for index, action in enumerate(actions):
        if (action.command is None) == (action.publish is None):
            message = "an action is exactly one of command and publish"
            yield Finding("TT027", (*path, index), message, "write each action as an item of its own")
        if action.upon == "severityRaised":
            message = "the severity of a sequence is never raised"
            yield Finding("TT027", (*path, index, "upon"), message, "upon: firing")
