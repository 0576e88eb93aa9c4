"""Texts with holes."""

import pytest

from rules.language import BOOL, DOUBLE, STRING, UNKNOWN, Environment, Problem, Template, compile_template


@pytest.fixture(scope="module")
def environment() -> Environment:
    return Environment({"speed": DOUBLE, "model": STRING, "belt": BOOL}, locals={"value": DOUBLE})


def template(environment: Environment, text: str) -> Template:
    result = compile_template(text, environment)
    assert isinstance(result, Template), result
    return result


@pytest.mark.parametrize(
    ("text", "arguments", "result"),
    [
        pytest.param("plain", [], "plain", id="no-hole"),
        pytest.param("", [], "", id="empty"),
        pytest.param("{{ value }}", [131.0], 131.0, id="alone-keeps-type"),
        pytest.param("{{ value > 5 }}", [131.0], True, id="alone-bool"),
        pytest.param("{{ duration('90s') }}", [], "90s", id="alone-duration-as-json"),
        pytest.param("at {{ value }} °C", [131.0], "at 131 °C", id="whole-number"),
        pytest.param("at {{ value }} °C", [0.1], "at 0.1 °C", id="fraction"),
        pytest.param("{{ value }}", [29.900000000000002], 29.900000000000002, id="alone-is-exact"),
        pytest.param("at {{ value }} °C", [29.900000000000002], "at 29.9 °C", id="what-arithmetic-left"),
        pytest.param("{{ value - 273.15 }} °C", [303.05], "29.9 °C", id="difference"),
        pytest.param("at {{ value }}", [123456.789012345], "at 123456.789012345", id="fifteen-digits"),
        pytest.param("at {{ value }}", [100.0], "at 100", id="zeros-that-count"),
        pytest.param("at {{ value }}", [1e21], "at 1e+21", id="huge"),
        pytest.param("{{ model }}: {{ belt }}", ["ET5", False], "ET5: false", id="two"),
        pytest.param("{{ value }}", [UNKNOWN], None, id="unknown-alone"),
        pytest.param("at {{ value }}", [UNKNOWN], "at unknown", id="unknown-in-text"),
        pytest.param("{{ int(value) % 0 }} left", [1.0], "unknown left", id="error-in-text"),
        pytest.param("{{ '}}' }}{{ '{{' }}", [], "}}{{", id="braces-in-strings"),
        pytest.param("{{ {'a': {'b': model}}['a']['b'] }}", ["x"], "x", id="braces-of-maps"),
        pytest.param("{{ \"it's\" }} {{ r'\\d' }}.", [], "it's \\d.", id="quotes"),
    ],
)
def test_render(environment: Environment, text: str, arguments: list[object], result: object) -> None:
    rendered = template(environment, text).render(arguments)
    assert rendered == result
    assert type(rendered) is type(result)


def test_equal_reads_are_asked_for_once(environment: Environment) -> None:
    reads = template(environment, "{{ speed }} {{ speed + value }}").reads
    assert [read.signal for read in reads] == ["speed", "value"]


def test_places_of_problems_are_those_of_the_text(environment: Environment) -> None:
    found = compile_template("a {{ sped }}\nb {{ speed >\n 'x' }}", environment)
    assert isinstance(found, list)
    assert [(problem.code, problem.line, problem.column) for problem in found] == [
        ("TT101", 1, 6),
        ("TT103", 2, 12),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        pytest.param("a {{ speed", "TT111", id="open"),
        pytest.param("a {{ speed } }", "TT111", id="half-closed"),
        pytest.param("{{ }}", "TT102", id="empty-hole"),
        pytest.param("{{ [1, 2] }}", "TT104", id="list"),
        pytest.param("{{ 1 }}" * 51, "TT107", id="too-many"),
    ],
)
def test_what_cannot_be_a_template(environment: Environment, text: str, code: str) -> None:
    found = compile_template(text, environment)
    assert isinstance(found, list)
    assert [problem.code for problem in found] == [code]
    assert all(isinstance(problem, Problem) for problem in found)
