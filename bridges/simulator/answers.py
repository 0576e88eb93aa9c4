"""A vehicle takes each command once, however often it arrives, and answers as its habit is.

The promise of the bridges is at least once with the same id; effected once is the vehicle's part,
and this is what a telematic unit has to do for it: remember ids.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum

REMEMBERED = 1_000
"""So many command ids a unit remembers."""


class Habit(Enum):
    """How a vehicle answers."""

    ACKNOWLEDGES = "acknowledged"
    REJECTS = "rejected"
    IS_MUTE = "mute"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vehicle says to one command; `after_ms` is how long it thinks."""

    command_id: str
    status: str
    reason: str | None
    after_ms: int


class Cabin:
    """Where the commands of one vehicle arrive."""

    def __init__(self, number: int) -> None:
        self._habit = habit_of(number)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def receive(self, command_id: str) -> tuple[bool, Answer | None]:
        """Tell whether the command is new, and the answer to it if there is one."""
        if command_id in self._seen:
            self._seen.move_to_end(command_id)
            return False, None
        self._seen[command_id] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        thinking_ms = 20 + sum(command_id.encode()) % 120
        match self._habit:
            case Habit.ACKNOWLEDGES:
                return True, Answer(command_id, Habit.ACKNOWLEDGES.value, None, thinking_ms)
            case Habit.REJECTS:
                return True, Answer(command_id, Habit.REJECTS.value, "the driver declined", thinking_ms)
            case Habit.IS_MUTE:
                return True, None


def habit_of(number: int) -> Habit:
    """Every seventh vehicle rejects what it is told, every ninth never answers."""
    if number % 7 == 3:
        return Habit.REJECTS
    if number % 9 == 5:
        return Habit.IS_MUTE
    return Habit.ACKNOWLEDGES
