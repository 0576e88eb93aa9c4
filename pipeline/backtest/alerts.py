"""The alerts of a backtest, put together from their records: one entry for each id, as it was left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import orjson

from pipeline.backtest.replay import Told
from rules.instants import parse_instant


class Alert(NamedTuple):
    """One alert of one rule. Times in milliseconds; `ends_at` is None where the trace ended first."""

    id: str
    rule: str
    vehicle_id: str
    severity: str
    starts_at: int
    fired_at: int
    ends_at: int | None
    reason: str | None

    @property
    def outcome(self) -> tuple[Any, ...]:
        """What another revision of the rule may have made different."""
        return self.severity, self.fired_at, self.ends_at, self.reason


def alerts_of(told: Iterable[Told]) -> dict[str, Alert]:
    """By id, in the order in which they fired."""
    found: dict[str, Alert] = {}
    for record in told:
        if record.topic != "vehicle.alerts":
            continue
        said: Mapping[str, Any] = orjson.loads(record.value)
        ends_at = said["endsAt"]
        found[said["id"]] = Alert(
            said["id"],
            said["rule"],
            _whose(said),
            said["severity"],
            parse_instant(said["startsAt"]),
            parse_instant(said["firedAt"]),
            None if ends_at is None else parse_instant(ends_at),
            said["reason"],
        )
    return found


def _whose(said: Mapping[str, Any]) -> str:
    """The vehicle; of a group what it is of, as JSON."""
    vehicle_id = said["vehicleId"]
    return orjson.dumps(said["group"]).decode() if vehicle_id is None else str(vehicle_id)


class Change(NamedTuple):
    """An alert that one side has and the other has not, or has otherwise."""

    before: Alert | None
    after: Alert | None

    @property
    def any(self) -> Alert:
        """The side that there is, the newer first."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def sign(self) -> str:
        """+ is new, - is gone, ~ is changed."""
        return "+" if self.before is None else "-" if self.after is None else "~"


def differences(before: Mapping[str, Alert], after: Mapping[str, Alert]) -> list[Change]:
    """What firing differs, by time.

    An alert is the same if rule, vehicle and beginning are: ids differ between revisions whose state has
    another meaning.
    """
    old, new = _by_place(before), _by_place(after)
    changes = [
        Change(old.get(place), new.get(place))
        for place in old.keys() | new.keys()
        if (place in old) != (place in new) or old[place].outcome != new[place].outcome
    ]
    return sorted(changes, key=lambda it: (it.any.starts_at, it.any.rule, it.any.vehicle_id, it.sign))


def _by_place(alerts: Mapping[str, Alert]) -> dict[tuple[Any, ...], Alert]:
    found: dict[tuple[Any, ...], Alert] = {}
    for alert in alerts.values():
        ordinal = 0
        while (place := (alert.rule, alert.vehicle_id, alert.starts_at, ordinal)) in found:
            ordinal += 1
        found[place] = alert
    return found
