"""What is wrong, where, and what to do: the words that authors read."""

import re

import pytest

from rules.language import BOOL, CODES, DOUBLE, STRING, Environment

ENVIRONMENT = Environment(
    {"Vehicle.Speed": DOUBLE, "Vehicle.Belt": BOOL, "Vehicle.Model": STRING},
    {"speed": "Vehicle.Speed", "belt": "Vehicle.Belt", "model": "Vehicle.Model"},
    fences=["depot-1"],
)


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "hint"),
    [
        pytest.param(
            *("Vehicle.Sped > 1", "TT101", (1, 1)),
            *("undeclared signal 'Vehicle.Sped'", "did you mean 'Vehicle.Speed'?"),
            id="misspelt",
        ),
        pytest.param(
            *(
                "speed > 1 &&\n  Speed < 2",
                "TT101",
                (2, 3),
                "undeclared signal 'Speed'",
                "did you mean 'speed'?",
            ),
            id="case",
        ),
        pytest.param(
            "belt == True", "TT101", (1, 9), "undeclared signal 'True'", "did you mean 'true'?", id="python"
        ),
        pytest.param(
            *("speed > 5m", "TT102", (1, 10), "extraneous input 'm' expecting the end"),
            'write a duration as duration("5m")',
            id="duration",
        ),
        pytest.param(
            "speed and belt", "TT102", (1, 7), "mismatched input 'and'", "write && for and", id="and"
        ),
        pytest.param(
            "speed = 3", "TT102", (1, 7), "token recognition error", "write == to compare", id="one-equals"
        ),
        pytest.param("", "TT102", (1, 1), "mismatched input the end", "write a condition", id="empty"),
        pytest.param(
            *("120 < model", "TT103", (1, 5), "'<' does not fit (double, string)", None), id="double-string"
        ),
        pytest.param(
            *("speed > 100 && size(model) > speed", "TT103", (1, 28), "'>' does not fit (int, double)"),
            "double(...)",
            id="place-behind-a-promoted-literal",
        ),
        pytest.param("speed", "TT104", (1, 1), "of type double, not bool", "speed > 120", id="no-condition"),
        pytest.param(
            "avg(speed) > 3", "TT105", (1, 4), "undeclared function 'avg'", "prev, changed", id="window"
        ),
        pytest.param(
            "model.startswith('E')", "TT105", (1, 17), "startswith", "startsWith()", id="near-function"
        ),
        pytest.param("model.format([]) == ''", "TT105", (1, 13), "'format'", None, id="function-not-offered"),
        pytest.param("a.B{} == a.B{}", "TT106", (1, 1), "messages", None, id="message"),
        pytest.param(
            "google.protobuf.Duration{} == duration('1s')",
            "TT106",
            (1, 1),
            "messages",
            None,
            id="known-message",
        ),
        pytest.param(
            "prev(speed * 2) > 1", "TT108", (1, 12), "takes the name of a signal", "prev(", id="expression"
        ),
        pytest.param(
            "changed(vehicle.id)", "TT108", (1, 16), "takes the name of a signal", None, id="no-signal"
        ),
        pytest.param(
            "age(speed) + duration('1s') > duration('5s')",
            *("TT109", (1, 4), "constant duration", 'age(speed) > duration("5m")'),
            id="age",
        ),
        pytest.param(
            "age(speed) > duration('5x')", "TT110", (1, 23), "'5x' is not a duration", None, id="bad-duration"
        ),
        pytest.param(
            *("speed > 1 && inside('depo-1')", "TT210", (1, 21)),
            *("undeclared fence 'depo-1'", "did you mean 'depot-1'?"),
            id="fence",
        ),
        pytest.param(
            *("distance(model) < 5", "TT108", (1, 10), "the name of a fence", 'distance("depot-1")'),
            id="no-fence",
        ),
        pytest.param(
            *("inside(speed)", "TT103", (1, 7), "inside() does not take (double)", "the name of a fence"),
            id="fence-a-signal",
        ),
        pytest.param(
            "model.matches('a(')", "TT110", (1, 15), "not a regular expression", None, id="bad-pattern"
        ),
    ],
)
def test_problem(text: str, code: str, place: tuple[int, int], message: str, hint: str | None) -> None:
    found = ENVIRONMENT.compile(text, BOOL)
    assert isinstance(found, list)
    first = found[0]
    assert (first.code, first.line, first.column) == (code, *place), first
    assert message in first.message
    if hint is not None:
        assert first.hint is not None
        assert hint in first.hint


def test_all_undeclared_signals_are_told_at_once() -> None:
    found = ENVIRONMENT.compile("sped > 1 || bellt && mdel == 'x'", BOOL)
    assert isinstance(found, list)
    assert [problem.column for problem in found] == [1, 13, 22]


def test_every_code_has_a_title_and_advice() -> None:
    assert all(title and advice for title, advice in CODES.values())
    assert all(re.fullmatch(r"TT1\d\d", code) for code in CODES)
