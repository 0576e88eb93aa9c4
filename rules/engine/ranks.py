"""The samples of a window in the order of their values, kept from one question to the next.

Between two questions few samples come and few leave, so they are put in and taken out one by one, each found
by bisection. Nothing here is state: it is made anew wherever that is less work, and after a restart.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence


class Ranked:
    """The values from one sample to the newest, ascending. Samples are counted from the ring's first ever."""

    __slots__ = ("_first", "_past", "values")

    def __init__(self) -> None:
        self._first = self._past = 0
        self.values: list[float] = []

    def move(self, samples: Sequence[float], dropped: int, head: int) -> list[float]:
        """The values of `samples` from the place `head` on, in order; so many were dropped before them."""
        first, past = dropped + head, dropped + len(samples)
        steps = abs(first - self._first) + past - self._past
        if self._first < dropped or self._past > past or steps * 4 > past - first:
            self.values = sorted(samples[head:])
        else:
            values = self.values
            for place in range(self._past, past):
                insort(values, samples[place - dropped])
            for place in range(self._first, first):
                del values[bisect_left(values, samples[place - dropped])]
            for place in range(first, self._first):
                insort(values, samples[place - dropped])
        self._first, self._past = first, past
        return self.values
