"""How far a partition is done: up to the first record that is not, however far the others are.

Commands of different vehicles finish in any order; an offset is committed only when everything before it is
finished. A crash therefore repeats some that were finished, and loses none.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Mark:
    """One record that was read; set `done` when it needs nothing more."""

    offset: int
    done: bool = False


class Progress:
    """The records of one partition between the committed offset and the read position."""

    def __init__(self) -> None:
        self._marks: deque[Mark] = deque()
        self._reached: int | None = None
        self._committed: int | None = None

    def __len__(self) -> int:
        """Records that were read and are not committed."""
        return len(self._marks)

    @property
    def unfinished(self) -> int:
        """Records among them that are not done."""
        return sum(not mark.done for mark in self._marks)

    def begin(self, offset: int) -> Mark:
        """A record was read."""
        mark = Mark(offset)
        self._reached = offset + 1
        self._marks.append(mark)
        return mark

    def reached(self, position: int) -> None:
        """All records before this position have begun; it may lie behind the marker of a transaction."""
        self._reached = position

    def to_commit(self) -> int | None:
        """The offset of the first record that is not done; None if it is committed already."""
        position = self._reached
        for mark in self._marks:
            if not mark.done:
                position = mark.offset
                break
        return None if position == self._committed else position

    def committed(self, offset: int) -> None:
        """That offset is committed."""
        self._committed = offset
        while self._marks and self._marks[0].offset < offset:
            self._marks.popleft()
