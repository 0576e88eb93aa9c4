"""From a change of an alert to the records that tell of it, and to what its actions bring about.

A command on old news is worse than none: it is left out when the message that caused it came later than
`maxAge` after the instant that it is about. The alert is recorded all the same.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rules.engine.alerts import Alert
from rules.engine.events import Position
from rules.engine.expressions import Text
from rules.engine.memory import Look
from rules.engine.outcomes import (
    AlertRecord,
    CommandRecord,
    Outcome,
    PublishRecord,
    RuleFailure,
    SequenceFacts,
    action_id,
)
from rules.engine.ruleset import CommandAction, PublishAction
from rules.language.template import format_value
from rules.language.values import UNKNOWN

_RECORDS_BITS = 8
"""An alert has fewer records than this: one for each severity, and its end."""


def first_record(revision: int) -> int:
    """Of an alert that another set may have told of until this revision: no record has an id of those."""
    return revision << _RECORDS_BITS


@dataclass(slots=True)
class Cause:
    """What made the engine look: a message, or silence. Times in milliseconds."""

    received_at: int
    event_time: int | None
    """None for silence, and for the registry."""
    by: str | None = None
    """`registry` where what it says has moved the alert; `silence` is told from the event time."""


@dataclass(slots=True)
class Occasion:
    """A change of an alert: what actions are tied to, when it happened, and why it ended if it did."""

    upon: str
    at: int
    reason: str | None = None
    is_new: bool = False
    """Whether whoever is told that it fires does not know it by its id."""


class Named(Protocol):
    """What has the name of a rule."""

    @property
    def name(self) -> str: ...


class Whose(Protocol):
    """Whose alert it is."""

    @property
    def vehicle_id(self) -> str: ...
    @property
    def position(self) -> Position | None: ...


class Told(Protocol):
    """A rule as far as its records need it."""

    @property
    def rule(self) -> Named: ...
    @property
    def ladder(self) -> Sequence[tuple[str, object]]: ...
    @property
    def labels(self) -> Mapping[str, str | Text]: ...
    @property
    def annotations(self) -> Mapping[str, str | Text]: ...
    @property
    def actions(self) -> Sequence[tuple[CommandAction | PublishAction, Any]]: ...


class Reporter:
    """Writes the outcomes of one rule set."""

    def __init__(self, revision: int) -> None:
        self._revision = revision

    def report(
        self,
        vehicle: Whose,
        rule: Told,
        alert: Alert,
        occasion: Occasion,
        *,
        cause: Cause,
        look: Look,
        out: list[Outcome],
        sequence: SequenceFacts | None = None,
        group: Mapping[str, object] | None = None,
    ) -> None:
        """Append the alert's record, then what its actions bring about, in the order of the rule."""
        identity = uuid.UUID(bytes=alert.id)
        name = str(identity)
        severity = rule.ladder[alert.rung][0]
        look.value = UNKNOWN if alert.value is None else alert.value
        is_resolved = occasion.upon == "resolved"
        record = AlertRecord(
            id=name,
            record_id=f"{name}-{alert.records}",
            rule=rule.rule.name,
            revision=self._revision,
            vehicle_id=vehicle.vehicle_id,
            state="resolved" if is_resolved else "firing",
            severity=severity,
            starts_at=alert.since,
            fired_at=alert.fired_at,
            ends_at=alert.ended_at if is_resolved else None,
            value=alert.value,
            peak=alert.peak,
            position=vehicle.position,
            labels=self._texts(rule.labels, rule, vehicle, look, out),
            annotations=self._texts(rule.annotations, rule, vehicle, look, out),
            reason=occasion.reason,
            by=cause.by or ("silence" if cause.event_time is None else None),
            received_at=cause.received_at,
            sequence=sequence,
            group=group,
            begins=occasion.is_new,
        )
        taken_over = alert.records >> _RECORDS_BITS
        alert.records += 1
        out.append(record)
        for index, (action, payload) in enumerate(rule.actions):
            if action.upon != occasion.upon:
                continue
            identifier = action_id(identity, index, severity, action.upon, taken_over=taken_over)
            if not isinstance(action, CommandAction):
                out.append(PublishRecord(identifier, action.topic, record))
                continue
            if cause.received_at - occasion.at > action.max_age_ms:
                continue
            try:
                rendered = _rendered(payload, look)
            except Exception as error:
                out.append(failure(rule, vehicle, occasion.at, error))
                continue
            out.append(
                CommandRecord(
                    id=identifier,
                    vehicle_id=vehicle.vehicle_id,
                    name=action.name,
                    payload=rendered,
                    expires_at=cause.received_at + action.expires_after_ms,
                    rule=rule.rule.name,
                    revision=self._revision,
                    alert_id=name,
                    event_time=cause.event_time,
                    received_at=cause.received_at,
                )
            )

    def _texts(
        self,
        texts: Mapping[str, str | Text],
        rule: Told,
        vehicle: Whose,
        look: Look,
        out: list[Outcome],
    ) -> dict[str, str]:
        rendered = {}
        for key, text in texts.items():
            try:
                rendered[key] = text if isinstance(text, str) else _written(text.render(look))
            except Exception as error:
                out.append(failure(rule, vehicle, look.at, error))
                rendered[key] = "unknown"
        return rendered


def failure(rule: Told, vehicle: Whose, at: int, error: Exception) -> RuleFailure:
    """Say that an expression of a rule had no value."""
    return RuleFailure(rule.rule.name, vehicle.vehicle_id, at, str(error) or type(error).__name__)


def _written(value: object) -> str:
    """A label or an annotation is a text, also where a hole alone would keep another type."""
    return value if isinstance(value, str) else format_value(value)


def _rendered(payload: object, look: Look) -> object:
    if isinstance(payload, dict):
        return {key: _rendered(item, look) for key, item in payload.items()}
    if isinstance(payload, list):
        return [_rendered(item, look) for item in payload]
    return payload.render(look) if isinstance(payload, Text) else payload
