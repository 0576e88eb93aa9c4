"""What of a tree is constant: sums of constants, rows of them, and comparisons of one name with one."""

from collections.abc import Mapping
from typing import Final

from rules.language.declarations import BOOL, DOUBLE, STRING, Type
from rules.language.tree import Call, Ident, ListNode, Literal, Node

COMPARISONS: Final = {"_==_": "==", "_!=_": "!=", "_<_": "<", "_<=_": "<=", "_>_": ">", "_>=_": ">="}
MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
PYTHON: Final[Mapping[Type, type]] = {DOUBLE: float, STRING: str, BOOL: bool}
"""The types of CEL that are compared as Python's own, whatever stands beside them."""


def folded(node: Node) -> float | None:
    """Return the value of sums, differences and products of constant doubles; None if it is not one."""
    match node:
        case Literal(value=float(value)):
            return value
        case Call(function="-_", args=(operand,)):
            value_ = folded(operand)
            return None if value_ is None else -value_
        case Call(function="_+_" | "_-_" | "_*_" as operator, args=(left, right)):
            first, second = folded(left), folded(right)
            if first is None or second is None:
                return None
            return {"_+_": first + second, "_-_": first - second, "_*_": first * second}[operator]
    return None


def rows_of(elements: tuple[Node, ...], types: list[type | None]) -> frozenset[tuple[object, ...]] | None:
    """Return lists of constants of these types as a set to look a tuple up in; None if they are not."""
    rows = []
    for element in elements:
        if not isinstance(element, ListNode) or len(element.elements) != len(types):
            return None
        row = tuple(item.value for item in element.elements if isinstance(item, Literal))
        if [type(value) for value in row] != types:
            return None
        rows.append(row)
    return frozenset(rows)


def single_comparison(node: Node) -> tuple[str, str] | None:
    """Return (name, operator) if the expression compares one name with a constant."""
    if not isinstance(node, Call) or node.function not in COMPARISONS:
        return None
    left, right = node.args
    operator = COMPARISONS[node.function]
    if isinstance(right, Ident):
        left, right, operator = right, left, MIRRORED[operator]
    if isinstance(left, Ident) and (isinstance(right, Literal) or folded(right) is not None):
        return left.name, operator
    return None
