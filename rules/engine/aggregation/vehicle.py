"""What is kept of one vehicle for its windows: last-known values, sums by pane, and the windows told of."""

from dataclasses import dataclass, field
from typing import Any

from rules.engine.aggregation.accumulators import Accumulator
from rules.engine.memory import FOREVER, NEVER, Memory


@dataclass(slots=True)
class Status:
    """One window that something is in, until it is final."""

    key: int
    """Its start; of a session the first message that came."""
    start: int
    end: int
    update: int = 0
    """Of the next record."""
    closed: bool = False
    dirty: bool = True
    """Changed since it was told of last."""


@dataclass(slots=True)
class Alerted:
    """The alert of one rule for a vehicle or group. Times in milliseconds."""

    judged: int = NEVER
    """The end of the last window that was judged."""
    since: int = NEVER
    """The start of the window with which it began to fire, also of the last one."""
    ordinal: int = 0
    """How often it began with that window before: corrections may turn it back and forth."""
    is_firing: bool = False
    fired_at: int = 0
    records: int = 0
    value: object = None
    peak: float | None = None


@dataclass(slots=True)
class Windows:
    """The windows of one rule, by their keys; a session is its own pane."""

    panes: dict[int, list[Accumulator]] = field(default_factory=dict)
    windows: dict[int, Status] = field(default_factory=dict)
    final_until: int = NEVER
    """The end of the last window that was made final; of sessions its key."""
    closed_until: int = NEVER
    """The end of the last window that was closed."""
    alerted: Alerted | None = None
    tell_at: int = FOREVER
    """When what has changed is told of, beside closing."""
    samples: list[tuple[int, list[tuple[int, Any]]]] = field(default_factory=list)
    """Of a sliding window: event time, and the values by the places of their measures; in order of time."""
    panes_changed: set[int] = field(default_factory=set, compare=False)
    changed: bool = field(default=False, compare=False)

    @property
    def is_firing(self) -> bool:
        """Whether there is an alert that a later window is to resolve."""
        return self.alerted is not None and self.alerted.is_firing

    def due(self, lateness_ms: int) -> int:
        """The first instant after which something is to be told."""
        soonest = self.tell_at
        for status in self.windows.values():
            due = status.end - 1
            if status.closed:
                due += lateness_ms
            if due < soonest:
                soonest = due
        return soonest


@dataclass(slots=True)
class VehicleWindows:
    """One vehicle: when it spoke, what it said last, and its windows by the index of their rule."""

    vehicle_id: str
    rules: tuple[int, ...] = field(repr=False, compare=False)
    """The rules that are for it."""
    memory: Memory
    time: int = NEVER
    """The event time: moved by data only."""
    live: int = 0
    """The live clock at the message that set `time`."""
    due: int = FOREVER
    """Nothing is to be told before time has passed this instant."""
    windows: dict[int, Windows] = field(default_factory=dict)
    wilts: int = field(default=NEVER, compare=False)
    """No value turns stale before this instant."""
    values_changed: bool = field(default=False, compare=False)
    gone: set[str] = field(default_factory=set, compare=False)
    """Parts of the state that are no more."""

    def forget(self, memory: Memory, rules: tuple[int, ...]) -> None:
        """Be as a vehicle that has never spoken."""
        self.memory, self.rules = memory, rules
        self.time, self.live, self.due, self.wilts = NEVER, 0, FOREVER, NEVER
        self.windows = {}
        self.values_changed = False
