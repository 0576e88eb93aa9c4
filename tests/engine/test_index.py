"""The index of values: with it and without it the same is said, whatever rules and telemetry there are."""

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import (
    NOTHING,
    AlertRecord,
    Engine,
    Event,
    Outcome,
    Rule,
    RuleFailure,
    RuleSet,
    Rung,
    Signal,
    VehicleState,
    registration,
)
from rules.engine.alerts import Phase
from rules.engine.bounds import Claimed
from rules.engine.literals import Decision, Literal, decision_of
from rules.engine.masks import bits
from rules.language import (
    BOOL,
    DOUBLE,
    STRING,
    UNKNOWN,
    Compiled,
    Environment,
    EvaluationError,
    UnknownValue,
)
from tests.engine.logs import SEEDS

TYPES = {"a": DOUBLE, "b": DOUBLE, "belt": BOOL, "gear": STRING}
ENVIRONMENT = Environment(TYPES)
LIMITS = ["-5.0", "-0.0", "0.0", "1.0", "2.0", "2.5", "3.0", "7.5", "1e16", "1e400", "-1e400"]
NUMBERS = [-math.inf, -5.0, -0.0, 0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 3.5, 7.5, 9.0, 1e16, math.inf, math.nan]
VALUES = {"a": NUMBERS, "b": NUMBERS, "belt": [True, False], "gear": ["D", "P", "R", ""]}
VEHICLES = ("v1", "v2")
SELECTORS = ("vehicle.id == 'v2'", "vehicle.labels.k == 'D'")
ODD_VALUES = [None, "text", 1, True, 10**16 + 1, [], 2.0]


def condition(choice: random.Random, depth: int = 2) -> str:
    """A condition as authors write them: comparisons with constants, and now and then anything else."""
    kind = choice.random()
    if depth and kind < 0.45:
        terms = [condition(choice, depth - 1) for _ in range(choice.randint(2, 3))]
        joined = choice.choice([" && ", " && ", " || "]).join(terms)
        return f"({joined})"
    if depth and kind < 0.52:
        return f"!({condition(choice, depth - 1)})"
    if depth and kind < 0.57:
        return (
            f"({' ? '.join([condition(choice, 0), condition(choice, depth - 1)])} : {condition(choice, 0)})"
        )
    if kind < 0.9:
        return _comparison(choice)
    return choice.choice(
        [
            "a > b",
            "a + b > 3.0",
            "delta(a) > 1.0",
            "prev(b) == b",
            "[1, 2, 3][int(b)] > 1",
            "age(a) > duration('4ms')",
            "gear > 'E'",
            "vehicle.id == 'v1'",
            "a > vehicle.attributes.x",
            "vehicle.labels.k == 'D'",
            "gear.startsWith('D')",
            "true",
        ]
    )


def _comparison(choice: random.Random) -> str:
    signal = choice.choice("aab")
    limit = choice.choice(LIMITS)
    return choice.choice(
        [
            f"{signal} {choice.choice(['<', '<=', '>', '>='])} {limit}",
            f"{signal} {choice.choice(['<', '<=', '>', '>='])} {limit}",
            f"{limit} {choice.choice(['<', '>='])} {signal}",
            f"{signal} {choice.choice(['==', '!='])} {limit}",
            f"{signal} in [{limit}, 3.0]",
            f"!({signal} in [{limit}, 1, 2, 4, 5])",
            choice.choice(["belt", "!belt", "belt == false", "belt != true"]),
            choice.choice(["gear == 'D'", "gear != 'P'", "gear in ['D', 'R']", "!(gear in ['P', 'R'])"]),
        ]
    )


def compiled(text: str) -> Compiled:
    found = ENVIRONMENT.compile(text)
    assert isinstance(found, Compiled), (text, found)
    return found


