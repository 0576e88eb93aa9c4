"""What can be wrong with a condition before it ever runs, each with a stable code and a place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. Line and column are 1-based, in code points, within the expression's own text."""

    code: str
    message: str
    hint: str | None
    line: int
    column: int


_LONGEST: Final = 300


def shortened(problem: Problem) -> Problem:
    """A problem whose message and hint fit on a screen: the author's words in them may be of any length."""
    message, hint = problem.message, problem.hint
    if len(message) <= _LONGEST and len(hint or "") <= _LONGEST:
        return problem
    return replace(problem, message=_cut(message), hint=None if hint is None else _cut(hint))


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2  # what is wrong stands before the author's words, or behind them
    return f"{text[: half - 1]}…{text[-half:]}"


CODES: Final[Mapping[str, tuple[str, str]]] = {
    "TT101": (
        "undeclared signal",
        "Use a name or alias of the signal catalog; the hint names the nearest one.",
    ),
    "TT102": ("syntax error", "Conditions are CEL; the column is where the parser could not go on."),
    "TT103": (
        "types do not fit",
        "Both sides of an operator need the same type. Numeric signals and literals are doubles; size(), "
        "int() and the time functions give ints: convert with double(...).",
    ),
    "TT104": ("wrong type of result", "A condition is a bool, a value is a number, a string or a bool."),
    "TT105": ("undeclared function", "Use a function that the language reference lists."),
    "TT106": ("not part of this language", "Protobuf messages and custom comprehensions are not available."),
    "TT107": (
        "too large",
        "Split the rule, or say the same with less: conditions are bounded in length, in depth and in the "
        "steps that they may take.",
    ),
    "TT108": (
        "a name is needed",
        "prev, changed, delta, rate and age look at a signal's history, avg, min and their kind at a window "
        "of it: give them the signal itself, not an expression. inside and distance take a fence's name: "
        'inside("depot-1").',
    ),
    "TT109": (
        "age is compared with a constant",
        'Write age(signal) > duration("5m"): a timer is armed for that instant, so it must be known.',
    ),
    "TT110": ("constant that can never be valid", "Correct the regular expression, duration or timestamp."),
    "TT112": (
        "a window's duration is a constant",
        'Write avg(signal, duration("5m")): the samples of the longest window are kept, so it must be known.',
    ),
    "TT113": ("a window of such a duration is not kept", "A window has 1 ms to 168h, in whole milliseconds."),
    "TT114": ("a percentage is a constant from 0 to 100", 'Write percentile(signal, 95, duration("5m")).'),
    "TT111": ("template text", "Holes are {{ expression }}; write {{ '{{' }} for the braces themselves."),
    "TT115": (
        "a label or attribute must be named",
        "What the registry says of a vehicle is read one by one: vehicle.labels.model, "
        'vehicle.attributes["a-name"]; has(vehicle.labels.model) and "model" in vehicle.labels ask whether '
        "it is there.",
    ),
}
