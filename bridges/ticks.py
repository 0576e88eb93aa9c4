"""When the uplink may say that time goes on: only while it would also say that something has happened.

A tick tells every stage that all messages received before it are in the log. It is withheld while the
uplink is not connected, while the broker may hold a backlog (the receive window was full within the last
second, or the connection is younger than that), and while a message waits for Kafka longer than a second.
So an outage of ours never looks like the silence of a vehicle. Time is an argument, in seconds of a clock
that never goes back.
"""

from __future__ import annotations

PERIOD_S = 1.0
SETTLED_S = 1.0
PATIENCE_S = 1.0


class Ticks:
    """The rule, and what it remembers: the last tick, the last full window."""

    def __init__(self) -> None:
        self._full_at = float("-inf")
        self._next_at = float("-inf")
        self.withheld: str | None = "not connected"
        """Why the last one that was due was not sent; None if it was."""

    def window_full(self, now: float) -> None:
        """The broker may not send more: it may hold messages that are older than the next tick."""
        self._full_at = now

    def due(self, now: float, *, connected_at: float | None, waiting_since: float | None) -> bool:
        """Whether to send one now. `waiting_since` is when what waits for Kafka began to."""
        if now < self._next_at:
            return False
        self.withheld = self._objection(now, connected_at, waiting_since)
        if self.withheld is not None:
            return False
        late_s = now - self._next_at
        self._next_at = now + PERIOD_S - (late_s if late_s < PERIOD_S else 0.0)
        return True

    def _objection(self, now: float, connected_at: float | None, waiting_since: float | None) -> str | None:
        if connected_at is None:
            return "not connected"
        if now - connected_at < SETTLED_S:
            return "just connected"
        if now - self._full_at < SETTLED_S:
            return "backlog at the broker"
        if waiting_since is not None and now - waiting_since > PATIENCE_S:
            return "waiting for Kafka"
        return None
