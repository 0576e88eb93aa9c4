"""What a condition makes of a signal where it only compares it with constants.

Such a comparison is a literal of the condition. Two things follow from a condition's literals, and the index
of values lives on them. A condition that reads signals in literals only is *settled*: while no literal turns,
its truth cannot. And most conditions have a *guard*, literals of which one must hold before the condition can
be true: of `speed > 120 && delta(rpm) > 500` it is `speed > 120`; of `a || b` the guards of both.

Three values are meant throughout: a condition whose guard does not hold, because it is false or unknown, is
false or unknown, whatever the rest is, errors included (a law of `&&`, `||`, `!` and `?:` in CEL).
"""

import ast
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_OPERATORS: Mapping[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


class Literal(NamedTuple):
    """A comparison of one local with constants; `in` stands for equality, too."""

    local: str
    operator: str
    """One of `<`, `<=`, `>`, `>=`, `in`."""
    constants: tuple[float | str | bool, ...]
    is_negated: bool = False

    @property
    def kind(self) -> type:
        """float, str or bool: the type that the constants share."""
        return type(self.constants[0])

    @property
    def reach(self) -> int:
        """How much of what a signal says makes the literal true, roughly: the less the better a guard."""
        if self.operator != "in":
            return 1
        return 3 if self.is_negated else 2 if self.kind is bool else 0


class Decision(NamedTuple):
    """What decides a condition."""

    literals: tuple[Literal, ...] = ()
    guard: tuple[Literal, ...] | None = None
    """One of them must hold; None where there is no such thing."""
    is_settled: bool = False
    """Nothing but the literals matters."""


def decision_of(
    source: str, constants: Mapping[str, object], signals: Iterable[str], fixed: Iterable[str] = ()
) -> Decision:
    """Analyse the strict source of a condition.

    `signals` are the locals that hold a signal's last known value, `fixed` those that never change for a
    vehicle.
    """
    reader = _Reader(constants, frozenset(signals), frozenset(fixed))
    return reader.read(ast.parse(source.strip(), mode="eval").body, is_negated=False)


class _Reader:
    def __init__(
        self, constants: Mapping[str, object], signals: frozenset[str], fixed: frozenset[str]
    ) -> None:
        self._constants = constants
        self._signals = signals
        self._fixed = fixed

    def read(self, node: ast.expr, *, is_negated: bool) -> Decision:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self.read(operand, is_negated=not is_negated)
            case ast.BoolOp(op=operator, values=values):
                terms = [self.read(value, is_negated=is_negated) for value in values]
                if isinstance(operator, ast.And) != is_negated:
                    return _joined(terms, _best(term.guard for term in terms))
                return _joined(terms, _either(term.guard for term in terms))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                asked = self.read(test, is_negated=False)
                other = self.read(test, is_negated=True)
                then, otherwise = (self.read(it, is_negated=is_negated) for it in (body, orelse))
                guard = None
                if asked.is_settled:  # a question that is an error makes an error of the whole
                    ways = (_best((asked.guard, then.guard)), _best((other.guard, otherwise.guard)))
                    guard = _either(ways)
                return _joined([asked, then, otherwise], guard)
        literal = self._literal(node, is_negated=is_negated)
        if literal is not None:
            return Decision((literal,), (literal,), is_settled=True)
        return Decision(is_settled=self._never_changes(node))

    def _literal(self, node: ast.expr, *, is_negated: bool) -> Literal | None:
        match node:
            case ast.Name(id=name) if name in self._signals:
                return Literal(name, "in", (not is_negated,))
            case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() as operator], comparators=[right]):
                if isinstance(left, ast.Name) and left.id in self._signals:
                    found = self._several(right)
                    is_not = isinstance(operator, ast.NotIn)
                    return None if found is None else Literal(left.id, "in", found, is_negated != is_not)
            case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OPERATORS:
                written = _OPERATORS[type(operator)]
                if isinstance(right, ast.Name) and right.id in self._signals:
                    left, right, written = right, left, _MIRRORED[written]
                if isinstance(left, ast.Name) and left.id in self._signals:
                    constant = self._constant(right)
                    return None if constant is None else _compared(left.id, written, constant, is_negated)
        return None

    def _several(self, node: ast.expr) -> tuple[float | str | bool, ...] | None:
        match node:
            case ast.Tuple(elts=elements):
                found = [self._constant(element) for element in elements]
            case ast.Name(id=name) if isinstance(listed := self._constants.get(name), frozenset):
                found = [_plain(item) for item in listed]
            case _:
                return None
        known = [item for item in found if item is not None]
        if not known or len(known) < len(found) or len({type(item) for item in known}) > 1:
            return None
        return tuple(sorted(known))

    def _constant(self, node: ast.expr) -> float | str | bool | None:
        match node:
            case ast.Constant(value=value):
                return _plain(value)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=float(value))):
                return -value
            case ast.Name(id=name):
                return _plain(self._constants.get(name))
        return None

    def _never_changes(self, node: ast.expr) -> bool:
        """Whether the node has one value for a vehicle, and no error."""
        match node:
            case ast.Constant():
                return True
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                return name in self._fixed and isinstance(right, ast.Constant)
            case ast.Compare(left=ast.Name(id=name), ops=[ast.In()], comparators=[right]):
                return name in self._fixed and self._several(right) is not None
        return False


def _compared(local: str, operator: str, constant: float | str | bool, is_negated: bool) -> Literal | None:
    if operator in ("==", "!="):
        return Literal(local, "in", (constant,), is_negated != (operator == "!="))
    if not isinstance(constant, float):
        return None
    return Literal(local, operator, (constant,), is_negated)


def _plain(value: object) -> float | str | bool | None:
    """A constant that values can be ordered or looked up by."""
    if isinstance(value, bool | str):
        return value
    return value if isinstance(value, float) and not math.isnan(value) else None


def _joined(terms: list[Decision], guard: tuple[Literal, ...] | None) -> Decision:
    literals = tuple(literal for term in terms for literal in term.literals)
    return Decision(literals, guard, all(term.is_settled for term in terms))


def _best(guards: Iterable[tuple[Literal, ...] | None]) -> tuple[Literal, ...] | None:
    """Of several that must all hold the one that does most rarely; the author's first among equals."""
    found = [guard for guard in guards if guard is not None]
    return min(found, key=_reach, default=None)


def _reach(guard: tuple[Literal, ...]) -> tuple[int, int]:
    return max((literal.reach for literal in guard), default=0), len(guard)


def _either(
    guards: Iterator[tuple[Literal, ...] | None] | tuple[tuple[Literal, ...] | None, ...],
) -> tuple[Literal, ...] | None:
    found = list(guards)
    known = [guard for guard in found if guard is not None]
    return tuple(literal for guard in known for literal in guard) if len(known) == len(found) else None