def rule(choice: random.Random, index: int) -> Rule:
    """An alert rule, with everything that an alert can have."""
    count = choice.choice([None, None, None, 2])
    ladder = (Rung("critical", compiled(_comparison(choice))), Rung("warning"))
    return Rule(
        name=f"rule-{index:03d}",
        when=compiled(condition(choice)),
        for_ms=choice.choice([0, 0, 3, 6]),
        count=count,
        within_ms=None if count is None else choice.choice([None, 6]),
        clear_when=choice.choice([None, None, compiled(condition(choice, 1))]),
        keep_ms=choice.choice([0, 0, 3]),
        cooldown_ms=choice.choice([0, 0, 8]),
        stale_grace_ms=choice.choice([2, 1000]),
        ladder=ladder[choice.randint(0, 1) :],
        value=choice.choice([None, compiled("a"), compiled("a - b")]),
        vehicles=choice.choice([None, None, None, *map(compiled, SELECTORS)]),
    )


def rule_set(seed: int, count: int) -> RuleSet:
    choice = random.Random(seed)
    stale_after = choice.choice([4, 9, None])
    signals = {name: Signal(name, stale_after) for name in TYPES}
    return RuleSet(signals, tuple(rule(choice, index) for index in range(count)))


class Drive:
    """Two vehicles under an engine; restarted wherever its `restart` is called."""

    def __init__(self, rules: RuleSet, *, is_indexed: bool, familiar_after: int) -> None:
        self._make = lambda: Engine(
            rules, quiet_after_ms=3, familiar_after=familiar_after, is_indexed=is_indexed
        )
        self.engine = self._make()
        self._known = dict.fromkeys(VEHICLES, NOTHING)
        self.vehicles: dict[str, VehicleState] = {name: self.engine.new_vehicle(name) for name in VEHICLES}

    def snapshots(self) -> dict[str, dict[str, bytes]]:
        return {name: self.engine.snapshot(vehicle) for name, vehicle in self.vehicles.items()}

    def restart(self) -> None:
        parts = self.snapshots()
        self.engine = self._make()
        self.vehicles = {name: self.engine.restore(name, parts[name], self._known[name]) for name in VEHICLES}

    def step(self, step: "Step") -> list[str]:
        out: list[Outcome] = []
        vehicle = self.vehicles[step.vehicle]
        event, live = step.event, step.live
        match step.kind:
            case "tick":
                for each in self.vehicles.values():
                    self.engine.advance(each, live, event.received_at, out)
            case "register":
                labels = {"k": str(event.signals["gear"])}
                known = registration(labels, {"x": event.signals["a"]}, at=event.received_at)
                self._known[step.vehicle] = known
                self.engine.register(vehicle, known, live, event.received_at, out)
            case "forget":
                self._known[step.vehicle] = NOTHING
                self.engine.forget(vehicle, live, event.received_at, out)
            case _:
                self.engine.process(vehicle, event, live, out)
        return told(out)


def told(out: list[Outcome]) -> list[str]:
    """Failures first: among the outcomes of one message their place is of no account."""
    failures = sorted(repr(it) for it in out if isinstance(it, RuleFailure))
    return failures + [repr(it) for it in out if not isinstance(it, RuleFailure)]


class Step(NamedTuple):
    """A message, in time or late; a tick for all; or what the registry says, made of the same values."""

    kind: str
    vehicle: str
    event: Event
    live: int


def steps(choice: random.Random, count: int, odd: float = 0.0) -> list[Step]:
    """A drive. Values rest, creep and jump."""
    time, live = 1000, 0
    last: dict[str, object] = {name: choice.choice(values) for name, values in VALUES.items()}
    made = []
    for number in range(count):
        kind = choice.choice(["message"] * 20 + ["late"] * 3 + ["tick"] * 3 + ["register"] * 2 + ["forget"])
        vehicle = choice.choice(VEHICLES)
        if kind == "tick":
            live += choice.choice([1, 4, 9, 20])
        elif kind == "message":
            time += choice.choice([0, 1, 1, 2, 3, 7])
        names = choice.sample(sorted(TYPES), choice.choice([0, 1, 1, 2, 2, 3, 4]))
        for name in names:
            if choice.random() < 0.5:
                last[name] = choice.choice(VALUES[name])
            if choice.random() < odd:
                last[name] = choice.choice(ODD_VALUES)
        signals = {name: last[name] for name in names}
        if kind == "register":
            signals = {"a": choice.choice([0.0, 2.0, 3.0]), "gear": choice.choice(VALUES["gear"])}
        ts = time - choice.randint(1, 8) if kind == "late" else time
        made.append(Step(kind, vehicle, Event(ts, 5000 + number, signals), live))
    return made


