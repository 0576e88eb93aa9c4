"""RuleTest: what vehicles say, instant by instant, and what the rules must then have done.

After promtool's unit tests. All instants are counted from the test's start; when a message was received is
told apart from when it was true, because rules go by the vehicle's time and an operator's clock does not.
Expressions, signals and values are judged by `rules.testing`, which knows the catalog.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from rules.documents.alert_rule import Severity
from rules.documents.closed import Closed, Document, Finding, Many, Name
from rules.documents.durations import Duration, parse_duration
from rules.instants import parse_instant

_DEFAULT_START = "2026-01-01T00:00:00Z"
_BEFORE = re.compile(r"-(?=[0-9])")


def _moment(value: Any) -> Any:
    text = value if isinstance(value, str) else ""
    try:
        parse_duration(_BEFORE.sub("", text, count=1))
    except ValueError:
        try:
            parse_instant(text)
        except ValueError:
            reason = "an instant is written like 30s, 1m30s or 2026-01-01T08:00:00Z"
            raise PydanticCustomError("moment", "{reason}", {"reason": reason}) from None
    return text


Moment = Annotated[
    str,
    BeforeValidator(_moment),
    Field(json_schema_extra={"examples": ["0s", "1m30s", "2026-01-01T08:00:00Z"]}),
]
"""An instant: the time since the test's start (`-30s` before it), or RFC 3339."""


def instant_of(moment: Moment, start: int) -> int:
    """Return the milliseconds since the epoch of an instant of a test that begins at `start`."""
    if "T" in moment:
        return parse_instant(moment)
    if moment.startswith("-"):
        return start - parse_duration(moment[1:])
    return start + parse_duration(moment)


def _start(value: Any) -> Any:
    if isinstance(value, str):
        try:
            parse_instant(value)
        except ValueError:
            reason = "a start is written like 2026-01-01T08:00:00Z"
            raise PydanticCustomError("moment", "{reason}", {"reason": reason}) from None
    return value


Samples = str | float | bool | Many[str | float | bool | None]
"""The expanding notation, one sample alone, or a list of samples in which a text is just a text."""


class Place(Closed):
    """Where a vehicle is: degrees on WGS 84, accuracy in metres."""

    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    accuracy: Annotated[float, Field(ge=0)] | None = None


class Registered(Closed):
    """What the registry says of a vehicle."""

    labels: dict[str, str] = Field(default_factory=dict)
    attributes: dict[str, float | bool | str] = Field(default_factory=dict)


class Happening(Closed):
    """One thing that happens beside the tracks: a message, of the registry, a restart, an absence."""

    at: Moment
    """Of a message its event time."""
    vehicle: str | None = None
    signals: dict[str, str | float | bool | None] | None = None
    position: Place | None = None
    received_at: Moment | None = None
    """When a message came; when it was true, unless this says otherwise."""
    registry: Registered | None = None
    """What the registry says of the vehicle from now on."""
    forget: Literal[True] | None = None
    """The vehicle is taken out of the registry, and all that is known of it is forgotten."""
    restart: Literal[True] | None = None
    """All states are packed, dropped, and read again."""
    uplink: Literal["away", "back"] | None = None
    """While it is away nothing is received and no time passes."""


class ExpectedAlert(Closed):
    """One alert from its begin to its end; what is left out is not compared."""

    starts_at: Moment | None = None
    fired_at: Moment | None = None
    ends_at: Moment | None = None
    """`null` for one that fires to the end of the test."""
    severity: Severity | None = None
    """The highest that it reached."""
    value: JsonValue = None
    """When it fired."""
    peak: JsonValue = None
    reason: str | None = None
    by: Literal["silence", "registry"] | None = None
    """`silence` if time without data made it fire, `registry` if the registry did."""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    outcome: Literal["match", "timeout"] | None = None
    """Of a sequence."""
    steps: dict[str, Moment] | None = None
    """Of a sequence: the first message of each step."""
    group: dict[str, JsonValue] | None = None
    """Of an aggregation rule with groupBy."""

    elsewhere: ClassVar = {"state": "endsAt", "at": "firedAt"}


class ExpectedCommand(Closed):
    """One command to the vehicle; what is left out is not compared."""

    name: str
    at: Moment | None = None
    """When the message came that caused it, or the time without one was noticed."""
    payload: dict[str, JsonValue] | None = None
    expires_at: Moment | None = None


class ExpectedPublication(Closed):
    """One record on a topic of the rule's; what is left out is not compared."""

    topic: str
    at: Moment | None = None
    """As for a command."""
    severity: Severity | None = None


class ExpectedEvent(Closed):
    """One event of a geofence rule; what is left out is not compared."""

    fence: str | None = None
    event: Literal["enter", "exit", "dwell", "cross", "speeding"] | None = None
    starts_at: Moment | None = None
    """When it began."""
    confirmed_at: Moment | None = None
    """When it was sure."""
    visit_seconds: float | None = None
    """Of an exit: how long the visit was."""
    severity: Severity | None = None
    reason: str | None = None
    by: Literal["silence", "registry"] | None = None
    speed: float | None = None
    limit: float | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class ExpectedAggregate(Closed):
    """One record of a window; what is left out is not compared."""

    window_start: Moment | None = None
    window_end: Moment | None = None
    values: dict[str, JsonValue] | None = None
    """Those that are named."""
    group: dict[str, JsonValue] | None = None
    final: bool | None = None
    update: int | None = None
    by: Literal["silence", "forgotten"] | None = None
    at: Moment | None = None
    """As for a command."""


