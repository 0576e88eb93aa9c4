"""What rules brought about, sort by sort, with the keys that an author gives to it in an expectation.

Instants stay milliseconds since the epoch.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from rules.engine import AlertRecord, CommandRecord, PublishRecord
from rules.engine.aggregation.records import AggregateRecord, LateRecord
from rules.engine.fence_outcomes import FencePublish, FenceRecord
from rules.testing.entries import Expected
from rules.testing.runs import Heard, Ran

Fields = dict[str, object]
"""One outcome, by the keys of YAML."""


def _heard(ran: Ran, expected: Expected, sort: type[Any] | tuple[type[Any], ...]) -> Iterator[Heard]:
    for heard in ran.heard:
        outcome = heard.outcome
        if not isinstance(outcome, sort):
            continue
        said = _published(outcome) or outcome
        if expected.vehicle in (None, said.vehicle_id) and expected.rule in (None, said.rule):
            yield heard


def _alerts(ran: Ran, expected: Expected) -> list[Fields]:
    """The alerts, each from its records, in the order in which they fired."""
    found: dict[str, Fields] = {}
    for heard in _heard(ran, expected, AlertRecord):
        record: AlertRecord = heard.outcome
        life = found.get(record.id)
        if life is None:
            life = found[record.id] = {
                "startsAt": record.starts_at,
                "firedAt": record.fired_at,
                "value": record.value,
                "group": None if record.group is None else dict(record.group),
                "by": record.by,
                "labels": dict(record.labels),
                "annotations": dict(record.annotations),
            }
            if record.sequence is not None:
                life["outcome"] = "match" if record.sequence.is_match else "timeout"
                life["steps"] = {name: first for name, first, _ in record.sequence.steps}
        life |= {
            "endsAt": record.ends_at,
            "severity": record.severity,
            "peak": record.peak,
            "reason": record.reason,
        }
    return list(found.values())


def _commands(ran: Ran, expected: Expected) -> list[Fields]:
    return [
        {
            "name": heard.outcome.name,
            "at": heard.at,
            "payload": heard.outcome.payload,
            "expiresAt": heard.outcome.expires_at,
        }
        for heard in _heard(ran, expected, CommandRecord)
    ]


def _published_records(ran: Ran, expected: Expected) -> list[Fields]:
    return [
        {"topic": heard.outcome.topic, "at": heard.at, "severity": _published(heard.outcome).severity}
        for heard in _heard(ran, expected, (PublishRecord, FencePublish))
    ]


def _events(ran: Ran, expected: Expected) -> list[Fields]:
    found = []
    for heard in _heard(ran, expected, FenceRecord):
        record: FenceRecord = heard.outcome
        event, starts_at, confirmed_at, visit_ms, reason = record.happening
        found.append(
            {
                "fence": record.fence,
                "event": event,
                "startsAt": starts_at,
                "confirmedAt": confirmed_at,
                "visitSeconds": None if visit_ms is None else visit_ms / 1000,
                "severity": record.severity,
                "reason": reason,
                "by": record.by,
                "speed": record.speed,
                "limit": record.limit,
                "labels": dict(record.labels),
                "annotations": dict(record.annotations),
            }
        )
    return found


def _aggregates(ran: Ran, expected: Expected) -> list[Fields]:
    return [
        {
            "windowStart": heard.outcome.window_start,
            "windowEnd": heard.outcome.window_end,
            "values": dict(heard.outcome.values),
            "group": dict(heard.outcome.group),
            "final": heard.outcome.final,
            "update": heard.outcome.update,
            "by": heard.outcome.by,
            "at": heard.at,
        }
        for heard in _heard(ran, expected, AggregateRecord)
    ]


def _late(ran: Ran, expected: Expected) -> list[Fields]:
    return [{"ts": heard.outcome.ts, "at": heard.at} for heard in _heard(ran, expected, LateRecord)]


def _published(outcome: Any) -> Any:
    """What a published record tells; None of anything else."""
    match outcome:
        case PublishRecord(alert=alert):
            return alert
        case FencePublish(record=record):
            return record
    return None


FOUND: Final[Mapping[str, Callable[[Ran, Expected], list[Fields]]]] = {
    "alerts": _alerts,
    "commands": _commands,
    "published": _published_records,
    "events": _events,
    "aggregates": _aggregates,
    "late": _late,
}
"""What came of a sort, for the vehicle and the rule of an expectation, in its order."""
