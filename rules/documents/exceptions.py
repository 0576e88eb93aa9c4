"""Exceptions of a rule, as data: the rule says by which fields it may be excepted, others for which values.

Falco's idea. Whoever operates a rule adds rows and touches no condition; whoever maintains it knows what can
be excepted, and nothing else.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rules.documents.adaptable import Adaptable
from rules.documents.closed import Closed, Expression, Finding, Many, told
from rules.documents.definitions import Scalar
from rules.documents.diagnostics import Path, quote

MOST_EXCEPTIONS = 16
MOST_FIELDS = 8

Comparison = Literal["==", "in", "<", "<=", ">", ">=", "startsWith", "endsWith"]
Row = Scalar | Many[Scalar | Many[Scalar]]
"""A value; for several fields, a list with one for each, where `in` has a list of its own."""


class RuleException(Closed):
    """Where every field compares with the values of one row, the rule does not hold."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
    """By which Adaptations add rows."""
    fields: Annotated[Many[Expression], told(minItems=1, maxItems=MOST_FIELDS)]
    """Expressions, one for each column of a row."""
    comparisons: Many[Comparison] = ()
    """One for each field; without them each is `==`."""
    values: Many[Row] = ()
    """Rows: where all columns compare, the rule does not hold."""
    description: str | None = None
    """Why there are exceptions."""

    elsewhere: ClassVar = {
        "comps": "comparisons",
        "rows": "values",
        "field": "fields",
        "comparison": "comparisons",
    }

    def cells(self, row: Row) -> tuple[Scalar | tuple[Scalar, ...], ...]:
        """Return what each field is compared with."""
        return row if len(self.fields) > 1 and isinstance(row, tuple) else (row,)  # type: ignore[return-value]

    def row_problem(self, row: Row) -> str | None:
        """Say why `row` is none of this exception's; None if it is one."""
        count = len(self.fields)
        if count == 1:
            return None if not isinstance(row, tuple) else "a row of one field is one value, without a list"
        if not isinstance(row, tuple) or len(row) != count:
            return f"a row is a list of {count} values, one for each field"
        for field, comparison, cell in zip(self.fields, self.each_comparison, row, strict=True):
            if isinstance(cell, tuple) != (comparison == "in"):
                wanted = "a list of values" if comparison == "in" else "one value"
                return f"{quote(field)} is compared by {comparison} with {wanted}"
        return None

    @property
    def each_comparison(self) -> tuple[Comparison, ...]:
        """The comparisons, one for each field."""
        every: tuple[Comparison, ...] = ("==",)
        count = len(self.fields)
        return self.comparisons if len(self.comparisons) == count else every * count


class Exceptable(Adaptable):
    """The part of a `spec` that is the same for every kind of rule with a condition."""

    exceptions: Annotated[Many[RuleException], told(maxItems=MOST_EXCEPTIONS)] = ()
    """Where the rule does not hold, as data that others may add to."""

    def adaptable_findings(self) -> Iterator[Finding]:
        """Yield faults of the parameters and of the exceptions."""
        yield from super().adaptable_findings()
        yield from _findings(self.exceptions)


def _findings(exceptions: tuple[RuleException, ...]) -> Iterator[Finding]:
    """Yield exceptions that do not hold together."""
    path: Path = ("spec", "exceptions")
    if len(exceptions) > MOST_EXCEPTIONS:
        message = f"a rule has at most {MOST_EXCEPTIONS} exceptions, this one has {len(exceptions)}"
        yield Finding("TT094", path, message, "one exception has as many rows as you like")
    names: set[str] = set()
    for index, each in enumerate(exceptions):
        at = (*path, index)
        if each.name in names:
            message = f"another exception has the name {quote(each.name)}"
            yield Finding("TT094", (*at, "name"), message, "give each a name of its own")
        names.add(each.name)
        if not 1 <= len(each.fields) <= MOST_FIELDS:
            message = f"an exception has 1 to {MOST_FIELDS} fields, this one has {len(each.fields)}"
            yield Finding("TT094", (*at, "fields"), message, "for example: fields: [vehicle.id]")
        elif each.comparisons and len(each.comparisons) != len(each.fields):
            message = f"{len(each.fields)} fields and {len(each.comparisons)} comparisons"
            yield Finding("TT094", (*at, "comparisons"), message, "one for each field, or none: == for all")
        else:
            for number, row in enumerate(each.values):
                problem = each.row_problem(row)
                if problem is not None:
                    yield Finding("TT094", (*at, "values", number), problem, _example(each))


def _example(each: RuleException) -> str:
    cells = ["[a, b]" if comparison == "in" else "a" for comparison in each.each_comparison]
    return f"for example: values: [{cells[0] if len(cells) == 1 else '[' + ', '.join(cells) + ']'}]"
