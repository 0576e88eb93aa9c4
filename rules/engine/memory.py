"""What is remembered of a vehicle's signals: last value, the one before, and when each was said.

`values` is what conditions see: a value that is older than its `staleAfter` is UNKNOWN there and waits in
`stale`. Staleness begins when its timer fires, so what conditions see is a function of the instants reached.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any, Final

from rules.engine import windows
from rules.engine.bounds import NOWHERE, Place
from rules.engine.rings import NO_SAMPLES, Kept, Ring, Rings
from rules.engine.ruleset import Absence, Compiled, Pattern, Rule, RuleSet, Signal, Template
from rules.language.values import UNKNOWN
from rules.language.windows import Window

NEVER = -(2**62)
"""Before every instant."""
FOREVER = 2**62
"""After every instant."""
FACT = -2
"""In place of a slot: what the registry says, no signal."""

_HISTORY = frozenset({"prev", "changed", "delta", "rate"})


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where each signal that some rule reads has its place."""

    names: tuple[str, ...]
    slots: dict[str, int]
    stale_after: tuple[int, ...]
    """FOREVER for a signal that never turns stale."""
    ages: tuple[tuple[int, ...], ...]
    """The ages at which some condition may turn, ascending."""
    with_history: frozenset[int]
    soonest: tuple[int, ...]
    """The time after a sample at which its first timer is due."""
    kept: Mapping[int, Kept] = field(default_factory=dict)
    """Slot to what the windows over its signal need."""


def layout_of(rules: RuleSet) -> Layout:
    """The layout of what the engine runs of a set: alert rules, sequences and silences.

    The steps of a sequence count as texts: they are judged when messages come, so no age is a timer for them.
    So do the expressions of a rule about silence, which are judged when it is told.
    """
    expressions = [part for rule in rules.rules for part in _expressions(rule)]
    texts: list[Compiled | Template] = [text for rule in rules.rules for text in _templates(rule)]
    texts += [part for pattern in rules.sequences for part in _parts_of(pattern)]
    texts += [part for absence in rules.absences for part in _texts_of(absence)]
    return layout_for(rules.signals, expressions, texts)


def layout_for(
    known: Mapping[str, Signal], expressions: Iterable[Compiled], texts: Iterable[Compiled | Template] = ()
) -> Layout:
    """Give each signal that something reads a slot, in the catalog's order, which is that of messages."""
    limits: dict[str, set[int]] = {}
    history: set[str] = set()
    windowed: dict[str, list[Window]] = {}
    timed: dict[str, set[int]] = {}
    expressions = list(expressions)
    for part in (*expressions, *texts):
        for read in part.reads:
            if read.kind == "local":
                continue
            limits.setdefault(read.signal, set())
            if read.window is not None:
                windowed.setdefault(read.signal, []).append(read.window)
            if read.kind in _HISTORY:
                history.add(read.signal)
    for expression in expressions:
        for signal, limit in expression.age_limits:
            limits.setdefault(signal, set()).update([limit] if limit >= 0 else [])
        for read in expression.reads:
            if read.window is not None:
                timed.setdefault(read.signal, set()).add(read.window.duration_ms)
    names = (*(name for name in known if name in limits), *sorted(limits.keys() - known.keys()))
    stale = [known[name].stale_after_ms if name in known else None for name in names]
    stale_after = tuple(FOREVER if after is None else after for after in stale)
    ages = tuple(tuple(sorted(limits[name])) for name in names)
    slots = {name: slot for slot, name in enumerate(names)}
    soonest = tuple(
        min(after, *slot_ages, *timed.get(name, ()), FOREVER)
        for name, after, slot_ages in zip(names, stale_after, ages, strict=True)
    )
    kept = {
        slots[name]: Kept(
            tuple(sorted({window.duration_ms for window in found})),
            frozenset(window.function for window in found),
            tuple(sorted(timed.get(name, ()))),
        )
        for name, found in windowed.items()
    }
    return Layout(names, slots, stale_after, ages, frozenset(slots[name] for name in history), soonest, kept)


