"""Which vehicles have a timer due: a heap whose entries may come too early, never too late.

A vehicle's deadline moves later with nearly every message. Moving its entry each time would cost more than
the message, so an entry stays until it comes up, is compared with the deadline as it then is, and goes back.
"""

import heapq
from collections.abc import Callable


class Deadlines:
    """Deadlines of vehicles on the live clock, in milliseconds."""

    __slots__ = ("_armed", "_heap")

    def __init__(self) -> None:
        self._armed: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def arm(self, vehicle_id: str, deadline: int | None) -> None:
        """The vehicle's next deadline is this; None if it waits for nothing."""
        if deadline is None:
            return
        armed = self._armed.get(vehicle_id)
        if armed is None or deadline < armed:
            self._armed[vehicle_id] = deadline
            heapq.heappush(self._heap, (deadline, vehicle_id))

    def passed(self, live: int, deadline_of: Callable[[str], int | None]) -> list[str]:
        """Take out the vehicles whose deadline lies before `live`, the earliest first, then by id.

        `deadline_of` tells a vehicle's deadline as it is now. The caller arms what it took out again.
        """
        due: list[tuple[int, str]] = []
        heap, armed = self._heap, self._armed
        while heap and heap[0][0] < live:
            entry, vehicle_id = heapq.heappop(heap)
            if armed.get(vehicle_id) != entry:
                continue  # an earlier entry took its place, and has come up already
            del armed[vehicle_id]
            deadline = deadline_of(vehicle_id)
            if deadline is None:
                continue
            if deadline < live:
                due.append((deadline, vehicle_id))
            else:
                self.arm(vehicle_id, deadline)
        return [vehicle_id for _, vehicle_id in sorted(due)]

    def forget(self, vehicle_id: str) -> None:
        self._armed.pop(vehicle_id, None)
