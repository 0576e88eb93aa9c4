"""What the engine must say, worked out the slow way: every millisecond visited, every value looked up anew.

Written from the words of the language's documentation, sharing nothing with the engine: conditions are Python
functions over three values (None is unknown), a signal's value is searched in the list of all samples, and
time passes one millisecond at a time. Durations in the tests are a few milliseconds, so this is affordable.
"""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

Truth = bool | None
Exact = Fraction | int


@dataclass(frozen=True)
class Message:
    """A message of the vehicle, and the live clock when it came."""

    ts: int
    received_at: int
    signals: dict[str, object]
    live: int


@dataclass(frozen=True)
class Tick:
    """Time passed and an uplink was there."""

    received_at: int
    live: int


Entry = Message | Tick


class View:
    """The signals at one instant, from all samples so far: (time, value) in the order of taking."""

    def __init__(
        self, samples: dict[str, list[tuple[int, object]]], stale_after: int, at: int, *, past: bool = False
    ) -> None:
        self.samples, self.stale_after, self.at, self.past = samples, stale_after, at, past
        self.carried: frozenset[str] = frozenset()
        self.facts: dict[str, object] = {}

    def value(self, name: str) -> object:
        taken = self.samples.get(name)
        if not taken:
            return None
        last = taken[-1][0] + self.stale_after
        if self.at > last or (self.past and self.at == last):
            return None
        return taken[-1][1]

    def prev(self, name: str) -> object:
        return None if self.value(name) is None or len(self.samples[name]) < 2 else self.samples[name][-2][1]

    def delta(self, name: str) -> object:
        before = self.prev(name)
        return None if before is None else self.value(name) - before

    def rate(self, name: str) -> object:
        if self.prev(name) is None or self.samples[name][-1][0] <= self.samples[name][-2][0]:
            return None
        return self.delta(name) * 1000.0 / (self.samples[name][-1][0] - self.samples[name][-2][0])

    def changed(self, name: str) -> Truth:
        if name not in self.carried:
            return False
        return None if self.prev(name) is None else self.value(name) != self.prev(name)

    def age(self, name: str) -> object:
        if not self.samples.get(name):
            return None
        return self.at - self.samples[name][-1][0] + (0.001 if self.past else 0)

    def window(self, name: str, duration: int) -> list[Exact]:
        """All samples of (at - duration, at]."""
        taken = self.samples.get(name, [])
        inside = itertools.takewhile(lambda sample: self.at - duration < sample[0], reversed(taken))
        return [exact(value) for _, value in inside][::-1]

    def asked(self, function: str, name: str, duration: int, percent: int = 0) -> float | None:
        return WINDOWED[function](self.window(name, duration), Fraction(percent))


def exact(value: float) -> Exact:
    """The value as a fraction; whole ones as an int, which is much the same and quicker."""
    return int(value) if value.is_integer() else Fraction(value)


def _average(values: list[Exact], _percent: Fraction = Fraction()) -> float | None:
    return float(Fraction(sum(values)) / len(values)) if values else None


def _deviation(values: list[Exact], _percent: Fraction = Fraction()) -> float | None:
    if not values:
        return None
    mean = Fraction(sum(values)) / len(values)
    return math.sqrt(float(sum((value - mean) ** 2 for value in values) / len(values)))


def _percentile(values: list[Exact], percent: Fraction) -> float | None:
    if not values:
        return None
    rank = percent / 100 * (len(values) - 1)
    left, right = (sorted(values)[place] for place in (math.floor(rank), math.ceil(rank)))
    return float(left + (right - left) * (rank - math.floor(rank)))


def _increase(values: list[Exact], _percent: Fraction = Fraction()) -> float | None:
    if len(values) < 2:
        return None
    risen: Exact = 0
    for before, value in itertools.pairwise(values):
        risen += value - before if value >= before else value
    return float(risen)


