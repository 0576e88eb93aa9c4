"""What geofence rules tell, the plain way: fence after fence, each step of time looked at, nothing indexed.

A fix is judged against every fence. Between two entries of the log time passes in single steps of the grid
that all times of these tests are on, and at each step every timer is asked whether it is due.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from rules.geometry import Shape, distance_m
from rules.geometry.shapes import Path

STEP = 1000


class Message(NamedTuple):
    ts: int
    received_at: int
    live: int
    place: tuple[float, float] | None
    accuracy: float | None = None
    speed: float | None = None


class Tick(NamedTuple):
    received_at: int
    live: int


Entry = Message | Tick


class RuleModel(NamedTuple):
    name: str
    fences: tuple[str, ...]
    events: tuple[str, ...]
    enter_after: int
    exit_after: int
    dwell: int | None
    stale: int
    buffer: float
    accuracy: float | None
    limit: float | None
    hold: int


class Told(NamedTuple):
    rule: str
    fence: str
    event: str
    starts_at: int
    confirmed_at: int
    visit: float | None
    reason: str | None
    by: str | None
    received_at: int


@dataclass
class Stay:
    """What is believed about one fence: "outside", "entering", "inside" or "exiting"."""

    state: str = "outside"
    began: int = 0
    unseen: bool = False
    left: int = 0
    dwelled: bool = False
    silent_until: int | None = None
    within: bool = False
    fast: int | None = None
    told_fast: bool = False


@dataclass
class One:
    """One rule and one vehicle."""

    rule: RuleModel
    shapes: dict[str, Shape]
    stays: dict[str, Stay] = field(default_factory=dict)
    fix: Message | None = None
    moved: int = -(10**15)
    told: list[Told] = field(default_factory=list)

    def tell(
        self, fence: str, event: str, begin: int, at: int, cause: tuple[int, str | None], **more: object
    ) -> None:
        self.moved = max(self.moved, at)
        if event in (*self.rule.events, "speeding"):
            visit, reason = more.get("visit"), more.get("reason")
            self.told.append(
                Told(self.rule.name, fence, event, begin, at, visit, reason, cause[1], cause[0])  # type: ignore[arg-type]
            )

    def length(self, stay: Stay, until: int) -> float | None:
        return None if stay.unseen else max(0, until - stay.began) / 1000

    def see(self, message: Message) -> None:
        """A position, if it is exact enough."""
        place = message.place
        if place is None or place == (0.0, 0.0):
            return
        if None not in (message.accuracy, self.rule.accuracy) and message.accuracy > self.rule.accuracy:  # type: ignore[operator]
            return
        before, self.fix = self.fix, message
        cause = (message.received_at, None)
        for fence in sorted(self.rule.fences):
            shape, stay = self.shapes[fence], self.stays.setdefault(fence, Stay())
            at = max(message.ts, self.moved)
            within = shape.covers(*place)
            beyond = shape.distance_m(*place) > self.rule.buffer and not within
            stay.within = within
            if stay.state == "outside":
                if before is None:
                    if within:
                        self.stays[fence] = Stay("inside", at, unseen=True, within=True)
                elif within:
                    self.stays[fence] = Stay("entering", at, within=True)
                elif self.was_crossed(shape, before, message):
                    self.tell(fence, "cross", before.ts, at, cause)
            elif stay.state == "entering":
                if not within:
                    self.stays[fence] = Stay()
                    self.tell(fence, "cross", stay.began, at, cause)
            elif beyond:
                if (
                    stay.state == "inside"
                    and stay.silent_until is not None
                    and message.ts <= stay.silent_until
                ):
                    self.stays[fence] = Stay()
                    visit = self.length(stay, at)
                    self.tell(fence, "exit", at, at, cause, visit=visit, reason="corrected")
                elif stay.state == "inside":
                    stay.state, stay.left, stay.fast, stay.told_fast = "exiting", at, None, False
            else:
                stay.state = "inside"
            self.agree(fence, at, cause, beyond=beyond)

    def agree(self, fence: str, at: int, cause: tuple[int, str | None], *, beyond: bool) -> None:
        """The fix at this instant says that what is believed is so."""
        stay, rule = self.stays[fence], self.rule
        if stay.state == "entering" and at - stay.began >= rule.enter_after:
            stay.state = "inside"
            self.tell(fence, "enter", stay.began, at, cause)
            stay.silent_until = at if cause[1] == "silence" else None
        if stay.state == "exiting" and beyond and at - stay.left >= rule.exit_after:
            self.stays[fence] = Stay()
            self.tell(fence, "exit", stay.left, at, cause, visit=self.length(stay, stay.left))
        if stay.state == "inside" and rule.dwell and not stay.dwelled and at - stay.began >= rule.dwell:
            stay.dwelled = True
            self.tell(fence, "dwell", stay.began, at, cause)

    def was_crossed(self, shape: Shape, before: Message, message: Message) -> bool:
        assert before.place is not None
        assert message.place is not None
        if message.ts - before.ts > 120_000 or distance_m(*before.place, *message.place) > 5_000:
            return False
        return shape.is_met(Path(*before.place, *message.place))

    def step(self, instant: int, cause: tuple[int, str | None]) -> None:
        """Time is past this instant, and no fix says otherwise."""
        if self.fix is None or instant < self.fix.ts + self.rule.stale:
            return
        for fence in sorted(self.stays):
            stay = self.stays[fence]
            waits = (
                stay.state == "entering" and instant - stay.began >= self.rule.enter_after,
                stay.state == "exiting" and instant - stay.left >= self.rule.exit_after,
                stay.state == "inside"
                and self.rule.dwell
                and not stay.dwelled
                and instant - stay.began >= self.rule.dwell,
            )
            if any(waits):
                self.agree(fence, max(instant, self.moved), cause, beyond=stay.state == "exiting")

    def drive(self, message: Message) -> None:
        if message.speed is None or self.rule.limit is None:
            return
        known = self.fix is not None and message.ts - self.fix.ts <= self.rule.stale
        for fence in sorted(self.stays):
            stay = self.stays[fence]
            at = max(message.ts, self.moved)
            if stay.state == "inside" and stay.within and known and message.speed > self.rule.limit:
                stay.fast = at if stay.fast is None else stay.fast
                if at - stay.fast >= self.rule.hold and not stay.told_fast:
                    stay.told_fast = True
                    self.tell(fence, "speeding", stay.fast, at, (message.received_at, None))
            else:
                stay.fast, stay.told_fast = None, False


def told_by(
    rule: RuleModel, shapes: dict[str, Shape], entries: list[Entry], quiet_after: int
) -> list[list[Told]]:
    """What one rule tells, entry by entry."""
    one = One(rule, shapes)
    time: int | None = None
    live = 0
    answers = []
    for entry in entries:
        before = len(one.told)
        if isinstance(entry, Tick):
            if time is not None:
                clock = time + max(0, entry.live - live - quiet_after)
                for instant in range(time, clock, STEP):
                    one.step(instant, (entry.received_at, "silence"))
        elif time is None or entry.ts >= time:
            if time is not None:
                for instant in range(time, entry.ts, STEP):
                    one.step(instant, (entry.received_at, None))
            time, live = entry.ts, entry.live
            one.see(entry)
            one.drive(entry)
        answers.append(one.told[before:])
    return answers
