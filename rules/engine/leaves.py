"""The samples that leave windows while time passes, found once for the whole way.

Where vehicles say many signals a second, a sample leaves some window between any two messages, so this is no
rare case: one search for each window finds what leaves it, and nothing is searched again at the next instant.
"""

from bisect import bisect_left
from collections.abc import Sequence

from rules.engine.memory import FOREVER, Memory

Windows = Sequence[tuple[int, int]]
"""(slot, duration) of each."""


class Leaves:
    """The instants from `frontier` on, before `limit`, at which samples leave windows."""

    __slots__ = ("_after", "_instants", "_windows")

    def __init__(self, memory: Memory, frontier: int, limit: int) -> None:
        windows: dict[int, list[tuple[int, int]]] = {}
        after = FOREVER
        for slot, ring in memory.rings.items():
            # At an instant at which the signal itself was said, that message has had its windows judged.
            begin = frontier + (memory.times[slot] == frontier)
            times, count = ring.times, len(ring.times)
            for duration in ring.kept.timed:
                if ring.condensed is not None:
                    ends = ring.condensed.times
                    first = bisect_left(ends, begin - duration)
                    past = bisect_left(ends, limit - duration, first)
                    for end in ends[first:past]:
                        windows.setdefault(end + duration, []).append((slot, duration))
                    after = min(after, *(end + duration for end in ends[past : past + 1]), FOREVER)
                place = bisect_left(times, begin - duration)
                while place < count:
                    leave = times[place] + duration
                    if leave >= limit:
                        if leave < after:
                            after = leave
                        break
                    there = windows.setdefault(leave, [])
                    if not there or there[-1] != (slot, duration):
                        there.append((slot, duration))
                    place += 1
        self._windows = windows
        self._after = after
        self._instants = sorted(windows, reverse=True)

    @property
    def due(self) -> int:
        """The next one; when there is none before the limit, the first from then on."""
        return self._instants[-1] if self._instants else self._after

    def at(self, instant: int) -> Windows:
        """Take the windows that a sample leaves at an instant that is not after the next one."""
        if self._instants and self._instants[-1] == instant:
            return self._windows[self._instants.pop()]
        return ()
