"""What the engine must say of a vehicle that the registry tells of, on top of the plain model."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st

from rules.engine import Engine, registration
from tests.engine.logs import SEEDS, Run
from tests.engine.model import (
    CLEARS,
    WHENS,
    Entry,
    Life,
    Message,
    Record,
    RuleModel,
    Said,
    VehicleModel,
    View,
    both,
    less,
    more,
)


@dataclass(frozen=True)
class Registered:
    """The registry says something else: label k, attributes x and y."""

    facts: dict[str, object]
    received_at: int
    live: int


@dataclass(frozen=True)
class Forgotten:
    """Somebody asked to forget the vehicle."""

    received_at: int
    live: int


def _number(view: View, name: str) -> object:
    """An attribute as a number; one of another type is unknown."""
    value = view.facts.get(name)
    return value if isinstance(value, float) else None


def _said(text: str, meaning: Callable[[View], bool | None], reads: str, facts: str) -> Said:
    return Said(text, meaning, frozenset(reads), facts=frozenset(facts.split()))


def _meant(facts: dict[str, object], key: str) -> object:
    """What a condition can know of a fact: as a number, where it means one; else whatever it is."""
    value = facts.get(key.removesuffix("?"))
    return (type(value), value) if key.endswith("?") or isinstance(value, float) else None


def _x_more_than_y(view: View) -> bool | None:
    """Nothing tells which type is meant: any will do, if both have it; two types are an error."""
    x, y = view.facts.get("x"), view.facts.get("y")
    return more(x, y) if type(x) is type(y) else None


A = "vehicle.attributes"
ON_FACTS = (
    _said(f"a > {A}.x", lambda v: more(v.value("a"), _number(v, "x")), "a", "x"),
    _said(
        f"a > 4 && b < {A}.x",
        lambda v: both(more(v.value("a"), 4), less(v.value("b"), _number(v, "x"))),
        "ab",
        "x",
    ),
    _said(f"has({A}.x) && a > 2", lambda v: both("x" in v.facts, more(v.value("a"), 2)), "a", "x?"),
    _said(f"{A}.x > {A}.y", _x_more_than_y, "", "x? y?"),
    _said('vehicle.labels.k == "p"', lambda v: None if "k" not in v.facts else v.facts["k"] == "p", "", "k?"),
)
CLEARS_ON_FACTS = (_said(f"a < {A}.y", lambda v: less(v.value("a"), _number(v, "y")), "a", "y"),)
CRITICAL_ON_FACTS = _said(f"a > {A}.y", lambda v: more(v.value("a"), _number(v, "y")), "a", "y")
SELECTORS = (
    _said(
        'vehicle.labels.k in ["p", "q"]',
        lambda v: None if "k" not in v.facts else v.facts["k"] in "pq",
        "",
        "k",
    ),
    _said(f"{A}.x > 4", lambda v: more(_number(v, "x"), 4), "", "x"),
)


class RegisteredVehicle(VehicleModel):
    """The plain model of a vehicle of the registry."""

    def __init__(self, rules: list[RuleModel], stale_after: int, quiet_after: int) -> None:
        super().__init__(rules, stale_after, quiet_after)
        self.every_rule = self.rules
        self._select()

    def step(self, entry: Entry | Registered | Forgotten) -> list[Record]:
        self.said = []
        match entry:
            case Registered() if self.time is None:
                self.facts = entry.facts
                self._select()
            case Registered():
                self._register(entry)
            case Forgotten():
                self._forget(entry)
            case Message() if self.time is None:
                super().step(entry)
                view = self.view(entry.ts)
                for rule in self.rules:
                    if rule.when.facts and not rule.when.reads & entry.signals.keys():
                        self._see(rule, view, None, entry.received_at, is_message=False)
            case _:
                super().step(entry)
        return self.said

    def _select(self) -> None:
        view = self.view(0)
        self.rules = [
            it for it in self.every_rule if it.vehicles is None or it.vehicles.meaning(view) is True
        ]

    def _clock(self, entry: Registered | Forgotten) -> int:
        assert self.time is not None
        clock = self.time + max(0, entry.live - self.live - self.quiet_after)
        self._pass(clock, "silence", entry.received_at)
        return clock

    def _register(self, entry: Registered) -> None:
        keys = ("k?", "x", "y", "x?", "y?")
        changed = {key for key in keys if _meant(entry.facts, key) != _meant(self.facts, key)}
        if not changed:
            return
        at = self._clock(entry)
        before = self.rules
        self.facts = entry.facts
        self._select()
        for rule in before:
            if rule not in self.rules:
                self._end(rule, at, "deselected", entry.received_at)
        view = self.view(at)
        for rule in self.rules:
            beside = frozenset().union(*(it.facts for it in (rule.clear, rule.critical) if it))
            is_firing = self.lives[rule.name].phase == "firing"
            if rule not in before or rule.when.facts & changed or (is_firing and beside & changed):
                self._see(rule, view, "registry", entry.received_at, is_message=False)

    def _forget(self, entry: Forgotten) -> None:
        if self.time is not None:
            at = self._clock(entry)
            for rule in self.rules:
                self._end(rule, at, "forgotten", entry.received_at)
        said = self.said
        self.__init__(self.every_rule, self.stale_after, self.quiet_after)  # type: ignore[misc]
        self.said = said

    def _end(self, rule: RuleModel, at: int, reason: str, received_at: int) -> None:
        life = self.lives[rule.name]
        if life.phase == "firing":
            life.ended_at = life.moved = max(at, life.fired_at)
            self._say(rule, life, "resolved", reason, "registry", received_at)
        kept = Life(moved=life.moved, ended_at=life.ended_at)
        self.lives[rule.name] = kept


class RegisteredRun(Run):
    """An engine and one vehicle; what the registry says is kept beside the vehicle's state."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.facts: dict[str, object] = {}

    def step(self, entry: Entry | Registered | Forgotten) -> list[object]:
        before = len(self.out)
        match entry:
            case Registered():
                self.facts = entry.facts
                self.engine.register(self.vehicle, said(entry.facts), entry.live, entry.received_at, self.out)
            case Forgotten():
                self.facts = {}
                self.engine.forget(self.vehicle, entry.live, entry.received_at, self.out)
            case _:
                super().step(entry)
        return self.out[before:]


