"""The atomic conditions of an expression: what `&&`, `||`, `!`, `?:` and parentheses put together.

`a > 1 && !(b || c == d)` is made of `a > 1`, `b` and `c == d`. Coverage counts them, and lint looks for one
that cannot be otherwise. They are found in the text, not in the tree, so that each has its place there and
can be compiled on its own. A macro, such as `exists`, is one atom: its inside is about other names.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*)"""
    r"""|(?P<text>[rRbB]{0,2}(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"))"""
    r"""|(?P<word>[A-Za-z_]\w*|[0-9][\w.]*)"""
    r"""|(?P<mark>&&|\|\||==|!=|<=|>=|.)""",
    re.DOTALL,
)
_OPENS, _CLOSES = frozenset("([{"), frozenset(")]}")
_RELATIONS = frozenset(("==", "!=", "<", "<=", ">", ">=", "in"))


class Atom(NamedTuple):
    """`text` stands at `offset` (from 0, in characters) of the expression."""

    text: str
    offset: int


class _Token(NamedTuple):
    text: str
    start: int
    depth: int
    """Of brackets around it; a bracket counts as outside of itself."""


def atoms(expression: str) -> list[Atom]:
    """Return the atomic conditions of a right expression in the order of the text, each place once."""
    tokens = list(_tokens(expression))
    return [Atom(expression[start:end], start) for start, end in _split(tokens)]


def _tokens(expression: str) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(expression):
        text = match[0]
        if match.lastgroup == "space":
            continue
        if match.lastgroup == "mark" and text in _CLOSES:
            depth -= 1
        yield _Token(text, match.start(), depth)
        if match.lastgroup == "mark" and text in _OPENS:
            depth += 1


def _split(tokens: list[_Token]) -> Iterator[tuple[int, int]]:
    """Yield (start, end) of each atom of the expression that these tokens are."""
    if not tokens:
        return
    level = tokens[0].depth
    marks = [(place, token.text) for place, token in enumerate(tokens) if token.depth == level]
    asked = next((place for place, text in marks if text == "?"), None)
    if asked is not None:
        otherwise = next(place for place, text in marks if place > asked and text == ":")
        yield from _split(tokens[:asked])
        yield from _split(tokens[asked + 1 : otherwise])
        yield from _split(tokens[otherwise + 1 :])
        return
    for operator in ("||", "&&"):
        places = [place for place, text in marks if text == operator]
        if places:
            bounds = zip([-1, *places], [*places, len(tokens)], strict=True)
            for before, after in bounds:
                yield from _split(tokens[before + 1 : after])
            return
    is_related = any(text in _RELATIONS for _, text in marks)
    if tokens[0].text == "!" and not is_related:
        yield from _split(tokens[1:])
    elif tokens[0].text == "(" and [place for place, text in marks if text == ")"] == [len(tokens) - 1]:
        yield from _split(tokens[1:-1])
    else:
        yield tokens[0].start, tokens[-1].start + len(tokens[-1].text)
