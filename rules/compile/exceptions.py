"""A rule's exceptions, compiled: one more part of its condition, most often a look into a set.

An exception holds only where it is known to: a vehicle that does not say by what it would be excepted is not.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.compile.parts import Part, Path
from rules.documents import RuleException, Scalar, quote, written
from rules.language import (
    BOOL,
    CERTAIN,
    DOUBLE,
    DYN,
    STRING,
    Compiled,
    Environment,
    Grafting,
    Named,
    Type,
    list_of,
)
from rules.language.tree import ListNode, Literal, Node

_TYPES = {DOUBLE: float, BOOL: bool, STRING: str}
_WORDS = {DOUBLE: "a number", BOOL: "true or false", STRING: "a text"}
_OPERATORS = {"==": "_==_", "<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_"}
_FOR: Mapping[str, tuple[Type, ...]] = {
    **dict.fromkeys(("<", "<=", ">", ">="), (DOUBLE, STRING)),
    **dict.fromkeys(("startsWith", "endsWith"), (STRING,)),
}
"""The types that some comparisons want."""


@dataclass(frozen=True, slots=True)
class _Excepted:
    """One exception with its fields checked."""

    exception: RuleException
    fields: Sequence[Named]

    def holds(self, grafting: Grafting) -> Node:
        """A condition that holds for the rows of the exception."""
        fields = [grafting.grow(field.tree) for field in self.fields if field.tree is not None]
        rows = [self.exception.cells(row) for row in self.exception.values]
        comparisons = self.exception.each_comparison
        if len(fields) == 1 and comparisons[0] in ("==", "in"):
            values = tuple(Literal(0, value) for value in dict.fromkeys(row[0] for row in rows))
            return grafting.call("@in", fields[0], grafting.listed(values, list_of(self.fields[0].type)))
        if all(comparison == "==" for comparison in comparisons):
            listed = tuple(
                ListNode(0, tuple(Literal(0, cell) for cell in row)) for row in dict.fromkeys(rows)
            )
            key = grafting.listed(tuple(fields), list_of(DYN))
            return grafting.call("@in", key, grafting.listed(listed, list_of(list_of(DYN))))
        return _balanced(
            grafting,
            "_||_",
            [
                _balanced(
                    grafting,
                    "_&&_",
                    [
                        _compared(grafting, field, named.type, comparison, cell)
                        for field, named, comparison, cell in zip(
                            fields, self.fields, comparisons, row, strict=True
                        )
                    ],
                )
                for row in rows
            ],
        )

    @property
    def is_always_known(self) -> bool:
        """Whether its fields are always known: every vehicle has an id."""
        return all(
            field.tree is not None and getattr(field.tree.root, "name", "") == "vehicle.id"
            for field in self.fields
        )


def _compared(grafting: Grafting, field: Node, type_: Type, comparison: str, cell: Any) -> Node:
    if comparison == "in":
        values = tuple(Literal(0, value) for value in dict.fromkeys(cell))
        return grafting.call("@in", field, grafting.listed(values, list_of(type_)))
    return grafting.call(_OPERATORS.get(comparison, comparison), field, grafting.literal(cell, type_))


def _balanced(grafting: Grafting, operator: str, nodes: Sequence[Node]) -> Node:
    """Join nodes by an operator, as flat a tree as there is."""
    if len(nodes) == 1:
        return nodes[0]
    middle = len(nodes) // 2
    left, right = (_balanced(grafting, operator, half) for half in (nodes[:middle], nodes[middle:]))
    return grafting.call(operator, left, right)


class Exceptions:
    """All exceptions of one rule that have rows."""

    def __init__(self, part: Part, environment: Environment, kinds: Collection[str] | None = None) -> None:
        """Check them in `environment`; what is wrong is noted in the part.

        `kinds` are the kinds of reads that a field may have; None for all.
        """
        self._part = part
        self._kinds = kinds
        self._excepted: list[_Excepted] = []
        for index, exception in enumerate(part.placed.document.spec.exceptions):
            path: Path = ("spec", "exceptions", index)
            fields = [
                self._field(environment, exception, number, (*path, "fields", number))
                for number in range(len(exception.fields))
            ]
            known = [field for field in fields if field is not None]
            is_right = len(known) == len(fields) and not any(map(exception.row_problem, exception.values))
            if is_right and _fits(part, exception, known, path) and exception.values:
                self._excepted.append(_Excepted(exception, known))

    def _field(
        self, environment: Environment, exception: RuleException, number: int, path: Path
    ) -> Named | None:
        """Check one field; what a vehicle's attribute is follows from what it is compared with."""
        text = exception.fields[number]
        expect = _first_type(exception, number)
        defined = environment.define("field", text)
        if isinstance(defined, Named) and defined.type == DYN and expect is not None:
            defined = environment.define("field", text, expect=expect)
        if isinstance(defined, list):
            self._part.find_problems(defined, path)
            return None
        if defined.type not in _TYPES and (defined.type != DYN or expect is not None):
            message = f"a field is a number, a boolean or a text, this is a {defined.type}"
            self._part.find("TT104", path, message, hint="for example: vehicle.id")
            return None
        compiled = environment.compile(text)
        reads = compiled.reads if isinstance(compiled, Compiled) else ()
        for read in reads:
            if self._kinds is not None and read.kind not in self._kinds:
                message = f"an exception of this kind of rule cannot be by {quote(text)}"
                self._part.find("TT248", path, message, hint="take a signal, or vehicle.id")
                return None
        return defined

    def __bool__(self) -> bool:
        return bool(self._excepted)

    def unless(self, environment: Environment, text: str, path: Path) -> Compiled | None:
        """Compile a condition that does not hold where an exception does."""

        def grow(grafting: Grafting, root: Node) -> Node:
            return grafting.call("_&&_", root, grafting.call("!_", self._hold(grafting)))

        return self._part.expression(environment, text, path, BOOL, grow=grow)

    def or_where(self, environment: Environment, text: str, path: Path) -> Compiled | None:
        """Compile a condition that holds where an exception does, too."""

        def grow(grafting: Grafting, root: Node) -> Node:
            return grafting.call("_||_", root, self._hold(grafting))

        return self._part.expression(environment, text, path, BOOL, grow=grow)

    def _hold(self, grafting: Grafting) -> Node:
        held = [
            each.holds(grafting) if each.is_always_known else grafting.call(CERTAIN, each.holds(grafting))
            for each in self._excepted
        ]
        return _balanced(grafting, "_||_", held)


