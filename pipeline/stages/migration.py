"""The way of a partition's vehicles from one revision of the rules to another.

The swap is at once for whoever speaks: a vehicle is brought over before its next message is judged. The
others follow, some at each batch, so that no step is long; what a deleted rule left firing is resolved then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pipeline.stages.passage import Passage
from pipeline.stages.versions import Version

S = TypeVar("S")


class Migration(Generic[S]):
    """Vehicles that wait. `vehicles` are those that were unpacked, under the fold of `before`.

    `ahead` has those that a worker before this one has brought on their way, each with the version that its
    state is of.
    """

    def __init__(
        self,
        before: Version[S],
        after: Version[S],
        vehicles: dict[str, Any],
        every: Iterable[str],
        ahead: Mapping[str, Version[S]],
    ) -> None:
        self.after = after
        self.vehicles = vehicles
        self._order = deque(dict.fromkeys(every))
        self.waiting = set(self._order)
        self._ahead = ahead
        self._passages = {it.revision: Passage(it, after) for it in (before, *ahead.values())}
        self._before = before.revision

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

    def passage(self, vehicle_id: str) -> Passage[S] | None:
        """The way of a vehicle; None if it is there already."""
        version = self._ahead.get(vehicle_id)
        revision = self._before if version is None else version.revision
        return None if revision == self.after.revision else self._passages[revision]
