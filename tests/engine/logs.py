"""Random logs and rules for the laws, and ways to run them through the engine."""

import random
from collections.abc import Callable, Sequence
from functools import cache
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
    CRITICAL_WINDOW,
    OVER_WINDOWS,
    WHENS,
    Entry,
    Hours,
    Message,
    Record,
    RuleModel,
    Tick,
)

QUIET_AFTER = 4
SIGNALS = ("a", "b", "c")
ENVIRONMENT = Environment(dict.fromkeys(SIGNALS, DOUBLE))


@cache
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
        vehicles=compiled(rule.vehicles.text) if rule.vehicles else None,
        schedule=rule.schedule,
    )


def engine_for(rules: Sequence[RuleModel], stale_after: int, **options: Any) -> Engine:
    signals = {name: Signal(name, stale_after) for name in SIGNALS}
    return Engine(
        RuleSet(signals, tuple(running(rule) for rule in rules)), quiet_after_ms=QUIET_AFTER, **options
    )


SEEDS = st.integers(0, 2**40)
"""Rules and logs are made from seeds: what hypothesis would draw one by one is sparse and soon over."""


def _rule(choice: random.Random, name: str) -> RuleModel:
    hold = choice.choice([0, 0, 3, 8])
    count = choice.choice([None, None, 2, 3])
    return RuleModel(
        name=name,
        when=choice.choice([*WHENS, *OVER_WINDOWS, CHANGED] if hold == 0 else [*WHENS, *OVER_WINDOWS]),
        hold=hold,
        count=count,
        within=None if count is None else choice.choice([None, 5, 12]),
        clear=choice.choice([None, None, *CLEARS]),
        keep=choice.choice([0, 2, 7]),
        cooldown=choice.choice([0, 0, 4, 15]),
        grace=choice.choice([1, 6, 1000]),
        critical=choice.choice([None, CRITICAL, CRITICAL_WINDOW]),
        value=choice.choice([None, "a", "b"]),
        lowest=choice.random() < 0.5,
        schedule=choice.choice([None, None, None, Hours(20, 4, 13), Hours(7, 0, 5), Hours(60, 10, 11)]),
    )


def rule_models() -> st.SearchStrategy[RuleModel]:
    return SEEDS.map(lambda seed: _rule(random.Random(seed), "rule"))


def rule_lists() -> st.SearchStrategy[list[RuleModel]]:
    """One to five rules."""

    def made(seed: int, count: int) -> list[RuleModel]:
        choice = random.Random(seed)
        return [_rule(choice, f"rule-{index}") for index in range(count)]

    return st.builds(made, SEEDS, st.integers(1, 5))


def logs(*, ticks: bool = True, late: bool = True) -> st.SearchStrategy[list[Entry]]:
    """Messages in order, late, and at equal times; silences told by ticks. Gaps of all sizes."""
    kinds = ["on-time"] * 7 + ["late"] * late + ["tick"] * (2 * ticks)
    return st.builds(
        lambda seed, length: _log(random.Random(seed), length, kinds), SEEDS, st.integers(30, 120)
    )


def _log(choice: random.Random, length: int, kinds: list[str]) -> list[Entry]:
    time, received, live = 1000, 5000, 0
    entries: list[Entry] = []
    last = dict.fromkeys(SIGNALS, 5)
    for _ in range(length):
        kind = choice.choice(kinds)
        if kind == "tick":
            passed = choice.choice([1, 3, 6, 14])
            live += passed
            received += passed
            entries.append(Tick(received, live))
            continue
        if kind == "on-time":
            time += choice.choice([0, 1, 1, 1, 2, 2, 3, 5, 12])
        ts = time if kind == "on-time" else time - choice.randint(1, 12)
        received += choice.randint(0, 3)
        names = choice.choice(["a", "b", "c", "ab", "ab", "ba", "c", "cba"])
        for name in names:
            if choice.random() < 0.5:
                last[name] = choice.randint(0, 10)
        entries.append(Message(ts, received, {name: float(last[name]) for name in names}, live))
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
