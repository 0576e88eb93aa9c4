"""Which values a condition cannot be true without.

`!belted && speed > 15` is never true while one of the two is unknown, so for a vehicle that never says one
of them there is nothing to evaluate, and unknown is no different from false for an alert that rests. Many
vehicles lack some signals, and an exception costs more than a hundred comparisons.
"""

import ast
from functools import reduce


def needed(source: str) -> frozenset[str]:
    """The locals without whose values the source is not true; what is not sure is left out."""
    return _for_truth(ast.parse(source.strip(), mode="eval").body)


def _for_truth(node: ast.expr) -> frozenset[str]:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return frozenset().union(*map(_for_truth, values))
        case ast.BoolOp(op=ast.Or(), values=values):
            return reduce(frozenset.intersection, map(_for_truth, values))
    return _for_value(node)


def _for_value(node: ast.expr) -> frozenset[str]:
    """The locals whose being unknown leaves the expression without any value."""
    match node:
        case ast.Name(id=name):
            return frozenset([name])
        case ast.UnaryOp(operand=operand):
            return _for_value(operand)
        case ast.BinOp(left=left, right=right):
            return _for_value(left) | _for_value(right)
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()]):
            return _for_value(left)
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot(), *_]):
            return frozenset()
        case ast.Compare(left=left, comparators=[right, *_]):
            return _for_value(left) | _for_value(right)
    return frozenset()
