"""Whether a condition can hold at all: tried at every value where one of its comparisons turns.

A comparison of a value with a constant changes its truth at the constant only. So one value on each side of
every constant, within the range that the catalog gives the signal, stands for all; a condition made of such
comparisons is decided exactly by trying their combinations. What is no such comparison (arithmetic of two
signals, `rate`, a window's count) may be true or false at any time, so that nothing is said too much.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise, product
from math import floor, isfinite
from typing import Any, Final

from rules.documents.signal_catalog import INTEGER_RANGES, SignalCatalog
from rules.language.tree import Call, Ident, ListNode, Literal, Node, walk

COMBINATIONS: Final = 20_000
"""More are not tried, and nothing is said of the condition."""

_COMPARISONS: Final = {"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"}
# Of a signal's values: what they give lies within the signal's own range.
_WITHIN_RANGE: Final = {"prev", "avg", "min", "max", "percentile"}
BOTH: Final = frozenset((True, False))
YES: Final = frozenset((True,))
NO: Final = frozenset((False,))


@dataclass(frozen=True, slots=True)
class Variable:
    """A signal, or what a function makes of one (`prev`); `written` is as an author writes it."""

    signal: str
    written: str


Assignment = Mapping[Variable, object]


@dataclass(frozen=True, slots=True)
class Atom:
    """A comparison with constants that can be judged."""

    node: Node
    variable: Variable
    operator: str
    constants: tuple[object, ...]

    def holds(self, value: Any) -> bool:
        """Whether the comparison is true of a value."""
        first: Any = self.constants[0] if self.constants else None
        match self.operator:
            case "_==_":
                return bool(value == first)
            case "_!=_":
                return bool(value != first)
            case "@in":
                return value in self.constants
            case "_<_":
                return bool(value < first)
            case "_<=_":
                return bool(value <= first)
            case "_>_":
                return bool(value > first)
        return bool(value >= first)


class Truth:
    """Judges the conditions of one rule set."""

    def __init__(self, catalog: SignalCatalog) -> None:
        self._signals = catalog.spec.signals
        self._aliases = catalog.aliases
        self._bounds = {path.name: path for path in catalog.decoder_paths()}

    def atom(self, node: Node) -> Atom | None:
        """The comparison that a node is; None if it is none that can be judged."""
        variable = self._variable(node)
        if variable is not None and self._signals[variable.signal].type == "boolean":
            return Atom(node, variable, "_==_", (True,))
        if not isinstance(node, Call) or len(node.args) != 2:
            return None
        left, right = node.args
        if node.function == "@in" and isinstance(right, ListNode):
            values = [each.value for each in right.elements if isinstance(each, Literal)]
            variable = self._variable(left)
            if variable is None or len(values) != len(right.elements):
                return None
            return Atom(node, variable, "@in", tuple(values))
        if node.function not in _COMPARISONS:
            return None
        operator = node.function
        if isinstance(left, Literal):
            left, right, operator = right, left, _MIRRORED.get(operator, operator)
        variable = self._variable(left)
        if variable is None or not isinstance(right, Literal):
            return None
        return Atom(node, variable, operator, (right.value,))

    def atoms(self, root: Node) -> list[Atom]:
        """The comparisons of a condition, in the order of its text."""
        found: list[Atom] = []
        seen: set[int] = set()
        for node in walk(root):
            if node.id in seen:
                continue
            atom = self.atom(node)
            if atom is not None:
                found.append(atom)
                seen |= {below.id for below in walk(node)}
        return found

    def possible(self, node: Node, values: Assignment) -> frozenset[bool]:
        """What a condition may be when its variables have these values."""
        atom = self.atom(node)
        if atom is not None:
            return YES if atom.holds(values[atom.variable]) else NO
        match node:
            case Literal(value=bool(value)):
                return YES if value else NO
            case Call(function="!_", args=(below,)):
                return frozenset(not it for it in self.possible(below, values))
            case Call(function="_&&_", args=args):
                return _all(self.possible(it, values) for it in args)
            case Call(function="_||_", args=args):
                return frozenset(not it for it in _all(_negated(self.possible(it, values)) for it in args))
            case Call(function="_?_:_", args=(condition, yes, no)):
                chosen: frozenset[bool] = frozenset()
                for it in self.possible(condition, values):
                    chosen |= self.possible(yes if it else no, values)
                return chosen
        return BOTH

    def assignments(self, *roots: Node) -> Iterator[Assignment] | None:
        """One value of each variable on each side of each constant; None if they are too many."""
        constants: dict[Variable, set[object]] = {}
        for root in roots:
            for atom in self.atoms(root):
                constants.setdefault(atom.variable, set()).update(atom.constants)
        choices = {variable: self._values(variable, known) for variable, known in constants.items()}
        if reduce(lambda size, values: size * len(values), choices.values(), 1) > COMBINATIONS:
            return None
        return (dict(zip(choices, values, strict=True)) for values in product(*choices.values()))

    def range_of(self, variable: Variable) -> str:
        """Say which values the catalog allows."""
        bounds = self._bounds[variable.signal]
        if bounds.allowed is not None:
            return "one of " + ", ".join(sorted(map(str, bounds.allowed)))
        parts = [] if bounds.minimum is None else [f"at least {bounds.minimum:g}"]
        parts += [] if bounds.maximum is None else [f"at most {bounds.maximum:g}"]
        return " and ".join(parts)

    def _variable(self, node: Node) -> Variable | None:
        match node:
            case Ident(name=name):
                signal = self._aliases.get(name, name)
                return Variable(signal, name) if signal in self._signals else None
            case Call(function=function, args=(Ident(name=name), *more)) if function in _WITHIN_RANGE:
                signal = self._aliases.get(name, name)
                if signal not in self._signals or self._signals[signal].type in ("boolean", "string"):
                    return None
                return Variable(signal, f"{function}({name}{', …' if more else ''}){_key(more)}")
        return None

    def _values(self, variable: Variable, constants: set[object]) -> list[object]:
        bounds = self._bounds[variable.signal]
        is_plain = "(" not in variable.written
        if bounds.type == "boolean":
            return [True, False]
        if bounds.type == "string":
            if bounds.allowed is not None:
                return sorted(bounds.allowed, key=str)
            return [*sorted(map(str, constants)), "\0another text"]
        if bounds.allowed is not None and is_plain:
            return sorted(bounds.allowed, key=str)
        return _numbers(
            [float(it) for it in constants if isinstance(it, int | float) and isfinite(it)],
            bounds.minimum,
            bounds.maximum,
            whole=bounds.type in INTEGER_RANGES and is_plain,
        )


_MIRRORED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}


def _key(arguments: Iterable[Node]) -> str:
    """Tells apart windows of different lengths; nothing that is shown."""
    values = [node.value for argument in arguments for node in walk(argument) if isinstance(node, Literal)]
    return "" if not values else f"\0{values!r}"


def _all(parts: Iterable[frozenset[bool]]) -> frozenset[bool]:
    found = YES
    for part in parts:
        found = frozenset(left and right for left in found for right in part)
    return found


def _negated(part: frozenset[bool]) -> frozenset[bool]:
    return frozenset(not it for it in part)


def _numbers(constants: list[float], least: float | None, most: float | None, *, whole: bool) -> list[object]:
    edges = sorted({*constants, *(it for it in (least, most) if it is not None)}) or [0.0]
    found = [edges[0] - 1, *edges, edges[-1] + 1]
    found += [(low + high) / 2 for low, high in pairwise(edges)]
    if whole:
        found = [rounded for it in found for rounded in (float(floor(it)), float(floor(it)) + 1)]
    kept = {it for it in found if (least is None or it >= least) and (most is None or it <= most)}
    return [*sorted(kept)]
