"""Names in the tree without types: which part of `a.b.c` is a declared name, and what is near a wrong one.

A parsed `Vehicle.Speed` is a selection of `Speed` from `Vehicle`; the longest declared prefix is the name,
as in CEL. Variables of macros come before declared names.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rules.language.declarations import Type
from rules.language.tree import Comprehension, Ident, Node, Select, Tree, children

Scope = Mapping[str, object]
"""Variables of macros -> what is known of them."""

TYPE_NAMES = frozenset(
    {"bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type", "dyn"}
    | {"google.protobuf.Timestamp", "google.protobuf.Duration"}
)


_RESERVED = frozenset(
    {"as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package"}
    | {"namespace", "return", "var", "void", "while", "in", "true", "false", "null"}
)
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def name_problem(name: str) -> str | None:
    """Say why expressions cannot use `name`; None if they can."""
    if name in TYPE_NAMES:
        return f"'{name}' is the name of a type"
    for part in name.split("."):
        if part in _RESERVED:
            return f"'{part}' is a reserved word"
        if not _PART.fullmatch(part):
            return f"'{name}' is not a dotted name of letters, digits and _"
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """A name that is declared and its type, or what the scope holds for it."""

    name: str
    term: object


def dotted(node: Node) -> str | None:
    """Return `a.b.c` for a chain of selections from a name, else None."""
    parts: list[str] = []
    while isinstance(node, Select) and not node.test_only:
        parts.append(node.field)
        node = node.operand
    if not isinstance(node, Ident):
        return None
    return ".".join([node.name.lstrip("."), *reversed(parts)])


def resolve(node: Node, variables: Mapping[str, Type], scope: Scope) -> Found | None:
    """Return what the whole chain `node` names, if it names something."""
    name = dotted(node)
    if name is None:
        return None
    if name in scope:
        return Found(name, scope[name])
    if name in variables and name.split(".", 1)[0] not in scope:
        return Found(name, variables[name])
    return None


def undeclared(tree: Tree, variables: Mapping[str, Type]) -> Iterator[tuple[str, int]]:
    """Yield each name that nobody declared, as far as it is dotted, with its offset.

    The receiver of a call may be a namespace (`math.abs(x)`): that is left to whoever knows the functions.
    """
    yield from _undeclared(tree.root, tree, variables, frozenset())


def _undeclared(
    node: Node, tree: Tree, variables: Mapping[str, Type], scope: frozenset[str]
) -> Iterator[tuple[str, int]]:
    name = dotted(node)
    if name is not None:
        prefixes = name.split(".")
        known = any(".".join(prefixes[:length]) in variables for length in range(1, len(prefixes) + 1))
        if not known and prefixes[0] not in scope and name not in TYPE_NAMES:
            first: Node = node
            while isinstance(first, Select):
                first = first.operand
            yield name, tree.offsets.get(first.id, 0)
        return
    if isinstance(node, Comprehension):
        yield from _undeclared(node.range, tree, variables, scope)
        inner = scope | {node.variable, node.accumulator, node.second}
        for part in (node.start, node.condition, node.step, node.result):
            yield from _undeclared(part, tree, variables, inner)
        return
    for child in children(node):
        yield from _undeclared(child, tree, variables, scope)


def nearest(name: str, names: Mapping[str, Type]) -> str | None:
    """Return the declared name that was probably meant."""
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.75)
    if close:
        return close[0]
    folded = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.75)
    if close:
        return folded[close[0]]
    ending = name.rsplit(".", 1)[-1].lower()
    same = [known for known in names if known.rsplit(".", 1)[-1].lower() == ending]
    return same[0] if len(same) == 1 else None