def _expressions(rule: Rule) -> list[Compiled]:
    parts = (rule.when, rule.clear_when, rule.value, *(rung.condition for rung in rule.ladder))
    return [part for part in parts if part is not None]


def _texts_of(absence: Absence) -> list[Compiled | Template]:
    conditions = [rung.condition for rung in absence.ladder]
    return [part for part in (absence.value, *conditions) if part is not None] + _templates(absence)


def _templates(rule: Rule | Absence) -> list[Template]:
    texts = [*rule.labels.values(), *rule.annotations.values()]
    payloads = [getattr(action, "payload", None) for action in rule.actions]
    return [text for text in texts if not isinstance(text, str)] + templates_in(payloads)


def _parts_of(pattern: Pattern) -> list[Compiled | Template]:
    told = [telling for telling in (pattern.upon_match, pattern.upon_timeout) if telling is not None]
    texts = [*pattern.labels.values(), *(text for it in told for text in it.annotations.values())]
    payloads = [getattr(action, "payload", None) for telling in told for action in telling.actions]
    holes = [text for text in texts if not isinstance(text, str)] + templates_in(payloads)
    return [*(condition for _, condition in pattern.steps), *holes]


def templates_in(payload: Any) -> list[Template]:
    """Return every template in a JSON value."""
    if isinstance(payload, dict):
        return [found for item in payload.values() for found in templates_in(item)]
    if isinstance(payload, list | tuple):
        return [found for item in payload for found in templates_in(item)]
    return [payload] if hasattr(payload, "render") else []


@dataclass(slots=True)
class Memory:
    """The samples of one vehicle, by slot. UNKNOWN and NEVER where nothing was said."""

    layout: Layout = field(repr=False, compare=False)
    values: list[object]
    times: list[int]
    previous: dict[int, object]
    """The sample before the last, for the signals whose history is read, and no others."""
    previous_times: dict[int, int]
    stale: dict[int, object]
    """The last values of signals that are UNKNOWN by age."""
    places: list[Place] = field(repr=False, compare=False)
    """Where the values stood among the constants of the rules when that was last looked at."""
    facts: Mapping[str, object] = field(default_factory=dict)
    """What the registry says of the vehicle, by the keys of the language."""
    rings: dict[int, Ring] = field(default_factory=dict)
    """The samples of the signals over which there are windows."""

    @classmethod
    def empty(cls, layout: Layout) -> "Memory":
        """Of a vehicle that has said nothing yet."""
        size = len(layout.names)
        previous: dict[int, object] = dict.fromkeys(layout.with_history, UNKNOWN)
        times = dict.fromkeys(layout.with_history, NEVER)
        rings = Rings(layout.kept)
        places = [NOWHERE] * size
        return cls(layout, [UNKNOWN] * size, [NEVER] * size, previous, times, {}, places, rings=rings)

    def take(self, slot: int, at: int, value: object) -> None:
        """A sample that is not older than the signal's last one."""
        if slot in self.layout.with_history:
            self.previous[slot] = self.last(slot)
            self.previous_times[slot] = self.times[slot]
        self.stale.pop(slot, None)
        self.values[slot] = value
        self.times[slot] = at
        if slot in self.layout.kept:
            self.rings[slot].take(at, value)

    def last(self, slot: int) -> object:
        """The last value, however old."""
        return self.stale[slot] if slot in self.stale else self.values[slot]

    def refresh(self, slots: Set[int]) -> None:
        """These signals are about to be said anew: their last values go back to their places."""
        for slot in self.stale.keys() & slots:
            self.values[slot] = self.stale.pop(slot)

    def wilt(self, slot: int) -> None:
        """The signal has turned stale."""
        self.stale[slot] = self.values[slot]
        self.values[slot] = UNKNOWN

    def revive(self, at: int) -> list[int]:
        """Time is back at `at`: what is not yet stale then is known again. Its slots."""
        again = [slot for slot in self.stale if at <= self.times[slot] + self.layout.stale_after[slot]]
        for slot in again:
            self.values[slot] = self.stale.pop(slot)
        return again

    def next_due(self, frontier: int) -> int:
        """First instant from `frontier` on at which a signal turns stale or reaches an age; or FOREVER."""
        soonest = FOREVER
        layout = self.layout
        for slot, time in enumerate(self.times):
            if time == NEVER:
                continue
            wilts = time + layout.stale_after[slot]
            if wilts < soonest and wilts >= frontier and slot not in self.stale:
                soonest = wilts
            for age in layout.ages[slot]:
                if frontier <= time + age < soonest:
                    soonest = time + age
        return soonest

    def due_at(self, at: int) -> tuple[list[int], list[tuple[int, int]]]:
        """The slots that turn stale at this instant (and now are), and (slot, age) where ages are reached."""
        wilted, reached = [], []
        for slot, time in enumerate(self.times):
            if time == NEVER:
                continue
            if time + self.layout.stale_after[slot] == at and slot not in self.stale:
                self.wilt(slot)
                wilted.append(slot)
            if at - time in self.layout.ages[slot]:
                reached.append((slot, at - time))
        return wilted, reached

    def next_leave(self, frontier: int) -> int:
        """First instant from `frontier` on at which a sample leaves a window that is judged then; or FOREVER.

        At an instant at which the signal itself was said, that message has had the window judged.
        """
        soonest = FOREVER
        for slot, ring in self.rings.items():
            leaves = ring.next_leave(frontier + (self.times[slot] == frontier))
            if leaves < soonest:
                soonest = leaves
        return soonest


