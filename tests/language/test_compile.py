"""What authors write becomes the Python that they would have written."""

import pytest

from rules.language import (
    BOOL,
    DOUBLE,
    STRING,
    UNKNOWN,
    Compiled,
    Environment,
    EvaluationError,
    Problem,
    UnknownValue,
)

VARIABLES = {
    "Vehicle.Speed": DOUBLE,
    "Vehicle.Belt": BOOL,
    "Vehicle.Model": STRING,
    "Vehicle.Charge": DOUBLE,
}
ALIASES = {"speed": "Vehicle.Speed", "belt": "Vehicle.Belt", "model": "Vehicle.Model"}


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment(VARIABLES, ALIASES, {"value": DOUBLE})


def compiled(environment: Environment, text: str) -> Compiled:
    result = environment.compile(text)
    assert isinstance(result, Compiled), result
    return result


def problems(environment: Environment, text: str) -> list[Problem]:
    result = environment.compile(text, BOOL)
    assert isinstance(result, list), result
    return result


@pytest.mark.parametrize(
    ("text", "source"),
    [
        pytest.param("speed > 120", "s_0 > 120.0", id="threshold"),
        pytest.param("Vehicle.Speed > 120.5", "s_0 > 120.5", id="canonical-name"),
        pytest.param("speed > 10 && !belt", "s_0 > 10.0 and not s_1", id="logic"),
        pytest.param("speed in [1, 2]", "s_0 in (1.0, 2.0)", id="membership"),
        pytest.param("speed > (belt ? 1 : 2)", "s_0 > (1.0 if s_1 else 2.0)", id="ternary"),
        pytest.param("speed * 2 > speed + 20 - -5", "s_0 * 2.0 > s_0 + 20.0 - -5.0", id="arithmetic"),
        pytest.param("speed > 100 + 20 - -5", "s_0 > 125.0", id="arithmetic-of-constants"),
        pytest.param("speed - (1 - speed) > 7 / 2", "s_0 - (1.0 - s_0) > 7.0 / 2.0", id="precedence"),
        pytest.param("(speed > 1) == belt", "(s_0 > 1.0) == s_1", id="no-chained-comparison"),
        pytest.param("model.startsWith('E')", "s_2.startswith('E')", id="text"),
        pytest.param("age(speed) > duration('5m')", "a_0 > 300000", id="age"),
        pytest.param("prev(speed) < 1 && changed(belt)", "p_0 < 1.0 and c_1", id="history"),
        pytest.param(
            "avg(speed, duration('5m')) > 3 && percentile(speed, 95, duration('1h')) > 3",
            "w_0 > 3.0 and w_1 > 3.0",
            id="windows",
        ),
        pytest.param("vehicle.id == 'a' && value > 3", "l_0 == 'a' and l_1 > 3.0", id="locals"),
        pytest.param("[1, 2].exists(x, x > speed)", "any(x_0 > s_0 for x_0 in [1.0, 2.0])", id="macro"),
    ],
)
def test_source_is_plain_python(environment: Environment, text: str, source: str) -> None:
    assert compiled(environment, text).source == source


def test_reads_name_the_canonical_signal_once(environment: Environment) -> None:
    reads = compiled(environment, "speed > 1 && Vehicle.Speed < 9 && prev(speed) > 2").reads
    assert [(read.kind, read.signal, read.name) for read in reads] == [
        ("value", "Vehicle.Speed", "s_0"),
        ("prev", "Vehicle.Speed", "p_0"),
    ]


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        pytest.param("speed > 120", ("Vehicle.Speed", ">"), id="left"),
        pytest.param("120 > speed", ("Vehicle.Speed", "<"), id="right"),
        pytest.param("speed > 1 && speed < 9", None, id="two"),
        pytest.param("value > 1", None, id="not-a-signal"),
    ],
)
def test_a_single_comparison_is_recognised(
    environment: Environment, text: str, comparison: tuple[str, str] | None
) -> None:
    assert compiled(environment, text).comparison == comparison


def test_age_limits_are_milliseconds(environment: Environment) -> None:
    text = "age(speed) > duration('1m30s') || duration('250ms') < age(model)"
    limits = compiled(environment, text).age_limits
    assert limits == (("Vehicle.Speed", 90_000), ("Vehicle.Model", 250))


@pytest.mark.parametrize(
    ("text", "arguments", "answer"),
    [
        pytest.param("speed > 1 || belt", [UNKNOWN, True], True, id="true-absorbs-unknown"),
        pytest.param("speed > 1 && belt", [UNKNOWN, False], False, id="false-absorbs-unknown"),
        pytest.param("belt || speed > 1", [False, UNKNOWN], UnknownValue, id="unknown-stays"),
        pytest.param("belt ? speed > 1 : false", [False, UNKNOWN], False, id="branch-not-taken"),
        pytest.param("1 / speed > 5", [0.0], True, id="division-by-zero-is-infinite"),
        pytest.param("1 % int(speed) == 0", [0.0], EvaluationError, id="modulus-by-zero-is-an-error"),
        pytest.param("[speed].size() == 1", [UNKNOWN], UnknownValue, id="lists-hold-no-unknown"),
        pytest.param("belt", [UNKNOWN], UnknownValue, id="alone"),
    ],
)
def test_exact_evaluation(
    environment: Environment, text: str, arguments: list[object], answer: object
) -> None:
    evaluate = compiled(environment, text).evaluate
    if isinstance(answer, type):
        with pytest.raises(answer):
            evaluate(arguments)
    else:
        assert evaluate(arguments) is answer
