"""The front end's complaints in the words of the people who write rules, with what to do about them."""

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Final

from rules.language.declarations import Signature, Type
from rules.language.frontend import Complaint
from rules.language.functions import FUNCTIONS
from rules.language.history import FENCE_OVERLOADS, OVERLOADS
from rules.language.names import nearest
from rules.language.problems import Problem
from rules.language.windows import PARAMETERS, example

_OPERATOR: Final = re.compile(r"^_?(.*?)_?$")
_OVERLOAD: Final = re.compile(r"found no matching overload for '(.+)' applied to '(.*)'")
_UNDECLARED: Final = re.compile(r"undeclared reference to '(.*)' \(in container '.*'\)")
_DURATION: Final = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?(?:ms|us|ns|h|m|s)(?:\d+(?:ms|us|ns|h|m|s))*)(?!\w)")
_WORDS: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_NAMESPACES: Final = frozenset({"math", "cel", "strings", "optional", "base64", "lists", "sets", "proto"})
_MACROS: Final = ("has", "all", "exists", "exists_one", "map", "filter")


def syntax(text: str, complaints: list[Complaint]) -> list[Problem]:
    """Return the problems of a text that is not CEL: the first says it, later ones are its echoes."""
    first = min(complaints, key=lambda complaint: (complaint.line, complaint.column))
    if "recursion" in first.text or "limit" in first.text:
        return [
            Problem("TT107", "the expression is nested too deeply", "split the rule into several", 1, 1),
        ]
    words = first.text.removeprefix("Syntax error: ")
    words = re.sub(r"expecting \{.*\}", "expecting a value", words, flags=re.S).replace("'<EOF>'", "the end")
    words = words.replace("<EOF>", "the end").replace("\n", " ")
    return [Problem("TT102", words, _syntax_hint(text, first), first.line, first.column)]


def _syntax_hint(text: str, complaint: Complaint) -> str | None:
    lines = text.split("\n")
    line = lines[complaint.line - 1] if complaint.line <= len(lines) else ""
    if not text.strip():
        return "write a condition, such as speed > 120"
    if match := _DURATION.search(_without_strings(text)):
        return f'write a duration as duration("{match.group(1)}")'
    for word, operator in _WORDS.items():
        if re.search(rf"\b{word}\b", line):
            return f"write {operator} for {word}"
    if "invalid int literal" in complaint.text:
        return "write it as a double, with .0 at the end"
    if re.search(r"(?<![=!<>])=(?!=)", line):
        return "write == to compare"
    if "<>" in line:
        return "write != for unequal"
    if "has() argument" in complaint.text:
        return (
            "has(map.key) tests a map's key; a signal without a value makes its condition unknown by itself"
        )
    return None


def undeclared(
    name: str, known: Mapping[str, Type], line: int, column: int, functions: Collection[str] = ()
) -> Problem:
    """Return the problem of a name that nobody declared; `functions` are those that authors defined."""
    near = nearest(name, known)
    if name in functions:
        return Problem("TT101", f"'{name}' takes parameters", f"write {name}(…)", line, column)
    hint = f"did you mean '{near}'?" if near else "declare it in the signal catalog, or correct the name"
    if name in _WORDS:
        hint = f"write {_WORDS[name]} for {name}"
    elif name in _NAMESPACES:
        hint = f"the functions of {name} are not part of this language"
    elif name in ("True", "False", "None"):
        hint = f"did you mean '{'null' if name == 'None' else name.lower()}'?"
    return Problem("TT101", f"undeclared signal '{name}'", hint, line, column)


def mismatch(
    complaint: Complaint,
    text: str,
    known: Mapping[str, Type],
    line: int,
    column: int,
    functions: Mapping[str, Signature],
) -> Problem:
    """Return the problem that the type checker found; `functions` are those that authors defined."""
    if match := _UNDECLARED.fullmatch(complaint.text):
        return _undeclared_function(match.group(1), text, known, line, column, functions)
    match = _OVERLOAD.fullmatch(complaint.text)
    if match is None:
        return Problem("TT103", complaint.text, None, line, column)
    function, types = match.groups()
    types = re.sub(r"google\.protobuf\.(\w+)", lambda found: found.group(1).lower(), types)
    arguments = types.removeprefix("(").removesuffix(")")
    operator = _operator(function)
    if function == "_?_:_":
        message = f"condition ? a : b needs a bool and two values of one type, not ({arguments})"
    elif operator:
        message = f"'{operator}' does not fit ({arguments})"
    else:
        message = f"{function}() does not take ({arguments})"
    hint = _mismatch_hint(function, arguments)
    if function in functions:
        hint = f"it is defined as {function}({', '.join(map(str, functions[function][0]))})"
    return Problem("TT103", message, hint, line, column)


def _mismatch_hint(function: str, arguments: str) -> str | None:
    if function in PARAMETERS:
        return f"{function}() takes a numeric signal and a constant duration: {example(function)}"
    if function in OVERLOADS:
        return f"{function}() takes the name of a signal of a fitting type"
    if function in FENCE_OVERLOADS:
        return f'{function}() takes the name of a fence: {function}("depot-1")'
    if "int" in arguments and "double" in arguments:
        return "convert the int with double(...)"
    if "timestamp" in arguments or "duration" in arguments:
        return 'durations are written duration("5m"), timestamps timestamp("2026-01-01T00:00:00Z")'
    return None


def _operator(function: str) -> str | None:
    if function == "@in":
        return "in"
    if function == "_[_]":
        return "[]"
    if function.startswith("_") or function in ("-_", "!_"):
        return function.strip("_")
    return None


def _undeclared_function(
    name: str,
    text: str,
    known: Mapping[str, Type],
    line: int,
    column: int,
    functions: Mapping[str, Signature],
) -> Problem:
    offset = sum(len(part) + 1 for part in text.split("\n")[: line - 1]) + column - 1
    if text[offset:].startswith(f"{name}{{"):
        return Problem("TT106", f"{name}{{…}}: messages are not available", None, line, column)
    if name in PARAMETERS:
        message = f"{name}() does not take these arguments"
        return Problem("TT103", message, _mismatch_hint(name, ""), line, column)
    called = text[offset:].lstrip("(. ").startswith(name) or text[offset : offset + 1] == "("
    if not called:
        return undeclared(name, known, line, column, functions)
    if name in known:
        return Problem("TT105", f"'{name}' is no function", f"write {name} without parentheses", line, column)
    if name in functions:
        types = functions[name][0]
        message = f"{name}() takes {len(types)} argument{'' if len(types) == 1 else 's'}"
        hint: str | None = f"it is defined as {name}({', '.join(map(str, types))})"
        return Problem("TT103", message, hint, line, column)
    names = [*FUNCTIONS, *OVERLOADS, *PARAMETERS, *FENCE_OVERLOADS, *_MACROS, *functions]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.7)
    hint = "the language reference lists the functions"
    if close:
        hint = f"did you mean {close[0]}()?"
    return Problem("TT105", f"undeclared function '{name}'", hint, line, column)


def wrong_result(found: Type, expected: Type, line: int, column: int) -> Problem:
    """Return the problem of a result of another type than is needed here."""
    hint = None
    if expected.name == "bool":
        hint = "a condition compares something, such as speed > 120"
    return Problem("TT104", f"the result is of type {found}, not {expected}", hint, line, column)


def _without_strings(text: str) -> str:
    return re.sub(r"'[^'\n]*'|\"[^\"\n]*\"", lambda found: " " * len(found.group()), text)
