"""What sequences match, the plain way: every way through the whole log is tried, then skips are applied.

Nothing here is kept from message to message but what was said. A way is a list of decisions over the log, the
eager ones first; what it comes to is judged when all is known.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from tests.engine.model import Entry, Hours, Message

CONDITIONS = {
    "a > 5.0": lambda world: known(world, "a") and world.values["a"] > 5,
    "b > 5.0": lambda world: known(world, "b") and world.values["b"] > 5,
    "a > 3.0 && b < 7.0": lambda world: (
        known(world, "a", "b") and world.values["a"] > 3 and world.values["b"] < 7
    ),
    "changed(c)": lambda world: (
        "c" in world.carried and world.before.get("c", world.values["c"]) != world.values["c"]
    ),
}
READS = {"a > 5.0": "a", "b > 5.0": "b", "a > 3.0 && b < 7.0": "ab", "changed(c)": "c"}
MOMENTARY = {"changed(c)"}


def known(world: "World", *names: str) -> bool:
    return all(name in world.values for name in names)


class StepModel(NamedTuple):
    name: str
    condition: str
    is_not: bool = False
    hold: int | None = None
    within: int | None = None
    least: int = 1
    most: int = 1


class SequenceModel(NamedTuple):
    steps: tuple[StepModel, ...]
    within: int
    contiguity: str = "relaxed"
    skip: str = "pastLastEvent"
    target: int = -1
    cooldown: int = 0
    timeouts: bool = False
    schedule: Hours | None = None

    def is_open(self, at: int) -> bool:
        return self.schedule is None or self.schedule.is_open(at)


@dataclass
class World:
    """What is known of the signals at one place of the log."""

    values: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)
    carried: str = ""

    def told(self, message: Message, *, is_late: bool) -> "World":
        said = {
            name: value
            for name, value in message.signals.items()
            if not is_late or message.ts > self.times.get(name, -(2**60))
        }
        return World(
            {**self.values, **said},
            {**self.before, **{name: self.values[name] for name in said if name in self.values}},
            {**self.times, **dict.fromkeys(said, message.ts)},
            "".join(message.signals),
        )


class Moment(NamedTuple):
    """A message that concerns the sequence, or (no `world`) time passing all instants before a limit."""

    at: int
    number: int
    truths: tuple[bool, ...]
    is_message: bool


class End(NamedTuple):
    """How one way ended: place in the log, instant and place within it."""

    key: tuple[int, ...]
    kind: str
    """match, late or gone."""
    at: int
    path: tuple[tuple[int, int, int], ...]
    """(step, number, instant) of each message."""


def moments_of(rule: SequenceModel, entries: list[Entry], quiet_after: int) -> list[Moment]:
    found: list[Moment] = []
    world = World()
    reads = "".join(READS[step.condition] for step in rule.steps)
    time, live = -(2**60), 0
    for entry in entries:
        clock = time + max(0, entry.live - live - quiet_after)
        truths = judged(rule, World(world.values, world.before, world.times))
        if isinstance(entry, Message) and entry.ts >= time:
            found.append(Moment(entry.ts, 0, truths, is_message=False))
            world = world.told(entry, is_late=False)
            time, live = entry.ts, entry.live
            if rule.is_open(entry.ts) and any(name in reads for name in entry.signals):
                found.append(Moment(entry.ts, 0, judged(rule, world), is_message=True))
            continue
        found.append(Moment(clock, 0, truths, is_message=False))
        if isinstance(entry, Message):
            world = world.told(entry, is_late=True)
    return [moment._replace(number=number) for number, moment in enumerate(found)]


def judged(rule: SequenceModel, world: World) -> tuple[bool, ...]:
    return tuple(bool(CONDITIONS[step.condition](world)) for step in rule.steps)


class Ways:
    """Every way from one message on."""

    def __init__(self, rule: SequenceModel, moments: list[Moment], start: Moment) -> None:
        self.rule = rule
        self.moments = moments
        self.start = start
        self.ends: list[End] = []
        self.order = 0
        self.take(start, 0, 0, start.at, ())

    def end(self, key: tuple[int, ...], kind: str, at: int, path: tuple[tuple[int, int, int], ...]) -> None:
        self.ends.append(End((*key, self.start.number, self.order), kind, at, path))
        self.order += 1

    def take(
        self, moment: Moment, step: int, count: int, entered: int, path: tuple[tuple[int, int, int], ...]
    ) -> None:
        path = (*path, (step, moment.number, moment.at))
        count += 1
        if count < self.rule.steps[step].most:
            self.wait(moment.number + 1, step, count, entered, path)
        if count >= self.rule.steps[step].least:
            self.enter(moment, step, moment.at, path, is_timer=False)

    def enter(
        self, moment: Moment, step: int, at: int, path: tuple[tuple[int, int, int], ...], *, is_timer: bool
    ) -> None:
        key = (moment.number, at, 1) if is_timer else (moment.number, moment.at, 2)
        after = step + 1
        while (
            after < len(self.rule.steps)
            and self.rule.steps[after].is_not
            and self.rule.steps[after].hold is None
        ):
            after += 1
        if after == len(self.rule.steps):
            self.end(key, "match", at, path)
            return
        at_once = [it for it in self.forbidden(after) if self.rule.steps[it].condition not in MOMENTARY]
        if any(moment.truths[it] for it in at_once):
            self.end(key, "gone", at, path)
            return
        self.wait(moment.number if is_timer else moment.number + 1, after, 0, at, path)

    def forbidden(self, step: int) -> list[int]:
        """The steps that must not happen while this one is awaited."""
        found = [step] if self.rule.steps[step].is_not else []
        for before in range(step - 1, -1, -1):
            if not self.rule.steps[before].is_not:
                break
            if self.rule.steps[before].hold is None:
                found.append(before)
        return found

    def wait(
        self, number: int, step: int, count: int, entered: int, path: tuple[tuple[int, int, int], ...]
    ) -> None:
        rule, awaited = self.rule, self.rule.steps[step]
        over = self.start.at + rule.within
        if awaited.within is not None:
            over = min(over, entered + awaited.within)
        passes = None if awaited.hold is None else entered + awaited.hold
        closes = 2**60 if rule.schedule is None else rule.schedule.next_edge(self.start.at + 1)
        for moment in self.moments[number:]:
            if not moment.is_message:
                due = passes if passes is not None and passes < over else over if rule.timeouts else 2**60
                if closes <= due < moment.at:
                    self.end((moment.number, closes, 0), "gone", closes, path)
                    return
                if passes is not None and passes < over and passes < moment.at:
                    self.enter(moment, step, passes, path, is_timer=True)
                    return
                if rule.timeouts and over < moment.at:
                    self.end((moment.number, over, 1), "late", over, path)
                    return
                continue
            if moment.at >= closes:
                self.end((moment.number, moment.at, 0), "gone", moment.at, path)
                return
            if moment.at >= over:
                if rule.timeouts:
                    continue
                self.end((moment.number, moment.at, 0), "gone", moment.at, path)
                return
            if count == 0 and any(moment.truths[it] for it in self.forbidden(step)):
                self.end((moment.number, moment.at, 0), "gone", moment.at, path)
                return
            if awaited.is_not:
                continue
            if moment.truths[step]:
                self.take(moment, step, count, entered, path)
                if rule.contiguity != "relaxedAny":
                    return
            elif rule.contiguity == "strict":
                self.end((moment.number, moment.at, 0), "gone", moment.at, path)
                return
        self.end((len(self.moments), 0, 0), "open", 0, path)


class Told(NamedTuple):
    is_match: bool
    starts_at: int
    at: int
    steps: tuple[tuple[str, int, int], ...]


def told_by(rule: SequenceModel, entries: list[Entry], quiet_after: int) -> list[Told]:
    """All matches and time-outs of a log, in the order in which they are told."""
    moments = moments_of(rule, entries, quiet_after)
    starts = [Ways(rule, moments, it) for it in moments if it.is_message and it.truths[0]]
    matches = [(end, ways) for ways in starts for end in ways.ends if end.kind == "match"]
    lates = []
    for ways in starts:
        last = max(end.key[:3] for end in ways.ends)
        late = [end for end in ways.ends if end.kind == "late" and end.key[:3] == last]
        if late:
            lates.append((late[0]._replace(key=(*last[:2], 3, *late[0].key[3:])), ways))
    matched: set[int] = set()
    rests: list[tuple[int, int]] = []
    skips: list[tuple[int, int, int]] = []
    told: list[Told] = []
    moved = -(2**60)
    for end, ways in sorted([*matches, *lates], key=lambda pair: pair[0].key):
        start = ways.start
        if any(start.number <= number or start.at < until for number, until in rests):
            continue
        if any(low <= start.number < high and start.number <= number for low, high, number in skips):
            continue
        if end.kind == "late" and start.number in matched:
            continue
        if end.kind == "match":
            matched.add(start.number)
            skips.append(skipped(rule, end, start.number))
        if rule.cooldown:
            rests.append((end.key[0], end.at + rule.cooldown))
        moved = max(moved, end.at)
        told.append(Told(end.kind == "match", start.at, moved, steps_of(rule, end)))
    return told


def skipped(rule: SequenceModel, end: End, start: int) -> tuple[int, int, int]:
    """Beginnings from the first number to below the second are dropped, as far as they are not later."""
    place = end.key[0]
    match rule.skip:
        case "noSkip":
            return 0, 0, place
        case "toNext":
            return start, start + 1, place
        case "pastLastEvent":
            return 0, place + 1, place
    numbers = [number for step, number, _ in end.path if step == rule.target]
    return 0, numbers[0] if rule.skip == "toFirst" else numbers[-1], place


def steps_of(rule: SequenceModel, end: End) -> tuple[tuple[str, int, int], ...]:
    found: dict[int, list[int]] = {}
    for step, _, at in end.path:
        found.setdefault(step, []).append(at)
    return tuple((rule.steps[step].name, ats[0], ats[-1]) for step, ats in found.items())