def assert_alike(rules: RuleSet, seed: int, *, familiar_after: int) -> int:
    """Run both ways over one drive, with restarts of the indexed one. How many outcomes there were."""
    choice = random.Random(seed)
    plain = Drive(rules, is_indexed=False, familiar_after=familiar_after)
    steady = Drive(rules, is_indexed=True, familiar_after=familiar_after)
    restarted = Drive(rules, is_indexed=True, familiar_after=familiar_after)
    outcomes = 0
    for number, step in enumerate(steps(choice, 80)):
        expected = plain.step(step)
        assert steady.step(step) == expected, f"{number}: {step}"
        assert restarted.step(step) == expected, f"{number}: {step}, restarted"
        outcomes += len(expected)
        parts = plain.snapshots()
        assert steady.snapshots() == parts, f"{number}: {step}"
        assert restarted.snapshots() == parts, f"{number}: {step}, restarted"
        if choice.random() < 0.2:
            restarted.restart()
    return outcomes


@settings(max_examples=120, deadline=None)
@given(SEEDS, SEEDS, st.sampled_from([1, 3, 12]), st.sampled_from([0, 10**9]))
def test_with_the_index_the_same_is_said_as_without(
    rules: int, drive: int, count: int, familiar_after: int
) -> None:
    assert_alike(rule_set(rules, count), drive, familiar_after=familiar_after)


@settings(max_examples=60, deadline=None)
@given(SEEDS, SEEDS, st.sampled_from([0, 10**9]))
def test_values_of_another_type_than_their_signals_raise_nothing(
    rules: int, drive: int, familiar_after: int
) -> None:
    run = Drive(rule_set(rules, 6), is_indexed=True, familiar_after=familiar_after)
    for step in steps(random.Random(drive), 60, odd=0.2):
        run.step(step)


def test_the_laws_reach_what_the_index_is_for() -> None:
    choice = random.Random(5)
    rules = [rule(choice, index) for index in range(400)]
    program = Engine(RuleSet({}, tuple(rules))).new_vehicle("v2").program
    sorts = [bin(mask).count("1") for mask in (program.index.settled, program.index.guarded)]
    assert min(sorts) > 80
    assert sum(assert_alike(rule_set(seed, 8), seed, familiar_after=0) for seed in range(8)) > 100


def decision(text: str) -> Decision:
    found = compiled(text)
    names = [read.name for read in found.reads if read.kind == "value"]
    fixed = [read.name for read in found.reads if read.kind == "local"]
    return decision_of(found.source, found.constants, names, fixed)


@pytest.mark.parametrize(
    ("text", "guard", "is_settled"),
    [
        pytest.param("a > 5", "a > 5", True, id="threshold"),
        pytest.param("5 >= a", "a <= 5", True, id="turned-round"),
        pytest.param("a > 5 && b < 2", "a > 5", True, id="and-the-first"),
        pytest.param("belt && a > 5", "a > 5", True, id="and-a-number-before-a-truth"),
        pytest.param("a > 5 && gear == 'D'", "gear in D", True, id="and-one-text-before-half-a-line"),
        pytest.param("a > 5 || b < 2", "a > 5, b < 2", True, id="or-both"),
        pytest.param("a > 5 || a > b", None, False, id="or-no-guard"),
        pytest.param("a > 5 && a > b", "a > 5", False, id="and-something-else"),
        pytest.param("!(a > 5 && b < 2)", "not a > 5, not b < 2", True, id="not-and"),
        pytest.param("!(a > 5 || a > b)", "not a > 5", False, id="not-or"),
        pytest.param("belt ? a > 5 : b > 2", "a > 5, b > 2", True, id="choice"),
        pytest.param("a > b ? a > 5 : b > 2", None, False, id="choice-whose-question-may-be-an-error"),
        pytest.param("delta(a) > 5.0", None, False, id="history"),
        pytest.param("vehicle.id == 'v1' && a > 5", "a > 5", True, id="of-one-vehicle"),
        pytest.param("a in [1, 2] && a != 3", "a in 1 2", True, id="lists"),
        pytest.param("age(a) > duration('5s') && b > 1", "b > 1", False, id="an-age-is-no-value"),
    ],
)
def test_what_decides_a_condition(text: str, guard: str | None, is_settled: bool) -> None:
    found = decision(text)
    assert found.is_settled is is_settled
    assert (None if found.guard is None else ", ".join(map(_written, found.guard))) == guard


