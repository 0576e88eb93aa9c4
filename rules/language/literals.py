"""Integer literals in numeric positions become doubles: `speed > 120` is what authors write.

CEL refuses to mix int and double, and every numeric signal is a double. So, before the check, the type that
each integer literal must have is inferred by unification over the tree without types: it stays an int where
an int is asked for (an index, a map's key, arithmetic with `size()` or `int(...)`, an argument that counts)
and is a double everywhere else, `7 / 2` included. The text is then rewritten, `120` to `120.0`, and the
official checker has the last word on it. The same inference gives attributes of the vehicle their types: the
registry declares none. Where the inference does not understand it leaves the literal's
default; the worst outcome is the checker's complaint.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rules.language.declarations import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Signature,
    Type,
)
from rules.language.names import Scope, dotted, resolve
from rules.language.registry import is_whole_fact, type_of_label
from rules.language.tree import (
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    Select,
    Tree,
)
from rules.language.values import Uint
from rules.language.windows import PARAMETERS as WINDOWS

_LITERAL: Final = re.compile(r"-?\s*(0[xX][0-9a-fA-F]+|[0-9]+)(?![0-9a-zA-Z.])")

_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_RESULTS: Final[Mapping[str, Type]] = {
    **dict.fromkeys(
        ("size", "int", "indexOf", "lastIndexOf", "getFullYear", "getMonth", "getDate", "getDayOfMonth"), INT
    ),
    **dict.fromkeys(
        ("getDayOfWeek", "getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds"), INT
    ),
    **dict.fromkeys(
        ("_&&_", "_||_", "!_", "contains", "startsWith", "endsWith", "matches", "bool", "changed", "inside"),
        BOOL,
    ),
    **dict.fromkeys(
        ("string", "charAt", "lowerAscii", "upperAscii", "trim", "replace", "substring", "join"), STRING
    ),
    **dict.fromkeys(("format", "reverse"), STRING),
    **dict.fromkeys(("double", "delta", "rate", "distance", *WINDOWS), DOUBLE),
    **dict.fromkeys(("duration", "age"), DURATION),
    "timestamp": TIMESTAMP,
    "uint": UINT,
    "bytes": BYTES,
    "split": Type("list", (STRING,)),
}
_COUNTING: Final = frozenset({"charAt", "substring", "indexOf", "lastIndexOf", "split", "replace"})


class _Variable:
    """A type not known yet; `numeric` ones stand for literals and can only become int or double."""

    __slots__ = ("bound", "numeric")

    def __init__(self, *, numeric: bool = False) -> None:
        self.bound: _Term | None = None
        self.numeric = numeric


@dataclass(frozen=True, slots=True)
class _Container:
    name: str
    parameters: tuple["_Term", ...]


_Term = Type | _Variable | _Container


@dataclass(frozen=True, slots=True)
class Promoted:
    """The text with its literals promoted, and the way back from a place in it to the author's."""

    text: str
    facts: Mapping[str, Type]
    """Labels and attributes that the text names by a dot, with the types that they must have."""
    _at: tuple[int, ...]
    _shifts: tuple[int, ...]

    def origin(self, offset: int) -> int:
        """Return the offset in the author's text of an offset in `text`."""
        index = bisect_right(self._at, offset) - 1
        return offset if index < 0 else max(0, offset - self._shifts[index])


def promote(
    text: str,
    tree: Tree,
    variables: Mapping[str, Type],
    *,
    defined: Mapping[str, Signature] | None = None,
    expect: Type | None = None,
) -> Promoted:
    """Rewrite the integer literals of `text` that stand in numeric positions.

    `defined` are functions of the author's own; they take no ints. `expect` is the type of the whole, if it
    is asked for.
    """
    inference = _Inference(variables, defined or {})
    result = inference.infer(tree.root, {})
    if expect is not None:
        _unify(result, expect)
    parts: list[str] = []
    done = length = 0
    at: list[int] = []
    shifts: list[int] = []
    places = sorted(
        (tree.offsets[node.id], node.value) for node in inference.doubles() if node.id in tree.offsets
    )
    for offset, value in places:
        match = _LITERAL.match(text, offset)
        if match is None or offset < done:
            continue
        digits = match.group(1)
        written = int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits)
        if value not in (written, -written):
            continue  # a macro's own literal that shares its place with something else
        before = text[done : match.start(1)]
        parts += before, f"{written}.0"
        length += len(before) + len(parts[-1])
        done = match.end(1)
        at.append(length)
        shifts.append(length - done)
    parts.append(text[done:])
    return Promoted("".join(parts), inference.facts(), tuple(at), tuple(shifts))


