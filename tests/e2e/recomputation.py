"""What rules/rules.yaml must say, computed once more: plain loops over each vehicle's messages, no engine.

Messages come in the order in which a vehicle sent them. A message older than one before it moves nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Sample(NamedTuple):
    """One message of a vehicle: event time in milliseconds, and what it carries."""

    at: int
    sequence: int
    speed: float
    coolant: float
    belt: bool

    def payload(self) -> dict[str, object]:
        """As the vehicle sends it."""
        return {
            "ts": self.at,
            "seq": self.sequence,
            "speed": self.speed,
            "engine": {"coolant": self.coolant},
            "belt": self.belt,
        }


class Said(NamedTuple):
    """One alert record, without ids and texts. Times in milliseconds."""

    vehicle: str
    rule: str
    state: str
    severity: str
    starts_at: int
    fired_at: int
    ends_at: int | None


@dataclass
class _Alert:
    """One rule's alert for one vehicle."""

    vehicle: str
    rule: str
    severity: str
    hold: int = 0
    keep: int = 0
    since: int | None = None
    fired: int | None = None
    ending: int | None = None
    ended: int | None = None
    said: list[Said] = field(default_factory=list)

    def fire(self, at: int) -> None:
        assert self.since is not None
        self.fired, self.ending = at, None
        self._say("firing", None)

    def rise(self, severity: str) -> None:
        self.severity = severity
        self._say("firing", None)

    def end(self, at: int) -> None:
        self._say("resolved", at)
        self.since = self.fired = self.ending = None
        self.ended = at

    def _say(self, state: str, ends_at: int | None) -> None:
        assert self.since is not None
        assert self.fired is not None
        self.said.append(Said(self.vehicle, self.rule, state, self.severity, self.since, self.fired, ends_at))

    def pass_time(self, now: int) -> None:
        """What was due before `now` happens, at the instant at which it was due."""
        if self.since is not None and self.fired is None and self.since + self.hold < now:
            self.fire(self.since + self.hold)
        if self.ending is not None and self.ending + self.keep < now:
            self.end(self.ending + self.keep)

    def see(self, now: int, holds: bool) -> None:
        if self.fired is not None:
            if holds:
                self.ending = None
            else:
                self.ending = now if self.ending is None else self.ending
                if now - self.ending >= self.keep:
                    self.end(now)
        elif not holds:
            self.since = None
        else:
            self.since = now if self.since is None else self.since
            if now - self.since >= self.hold:
                self.fire(now)


def said_of(vehicle: str, samples: Iterable[Sample]) -> list[Said]:
    """Every alert record of a vehicle that the four rules must give."""
    in_order = _without_late(samples)
    said = _fast(vehicle, in_order) + _braking(vehicle, in_order)
    hot = _Alert(vehicle, "hot", "critical", hold=5000, keep=3000)
    unbelted = _Alert(vehicle, "unbelted", "warning", hold=3000)
    for sample in in_order:
        hot.pass_time(sample.at)
        hot.see(sample.at, sample.coolant > 110)
        if vehicle.startswith("car-1"):
            unbelted.pass_time(sample.at)
            unbelted.see(sample.at, sample.speed > 10 and not sample.belt)
    return sorted(said + hot.said + unbelted.said, key=str)


def _without_late(samples: Iterable[Sample]) -> list[Sample]:
    in_order: list[Sample] = []
    for sample in samples:
        if not in_order or sample.at >= in_order[-1].at:
            in_order.append(sample)
    return in_order


def _fast(vehicle: str, samples: Sequence[Sample]) -> list[Said]:
    alert = _Alert(vehicle, "fast", "warning")
    for sample in samples:
        if alert.fired is None and sample.speed > 120:
            alert.severity = "critical" if sample.speed > 150 else "warning"
            alert.since = sample.at
            alert.fire(sample.at)
        elif alert.fired is not None and sample.speed < 110:
            alert.end(sample.at)
        elif alert.fired is not None and sample.speed > 150 and alert.severity == "warning":
            alert.rise("critical")
    return alert.said


def _braking(vehicle: str, samples: Sequence[Sample]) -> list[Said]:
    alert = _Alert(vehicle, "braking", "info")
    hits: list[int] = []
    before: Sample | None = None
    for sample in samples:
        holds = before is not None and sample.speed - before.speed < -15
        before = sample
        if alert.fired is not None:
            if not holds:
                alert.end(sample.at)
        elif not holds:
            alert.since = None
        elif alert.ended is None or sample.at >= alert.ended + 20_000:
            alert.since = sample.at if alert.since is None else alert.since
            hits = [hit for hit in hits if hit > sample.at - 10_000] + [sample.at]
            if len(hits) >= 2:
                alert.fire(sample.at)
                hits = []
    return alert.said