WINDOWED: dict[str, Callable[[list[Exact], Fraction], float | None]] = {
    "avg": _average,
    "min": lambda values, _: float(min(values)) if values else None,
    "max": lambda values, _: float(max(values)) if values else None,
    "sum": lambda values, _: float(sum(values)) if values else None,
    "count": lambda values, _: float(len(values)) if values else None,
    "stddev": _deviation,
    "percentile": _percentile,
    "increase": _increase,
}
"""What a window says, added up anew from all of its samples in exact fractions."""


def more(left: object, right: object) -> Truth:
    return None if left is None or right is None else left > right


def less(left: object, right: object) -> Truth:
    return more(right, left)


def both(*truths: Truth) -> Truth:
    return False if False in truths else None if None in truths else True


def either(*truths: Truth) -> Truth:
    return True if True in truths else None if None in truths else False


def no(truth: Truth) -> Truth:
    return None if truth is None else not truth


@dataclass(frozen=True)
class Said:
    """A condition: its text for the engine, its meaning for the model, and what it reads."""

    text: str
    meaning: Callable[[View], Truth]
    reads: frozenset[str]
    ages: tuple[tuple[str, int], ...] = ()
    windows: tuple[tuple[str, int], ...] = ()
    facts: frozenset[str] = frozenset()
    """What it reads of the registry."""


def _spread(view: View) -> float | None:
    high, low = view.asked("max", "a", 5), view.asked("min", "a", 5)
    return None if high is None or low is None else high - low


OVER_WINDOWS = (
    Said(
        "avg(a, duration('12ms')) > 6",
        lambda v: more(v.asked("avg", "a", 12), 6),
        frozenset("a"),
        windows=(("a", 12),),
    ),
    Said(
        "max(a, duration('5ms')) - min(a, duration('5ms')) > 4",
        lambda v: more(_spread(v), 4),
        frozenset("a"),
        windows=(("a", 5),),
    ),
    Said(
        "count(b, duration('9ms')) > 2",
        lambda v: more(v.asked("count", "b", 9), 2),
        frozenset("b"),
        windows=(("b", 9),),
    ),
    Said(
        "sum(a, duration('8ms')) > 20 && b < 6",
        lambda v: both(more(v.asked("sum", "a", 8), 20), less(v.value("b"), 6)),
        frozenset("ab"),
        windows=(("a", 8),),
    ),
    Said(
        "stddev(a, duration('15ms')) > 3 || increase(b, duration('11ms')) > 9",
        lambda v: either(more(v.asked("stddev", "a", 15), 3), more(v.asked("increase", "b", 11), 9)),
        frozenset("ab"),
        windows=(("a", 15), ("b", 11)),
    ),
    Said(
        "age(b) > duration('5ms') && avg(a, duration('10ms')) > 4",
        lambda v: both(more(v.age("b"), 5), more(v.asked("avg", "a", 10), 4)),
        frozenset("ab"),
        (("b", 5),),
        windows=(("a", 10),),
    ),
    Said(
        "!(percentile(a, 75, duration('20ms')) < 7)",
        lambda v: no(less(v.asked("percentile", "a", 20, 75), 7)),
        frozenset("a"),
        windows=(("a", 20),),
    ),
)


def _third(view: View) -> Truth:
    """`[10, 20, 30][int(a)] > 15` has no value beyond the list's end: an error, which counts as unknown."""
    value = view.value("a")
    return None if value is None or value >= 3 else value >= 1