class _Inference:
    def __init__(self, variables: Mapping[str, Type], defined: Mapping[str, Signature]) -> None:
        self._variables = variables
        self._defined = defined
        self._literals: list[tuple[Literal, _Variable]] = []
        self._facts: dict[str, _Term] = {}

    def facts(self) -> dict[str, Type]:
        return {name: _type_of_fact(_find(term)) for name, term in self._facts.items()}

    def doubles(self) -> Iterable[Literal]:
        return (node for node, variable in self._literals if _find(variable) != INT)

    def infer(self, node: Node, scope: Scope) -> _Term:
        match node:
            case Literal(value=value):
                return self._literal(node, value)
            case Ident() | Select():
                return self._name(node, scope)
            case ListNode(elements=elements):
                return _Container("list", (self._same(elements, scope),))
            case MapNode(entries=entries):
                key = self._same([key for key, _ in entries], scope)
                _keep_ints(key)
                return _Container("map", (key, self._same([value for _, value in entries], scope)))
            case Call():
                return self._call(node, scope)
            case Comprehension():
                return self._comprehension(node, scope)
        return _Variable()

    def _literal(self, node: Literal, value: object) -> _Term:
        if type(value) is int:
            variable = _Variable(numeric=True)
            self._literals.append((node, variable))
            return variable
        for kind, type_ in ((bool, BOOL), (Uint, UINT), (float, DOUBLE), (str, STRING), (bytes, BYTES)):
            if isinstance(value, kind):
                return type_
        return NULL

    def _name(self, node: Node, scope: Scope) -> _Term:
        found = resolve(node, self._variables, scope)
        if found is not None:
            return found.term  # type: ignore[return-value]
        name = dotted(node)
        if name is not None and is_whole_fact(name) and name.split(".", 1)[0] not in scope:
            return self._facts.setdefault(name, type_of_label(name) or _Variable())
        if isinstance(node, Select):
            operand = _find(self.infer(node.operand, scope))
            if node.test_only:
                return BOOL
            if isinstance(operand, _Container) and operand.name == "map":
                return operand.parameters[1]
        return _Variable()

    def _same(self, nodes: Iterable[Node], scope: Scope) -> _Term:
        common: _Term = _Variable()
        for node in nodes:
            _unify(common, self.infer(node, scope))
        return common

    def _call(self, node: Call, scope: Scope) -> _Term:
        name = node.function
        terms = [self.infer(argument, scope) for argument in node.args]
        match name, terms:
            case ("_+_" | "_-_" | "_*_" | "_/_", [left, right]):
                return _arithmetic(left, right)
            case "_%_", [left, right]:
                for term in terms:
                    if _find(term) != UINT:
                        _unify(term, INT)
                return _find(left)
            case ("-_", [operand]):
                return operand
            case ("_&&_" | "_||_" | "!_", _):
                for term in terms:
                    _unify(term, BOOL)
                return BOOL
            case ("contains" | "startsWith" | "endsWith" | "matches", _):
                for term in terms:
                    _unify(term, STRING)
                return BOOL
            case ("_?_:_", [condition, left, right]):
                _unify(condition, BOOL)
                _unify(left, right)
                return left
            case ("@in", [left, right]):
                container = _find(right)
                if isinstance(container, _Container):
                    _unify(left, container.parameters[0])
                return BOOL
            case ("_[_]", [operand, index]):
                container = _find(operand)
                if isinstance(container, _Container) and container.name == "map":
                    _unify(index, container.parameters[0])
                    return container.parameters[1]
                _unify(index, INT)
                return container.parameters[0] if isinstance(container, _Container) else _Variable()
            case ("prev", [operand]):
                return operand
            case ("dyn" | "type", [operand]):
                _keep_ints(operand)
                return DYN if name == "dyn" else _Variable()
        if name in _COMPARISONS and len(terms) == 2:
            _unify(terms[0], terms[1])
            return BOOL
        if (
            name in ("int", "uint", "double", "string", "timestamp")
            and node.args
            and (isinstance(node.args[0], Literal))
        ):
            _unify(terms[0], INT)
        if name in _COUNTING:
            for term in terms[1:]:
                if isinstance(_find(term), _Variable):
                    _unify(term, INT)
        if not node.member and name in self._defined:
            wanted, result = self._defined[name]
            for term, type_ in zip(terms, wanted, strict=False):
                _unify(term, type_)
            return result
        return _RESULTS.get(name) or _Variable()

    def _comprehension(self, node: Comprehension, scope: Scope) -> _Term:
        container = _find(self.infer(node.range, scope))
        element = container.parameters[0] if isinstance(container, _Container) else _Variable()
        accumulator = self.infer(node.start, scope)
        inner = {**scope, node.variable: element, node.accumulator: accumulator}
        self.infer(node.condition, inner)
        _unify(accumulator, self.infer(node.step, inner))
        return self.infer(node.result, inner)


def _arithmetic(left: _Term, right: _Term) -> _Term:
    first, second = _find(left), _find(right)
    if TIMESTAMP in (first, second) or DURATION in (first, second):
        both = first == second == TIMESTAMP
        return DURATION if both or TIMESTAMP not in (first, second) else TIMESTAMP
    if first == DYN or second == DYN:
        return DYN
    _unify(first, second)
    return first


def _find(term: _Term) -> _Term:
    while isinstance(term, _Variable) and term.bound is not None:
        term = term.bound
    if isinstance(term, Type) and term.name in ("list", "map"):
        return _Container(term.name, term.parameters)
    return term


def _unify(left: _Term, right: _Term) -> None:
    first, second = _find(left), _find(right)
    if first is second:
        return
    if not isinstance(first, _Variable):
        first, second = second, first
    if isinstance(first, _Variable):
        if isinstance(second, _Variable):
            second.numeric = second.numeric or first.numeric
        elif second == DYN or (first.numeric and second not in (INT, DOUBLE)):
            return
        first.bound = second
    elif isinstance(first, _Container) and isinstance(second, _Container) and first.name == second.name:
        for ours, theirs in zip(first.parameters, second.parameters, strict=True):
            _unify(ours, theirs)


def _type_of_fact(term: _Term) -> Type:
    """An attribute is a double where a number is wanted; dyn where nothing tells what is."""
    if isinstance(term, _Variable):
        return DOUBLE if term.numeric else DYN
    if term == INT:
        return DOUBLE
    return term if isinstance(term, Type) and term in (BOOL, DOUBLE, STRING) else DYN


def _keep_ints(term: _Term) -> None:
    """Whatever is still open in `term` stays the integer that was written."""
    found = _find(term)
    if isinstance(found, _Variable) and found.numeric:
        found.bound = INT
    elif isinstance(found, _Container):
        for parameter in found.parameters:
            _keep_ints(parameter)