def _written(literal: Literal) -> str:
    name = list(TYPES)[int(literal.local.removeprefix("s_"))]
    constants = " ".join(f"{it:g}" if isinstance(it, float) else str(it) for it in literal.constants)
    return f"{'not ' * literal.is_negated}{name} {literal.operator} {constants}"


@settings(max_examples=300, deadline=None)
@given(SEEDS, SEEDS)
def test_a_condition_without_its_guard_is_never_true(rule_seed: int, values_seed: int) -> None:
    found = compiled(condition(random.Random(rule_seed), 3))
    choice = random.Random(values_seed)
    decided = decision_of(
        found.source, found.constants, [read.name for read in found.reads if read.kind == "value"]
    )
    if decided.guard is None:
        return
    for _ in range(20):
        known = {name: choice.choice([*VALUES[name], UNKNOWN]) for name in TYPES}
        arguments = [known[read.signal] if read.kind == "value" else 1.0 for read in found.reads]
        local = {read.name: known[read.signal] for read in found.reads if read.kind == "value"}
        truths = [_holds(literal, local[literal.local]) for literal in decided.guard]
        try:
            truth = found.evaluate(arguments)
        except UnknownValue:
            truth = None
        except EvaluationError:
            assert True in truths
            continue
        if True not in truths:
            assert truth is not True


def _holds(literal: Literal, value: object) -> bool | None:
    if value is UNKNOWN:
        return None
    if literal.operator == "in":
        found = value in literal.constants
    else:
        found = bool(eval(f"value {literal.operator} limit", {"value": value, "limit": literal.constants[0]}))
    return found is not literal.is_negated


def _numbers(literals: Sequence[Literal]) -> Claimed:
    claims = list(enumerate(literals))
    return Claimed(literals=claims, guards=claims)


LITERALS = st.builds(
    lambda operator, limits, is_negated: Literal(
        "s_0", operator, tuple(sorted(set(limits))) if operator == "in" else limits[:1], is_negated
    ),
    st.sampled_from(["<", "<=", ">", ">=", "in"]),
    st.tuples(*[st.sampled_from([-math.inf, -1.0, -0.0, 0.0, 5e-324, 1.0, 2.0, 1e16, math.inf])] * 2),
    st.booleans(),
)
ANY_NUMBER = st.sampled_from([*NUMBERS, 5e-324, 1e300, 10**16 + 1]) | st.floats(-3, 3)


@settings(max_examples=300, deadline=None)
@given(st.lists(LITERALS, min_size=1, max_size=30), st.lists(ANY_NUMBER, min_size=2, max_size=12))
def test_between_two_places_lies_every_comparison_that_turns(
    literals: list[Literal], values: list[float]
) -> None:
    bounds = _numbers(literals).bounds()
    before = None
    for value in values:
        place = bounds.place(value)
        held = {number for number, it in enumerate(literals) if _holds(it, value)}
        assert set(bounds.guarded(place[2])) == held
        for other in values:
            if place[0] < other < place[1]:
                assert bounds.place(other)[2] == place[2]
        if before is not None:
            found = bounds.between(before[0][2], place[2])
            assert found is None or set(found) >= before[1] ^ held
            assert found is not None or math.isnan(value) or math.isnan(before[2])
        before = place, held, value


