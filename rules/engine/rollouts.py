"""Which vehicles a candidate has: a fixed share of them, the same on every worker and after every restart.

A vehicle's place among 10,000 is a hash of its id. So raising the percentage takes further vehicles in and
lets none go, and another salt gives another share.
"""

import hashlib
from dataclasses import dataclass

_PLACES = 10_000


@dataclass(frozen=True, slots=True)
class Limits:
    """When the candidate is to be taken back; None: never for this reason.

    Ratios are the candidate's figure by the stable's, over the same vehicles and events.
    """

    after_events: int = 1_000
    """Nothing is judged before the candidate has seen so many events."""
    fire_ratio_above: float | None = None
    fire_ratio_below: float | None = None
    error_rate_above: float | None = None
    """Errors of the candidate for each event, less those of the stable."""
    cost_ratio_above: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A candidate's share of the vehicles, 0 to 100 percent, and what would end it."""

    percent: float
    salt: str = ""
    limits: Limits = Limits()

    def takes(self, vehicle_id: str) -> bool:
        """Whether the candidate acts for this vehicle, and the stable follows."""
        text = f"{self.salt}\n{vehicle_id}".encode("utf-8", "surrogatepass")
        place = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") % _PLACES
        return place < round(self.percent * 100)  # 0.07 * 100 is more than 7
