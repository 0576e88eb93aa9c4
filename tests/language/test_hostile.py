"""Law: any text gives a condition or at least one problem, soon; no condition takes the worker with it."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.language import (
    BOOL,
    DOUBLE,
    STRING,
    UNKNOWN,
    Compiled,
    Environment,
    EvaluationError,
    Problem,
    Template,
    UnknownValue,
    compile_template,
    name_problem,
)
from rules.language.functions import FUNCTIONS
from rules.language.history import OVERLOADS
from rules.language.problems import CODES
from tests.language.expressions import VARIABLES, Generator

ENVIRONMENT = Environment({"speed": DOUBLE, "model": STRING, "belt": BOOL}, {"v": "speed"})
FRAGMENTS = st.sampled_from(
    [
        *("speed", "model", "belt", "v", "sped", "1", "1.5", "0x", "1u", "'a'", '"', "'", "r'\\", "b'\\x"),
        *("(", ")", "[", "]", "{", "}", ",", ":", "?", ".", "+", "-", "*", "/", "%", "!", "&&", "||"),
        *(
            " in ",
            "==",
            "<",
            "=",
            ".all(x,",
            ".map(",
            ".matches(",
            "age(",
            "prev(",
            "has(",
            "duration(",
            "dyn(",
        ),
        *(
            "// c",
            "\n",
            "\r",
            "\0",
            "é",
            "🙂",
            "\ud800",
            "{{",
            "}}",
            "5m",
            "and",
            "type",
            "null",
            "`",
            "@",
            "\\",
        ),
    ]
)
TEXTS = st.one_of(st.text(max_size=60), st.lists(FRAGMENTS, max_size=25).map("".join))


def check(text: str, found: Compiled | list[Problem]) -> None:
    if isinstance(found, Compiled):
        return
    assert found
    lines = text.split("\n")
    for problem in found:
        assert problem.code in CODES
        assert problem.message
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1


@settings(max_examples=400, deadline=None)
@given(TEXTS)
def test_any_text_gives_a_condition_or_problems(text: str) -> None:
    found = ENVIRONMENT.compile(text)
    check(text, found)
    if isinstance(found, Compiled):
        with suppress(UnknownValue, EvaluationError):
            found.evaluate([UNKNOWN] * len(found.reads))


@pytest.mark.parametrize("name", sorted({*FUNCTIONS, *OVERLOADS, "has", "all", "exists", "map", "filter"}))
def test_every_function_is_told_with_any_number_of_any_arguments(name: str) -> None:
    for count in range(5):
        for argument in ("1", "speed", "'x'", "model", "belt", "[1]", "null", "x"):
            arguments = ", ".join([argument] * count)
            for text in (f"{name}({arguments})", f"{argument}.{name}({arguments})", f"[{name}({arguments})]"):
                check(text, ENVIRONMENT.compile(text))


@settings(max_examples=200, deadline=None)
@given(TEXTS)
def test_any_text_gives_a_template_or_problems(text: str) -> None:
    found = compile_template(text, ENVIRONMENT)
    assert isinstance(found, Template) or (found and all(problem.code in CODES for problem in found))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 400), FRAGMENTS)
def test_a_damaged_condition_gives_problems_with_places(seed: int, place: int, fragment: str) -> None:
    text = Generator(seed).expression("bool").author
    place %= len(text)
    damaged = text[:place] + fragment + text[place + 1 :]
    check(damaged, Environment(VARIABLES).compile(damaged))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(" * 5_000, id="parentheses"),
        pytest.param("[" * 5_000 + "]" * 2_900, id="lists"),
        pytest.param("!" * 7_999, id="negations"),
        pytest.param("-(" * 3_999, id="minus"),
        pytest.param("belt ? belt : " * 500 + "belt", id="ternaries"),
        pytest.param("speed + " * 900 + "speed > 1", id="sum"),
        pytest.param("x." * 3_999 + "x", id="selections"),
        pytest.param("f(" * 3_999, id="calls"),
        pytest.param("[1].all(x, " * 500 + "true" + ")" * 500, id="macros"),
        pytest.param("a" * 1_000_000, id="length"),
        pytest.param("model.matches('" + "(" * 2_000 + "')", id="pattern-parentheses"),
        pytest.param("model.matches('((a{1,100}){1,100}){1,100}')", id="pattern-repetition"),
        pytest.param("model.matches('" + "a" * 1_001 + "')", id="pattern-length"),
        pytest.param("'" + "\\x" * 3_000 + "'", id="escapes"),
        pytest.param("speed > 1" + "0" * 5_000, id="digits"),
        pytest.param("[1,2,3,4,5,6,7,8,9,10].all(a, " * 6 + "true" + ")" * 6, id="nested-loops"),
        pytest.param("model.split('').all(a, model.split('').all(b, a == b))", id="loops-over-texts"),
        pytest.param("\ud800", id="surrogate"),
        pytest.param("speed > 1\0", id="nul"),
    ],
)
def test_what_is_too_much_is_a_problem(text: str) -> None:
    started = time.process_time()
    found = ENVIRONMENT.compile(text)
    assert time.process_time() - started < 5, "a hang, not a measurement"
    assert isinstance(found, list)
    check(text, found)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[model]" + ".map(x, x + x)" * 20 + "[0] == ''", id="texts"),
        pytest.param("[bytes(model)]" + ".map(x, x + x)" * 20 + "[0] == b''", id="bytes"),
        pytest.param("[model]" + ".map(x, x.replace('a', 'aaaa'))" * 20 + "[0] == ''", id="replace"),
        pytest.param("[[model, 'b']]" + ".map(x, [x.join(), x.join()])" * 20 + "[0][0] == ''", id="join"),
        pytest.param("[[model, 'b']]" + ".map(x, x + x)" * 20 + "[0][0] == ''", id="lists"),
        pytest.param("model.split('').size() > 1", id="split"),
    ],
)
def test_growth_at_run_time_is_an_error(text: str) -> None:
    compiled = ENVIRONMENT.compile(text)
    assert isinstance(compiled, Compiled), compiled
    with pytest.raises(EvaluationError, match="more than"):
        compiled.evaluate(["a" * 2_000])


def test_long_conjunctions_are_no_nesting() -> None:
    compiled = ENVIRONMENT.compile(" || ".join(["speed > 1"] * 600))
    assert isinstance(compiled, Compiled)
    assert compiled.evaluate([2.0]) is True


@pytest.mark.parametrize(
    "name",
    ["a-b", "in", "1x", "", "a..b", "a.in", "Ä", "true", "int", "list", "a b", "x'y", ".a", "a.", "@result"],
)
def test_names_that_are_not_names_are_told_apart(name: str) -> None:
    assert name_problem(name) is not None
    environment = Environment({name: DOUBLE, "speed": DOUBLE})
    assert isinstance(environment.compile("speed > 1"), Compiled)


@pytest.mark.parametrize("name", ["Vehicle.Speed", "_x", "e1", "size", "vehicle.speed_kmh"])
def test_names_that_are_names(name: str) -> None:
    assert name_problem(name) is None
    assert isinstance(Environment({name: DOUBLE}).compile(f"{name} > 1"), Compiled)


def test_arguments_of_the_wrong_type_are_an_error() -> None:
    compiled = ENVIRONMENT.compile("speed > 1 && model.startsWith('a')")
    assert isinstance(compiled, Compiled)
    with pytest.raises(EvaluationError):
        compiled.evaluate(["fast", 3])
