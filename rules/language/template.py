"""Texts with holes: `Coolant at {{ value }} °C`. A hole is CEL, compiled and checked like a condition.

A hole alone keeps its type, so that a command's payload can carry numbers, exactly; in a text it is written
as a person would, 131.0 as 131 and 29.900000000000002 as 29.9. What has no value, be it unknown or an error,
is "unknown" in a text and None alone: an annotation never stops an alert.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rules.language import conversions
from rules.language.declarations import BOOL, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, Type
from rules.language.environment import Compiled, Environment
from rules.language.problems import Problem
from rules.language.reads import Read
from rules.language.values import Duration, EvaluationError, Timestamp, Uint, UnknownValue

HOLE_LIMIT: Final = 50
"""Most holes in one text."""
_TYPES: Final = frozenset({BOOL, INT, UINT, DOUBLE, STRING, DURATION, TIMESTAMP})
# What may stand in a hole up to its end: CEL's strings, whose braces do not count, and anything else.
_TOKEN: Final = re.compile(
    r"""(?:[rR]?'''.*?'''|[rR]?\"\"\".*?\"\"\"|[rR]'[^'\n]*'|[rR]"[^"\n]*"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")"""
    r"|[{}]|[^{}'\"]+|['\"]",
    re.S,
)


@dataclass(frozen=True, slots=True)
class Template:
    """A text, in pieces. `reads` is what `render` wants, in that order."""

    text: str
    type: Type
    """Of the result: string, or the type of a hole that stands alone."""
    reads: tuple[Read, ...]
    pieces: tuple[str | Compiled, ...]

    def render(self, arguments: Sequence[object]) -> object:
        """Fill the holes: a str, or what a hole alone yields as JSON would hold it."""
        values = dict(zip(self.reads, arguments, strict=True))
        if len(self.pieces) == 1 and isinstance(self.pieces[0], Compiled):
            return _plain(_evaluate(self.pieces[0], values))
        return "".join(
            piece if isinstance(piece, str) else format_value(_evaluate(piece, values))
            for piece in self.pieces
        )


def compile_template(text: str, environment: Environment) -> Template | list[Problem]:
    """Compile every hole of `text`; places of problems are within `text`."""
    pieces: list[str | Compiled] = []
    problems: list[Problem] = []
    position = 0
    count = 0
    while (start := text.find("{{", position)) >= 0:
        count += 1
        if count > HOLE_LIMIT:
            problems.append(Problem("TT107", f"a text of more than {HOLE_LIMIT} holes", None, 1, 1))
            return problems
        if start > position:
            pieces.append(text[position:start])
        end = _end(text, start + 2)
        if end is None:
            problems.append(
                Problem("TT111", "a hole begins and does not end", "close it with }}", *_place(text, start))
            )
            position = len(text)
            break
        hole = environment.compile(text[start + 2 : end])
        position = end + 2
        if isinstance(hole, list):
            problems += (_moved(problem, text, start + 2) for problem in hole)
        elif hole.type not in _TYPES and not _is_attribute(hole):
            message = f"a hole of type {hole.type} cannot be written into a text"
            problems.append(Problem("TT104", message, "take one value of it", *_place(text, start + 2)))
        else:
            pieces.append(hole)
    if position < len(text):
        pieces.append(text[position:])
    holes = [piece for piece in pieces if isinstance(piece, Compiled)]
    if problems:
        return problems
    reads = tuple(dict.fromkeys(read for hole in holes for read in hole.reads))
    alone = len(pieces) == 1 and bool(holes)
    return Template(text, holes[0].type if alone else STRING, reads, tuple(pieces))


def format_value(value: object) -> str:
    """Write a value for people: 15 digits that count, true and false, `unknown` for None.

    15 are what a double holds of any decimal number; the rest is what arithmetic left behind.
    """
    if value is None:
        return "unknown"
    if isinstance(value, float):
        return f"{value:.15g}"
    return conversions.to_string(value)


def _is_attribute(hole: Compiled) -> bool:
    """Whether the hole is an attribute of the vehicle and nothing else: a number, a bool or a string."""
    return len(hole.reads) == 1 and hole.reads[0].kind == "local" and hole.source == hole.reads[0].name


def _evaluate(hole: Compiled, values: dict[Read, object]) -> object:
    try:
        return hole.evaluate([values[read] for read in hole.reads])
    except (UnknownValue, EvaluationError):
        return None


def _plain(value: object) -> object:
    if isinstance(value, Duration | Timestamp):
        return conversions.to_string(value)
    return int(value) if isinstance(value, Uint) else value


def _end(text: str, position: int) -> int | None:
    """Return where the `}}` of a hole begins; one inside a string or a map literal is not it."""
    depth = 0
    while position < len(text):
        if depth == 0 and text.startswith("}}", position):
            return position
        token = _TOKEN.match(text, position)
        if token is None:
            return None
        depth += {"{": 1, "}": -1}.get(token.group(), 0)
        if depth < 0:
            return None
        position = token.end()
    return None


def _place(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _moved(problem: Problem, text: str, offset: int) -> Problem:
    """Return a hole's problem with its place in the whole text."""
    line, column = _place(text, offset)
    if problem.line == 1:
        return Problem(problem.code, problem.message, problem.hint, line, column + problem.column - 1)
    return Problem(problem.code, problem.message, problem.hint, line + problem.line - 1, problem.column)
