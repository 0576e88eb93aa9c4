"""The macros all, exists, exists_one, map and filter, recognised in the loops that the parser made of them.

The front end hands out only the expansion: a loop with an accumulator. The five shapes below are all that it
makes; another one is refused.
"""

from dataclasses import dataclass

from rules.language.tree import Call, Comprehension, Ident, ListNode, Literal, Node


@dataclass(frozen=True, slots=True)
class Macro:
    """`range.name(variable, condition, element)`; `map` may lack the condition, the tests the element."""

    name: str
    variable: str
    range: Node
    condition: Node | None
    element: Node | None


def recognise(loop: Comprehension) -> Macro | None:
    """Return the macro that was expanded to `loop`."""
    if loop.second:
        return None
    match loop.start, loop.step:
        case Literal(value=True), Call(function="_&&_", args=(Ident(), condition)):
            return Macro("all", loop.variable, loop.range, condition, None)
        case Literal(value=False), Call(function="_||_", args=(Ident(), condition)):
            return Macro("exists", loop.variable, loop.range, condition, None)
        case Literal(value=int()), Call(function="_?_:_", args=(condition, Call(), Ident())):
            return Macro("exists_one", loop.variable, loop.range, condition, None)
        case (
            ListNode(),
            Call(
                function="_?_:_",
                args=(condition, Call(function="_+_", args=(_, ListNode(elements=(element,)))), Ident()),
            ),
        ):
            return Macro("map", loop.variable, loop.range, condition, element)
        case ListNode(), Call(function="_+_", args=(Ident(), ListNode(elements=(element,)))):
            return Macro("map", loop.variable, loop.range, None, element)
    return None