WHENS = (
    Said("a > 5", lambda v: more(v.value("a"), 5), frozenset("a")),
    Said("a < 3", lambda v: less(v.value("a"), 3), frozenset("a")),
    Said("a > 4 && b < 6", lambda v: both(more(v.value("a"), 4), less(v.value("b"), 6)), frozenset("ab")),
    Said("b > 7 || a > 7", lambda v: either(more(v.value("b"), 7), more(v.value("a"), 7)), frozenset("ab")),
    Said("!(a > 2)", lambda v: no(more(v.value("a"), 2)), frozenset("a")),
    Said("delta(a) > 2", lambda v: more(v.delta("a"), 2), frozenset("a")),
    Said("rate(b) > 1000", lambda v: more(v.rate("b"), 1000), frozenset("b")),
    Said("prev(a) > a", lambda v: more(v.prev("a"), v.value("a")), frozenset("a")),
    Said("[10, 20, 30][int(a)] > 15", _third, frozenset("a")),
    Said("age(a) > duration('5ms')", lambda v: more(v.age("a"), 5), frozenset("a"), (("a", 5),)),
    Said(
        "age(b) >= duration('7ms') && a > 1",
        lambda v: both(no(less(v.age("b"), 7)), more(v.value("a"), 1)),
        frozenset("ab"),
        (("b", 7),),
    ),
)
CHANGED = Said("changed(a)", lambda v: v.changed("a"), frozenset("a"))
CLEARS = (
    Said("a < 4", lambda v: less(v.value("a"), 4), frozenset("a")),
    Said("b > 5", lambda v: more(v.value("b"), 5), frozenset("b")),
    Said("age(c) > duration('6ms')", lambda v: more(v.age("c"), 6), frozenset("c"), (("c", 6),)),
    Said(
        "max(a, duration('9ms')) < 6",
        lambda v: less(v.asked("max", "a", 9), 6),
        frozenset("a"),
        windows=(("a", 9),),
    ),
)
CRITICAL_WINDOW = Said(
    "min(a, duration('4ms')) > 6",
    lambda v: more(v.asked("min", "a", 4), 6),
    frozenset("a"),
    windows=(("a", 4),),
)
CRITICAL = Said("a > 8", lambda v: more(v.value("a"), 8), frozenset("a"))


@dataclass(frozen=True)
class Hours:
    """A day of so few milliseconds, on which a rule is open from one until another."""

    day: int
    opens: int
    closes: int

    def is_open(self, at: int) -> bool:
        return self.opens <= at % self.day < self.closes

    def is_edge(self, at: int) -> bool:
        return self.is_open(at) != self.is_open(at - 1)

    def next_edge(self, at: int) -> int:
        return next(edge for edge in range(at, at + self.day) if self.is_edge(edge))

    def last_edge(self, at: int) -> int:
        return next(edge for edge in range(at, at - self.day, -1) if self.is_edge(edge))


@dataclass(frozen=True)
class RuleModel:
    """An author's rule."""

    name: str
    when: Said
    hold: int = 0
    count: int | None = None
    within: int | None = None
    clear: Said | None = None
    keep: int = 0
    cooldown: int = 0
    grace: int = 1000
    critical: Said | None = None
    value: str | None = None
    lowest: bool = False
    vehicles: Said | None = None
    schedule: Hours | None = None

    def is_open(self, at: int) -> bool:
        return self.schedule is None or self.schedule.is_open(at)

    @property
    def beside(self) -> frozenset[str]:
        parts = [self.clear.reads if self.clear else frozenset(), frozenset(self.value or "")]
        return frozenset().union(*parts, self.critical.reads if self.critical else frozenset())

    @property
    def ages(self) -> frozenset[tuple[str, int]]:
        return frozenset(self.when.ages + (self.clear.ages if self.clear else ()))

    def left(self, view: View, *, beside: bool) -> bool:
        """Whether a sample leaves a window that the rule reads, of a signal that is not said just then."""
        parts = [self.clear, self.critical] if beside else [self.when]
        windows = [window for part in parts if part is not None for window in part.windows]
        return any(_leaves(view.samples.get(name, []), duration, view.at) for name, duration in windows)


def _leaves(taken: list[tuple[int, object]], duration: int, at: int) -> bool:
    if not taken or taken[-1][0] == at:
        return False
    return any(
        time + duration == at
        for time, _ in itertools.takewhile(lambda it: it[0] >= at - duration, reversed(taken))
    )


