"""The life of one alert about silence: told once, until the vehicle is heard again.

Two clocks go in. The live clock, which counts the time during which somebody was there to hear, decides: an
uplink that was away makes nobody silent. receivedAt gives the dates: a silence starts when the last message
was received, fires when its duration was over, and ends when a message is received. Where nobody was there
for a part of it the dates lie that much apart.

At one instant a message comes first, then a silence that is over its duration, then the end of
`keepFiringFor`.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from rules.engine.alerts import Alert, Change, Phase


class Times(Protocol):
    """What the life of a silence needs to know of its rule, in milliseconds of the live clock."""

    @property
    def duration_ms(self) -> int: ...
    @property
    def keep_ms(self) -> int: ...
    @property
    def cooldown_ms(self) -> int: ...


class Heard(NamedTuple):
    """The last message that counts: the greatest receivedAt so far, and the live clock when it came."""

    at: int
    live: int


class Now(NamedTuple):
    """The partition's clocks: live, and receivedAt."""

    live: int
    received: int

    def date(self, live: int) -> int:
        """When the live clock passed this, by receivedAt."""
        return self.received - (self.live - live)


@dataclass(slots=True)
class Told:
    """A silence that was told, or that rests: after its end it is remembered while it means something."""

    alert: Alert = field(default_factory=Alert)
    back_live: int | None = None
    """The live clock when it was heard again, while `keepFiringFor` runs; `alert.clear_since` is the date."""
    ended_live: int = 0


def due(rule: Times, heard: Heard, told: Told | None) -> int | None:
    """The live clock after which time alone moves the alert; None while it waits to be heard."""
    silent = heard.live + rule.duration_ms
    if told is None:
        return silent
    if told.alert.phase is Phase.RESTING:
        return max(silent, told.ended_live + rule.cooldown_ms)
    return None if told.back_live is None else min(silent, told.back_live + rule.keep_ms)


def pass_time(rule: Times, heard: Heard, told: Told, now: Now) -> Change | None:
    """What the clocks have passed, one change at a time; COUNTED for one that is not told."""
    alert = told.alert
    silent = heard.live + rule.duration_ms
    if alert.phase is Phase.FIRING:
        if told.back_live is None or alert.clear_since is None:
            return None
        kept = told.back_live + rule.keep_ms
        if silent <= kept:
            if silent >= now.live or heard.at + rule.duration_ms >= now.received:
                return None
            told.back_live = alert.clear_since = None
            return Change.COUNTED
        least = alert.clear_since + rule.keep_ms
        if kept >= now.live or least >= now.received:
            return None
        return end(told, max(least, now.date(kept)), kept, Change.CLEARED)
    over, least, since = silent, heard.at + rule.duration_ms, heard.at
    if alert.ended_at is not None:
        over = max(over, told.ended_live + rule.cooldown_ms)
        least = max(least, alert.ended_at + rule.cooldown_ms)
        since = max(since, alert.ended_at)
    if over >= now.live or least >= now.received:
        return None
    fired_at = max(least, now.date(over))
    told.alert = Alert(
        phase=Phase.FIRING, since=since, fired_at=fired_at, by_silence=True, records=alert.records
    )
    told.back_live = None
    return Change.FIRED


def hear(rule: Times, told: Told, now: Now) -> Change | None:
    """A message that counts was received at `now.received`."""
    alert = told.alert
    if alert.phase is not Phase.FIRING or told.back_live is not None:
        return None
    if now.received <= alert.fired_at:
        return end(told, now.received, now.live, Change.CORRECTED)
    if not rule.keep_ms:
        return end(told, now.received, now.live, Change.CLEARED)
    told.back_live, alert.clear_since = now.live, now.received
    return Change.COUNTED


def means_nothing(rule: Times, heard: Heard, told: Told, live: int) -> bool:
    """Whether a silence that ended leaves the next one as it would be without it."""
    alert = told.alert
    if alert.phase is not Phase.RESTING:
        return False
    is_before = alert.ended_at is None or alert.ended_at <= heard.at
    return is_before and live >= told.ended_live + rule.cooldown_ms


def end(told: Told, at: int, live: int, reason: Change) -> Change:
    """The silence is over, or nobody asks any more."""
    alert = told.alert
    alert.phase = Phase.RESTING
    alert.ended_at = max(at, alert.fired_at)
    alert.clear_since = told.back_live = None
    told.ended_live = live
    return reason