def said(facts: dict[str, object]):
    """The registration that says so."""
    labels = {name: value for name, value in facts.items() if name == "k"}
    return registration(labels, {name: value for name, value in facts.items() if name != "k"})


def rules_on_facts() -> st.SearchStrategy[list[RuleModel]]:
    """One to five rules, most of which read the registry."""

    def made(seed: int, count: int) -> list[RuleModel]:
        choice = random.Random(seed)
        return [_rule(choice, f"rule-{index}") for index in range(count)]

    return st.builds(made, SEEDS, st.integers(1, 5))


def _rule(choice: random.Random, name: str) -> RuleModel:
    count = choice.choice([None, None, 2])
    return RuleModel(
        name=name,
        when=choice.choice([*ON_FACTS, *ON_FACTS, *WHENS]),
        hold=choice.choice([0, 0, 3, 8]),
        count=count,
        within=None if count is None else choice.choice([None, 12]),
        clear=choice.choice([None, None, *CLEARS, *CLEARS_ON_FACTS]),
        keep=choice.choice([0, 0, 2, 7]),
        cooldown=choice.choice([0, 0, 4, 15]),
        grace=choice.choice([1, 6, 1000]),
        critical=choice.choice([None, CRITICAL_ON_FACTS]),
        value=choice.choice([None, "a", "b"]),
        vehicles=choice.choice([None, *SELECTORS]),
    )


def with_registry(
    entries: list[Entry], seed: int, *, forgets: bool = True
) -> list[Entry | Registered | Forgotten]:
    """The log with registry records at random points of it."""
    choice = random.Random(seed)
    found: list[Entry | Registered | Forgotten] = []
    received = live = 0
    for entry in entries:
        while choice.random() < 0.2:
            if forgets and choice.random() < 0.1:
                found.append(Forgotten(received, live))
            else:
                found.append(Registered(_facts(choice), received, live))
        found.append(entry)
        received, live = max(received, entry.received_at), entry.live
    return found


def _facts(choice: random.Random) -> dict[str, object]:
    facts: dict[str, object] = {}
    if choice.random() < 0.8:
        facts["k"] = choice.choice(["p", "p", "q", "r"])
    for name in "xy":
        if choice.random() < 0.8:
            facts[name] = choice.choice([2.0, 4.0, 5.0, 8.0, True, "many"])
    return facts
