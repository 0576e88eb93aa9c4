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
            *(
                "avg(speed) > 3",
                "TT103",
                (1, 4),
                "does not take these arguments",
                'avg(Vehicle.Speed, duration("5m"))',
            ),
            id="no-window",
        ),
        pytest.param(
            *("max(model, duration('5m')) > 3", "TT103", (1, 4), "does not take (string, duration)"),
            "a numeric signal and a constant duration",
            id="window-of-texts",
        ),
        pytest.param(
            *("percentile(speed, duration('5m')) > 3", "TT103", (1, 11), "does not take these arguments"),
            'percentile(Vehicle.Speed, 95, duration("5m"))',
            id="percentile-of-nothing",
        ),
        pytest.param(
            *(
                "sum(speed * 2, duration('5m')) > 3",
                "TT108",
                (1, 11),
                "takes the name of a signal",
                "sum(Vehicle.Speed",
            ),
            id="window-of-an-expression",
        ),
        pytest.param(
            *(
                "[1.5].exists(x, avg(x, duration('5m')) > 3)",
                "TT108",
                (1, 21),
                "takes the name of a signal",
                "avg(",
            ),
            id="window-of-a-variable",
        ),
        pytest.param(
            *("avg(speed, duration(model)) > 3", "TT112", (1, 20), "not a constant duration", "avg("),
            id="window-of-a-variable-length",
        ),
        pytest.param(
            *(
                "avg(speed, duration('1m') + duration('1m')) > 3",
                "TT112",
                (1, 27),
                "not a constant duration",
                "avg(",
            ),
            id="window-of-a-sum",
        ),
        pytest.param(
            "avg(speed, duration('5x')) > 3",
            "TT110",
            (1, 21),
            "'5x' is not a duration",
            None,
            id="window-of-5x",
        ),
        pytest.param(
            "avg(speed, duration('0s')) > 3",
            "TT113",
            (1, 21),
            "holds no samples",
            "above zero",
            id="window-of-0s",
        ),
        pytest.param(
            *("avg(speed, duration('-5m')) > 3", "TT113", (1, 21), "holds no samples", "above zero"),
            id="window-of-less-than-0s",
        ),
        pytest.param(
            "avg(speed, duration('1us')) > 3",
            "TT113",
            (1, 21),
            "whole number of milliseconds",
            None,
            id="window-of-1us",
        ),
        pytest.param(
            *("avg(speed, duration('168h1ms')) > 3", "TT113", (1, 21), "longer than 168h", "AggregationRule"),
            id="window-of-more-than-a-week",
        ),
        pytest.param(
            *("percentile(speed, speed, duration('5m')) > 3", "TT114", (1, 19), "not a constant", "95"),
            id="percentile-of-a-variable",
        ),
        pytest.param(
            *("percentile(speed, 100.5, duration('5m')) > 3", "TT114", (1, 19), "0 to 100, not 100.5", "95"),
            id="percentile-above-100",
        ),
        pytest.param(
            "percentile(speed, -1, duration('5m')) > 3",
            "TT114",
            (1, 19),
            "0 to 100, not -1",
            None,
            id="percentile-below-0",
        ),
        pytest.param(
            *(
                "[1, 2].exists(x, percentile(speed, 5, duration('5m')) > x)"
                + " || [1].exists(y, y < percentile(speed, 9, duration('5m')))" * 12,
            ),
            *("TT107", (1, 414), "steps", "shorter lists"),
            id="percentiles-again-and-again",
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