@dataclass(slots=True)
class Look:
    """The world as an expression sees it at one instant: what is remembered, and what was just said."""

    memory: Memory
    vehicle_id: str
    at: int
    """The instant in milliseconds."""
    carried: frozenset[int] = frozenset()
    value: object = UNKNOWN
    """The alert's value, for its texts."""
    is_past: bool = False
    """Whether time has passed the instant: an age that a signal has just reached is exceeded."""

    def get(self, kind: str | Window, slot: int) -> object:
        """One value; UNKNOWN where there is none."""
        memory = self.memory
        if isinstance(kind, Window):
            return windows.ask(memory.rings.get(slot, NO_SAMPLES), self.at, kind)
        if slot == FACT:
            return memory.facts.get(kind, UNKNOWN)
        match kind:
            case "value":
                return memory.values[slot]
            case "age":
                time = memory.times[slot]
                if time == NEVER:
                    return UNKNOWN
                return self.at - time + 0.5 if self.is_past else self.at - time
            case "changed" if slot not in self.carried:
                return False
            case "vehicle.id":
                return self.vehicle_id
            case "alert.value":
                return self.value
        if memory.values[slot] is UNKNOWN:
            return UNKNOWN
        before, since = memory.previous[slot], memory.previous_times[slot]
        return HISTORY[kind](memory.values[slot], before, memory.times[slot], since)


def _prev(_value: object, before: object, _time: int, _since: int) -> object:
    return before


def _changed(value: object, before: object, _time: int, _since: int) -> object:
    return UNKNOWN if before is UNKNOWN else value != before


def _delta(value: Any, before: Any, _time: int, _since: int) -> object:
    try:
        return UNKNOWN if before is UNKNOWN else value - before
    except (TypeError, ArithmeticError):
        return UNKNOWN  # no numbers: whoever sent them, no rule is wrong


def _rate(value: Any, before: Any, time: int, since: int) -> object:
    """Per second; without a time between the samples there is none."""
    try:
        return UNKNOWN if before is UNKNOWN or time <= since else (value - before) * 1000.0 / (time - since)
    except (TypeError, ArithmeticError):
        return UNKNOWN


HISTORY: Final = {"prev": _prev, "changed": _changed, "delta": _delta, "rate": _rate}
"""What the last two samples of a signal say: (value, value before, time, time before) -> result."""