def test_a_place_passes_what_turned_and_nothing_else() -> None:
    literals = [Literal("s_0", ">", (float(limit),)) for limit in range(10_000)]
    bounds = _numbers(literals).bounds()
    assert bounds.between(bounds.place(100.5)[2], bounds.place(103.5)[2]) == [101, 102, 103]
    assert bounds.between(bounds.place(103.5)[2], bounds.place(103.6)[2]) == []


@given(st.sets(st.integers(0, 12_000)))
def test_the_places_of_bits(places: set[int]) -> None:
    assert bits(sum(1 << place for place in places)) == sorted(places)


def test_a_message_that_turns_nothing_judges_nothing_however_many_rules_there_are() -> None:
    limits = [(index % 97) / 10 + 5 for index in range(3000)]
    rules = tuple(
        Rule(f"rule-{index:04d}", compiled(f"a > {limit}" + " && b < 3.0" * (index % 3 == 1)), for_ms=10)
        for index, limit in enumerate(limits)
    )
    engine = Engine(RuleSet({}, rules), familiar_after=0)
    vehicle = engine.new_vehicle("v1")
    out: list[Outcome] = []
    for number in range(50):
        engine.process(vehicle, Event(number, number, {"a": 4.0 + number % 2 / 10, "b": 1.0}), 0, out)
    judged = [rule for rule in vehicle.program.rules if rule.when.was_judged]
    assert judged == []
    engine.process(vehicle, Event(60, 60, {"a": 5.05, "b": 1.0}), 0, out)
    judged = [rule for rule in vehicle.program.rules if rule.when.was_judged]
    assert len(judged) == limits.count(5.0) < 40
    assert len(vehicle.alerts) == len(judged)


def firing(vehicle: VehicleState) -> list[int]:
    return sorted(index for index, alert in vehicle.alerts.items() if alert.phase is Phase.FIRING)


def test_vehicles_for_which_few_rules_differ_share_what_they_know() -> None:
    selectors = [compiled(f"vehicle.id == 'v{number}'") for number in range(40)]
    rules = tuple(
        Rule(
            f"rule-{index:04d}",
            compiled(f"a > {index}.5"),
            vehicles=selectors[index % 80] if index % 80 < 40 else None,
        )
        for index in range(800)
    )
    engine = Engine(RuleSet({}, rules), familiar_after=0)
    out: list[Outcome] = []
    shared = set()
    for number in range(40):
        vehicle = engine.new_vehicle(f"v{number}")
        engine.process(vehicle, Event(1, 1, {"a": 100.0}), 0, out)
        shared.add(id(vehicle.program.index.bounds[0]))
        mine = [index for index in range(100) if index % 80 >= 40 or index % 80 == number]
        assert [it.rule for it in out if isinstance(it, AlertRecord)] == [
            f"rule-{index:04d}" for index in mine
        ]
        engine.process(vehicle, Event(2, 2, {"a": 0.0}), 0, out)
        assert firing(vehicle) == []
        other = engine.restore("v100", engine.snapshot(vehicle))
        engine.process(other, Event(3, 3, {"a": 300.0}), 0, out)
        assert firing(other) == [index for index in range(300) if index % 80 >= 40]
        engine.process(other, Event(4, 4, {"a": 0.0}), 0, out)
        assert firing(other) == []
        out.clear()
    assert len(shared) == 1


def test_a_rule_that_is_for_another_vehicle_is_not_mistaken() -> None:
    only_v0 = compiled("vehicle.id == 'v0'")
    rules = tuple(
        Rule(f"rule-{index}", compiled(f"a > {index}00.5"), vehicles=None if index else only_v0)
        for index in range(4)
    )
    engine = Engine(RuleSet({}, rules), familiar_after=0)
    mine, other = engine.new_vehicle("v0"), engine.new_vehicle("v1")
    out: list[Outcome] = []
    for at, (vehicle, value) in enumerate([(mine, 1.0), (other, 0.0), (other, 1.0), (mine, 0.0)]):
        engine.process(vehicle, Event(at, at, {"a": value}), 0, out)
    assert mine.program.index.bounds[0] is other.program.index.bounds[0]
    assert [it.state for it in out if isinstance(it, AlertRecord)] == ["firing", "resolved"]
