"""Small changes of a rule, as a slip of the pen makes them: a threshold, an operator, a duration, a word.

Each is the document with one thing changed, and a name that says what: `spec.when: > becomes >=`.
"""

import copy
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from rules.documents import format_duration, parse_duration
from rules.documents.diagnostics import write_path

EXPRESSIONS = ("when", "clearWhen", "where", "having", "not", "value", "critical", "warning", "info")
_NUMBER = re.compile(r"(?<![\w.\"'])[0-9]+(?:\.[0-9]+)?(?![\w.\"'])")
_OPERATORS = {
    "<=": ("<",),
    ">=": (">",),
    "<": ("<=", ">"),
    ">": (">=", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "&&": ("||",),
    "||": ("&&",),
    "!": ("",),
}
_OPERATOR = re.compile(r"<=|>=|==|!=|&&|\|\||<|>|!")
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[wdhms]))+\Z")
_CALL = re.compile(r"(\w+)\(")
_OTHER_CALLS = {
    "max": ("min", "avg"),
    "min": ("max",),
    "avg": ("max",),
    "sum": ("max",),
    "first": ("last",),
    "last": ("first",),
    "increase": ("max",),
    "count": ("distinct",),
}
"""Of aggregates; the other functions that take the same."""
_TEXTS = ("metadata", "annotations", "labels", "payload", "name", "topic")
"""Below these nothing is changed: words for people, and names."""


_RANGES = ("min", "max", "allowed", "unit", "description")
"""Of a parameter: what others may set it to, which the rule's own tests cannot notice."""


class Mutant(NamedTuple):
    """A changed document, and what was changed."""

    name: str
    document: dict[str, Any]


def mutants(document: dict[str, Any]) -> Iterator[Mutant]:
    """Yield every mutant of a rule's document."""
    for path, value in _values(document, ()):
        place = write_path(path)
        for change, changed in _changes(path[-1], value):
            mutant = copy.deepcopy(document)
            inner: Any = mutant
            for step in path[:-1]:
                inner = inner[step]
            if changed is _GONE:
                del inner[path[-1]]
            else:
                inner[path[-1]] = changed
            yield Mutant(f"{place}: {change}", mutant)


_GONE = object()


def _values(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if path and (path[-1] in _TEXTS or (path[1:2] == ("parameters",) and path[-1] in _RANGES)):
        return
    if path and path[0] == "spec":
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _values(item, (*path, index))


def _changes(key: Any, value: Any) -> Iterator[tuple[str, Any]]:
    if key in ("for", "forEvents", "clearWhen", "keepFiringFor", "cooldown", "value", "upon"):
        yield "is left out", _GONE
    if key in ("severity", "upon") and isinstance(value, str):
        other = {"info": "warning", "warning": "critical", "critical": "warning"}.get(value)
        other = other or ("firing" if value == "resolved" else "resolved")
        yield f"{value} becomes {other}", other
    if isinstance(key, str) and isinstance(value, str) and (call := _CALL.match(value)):
        for other in _OTHER_CALLS.get(call[1], ()):
            yield f"{call[1]} becomes {other}", other + value[call.end(1) :]
    if isinstance(value, int) and not isinstance(value, bool):
        for changed in (value - 1, value + 1):
            yield f"{value} becomes {changed}", changed
    elif isinstance(value, float):
        for changed in (value - 0.1, value + 0.1):
            yield f"{value} becomes {changed:.3g}", round(changed, 3)
    elif isinstance(value, str) and _DURATION.match(value):
        yield from _durations(value)
    elif isinstance(value, str) and key in EXPRESSIONS:
        yield from _expressions(value)


def _durations(text: str) -> Iterator[tuple[str, str]]:
    """A tenth more and less, by whole seconds where that is one."""
    duration = parse_duration(text)
    step = max(duration // 10_000 * 1000, min(duration, 1000))
    for changed in (duration - step, duration + step):
        yield f"{text} becomes {format_duration(changed)}", format_duration(changed)


def _expressions(text: str) -> Iterator[tuple[str, str]]:
    for match in _NUMBER.finditer(text):
        step, digits = (1, 0) if "." not in match[0] else (0.1, 3)
        for changed in (float(match[0]) - step, float(match[0]) + step):
            written = f"{round(changed, digits):g}"
            yield f"{match[0]} becomes {written} in `{_near(text, match)}`", _with(text, match, written)
    for match in _OPERATOR.finditer(text):
        for other in _OPERATORS[match[0]]:
            change = f"{match[0]} becomes {other or 'nothing'} in `{_near(text, match)}`"
            yield change, _with(text, match, other)


def _with(text: str, match: re.Match[str], other: str) -> str:
    return text[: match.start()] + other + text[match.end() :]


def _near(text: str, match: re.Match[str]) -> str:
    return " ".join(text[max(match.start() - 24, 0) : match.end() + 16].split())
