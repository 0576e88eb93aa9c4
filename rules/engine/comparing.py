"""Two revisions over the same vehicles and events: how often each fires, fails, and what it costs.

Chance is allowed for: of rare alerts a few more say nothing, so a ratio is exceeded by three standard
deviations of what it would allow (Poisson), or it is not exceeded.
"""

import math
from dataclasses import dataclass, field

from rules.engine.rollouts import Limits


@dataclass(slots=True)
class Figures:
    """What one revision has done. `cost_ns` is the time that it took, in nanoseconds."""

    events: int = 0
    fired: int = 0
    errors: int = 0
    cost_ns: int = 0

    def to_record(self) -> dict[str, int]:
        """As telltale.rule-status has it."""
        return {
            "events": self.events,
            "fired": self.fired,
            "errors": self.errors,
            "costMicroseconds": self.cost_ns // 1000,
        }


@dataclass(slots=True)
class Comparison:
    """A candidate beside the stable revision."""

    candidate: Figures = field(default_factory=Figures)
    stable: Figures = field(default_factory=Figures)

    def verdict(self, limits: Limits) -> str | None:
        """Why the candidate is to be taken back; None if it is not, or if too little was seen."""
        ours, theirs = self.candidate, self.stable
        if ours.events < limits.after_events:
            return None
        over = f"over {ours.events} events"
        above, below = limits.fire_ratio_above, limits.fire_ratio_below
        if above is not None:
            allowed = above * theirs.fired
            if ours.fired > allowed + 3 * math.sqrt(allowed + 1):
                return f"it fired {ours.fired} times, the stable {theirs.fired}, {over}"
        if below is not None:
            asked = below * theirs.fired
            if ours.fired < asked - 3 * math.sqrt(asked):
                return f"it fired {ours.fired} times, the stable {theirs.fired}, {over}"
        if limits.error_rate_above is not None:
            allowed = limits.error_rate_above * ours.events
            if ours.errors - theirs.errors > allowed:
                return f"it failed {ours.errors} times, the stable {theirs.errors}, {over}"
        if limits.cost_ratio_above is not None and ours.cost_ns > limits.cost_ratio_above * theirs.cost_ns:
            cost, usual = (it.cost_ns / max(it.events, 1) / 1000 for it in (ours, theirs))
            return f"it takes {cost:.1f} µs for an event, the stable {usual:.1f} µs, {over}"
        return None