def _first_type(exception: RuleException, number: int) -> Type | None:
    """The type of what the first row has for a field."""
    if not exception.values or exception.row_problem(exception.values[0]) is not None:
        return None
    cell: Any = exception.cells(exception.values[0])[number]
    cell = cell[0] if isinstance(cell, tuple) and cell else cell
    return next((type_ for type_, python in _TYPES.items() if type(cell) is python), None)


def _fits(part: Part, exception: RuleException, fields: Sequence[Named], path: Path) -> bool:
    """Whether all values, and the comparisons, are of the fields' types."""
    is_right = True
    for number, row in enumerate(exception.values):
        for place, field, text, value in _values(exception, fields, row):
            if type(value) is not _TYPES.get(field.type):
                message = f"{written(value)} is not {_WORDS.get(field.type, 'a value')}, as {quote(text)} is"
                at = (*path, "values", number, *place)
                part.find("TT248", at, message, hint="quotes make a text, no quotes a number")
                is_right = False
    for index, (field, comparison) in enumerate(zip(fields, exception.each_comparison, strict=True)):
        if comparison in _FOR and field.type not in (*_FOR[comparison], DYN):
            message = f"{comparison} does not compare with {_WORDS[field.type]}"
            part.find("TT248", (*path, "comparisons", index), message, hint="use == or in")
            is_right = False
    return is_right


def _values(
    exception: RuleException, fields: Sequence[Named], row: Any
) -> Iterator[tuple[Path, Named, str, Scalar]]:
    """Each value of a row with its place in it, and the field that it is compared with."""
    cells = exception.cells(row)
    for index, (field, text, cell) in enumerate(zip(fields, exception.fields, cells, strict=True)):
        place: Path = () if len(fields) == 1 else (index,)
        if isinstance(cell, tuple):
            for number, value in enumerate(cell):
                yield (*place, number), field, text, value
        else:
            yield place, field, text, cell
