"""The way of a partition's vehicles from one revision of the rules to another.

The swap is at once for whoever speaks: a vehicle is brought over before its next message is judged. The
others follow, some at each batch, so that no step is long; what a deleted rule left firing is resolved then.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from pipeline.stages.versions import Version, names_gone

S = TypeVar("S")


class Migration(Generic[S]):
    """Vehicles that wait. `vehicles` are those that were unpacked, under the fold of `before`."""

    def __init__(
        self, before: Version[S], after: Version[S], vehicles: dict[str, S], every: Iterable[str]
    ) -> None:
        self.before = before
        self.after = after
        self.vehicles = vehicles
        self.gone = names_gone(before.rules, after.rules)
        self.waiting = set(every)
        self._order = deque(self.waiting)
        names = "|".join(re.escape(name) for name in sorted(self.gone))
        self._mentions = re.compile(names) if names else None

    def next(self, count: int) -> Iterator[str]:
        """Some of those that wait; they are to be taken."""
        while self._order and count:
            vehicle_id = self._order.popleft()
            if vehicle_id in self.waiting:
                count -= 1
                yield vehicle_id

    def take(self, vehicle_id: str) -> bool:
        """Whether the vehicle has waited; from now on it does not."""
        if vehicle_id not in self.waiting:
            return False
        self.waiting.discard(vehicle_id)
        return True

    def concerns(self, parts: Mapping[str, bytes]) -> bool:
        """Whether a part of the state may be of a rule that is gone: parts are called by their rules."""
        return self._mentions is not None and any(self._mentions.search(part) for part in parts)
