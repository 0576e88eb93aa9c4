"""What a name of the author's stands for: a checked tree, or a constant.

A named expression is checked once, where it is defined, and its tree takes the place of each use, see
`grafting`. One with parameters is called like a function, `above(120)`, any other is a word, `moving`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rules.language.declarations import BOOL, DOUBLE, DURATION, DYN, STRING, Type, list_of
from rules.language.functions import FUNCTIONS
from rules.language.history import OVERLOADS
from rules.language.names import name_problem
from rules.language.tree import Call, Comprehension, Ident, ListNode, Literal, Node, Tree, children

Scalar = bool | float | str

_MACROS: Final = frozenset({"has", "all", "exists", "exists_one", "map", "filter"})
_OURS: Final = frozenset({"vehicle", "value"})
_RESULTS: Final = {bool: BOOL, float: DOUBLE, str: STRING}


@dataclass(slots=True)
class Budget:
    """How many nodes may still grow out of definitions: a file of some lines is not to fill the memory."""

    left: int = 500_000


@dataclass(frozen=True, slots=True)
class Named:
    """`tree` is None where the definition is wrong: that is said there, and not again at each use."""

    name: str
    type: Type
    tree: Tree | None
    parameters: tuple[tuple[str, Type], ...] | None = None
    """None for a word; else names and types of what it is called with."""
    place: str = ""
    """Where it is defined, as findings about its uses say it."""
    budget: Budget | None = None

    @property
    def described(self) -> str:
        """How a finding names it."""
        return f"'{self.name}' ({self.place})" if self.place else f"'{self.name}'"


def broken(name: str, parameters: Sequence[str] | None, place: str) -> Named:
    """Return what stands for a wrong definition: it fits everywhere, and nothing is compiled with it."""
    types = None if parameters is None else tuple((parameter, DYN) for parameter in parameters)
    return Named(name, DYN, None, types, place)


def constant(name: str, value: Scalar, place: str = "") -> Named:
    """Return a word that stands for one value."""
    type_ = _RESULTS[type(value)]
    return Named(name, type_, Tree(Literal(1, value), {}, {1: type_}), None, place)


def constant_duration(name: str, milliseconds: int, place: str = "") -> Named:
    """Return a word that stands for a duration; a call with a literal, as an author would have written it."""
    root = Call(1, "duration", (Literal(2, f"{milliseconds}ms"),), False)
    return Named(name, DURATION, Tree(root, {}, {1: DURATION, 2: STRING}), None, place)


def constant_list(name: str, values: Sequence[Scalar], place: str = "") -> Named:
    """Return a word that stands for a list of values of one type, however long: its items share one id."""
    element = _RESULTS[type(values[0])] if values else DYN
    root = ListNode(1, tuple(Literal(0, value) for value in values))
    return Named(name, list_of(element), Tree(root, {}, {1: list_of(element)}), None, place)


def definition_problem(name: str) -> str | None:
    """Say why nobody can define `name`; None if one can."""
    problem = name_problem(name)
    if not name.isascii() or not name.isidentifier():
        problem = f"'{name:.80}' is not a word of letters, digits and _"
    if problem is None and (name in FUNCTIONS or name in OVERLOADS or name in _MACROS):
        problem = f"'{name}' is the name of a function"
    if problem is None and name in _OURS:
        problem = f"'{name}' has a meaning of its own in expressions"
    return problem


def mentioned(tree: Tree) -> frozenset[str]:
    """Return the words and functions that a tree without types uses, variables of macros left out."""
    return frozenset(_mentioned(tree.root, frozenset()))


def _mentioned(node: Node, scope: frozenset[str]) -> Iterator[str]:
    match node:
        case Ident(name=name):
            if name not in scope:
                yield name.lstrip(".")
        case Comprehension():
            yield from _mentioned(node.range, scope)
            inner = scope | {node.variable, node.accumulator, node.second}
            for part in (node.start, node.condition, node.step, node.result):
                yield from _mentioned(part, inner)
            return
        case Call(function=function, member=False):
            yield function
    for child in children(node):
        yield from _mentioned(child, scope)
