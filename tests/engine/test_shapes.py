"""Generated code against the plain way, where the laws' few rules do not reach: many rules, many limits."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.engine import Engine, Event, Outcome, Rule, RuleSet, Signal
from rules.engine.needs import needed
from rules.language import DOUBLE, UNKNOWN, Compiled, Environment, UnknownValue

ENVIRONMENT = Environment({"a": DOUBLE, "b": DOUBLE, "c": DOUBLE})
LIMITS = (-math.inf, -1e300, -5.0, -0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 7.5, 1e-7, 1e16, 1e300)
CONDITIONS = st.one_of(
    st.builds(
        lambda signal, operator, limit: f"{signal} {operator} {limit!r}",
        st.sampled_from("ab"),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from([limit for limit in LIMITS if math.isfinite(limit)]) | st.floats(-10, 10),
    ),
    st.sampled_from(
        [
            "a > b",
            "a + b > 3.0",
            "a > 1.0 && b < 2.0",
            "[1, 2][int(a)] > 0",
            "a != 2.0",
            "age(a) > duration('3ms')",
        ]
    ),
)
VALUES = st.sampled_from([*LIMITS, math.nan, math.inf]) | st.floats(-10, 10)
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from("abcd"), VALUES | st.just("text") | st.none(), max_size=4), max_size=6
)


def rule_set(conditions: list[str]) -> RuleSet:
    rules = []
    for index, text in enumerate(conditions):
        compiled = ENVIRONMENT.compile(text)
        assert isinstance(compiled, Compiled), compiled
        rules.append(Rule(f"rule-{index:03d}", compiled))
    return RuleSet({name: Signal(name, 5) for name in "abc"}, tuple(rules))


@settings(max_examples=150, deadline=None)
@given(st.lists(CONDITIONS, min_size=1, max_size=60), MESSAGES, st.integers(1, 4))
def test_many_conditions_in_one_function_are_each_judged_as_alone(
    conditions: list[str], messages: list[dict[str, object]], step: int
) -> None:
    rules = rule_set(conditions)
    plain, generated = Engine(rules, familiar_after=10**9), Engine(rules, familiar_after=0)
    one, other = plain.new_vehicle("v1"), generated.new_vehicle("v1")
    for number, signals in enumerate(messages):
        expected: list[Outcome] = []
        found: list[Outcome] = []
        plain.process(one, Event(number * step, number, signals), 0, expected)
        generated.process(other, Event(number * step, number, signals), 0, found)
        assert [repr(outcome) for outcome in found] == [repr(outcome) for outcome in expected]
        assert other.expect == one.expect


NEEDING = st.recursive(
    st.sampled_from(
        ["a > 1.0", "b < 2.0", "c == 3.0", "a + b > 3.0", "c in [1, 2]", "a > b", "true", "delta(a) > 0.0"]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda it: f"({it[0]} {it[1]} {it[2]})"),
        inner.map(lambda it: f"!({it})"),
        st.tuples(inner, inner, inner).map(lambda it: f"({it[0]} ? {it[1]} : {it[2]})"),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(NEEDING, st.lists(st.sampled_from([0.0, 1.5, 3.0, None]), min_size=3, max_size=3))
def test_without_what_it_needs_a_condition_is_never_true(text: str, values: list[object]) -> None:
    compiled = ENVIRONMENT.compile(text)
    assert isinstance(compiled, Compiled)
    known = {name: UNKNOWN if value is None else value for name, value in zip("abc", values, strict=True)}
    arguments = [known[read.signal] if read.kind == "value" else 1.0 for read in compiled.reads]
    needs = needed(compiled.source)
    if any(
        value is UNKNOWN and read.name in needs for value, read in zip(arguments, compiled.reads, strict=True)
    ):
        try:
            assert compiled.evaluate(arguments) is False
        except UnknownValue:
            return


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a > 1.0 && b < 2.0", {"a", "b"}, id="and"),
        pytest.param("a > 1.0 || b < 2.0", set(), id="or"),
        pytest.param("a > 1.0 && (b < 2.0 || b > 3.0)", {"a", "b"}, id="both-sides-of-an-or"),
        pytest.param("!(a > 1.0 && b < 2.0)", set(), id="the-negation-of-an-and-may-be-true-with-one-side"),
        pytest.param("a + b > 3.0", {"a", "b"}, id="arithmetic"),
    ],
)
def test_what_a_condition_needs(text: str, expected: set[str]) -> None:
    compiled = ENVIRONMENT.compile(text)
    assert isinstance(compiled, Compiled)
    names = needed(compiled.source)
    assert {read.signal for read in compiled.reads if read.name in names} == expected


def test_code_in_pieces_is_the_same_code() -> None:
    conditions = [f"a + {index}.0 > 500.0" for index in range(1000)]
    rules = rule_set([*conditions, *(f"a > {index}.0" for index in range(300)), "b > 1.0"])
    plain, generated = Engine(rules, familiar_after=10**9), Engine(rules, familiar_after=0)
    one, other = plain.new_vehicle("v1"), generated.new_vehicle("v1")
    for number in range(12):
        expected: list[Outcome] = []
        found: list[Outcome] = []
        event = Event(number, number, {"b": float(number), "a": float(number * 37 % 260)})
        plain.process(one, event, 0, expected)
        generated.process(other, event, 0, found)
        assert found == expected
        assert expected
    assert list(other.program.shapes) == [("b", "a")]


def test_code_is_bounded_however_many_shapes_come() -> None:
    names = [f"s{index}" for index in range(40)]
    environment = Environment(dict.fromkeys(names, DOUBLE))
    compiled = [environment.compile(f"{name} + 1.0 > 5.0") for name in names for _ in range(5)]
    rules = tuple(
        Rule(f"rule-{index:03d}", condition)
        for index, condition in enumerate(compiled)
        if isinstance(condition, Compiled)
    )
    engine = Engine(RuleSet({}, rules), familiar_after=0)
    vehicle = engine.new_vehicle("v1")
    most = 0
    for number in range(250):
        rotated = names[number % 40 :] + names[: number % 40 - number // 40]
        engine.process(vehicle, Event(number, number, dict.fromkeys(rotated, 9.0)), 0, [])
        most = max(most, len(vehicle.program.shapes))
    assert 0 < most <= 50_000 // 100


def test_messages_of_ever_new_shapes_cost_no_compiling() -> None:
    engine = Engine(rule_set(["a > 1.0"]))
    vehicle = engine.new_vehicle("v1")
    for number in range(200):
        engine.process(vehicle, Event(number, number, {"a": 5.0, f"x{number}": 1.0}), 0, [])
    assert vehicle.program.shapes == {}
