"""How many steps an expression may take at most, known before it ever runs.

Signals are scalars, so every list comes from a literal, a macro or `split`, and its length has a bound. A
macro takes its range's length times its body. Rules above STEP_LIMIT are refused when they are loaded:
nothing then needs counting at run time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rules.language.macros import recognise
from rules.language.operations import LIST_LIMIT
from rules.language.tree import (
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    Select,
    children,
    is_shared,
)
from rules.language.windows import PARAMETERS as WINDOWS

STEP_LIMIT: Final = 100_000
"""Steps of one evaluation: some 10 ms."""
_TEXT_STEPS: Final = 5
_HASHED: Final = 100
"""Constants of a set that count as one step: they are hashed, all but a few odd ones."""
_WINDOW_STEPS: Final = 20
_PERCENTILE_STEPS: Final = 10_000
"""Thousands of samples may have to be put in order."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The bound of a value's length, and of its elements'. A scalar has length 0."""

    length: int = 0
    element: "_Shape | None" = None

    def weight(self) -> int:
        return 1 + self.length * (self.element.weight() if self.element else 1)


_SCALAR: Final = _Shape()
_Scope = Mapping[str, _Shape]


def steps(node: Node) -> int:
    """Return the greatest number of steps that evaluating `node` can take."""
    return _cost(node, {})[0]


def _cost(node: Node, scope: _Scope) -> tuple[int, _Shape]:
    match node:
        case Ident(name=name):
            return 1, scope.get(name, _SCALAR)
        case Comprehension():
            return _loop(node, scope)
        case Literal() | None:
            return 1, _SCALAR
        case Call(function="@in", args=(element, ListNode(elements=elements) as container)) if is_shared(
            container
        ) or _is_constant(elements):
            return 2 + _cost(element, scope)[0] + len(elements) // _HASHED, _SCALAR
    costs = [_cost(child, scope) for child in children(node)]
    total = 1 + sum(cost for cost, _ in costs)
    shapes = [shape for _, shape in costs]
    match node:
        case ListNode():
            return total, _Shape(len(shapes), _widest(shapes))
        case MapNode():
            return total, _Shape(len(shapes) // 2, _widest(shapes))
        case Select():
            return total, shapes[0].element or _SCALAR
        case Call(function="_+_", args=(_, _)):
            length = min(LIST_LIMIT, shapes[0].length + shapes[1].length)
            return total + length, _Shape(length, _widest([s.element for s in shapes if s.element]))
        case Call(function="_?_:_"):
            return total, _widest(shapes[1:])
        case Call(function="_[_]"):
            return total, shapes[0].element or _SCALAR
        case Call(function="dyn"):
            return total, shapes[0]
        case Call(function="split", args=args):
            match args:
                case (_, _, Literal(value=int(limit))) if 0 <= limit <= LIST_LIMIT:
                    return total + limit, _Shape(limit, _SCALAR)
                case (Literal(value=str(text)), *_):
                    return total + len(text), _Shape(len(text) + 1, _SCALAR)
            return total + LIST_LIMIT, _Shape(LIST_LIMIT, _SCALAR)
        case Call(function="@in" | "_==_" | "_!=_" | "join"):
            return total + sum(shape.weight() for shape in shapes), _SCALAR
        case Call(function="duration" | "timestamp", args=(Literal(),)):
            return 1, _SCALAR
        case Call(function="percentile"):
            return total + _PERCENTILE_STEPS, _SCALAR
        case Call(function=function) if function in WINDOWS:
            return total + _WINDOW_STEPS, _SCALAR
        case Call(function=function) if function.isalpha():
            return total + _TEXT_STEPS, _SCALAR
    return total, _SCALAR


def _is_constant(elements: tuple[Node, ...]) -> bool:
    """Whether looking an element up among these is looking into a set."""
    return all(
        isinstance(element, Literal)
        or (isinstance(element, ListNode) and all(isinstance(item, Literal) for item in element.elements))
        for element in elements
    )


def _loop(loop: Comprehension, scope: _Scope) -> tuple[int, _Shape]:
    macro = recognise(loop)
    if macro is None:
        return 1, _SCALAR  # refused elsewhere
    before, container = _cost(macro.range, scope)
    inner = {**scope, macro.variable: container.element or _SCALAR}
    condition = _cost(macro.condition, inner)[0] if macro.condition is not None else 0
    element_cost, element = _cost(macro.element, inner) if macro.element is not None else (0, _SCALAR)
    total = 1 + before + container.length * (1 + condition + element_cost)
    return total, _Shape(container.length, element) if macro.element is not None else _SCALAR


def _widest(shapes: list[_Shape]) -> _Shape:
    """Return a shape that bounds all of `shapes`."""
    if not shapes:
        return _SCALAR
    elements = [shape.element for shape in shapes if shape.element is not None]
    return _Shape(max(shape.length for shape in shapes), _widest(elements) if elements else None)
