"""Conditions that answer true, false or unknown without an exception: the common ones.

Telemetry is sparse, so conditions meet unknown signals all the time, and raising and catching costs ten times
the comparison. Where nothing but an unknown signal can go wrong (signals and constants compared, doubles
added and multiplied, joined by !, && and ||) the exact answer is written without exceptions:
`UNKNOWN if s_0 is UNKNOWN else s_0 > 120.0`. Anything else is left to the exact emitter.
"""

from typing import Final

from rules.language.backend import Emitter
from rules.language.declarations import BOOL, DOUBLE, SIMPLE, STRING, Type
from rules.language.history import FENCE_OVERLOADS, OVERLOADS
from rules.language.reads import Reads
from rules.language.tree import Call, Ident, ListNode, Literal, Node, Tree, walk
from rules.language.values import UNKNOWN
from rules.language.windows import PARAMETERS as WINDOWS
from rules.language.windows import signal_of, window_of

_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_DOUBLES: Final = frozenset({"_+_", "_-_", "_*_", "-_"})
_TEXTS: Final = frozenset({"startsWith", "endsWith", "contains"})
_NAME: Final = "f_unknown"


def total_source(tree: Tree, reads: Reads) -> str | None:
    """Return source that yields True, False or UNKNOWN, for the body of a lambda; None if there is none."""
    writer = _Writer(tree, reads)
    try:
        source = writer.write(tree.root)
    except _NotTotalError:
        return None
    reads.use(_NAME, UNKNOWN)
    return source


class _NotTotalError(Exception):
    pass


class _Writer:
    def __init__(self, tree: Tree, reads: Reads) -> None:
        self._types = tree.types
        self._reads = reads
        self._strict = Emitter(tree, reads, exact=False)
        self._names = 0

    def write(self, node: Node) -> str:
        match node:
            case Call(function="_&&_" | "_||_", args=(left, right)):
                return self._junction(left, right, decisive=node.function == "_||_")
            case Call(function="!_", args=(operand,)):
                name = self._name()
                return f"({_NAME} if ({name} := {self.write(operand)}) is {_NAME} else not {name})"
            case Call(function="@certain"):
                return f"({self._strict.source(node)})"
        if self._types.get(node.id) != BOOL or not self._safe(node):
            raise _NotTotalError
        tests = " or ".join(f"{name} is {_NAME}" for name in self._locals(node))
        source = self._strict.source(node)
        return f"({_NAME} if {tests} else {source})" if tests else f"({source})"

    def _junction(self, left: Node, right: Node, *, decisive: bool) -> str:
        first, second = self._name(), self._name()
        return (
            f"({decisive} if ({first} := {self.write(left)}) is {decisive}"
            f" or ({second} := {self.write(right)}) is {decisive}"
            f" else {_NAME} if {first} is {_NAME} or {second} is {_NAME} else {not decisive})"
        )

    def _name(self) -> str:
        self._names += 1
        return f"t_{self._names}"

    def _locals(self, node: Node) -> list[str]:
        found: dict[str, None] = {}
        for part in walk(node):
            match part:
                case Call(function=function, args=(Ident(name=signal),)) if function in OVERLOADS:
                    found[self._reads.read(function, signal) or ""] = None
                case Call(function=function, args=(Literal(value=str(fence)),)) if (
                    function in FENCE_OVERLOADS
                ):
                    found[self._reads.fence(function, fence)] = None
                case Call(function=function) if function in WINDOWS:
                    found[self._reads.window(signal_of(part), window_of(part)) or ""] = None
                case Call(args=args) | ListNode(elements=args):
                    for argument in args:
                        if isinstance(argument, Ident):
                            found[self._reads.read("value", argument.name) or ""] = None
        if isinstance(node, Ident):
            found[self._reads.read("value", node.name) or ""] = None
        return [name for name in found if name]

    def _safe(self, node: Node) -> bool:
        """Say whether only an unknown value can keep `node` from having a value."""
        type_ = self._types.get(node.id)
        match node:
            case Literal():
                return True
            case Ident(name=name):
                return self._reads.known(name)
            case Call(function=function, args=(Ident(),)) if function in OVERLOADS:
                return True
            case Call(function=function, args=(Literal(),)) if function in FENCE_OVERLOADS:
                return True
            case Call(function="duration", args=(Literal(),)):
                return True
            case Call(function=function) if function in WINDOWS:
                return True
            case Call(function=function, args=args) if function in _COMPARISONS:
                return self._types.get(args[0].id) == self._types.get(args[1].id) in SIMPLE and self._all(
                    args
                )
            case Call(function=function, args=args) if function in _DOUBLES:
                return type_ == DOUBLE and self._all(args)
            case Call(function=function, args=args) if function in _TEXTS:
                return all(self._types.get(argument.id) == STRING for argument in args) and self._all(args)
            case Call(function="@in", args=(element, ListNode(elements=elements) as container)):
                constant = all(isinstance(item, Literal) for item in elements)
                same = self._types.get(container.id) == Type("list", (self._types.get(element.id, BOOL),))
                return bool(elements) and constant and same and self._safe(element)
        return False

    def _all(self, nodes: tuple[Node, ...]) -> bool:
        return all(map(self._safe, nodes))
