"""Who fell silent, worked out the slow way: at every step all instants since the last message are looked at.

Shares nothing with the engine but the entries of the log. An instant of the live clock is dated by what
receivedAt is now, less what the live clock has gone on since.
"""

from dataclasses import dataclass

from tests.engine.model import Entry, Message, Tick


@dataclass(frozen=True)
class SilenceRule:
    """An author's rule: no message, or none with one of the signals, for `duration`."""

    name: str
    signals: str = ""
    """Names of one letter."""
    duration: int = 10
    keep: int = 0
    cooldown: int = 0


Told = tuple[str, str, int, int, int | None, str | None, str | None, int]
"""(rule, state, startsAt, firedAt, endsAt, reason, by, receivedAt)."""


class SilenceModel:
    """One rule and one vehicle; `step` takes the log's entries and returns what is told."""

    def __init__(self, rule: SilenceRule) -> None:
        self.rule = rule
        self.heard: tuple[int, int] | None = None  # receivedAt, live
        self.state = "quiet"
        self.started = self.fired = 0
        self.back: tuple[int, int] | None = None
        self.ended: tuple[int, int] | None = None
        self.said: list[Told] = []

    def register(self, received: int, live: int) -> None:
        """The registry knows the vehicle."""
        self.heard = self.heard or (received, live)

    def step(self, entry: Entry) -> list[Told]:
        self.said = []
        if self.heard is not None:
            while self._look(entry.live, entry.received_at):
                pass
        if isinstance(entry, Message):
            concerns = not self.rule.signals or set(self.rule.signals) & set(entry.signals)
            if self.heard is None or concerns:
                self._hear(entry)
        return self.said

    def _hear(self, message: Message) -> None:
        received = message.received_at
        is_first = self.heard is None
        self.heard = (received if is_first else max(self.heard[0], received), message.live)
        if self.state != "absent" or self.back is not None:
            return
        if received <= self.fired:
            self._end(received, message.live, "corrected", None, received)
        elif self.rule.keep == 0:
            self._end(received, message.live, "cleared", None, received)
        else:
            self.back = (received, message.live)

    def _look(self, live: int, received: int) -> bool:
        """Find the first instant at which something happens; whether there was one."""
        rule = self.rule
        heard_at, heard_live = self.heard
        for instant in range(min(heard_live, self.back[1] if self.back else heard_live), live):
            date = received - (live - instant)
            is_silent = instant - heard_live >= rule.duration
            if self.state == "absent":
                if self.back is None:
                    return False
                if is_silent:
                    if heard_at + rule.duration >= received:
                        return False
                    self.back = None
                    return True
                if instant - self.back[1] >= rule.keep and self.back[0] + rule.keep < received:
                    at = max(self.back[0] + rule.keep, date)
                    self._end(at, instant, "cleared", "silence", received)
                    return True
                continue
            dates = [heard_at + rule.duration]
            if self.ended is not None:
                if instant - self.ended[1] < rule.cooldown:
                    continue
                dates.append(self.ended[0] + rule.cooldown)
            if is_silent and max(dates) < received:
                self.state, self.back = "absent", None
                self.started = heard_at if self.ended is None else max(heard_at, self.ended[0])
                self.fired = max(*dates, date)
                self._say("firing", None, None, "silence", received)
                return True
        return False

    def _end(self, at: int, live: int, reason: str, by: str | None, received: int) -> None:
        self.state, self.back, self.ended = "quiet", None, (max(at, self.fired), live)
        self._say("resolved", self.ended[0], reason, by, received)

    def _say(self, state: str, ends: int | None, reason: str | None, by: str | None, received: int) -> None:
        self.said.append((self.rule.name, state, self.started, self.fired, ends, reason, by, received))


__all__ = ["SilenceModel", "SilenceRule", "Tick", "Told"]