@dataclass(frozen=True)
class Record:
    """One alert record, ids and texts left out."""

    rule: str
    state: str
    severity: str
    starts_at: int
    fired_at: int
    ends_at: int | None
    value: object
    peak: object
    reason: str | None
    by: str | None
    received_at: int


@dataclass
class Life:
    """The alert of one rule."""

    phase: str = "inactive"
    since: int = 0
    row: int = 0
    hits: list[int] = field(default_factory=list)
    fired_at: int = 0
    silent: bool = False
    severity: str = "warning"
    clear_since: int | None = None
    unknown_since: int | None = None
    value: object = None
    peak: object = None
    moved: int | None = None
    ended_at: int | None = None


class VehicleModel:
    """One vehicle; `step` takes the log's entries one by one and returns the records that follow."""

    def __init__(self, rules: list[RuleModel], stale_after: int, quiet_after: int) -> None:
        self.rules = sorted(rules, key=lambda rule: rule.name)
        self.stale_after, self.quiet_after = stale_after, quiet_after
        self.lives = {rule.name: Life() for rule in rules}
        self.samples: dict[str, list[tuple[int, object]]] = {}
        self.time: int | None = None
        self.live = 0
        self.visited: int | None = None
        self.facts: dict[str, object] = {}
        self.said: list[Record] = []

    def view(self, at: int, *, past: bool = False) -> View:
        view = View(self.samples, self.stale_after, at, past=past)
        view.facts = self.facts
        return view

    def step(self, entry: Entry) -> list[Record]:
        self.said = []
        match entry:
            case Message():
                self._message(entry)
            case Tick() if self.time is not None:
                clock = self.time + max(0, entry.live - self.live - self.quiet_after)
                self._pass(clock, "silence", entry.received_at)
        return self.said

    def _message(self, message: Message) -> None:
        if self.time is not None and message.ts < self.time:
            for name, value in message.signals.items():
                taken = self.samples.setdefault(name, [])
                if not taken or taken[-1][0] < message.ts:
                    taken.append((message.ts, value))
            return
        self._pass(message.ts, None, message.received_at)
        self.time, self.live, self.visited = message.ts, message.live, message.ts
        for name, value in message.signals.items():
            self.samples.setdefault(name, []).append((message.ts, value))
        view = self.view(message.ts)
        view.carried = frozenset(message.signals)
        for rule in self.rules:
            life = self.lives[rule.name]
            if rule.when.reads & view.carried or (life.phase == "firing" and rule.beside & view.carried):
                self._see(rule, view, None, message.received_at, is_message=True)
            elif life.phase == "pending" and rule.value in view.carried:
                self._measure(rule, life, view)

    def _pass(self, clock: int, by: str | None, received_at: int) -> None:
        """Visit every millisecond that time passes through before `clock`, and was not visited before."""
        if self.visited is None:
            return
        for at in range(self.visited, clock):
            for rule in self.rules:
                if at in self._ends_of_holds(rule):
                    self._see(rule, self.view(at), by, received_at, is_message=False)
            turned = {name for name, taken in self.samples.items() if taken[-1][0] + self.stale_after == at}
            for rule in self.rules:
                reached = {name for name, age in rule.ages if self._reaches(name, age, at)}
                is_firing = self.lives[rule.name].phase == "firing"
                view = self.view(at, past=True)
                is_edge = rule.schedule is not None and rule.schedule.is_edge(at)
                is_read = is_edge or rule.when.reads & (turned | reached) or rule.left(view, beside=False)
                if is_read or (
                    is_firing and (rule.beside & (turned | reached) or rule.left(view, beside=True))
                ):
                    self._see(rule, view, by, received_at, is_message=False)
            self.visited = at + 1

    def _reaches(self, name: str, age: int, at: int) -> bool:
        taken = self.samples.get(name)
        return bool(taken) and taken[-1][0] + age == at

    def _ends_of_holds(self, rule: RuleModel) -> set[int]:
        life = self.lives[rule.name]
        match life.phase:
            case "pending" if rule.hold and self._enough(rule, life, life.since + rule.hold):
                return {life.since + rule.hold}
            case "firing" if life.clear_since is not None:
                return {life.clear_since + rule.keep}
            case "firing" if life.unknown_since is not None:
                return {life.unknown_since + rule.grace}
        return set()

    @staticmethod
    def _enough(rule: RuleModel, life: Life, at: int) -> bool:
        if rule.count is None:
            return True
        if rule.within is None:
            return life.row >= rule.count
        return len([hit for hit in life.hits if at - rule.within < hit <= at]) >= rule.count

    def _see(
        self, rule: RuleModel, view: View, by: str | None, received_at: int, *, is_message: bool
    ) -> None:
        life, at = self.lives[rule.name], view.at
        holds = rule.is_open(at) and rule.when.meaning(view)
        clear = rule.clear.meaning(view) if rule.clear and rule.is_open(at) else no(holds)
        if life.phase == "firing":
            self._see_firing(rule, life, view, holds, clear, by, received_at, is_message=is_message)
            return
        if holds is not True:
            life.phase = "inactive"
            return
        if life.phase == "inactive":
            start = at if life.moved is None else max(at, life.moved)
            if life.ended_at is not None and start < life.ended_at + rule.cooldown:
                return
            life.phase, life.row, life.value, life.peak = "pending", 0, None, None
            life.since = start
        self._measure(rule, life, view)
        if is_message:
            life.row += 1
            life.hits.append(at)
        if max(at, life.since) - life.since >= rule.hold and self._enough(rule, life, at):
            life.phase, life.hits, life.silent = (
                "firing",
                [],
                by == "silence" or (by == "registry" and at > self.time),
            )
            life.clear_since = life.unknown_since = None
            life.fired_at = life.moved = max(at, life.since)
            life.severity = "critical" if rule.critical and rule.critical.meaning(view) else "warning"
            self._say(rule, life, "firing", None, by, received_at)

    def _see_firing(
        self,
        rule: RuleModel,
        life: Life,
        view: View,
        holds: Truth,
        clear: Truth,
        by: str | None,
        received_at: int,
        *,
        is_message: bool,
    ) -> None:
        at, reason = view.at, None
        self._measure(rule, life, view)
        if life.silent and is_message and at <= life.fired_at and holds is not True:
            reason = "corrected"
        elif clear is True:
            life.unknown_since = None
            life.clear_since = at if life.clear_since is None else life.clear_since
            reason = "cleared" if at >= life.clear_since + rule.keep else None
        elif clear is False:
            life.clear_since = life.unknown_since = None
        else:
            life.clear_since = None
            life.unknown_since = at if life.unknown_since is None else life.unknown_since
            reason = "stale" if at >= life.unknown_since + rule.grace else None
        if reason is not None:
            life.phase = "inactive"
            life.ended_at = life.moved = max(at, life.fired_at)
            self._say(rule, life, "resolved", reason, by, received_at)
        elif life.severity == "warning" and rule.critical and rule.critical.meaning(view):
            life.severity = "critical"
            self._say(rule, life, "firing", None, by, received_at)

    def _measure(self, rule: RuleModel, life: Life, view: View) -> None:
        value = view.value(rule.value) if rule.value else None
        if value is not None:
            life.value = value
            choose = min if rule.lowest else max
            life.peak = value if life.peak is None else choose(life.peak, value)

    def _say(
        self, rule: RuleModel, life: Life, state: str, reason: str | None, by: str | None, received_at: int
    ) -> None:
        ends_at = life.ended_at if state == "resolved" else None
        self.said.append(
            Record(
                rule.name,
                state,
                life.severity,
                life.since,
                life.fired_at,
                ends_at,
                life.value,
                life.peak,
                reason,
                by,
                received_at,
            )
        )
