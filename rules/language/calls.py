"""A call as an author writes it, taken apart without looking at what its arguments mean.

An aggregate is one call, and its arguments are expressions of their own, so each keeps its place in the text.
"""

import re
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*\(")
# Strings, whose brackets and commas do not count, and everything else piece by piece.
_TOKEN: Final = re.compile(
    r"""(?:[rR]?'''.*?'''|[rR]?\"\"\".*?\"\"\"|[rR]'[^'\n]*'|[rR]"[^"\n]*"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*")"""
    r"|//[^\n]*|.",
    re.S,
)
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}


class Argument(NamedTuple):
    """The text of an argument, and where it begins in the whole: line and column from 1."""

    text: str
    line: int
    column: int


class Outer(NamedTuple):
    """A name, and what stands in the brackets behind it."""

    name: str
    arguments: tuple[Argument, ...]


def outer_call(text: str) -> Outer | None:
    """The one call that the whole text is; None if it is anything else."""
    match = _NAME.match(text)
    if match is None:
        return None
    begin = position = match.end()
    found: list[tuple[int, int]] = []
    closing = [")"]
    while closing and position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None
        piece = token.group()
        if piece in _OPENING:
            closing.append(_OPENING[piece])
        elif piece == closing[-1]:
            closing.pop()
        elif piece in ")]}":
            return None
        if (piece == "," and len(closing) == 1) or not closing:
            found.append((begin, position))
            begin = token.end()
        position = token.end()
    if closing or text[position:].strip():
        return None
    if len(found) == 1 and not text[found[0][0] : found[0][1]].strip():
        return Outer(match.group(1), ())
    return Outer(match.group(1), tuple(_argument(text, start, end) for start, end in found))


def _argument(text: str, start: int, end: int) -> Argument:
    before = text[:start]
    return Argument(text[start:end], before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1)