class ExpectedLate(Closed):
    """One message that came too late for every window that it belongs to."""

    ts: Moment | None = None
    """Its event time."""
    at: Moment | None = None
    """When it came."""


class Expectation(Closed):
    """A state at an instant, or everything of one sort that a rule brought about for a vehicle."""

    vehicle: str | None = None
    """May be left out where the test has one."""
    rule: Name | None = None
    """May be left out where the test has one."""
    at: Moment | None = None
    """Of a state: all that was received up to then is known."""
    state: Literal["inactive", "pending", "firing"] | None = None
    severity: Severity | None = None
    value: JsonValue = None
    alerts: Many[ExpectedAlert] | None = None
    """All of them, in the order in which they fired; an empty list for none."""
    commands: Many[ExpectedCommand] | None = None
    """All of them, in their order."""
    published: Many[ExpectedPublication] | None = None
    """All of them, in their order."""
    events: Many[ExpectedEvent] | None = None
    """All of them, in their order: of a geofence rule."""
    aggregates: Many[ExpectedAggregate] | None = None
    """All of them, in their order: of an aggregation rule."""
    late: Many[ExpectedLate] | None = None
    """All of them, in their order: of an aggregation rule."""

    elsewhere: ClassVar = {
        "alert": "alerts",
        "command": "commands",
        "publish": "published",
        "event": "events",
        "aggregate": "aggregates",
    }


SORTS = ("state", "alerts", "commands", "published", "events", "aggregates", "late")
"""What an expectation is about; exactly one of them."""


class RuleTestSpec(Closed):
    """See docs/testing.md, which describes each field."""

    rules: Many[Name] = ()
    """The rules that run; all of the set where none is named."""
    start: Annotated[str, BeforeValidator(_start)] = _DEFAULT_START
    every_ms: Duration = 1000
    """Between two samples of a track."""
    quiet_after_ms: Duration = 10_000
    """As the setting of that name: so long a vehicle's silence means nothing."""
    registry: dict[str, Registered] = Field(default_factory=dict)
    """What the registry says of vehicles when the test begins."""
    vehicles: dict[str, dict[str, Samples]] = Field(default_factory=dict)
    """For each vehicle the tracks of its signals, and of its `position`."""
    steps: Many[Happening] = ()
    until: Moment | None = None
    """The test goes on, in silence, at least up to here."""
    expect: Many[Expectation]

    elsewhere: ClassVar = {
        "interval": "every",
        "input": "vehicles",
        "expected": "expect",
        "vehicle": "vehicles",
    }


class RuleTest(Document):
    """A test of rules. Nothing that runs in production reads it."""

    kind: Literal["RuleTest"] = "RuleTest"
    spec: RuleTestSpec

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with steps and expectations on their own."""
        spec = self.spec
        if not spec.expect:
            yield Finding(
                "TT300", ("spec", "expect"), "a test expects something", "expect: [{at: 10s, state: firing}]"
            )
        if spec.every_ms == 0:
            yield Finding("TT307", ("spec", "every"), "samples have a time between them", "every: 1s")
        for index, step in enumerate(spec.steps):
            yield from _step_findings(step, ("spec", "steps", index))
        for index, expectation in enumerate(spec.expect):
            yield from _expectation_findings(expectation, ("spec", "expect", index))


def _step_findings(step: Happening, path: tuple[str | int, ...]) -> Iterator[Finding]:
    is_message = step.signals is not None or step.position is not None
    others = [name for name in ("registry", "forget", "restart", "uplink") if getattr(step, name) is not None]
    if is_message + len(others) != 1:
        message = (
            "a step is exactly one of a message (signals, position), registry, forget, restart and uplink"
        )
        yield Finding("TT304", path, message, "write each as a step of its own")
        return
    if not is_message and step.received_at is not None:
        message = "only a message has receivedAt"
        yield Finding("TT304", (*path, "receivedAt"), message, "take it out", of_key=True)
    if step.vehicle is not None and others in (["restart"], ["uplink"]):
        message = f"{others[0]} is about all vehicles"
        yield Finding("TT304", (*path, "vehicle"), message, "take it out", of_key=True)


def _expectation_findings(expectation: Expectation, path: tuple[str | int, ...]) -> Iterator[Finding]:
    sorts = [sort for sort in SORTS if getattr(expectation, sort) is not None]
    if len(sorts) != 1:
        hint = "write each as an expectation of its own" if sorts else "for example: {at: 10s, state: firing}"
        yield Finding("TT305", path, f"an expectation has exactly one of {', '.join(SORTS)}", hint)
        return
    if sorts == ["state"]:
        if expectation.at is None:
            yield Finding("TT305", path, "a state is expected at an instant", "at: 10s")
        return
    for key in ("at", "severity", "value"):
        if key in expectation.model_fields_set:
            message = f"{key} belongs to a state"
            hint = f"give each of {sorts[0]} its own"
            yield Finding("TT305", (*path, key), message, hint, of_key=True)
