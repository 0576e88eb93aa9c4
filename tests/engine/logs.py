"""Random logs and rules for the laws, and ways to run them through the engine."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

from rules.engine import (
    AlertRecord,
    Engine,
    Event,
    Outcome,
    Rule,
    RuleSet,
    Rung,
    Signal,
    VehicleState,
)
from rules.language import DOUBLE, Compiled, Environment
from tests.engine.model import (
    CHANGED,
    CLEARS,
    CRITICAL,
    WHENS,
    Entry,
    Message,
    Record,
    RuleModel,
    Tick,
)

QUIET_AFTER = 4
SIGNALS = ("a", "b", "c")
ENVIRONMENT = Environment(dict.fromkeys(SIGNALS, DOUBLE))


def compiled(text: str) -> Compiled:
    found = ENVIRONMENT.compile(text)
    assert isinstance(found, Compiled), found
    return found


def running(rule: RuleModel) -> Rule:
    """A model's rule as the engine wants it."""
    ladder = [Rung("critical", compiled(rule.critical.text))] if rule.critical else []
    return Rule(
        name=rule.name,
        when=compiled(rule.when.text),
        for_ms=rule.hold,
        count=rule.count,
        within_ms=rule.within,
        clear_when=compiled(rule.clear.text) if rule.clear else None,
        keep_ms=rule.keep,
        cooldown_ms=rule.cooldown,
        stale_grace_ms=rule.grace,
        ladder=(*ladder, Rung("warning")),
        value=compiled(rule.value) if rule.value else None,
        lowest=rule.lowest,
    )


def engine_for(rules: Sequence[RuleModel], stale_after: int, **options: Any) -> Engine:
    signals = {name: Signal(name, stale_after) for name in SIGNALS}
    return Engine(
        RuleSet(signals, tuple(running(rule) for rule in rules)), quiet_after_ms=QUIET_AFTER, **options
    )


@st.composite
def rule_models(draw: st.DrawFn, name: str = "rule") -> RuleModel:
    hold = draw(st.sampled_from([0, 0, 3, 8]))
    count = draw(st.sampled_from([None, None, 2, 3]))
    keep = draw(st.sampled_from([0, 0, 2, 7]))
    return RuleModel(
        name=name,
        when=draw(st.sampled_from([*WHENS, CHANGED] if hold == 0 else WHENS)),
        hold=hold,
        count=count,
        within=None if count is None else draw(st.sampled_from([None, 5, 12])),
        clear=draw(st.sampled_from([None, *CLEARS])),
        keep=keep,
        cooldown=draw(st.sampled_from([0, 0, 4, 15])),
        grace=draw(st.sampled_from([1, 6, 1000])),
        critical=draw(st.sampled_from([None, CRITICAL])),
        value=draw(st.sampled_from([None, "a", "b"])),
        lowest=draw(st.booleans()),
    )


def rule_lists(most: int = 5) -> st.SearchStrategy[list[RuleModel]]:
    names = [f"rule-{index}" for index in range(most)]
    return (
        st.integers(1, most)
        .flatmap(lambda n: st.tuples(*(rule_models(name) for name in names[:n])))
        .map(list)
    )


@st.composite
def logs(draw: st.DrawFn, *, ticks: bool = True, late: bool = True) -> list[Entry]:
    """Messages in order, late, and at equal times; silences told by ticks. Gaps of all sizes."""
    kinds = ["on-time"] * 6 + ["late"] * (2 if late else 0) + ["tick"] * (3 if ticks else 0)
    time, received, live = 1000, 5000, 0
    entries: list[Entry] = []
    for kind in draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=40)):
        if kind == "tick":
            passed = draw(st.sampled_from([1, 3, 6, 14]))
            live += passed
            received += passed
            entries.append(Tick(received, live))
            continue
        if kind == "on-time":
            time += draw(st.sampled_from([0, 1, 1, 2, 3, 5, 12]))
        ts = time if kind == "on-time" else time - draw(st.integers(1, 12))
        received += draw(st.integers(0, 3))
        names = draw(
            st.sampled_from([("a",), ("b",), ("c",), ("a", "b"), ("a", "b"), ("b", "a"), ("c", "b", "a")])
        )
        signals: dict[str, object] = {name: float(draw(st.integers(0, 10))) for name in names}
        entries.append(Message(ts, received, signals, live))
    return entries


class Run:
    """An engine and one vehicle, driven as a stage drives them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.vehicle: VehicleState = engine.new_vehicle("v1")
        self.out: list[Outcome] = []

    def step(self, entry: Entry) -> list[Outcome]:
        before = len(self.out)
        match entry:
            case Message():
                event = Event(entry.ts, entry.received_at, entry.signals)
                self.engine.process(self.vehicle, event, entry.live, self.out)
            case Tick():
                deadline = self.engine.next_deadline(self.vehicle)
                if deadline is not None and deadline < entry.live:
                    self.engine.advance(self.vehicle, entry.live, entry.received_at, self.out)
        return self.out[before:]

    def all(self, entries: Sequence[Entry]) -> list[Outcome]:
        for entry in entries:
            self.step(entry)
        return self.out


def records(out: Sequence[Outcome]) -> list[Record]:
    """The alert records, without ids and texts."""
    return [
        Record(
            it.rule,
            it.state,
            it.severity,
            it.starts_at,
            it.fired_at,
            it.ends_at,
            it.value,
            it.peak,
            it.reason,
            it.by,
            it.received_at,
        )
        for it in out
        if isinstance(it, AlertRecord)
    ]


def restarts(seed: int, share: float) -> Callable[[], bool]:
    """Whether to restart here, decided by chance but the same each time."""
    choice = random.Random(seed)
    return lambda: choice.random() < share
