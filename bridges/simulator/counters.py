"""What the fleet did, counted where it is certain: published means that the broker said so (PUBACK)."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence

from bridges.simulator.answers import Answer
from bridges.simulator.journeys import Kind

LATENCIES_KEPT = 100_000


class Counters:
    """One fleet's counts. Latencies in ms: from a live message's publishing to the command that it caused."""

    def __init__(self) -> None:
        self.published: Counter[Kind] = Counter()
        self.refused = 0
        self.waiting = 0
        """Handed over for publishing and not confirmed yet."""
        self.commands = 0
        self.repeated = 0
        self.answered: Counter[str] = Counter()
        self.unanswered = 0
        self.connected = 0
        self.latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def command(self, answer: Answer | None) -> None:
        """A command arrived for the first time; counts what becomes of it."""
        self.commands += 1
        if answer is None:
            self.unanswered += 1

    def summary(self, elapsed_s: float, *, final: bool) -> dict[str, object]:
        """The counts so far, for people's programs; `latency_ms` is null until there was one."""
        latencies = sorted(self.latencies_ms)
        return {
            "final": final,
            "elapsed_s": round(elapsed_s, 2),
            "published": self.published.total(),
            "by_kind": {kind.value: self.published[kind] for kind in Kind},
            "refused": self.refused,
            "waiting": self.waiting,
            "connected": self.connected,
            "commands": self.commands,
            "commands_repeated": self.repeated,
            "acknowledged": self.answered["acknowledged"],
            "rejected": self.answered["rejected"],
            "unanswered": self.unanswered,
            "latency_ms": {
                "count": len(latencies),
                "p50": percentile(latencies, 50),
                "p99": percentile(latencies, 99),
            },
        }


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile of sorted values, to a tenth; None where there are none."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)], 1)
