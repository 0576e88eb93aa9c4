"""Definitions: names for expressions and lists, usable in every expression of the rule set.

A named expression becomes a part of others as a tree, never as a text: docs/reuse.md says what follows.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rules.documents.closed import Closed, Document, Expression, Finding, Many, told
from rules.documents.diagnostics import Path, quote

MOST_DEFINITIONS = 1_000
MOST_PARAMETERS = 16

ValueType = Literal["double", "boolean", "string", "duration"]
"""What a parameter can be: a catalog's types as conditions see them, and durations."""
Scalar = bool | float | str


def written(value: Scalar) -> str:
    """Return a value as an author writes it, for a message: 5 for 5.0."""
    return f"{value:.15g}" if type(value) is float else quote(value)


class NamedParameter(Closed):
    """What a named expression is called with."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
    """One word."""
    type: ValueType = "double"
    """What it is called with."""


class NamedExpression(Closed):
    """An expression and the parameters that it is called with, in their order."""

    parameters: Annotated[Many[NamedParameter], told(maxItems=MOST_PARAMETERS)] = ()
    """What it is called with, in this order."""
    is_: Annotated[Expression, Field(alias="is")]
    """The expression, in CEL."""
    description: str | None = None
    """What it means."""

    elsewhere: ClassVar = {
        "condition": "is",
        "when": "is",
        "expression": "is",
        "expr": "is",
        "args": "parameters",
    }


class DefinitionsSpec(Closed):
    """See docs/reuse.md, which describes each field."""

    expressions: Annotated[dict[str, Expression | NamedExpression], told(maxProperties=MOST_DEFINITIONS)] = (
        Field(default_factory=dict)
    )
    """Expressions by their names, with or without parameters."""
    lists: Annotated[dict[str, Many[Scalar]], told(maxProperties=MOST_DEFINITIONS)] = Field(
        default_factory=dict
    )
    """Lists by their names, each of values of one type."""

    elsewhere: ClassVar = {"macros": "expressions", "conditions": "expressions", "list": "lists"}


class Definitions(Document):
    """Names that the rules of the set share; a set has as many of these documents as it likes."""

    kind: Literal["Definitions"] = "Definitions"
    spec: DefinitionsSpec

    def findings(self) -> Iterator[Finding]:
        """Yield lists of more than one type, and parameters that do not go together."""
        spec = self.spec
        for key, names in (("expressions", spec.expressions), ("lists", spec.lists)):
            if len(names) > MOST_DEFINITIONS:
                message = f"a document has at most {MOST_DEFINITIONS:,} of them, this one has {len(names):,}"
                yield Finding("TT023", ("spec", key), message, "split the document")
        for name, values in spec.lists.items():
            yield from _list_findings(values, ("spec", "lists", name))
        for name, each in spec.expressions.items():
            if isinstance(each, NamedExpression):
                yield from _parameters_findings(each, ("spec", "expressions", name, "parameters"))


def _list_findings(values: tuple[Scalar, ...], path: Path) -> Iterator[Finding]:
    for index, value in enumerate(values):
        if type(value) is not type(values[0]):
            message = f"{written(value)} is of another type than {written(values[0])}"
            yield Finding("TT092", (*path, index), message, "quotes make a text, no quotes a number")
            return


def _parameters_findings(each: NamedExpression, path: Path) -> Iterator[Finding]:
    names = [parameter.name for parameter in each.parameters]
    if len(names) > MOST_PARAMETERS:
        message = f"an expression has at most {MOST_PARAMETERS} parameters, this one has {len(names)}"
        yield Finding("TT091", path, message, "name parts of it")
    for index, name in enumerate(names):
        if name in names[:index]:
            message = f"another parameter has the name {quote(name)}"
            yield Finding("TT091", (*path, index, "name"), message, "give each a name of its own")
