"""From what happened in a visit to the records that tell of it, and to what its actions bring about.

An event whose reason is an edit, of its fence or in the registry, is told and acts on nothing: no vehicle has
moved.
"""

from collections.abc import Mapping
from typing import Any

from rules.engine.events import Position
from rules.engine.fence_outcomes import FenceOutcome, FencePublish, FenceRecord, event_id
from rules.engine.fence_state import FencedVehicle
from rules.engine.outcomes import CommandRecord, RuleFailure, action_id
from rules.engine.reports import Cause
from rules.engine.ruleset import CommandAction, FenceRule, RuleSet, Template
from rules.engine.visits import Happening
from rules.language.template import format_value
from rules.language.values import UNKNOWN

EVERY = "every"
"""What an action is tied to that acts upon each event of its rule."""


UNMOVED = frozenset(
    {"fenceChanged", "fenceDeleted", "deselected", "forgotten", "deleted", "promoted", "rolledBack"}
)
"""Reasons why a visit ended, or began, although the vehicle did not move."""


class FenceReporter:
    """Writes the outcomes of the geofence rules of one set."""

    def __init__(self, rules: RuleSet) -> None:
        self._revision = rules.revision
        self._fence_labels = rules.fence_labels

    def report(
        self,
        rule: FenceRule,
        vehicle: FencedVehicle,
        fence: str,
        happening: Happening,
        *,
        ordinal: int,
        position: Position | None,
        cause: Cause,
        speed: float | None,
        out: list[FenceOutcome],
    ) -> None:
        """Append the event's record, then what its actions bring about, in the order of the rule."""
        vehicle_id = vehicle.vehicle_id
        identity = event_id(f"{rule.name}@{rule.lineage}", vehicle_id, fence, happening, ordinal)
        facts = {
            **vehicle.facts,
            "vehicle.id": vehicle_id,
            "fence": fence,
            "event": happening.event,
            "visitSeconds": UNKNOWN if happening.visit_ms is None else happening.visit_ms / 1000,
            "value": UNKNOWN if speed is None else speed,
        }
        limit = rule.speed_limit if happening.event == "speeding" else None

        def fail(error: Exception) -> None:
            text = str(error) or type(error).__name__
            out.append(RuleFailure(rule.name, vehicle_id, happening.confirmed_at, text))

        record = FenceRecord(
            id=str(identity),
            rule=rule.name,
            revision=self._revision,
            fence=fence,
            vehicle_id=vehicle_id,
            severity=rule.severity,
            happening=happening,
            position=position,
            labels=rule.labels,
            fence_labels=self._fence_labels.get(fence, {}),
            annotations=_texts(rule.annotations, facts, fail),
            by=cause.by or ("silence" if cause.event_time is None else None),
            received_at=cause.received_at,
            speed=None if limit is None else speed,
            limit=None if limit is None else limit.limit,
        )
        out.append(record)
        if happening.reason in UNMOVED:
            return
        for index, action in enumerate(rule.actions):
            if action.upon not in (EVERY, happening.event):
                continue
            identifier = action_id(identity, index, rule.severity, action.upon)
            if not isinstance(action, CommandAction):
                out.append(FencePublish(identifier, action.topic, record))
                continue
            if cause.received_at - happening.confirmed_at > action.max_age_ms:
                continue
            try:
                payload = _rendered(action.payload, facts)
            except Exception as error:
                fail(error)
                continue
            out.append(
                CommandRecord(
                    id=identifier,
                    vehicle_id=vehicle_id,
                    name=action.name,
                    payload=payload,
                    expires_at=cause.received_at + action.expires_after_ms,
                    rule=rule.name,
                    revision=self._revision,
                    alert_id=str(identity),
                    event_time=cause.event_time,
                    received_at=cause.received_at,
                )
            )


def _texts(texts: Mapping[str, str | Template], facts: Mapping[str, object], fail: Any) -> dict[str, str]:
    rendered = {}
    for key, text in texts.items():
        try:
            value = text if isinstance(text, str) else _render(text, facts)
            rendered[key] = value if isinstance(value, str) else format_value(value)
        except Exception as error:
            fail(error)
            rendered[key] = "unknown"
    return rendered


def _render(template: Template, facts: Mapping[str, object]) -> object:
    return template.render([facts.get(read.signal, UNKNOWN) for read in template.reads])


def _rendered(payload: object, facts: Mapping[str, object]) -> object:
    if isinstance(payload, dict):
        return {key: _rendered(item, facts) for key, item in payload.items()}
    if isinstance(payload, list):
        return [_rendered(item, facts) for item in payload]
    return _render(payload, facts) if hasattr(payload, "render") else payload  # type: ignore[arg-type]
