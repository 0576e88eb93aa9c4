"""The state of one vehicle: plain data that the engine folds events into.

It is what snapshots hold, and a few things that follow from it (masks over rules, the program), so that the
common path compares integers and leaves everything else alone.
"""

from dataclasses import dataclass, field
from typing import Any

from rules.engine import ring_parts
from rules.engine.absences import Heard, Told
from rules.engine.alerts import Alert, Phase
from rules.engine.events import Position
from rules.engine.memory import FOREVER, NEVER, Memory
from rules.engine.programs import Program
from rules.engine.sequences import Matching


@dataclass(slots=True)
class VehicleState:
    """One vehicle: when it spoke, what it said, and its alerts by the index of their rule."""

    vehicle_id: str
    program: Program = field(repr=False, compare=False)
    memory: Memory
    time: int = NEVER
    """The event time: moved by data only."""
    received_at: int = NEVER
    live: int = 0
    """The live clock at the message that set `time`."""
    swept: int = NEVER
    """Timers before this instant have fired by silence. NEVER while the vehicle speaks."""
    due: int = FOREVER
    """No timer is due before this instant."""
    rests_until: int = field(default=FOREVER, compare=False)
    """No resting alert is to be forgotten before data has passed this instant."""
    position: Position | None = None
    positioned_at: int = NEVER
    alerts: dict[int, Alert] = field(default_factory=dict)
    expect: int = 0
    """The rules whose condition, as it was last judged, holds for their alert."""
    attention: int = 0
    """The rules whose alerts want to see every message that they read."""
    opened: int = field(default=0, compare=False)
    """The rules to judge at every message that they read, because their guard holds."""
    unsettled: set[int] = field(default_factory=set, compare=False)
    """The settled rules whose condition is not what their alert expects, though no message came for them."""
    sequences: dict[int, Matching] = field(default_factory=dict)
    """Partial matches by the index of their sequence."""
    heard: dict[int, Heard] = field(default_factory=dict)
    """By ear, the last message; empty before the first, and where no rule is about silence."""
    quiet_until: int = field(default=NEVER, compare=False)
    """Up to this live clock no rule about silence has anything to do."""
    absences: dict[int, Told] = field(default_factory=dict)
    """Silences that were told, by the index of their rule."""
    is_awaited: bool = field(default=False, compare=False)
    """It is registered and never spoke: what its ears know is a part of its own."""
    heard_changed: bool = field(default=False, compare=False)
    values_changed: bool = field(default=False, compare=False)
    rules_changed: int = field(default=0, compare=False)
    sequences_changed: int = field(default=0, compare=False)
    absences_changed: int = field(default=0, compare=False)
    leftovers: tuple[str, ...] = field(default=(), compare=False)
    """Parts that were restored and are of no rule of the set: they go when the vehicle is forgotten."""
    leftovers_gone: bool = field(default=False, compare=False)
    columns: Any = field(default=None, repr=False, compare=False)
    """How the values are packed, as long as no new signal comes."""

    def settle(self, index: int, alert: Alert) -> None:
        """Bring the masks, the next timer and the memory of rests in line with an alert that was observed."""
        rule = self.program.rules[index]
        bit = 1 << index
        self.expect &= ~bit
        self.attention &= ~bit
        if alert.phase is Phase.RESTING:
            if self.program.index.settled & bit:
                self.unsettled.add(index)  # its condition may hold all the same
            until = rule.forgotten_after(alert)
            if until is None:
                self.alerts.pop(index, None)
            else:
                self.alerts[index] = alert
                self.rests_until = min(self.rests_until, until)
            return
        self.alerts[index] = alert
        if alert.clear_since is None and alert.unknown_since is None:
            self.expect |= bit
        if rule.wants_attention(alert):
            self.attention |= bit
        due = rule.due(alert)
        if due is not None and due < self.due:
            self.due = due

    def forget(self, program: Program) -> None:
        """Become a vehicle that never said anything, of which every part is to be deleted."""
        for index in self.alerts:
            self.rules_changed |= 1 << index
        for index in self.sequences:
            self.sequences_changed |= 1 << index
        for index in self.absences:
            self.absences_changed |= 1 << index
        self.values_changed = self.leftovers_gone = True
        self.heard_changed = self.is_awaited
        self.leftovers = (*self.leftovers, *ring_parts.written(self.memory))
        self.program = program
        self.memory = Memory.empty(self.memory.layout)
        self.time = self.received_at = self.swept = self.positioned_at = self.quiet_until = NEVER
        self.due = self.rests_until = FOREVER
        self.live = self.expect = self.attention = self.opened = 0
        self.unsettled.clear()
        self.position = self.columns = None
        self.alerts, self.sequences, self.heard, self.absences = {}, {}, {}, {}

    def forget_rests(self) -> None:
        """Drop the resting alerts whose memory the event time has passed."""
        rests = FOREVER
        for index, alert in list(self.alerts.items()):
            if alert.phase is not Phase.RESTING:
                continue
            until = self.program.rules[index].forgotten_after(alert)
            if until is None or until < self.time:
                del self.alerts[index]
                self.rules_changed |= 1 << index
            else:
                rests = min(rests, until)
        self.rests_until = rests
