"""The official CEL front end: the only importer of cel_expr_python.

It parses, and it checks types against declared variables and functions; it never evaluates here. Its tree
leaves as bytes for `tree.read`, its complaints as plain records with a 1-based line and column.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

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
from rules.language.history import FENCE_OVERLOADS, OVERLOADS
from rules.language.windows import PARAMETERS

_TYPES: Final = {
    BOOL: cel.Type.BOOL,
    INT: cel.Type.INT,
    UINT: cel.Type.UINT,
    DOUBLE: cel.Type.DOUBLE,
    STRING: cel.Type.STRING,
    BYTES: cel.Type.BYTES,
    NULL: cel.Type.NULL,
    DURATION: cel.Type.DURATION,
    TIMESTAMP: cel.Type.TIMESTAMP,
    DYN: cel.Type.DYN,
}
_COMPLAINT: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")


@dataclass(frozen=True, slots=True)
class Complaint:
    """What the front end said, in its own words; without a place line and column are 1."""

    line: int
    column: int
    text: str


class FrontEnd:
    """A parser and checker for one set of declared variables, and of functions beside the language's."""

    def __init__(
        self, variables: Mapping[str, Type], functions: Mapping[str, Signature] | None = None
    ) -> None:
        self._environment = _environment(tuple(variables.items()), tuple((functions or {}).items()))

    def parse(self, text: str) -> bytes | list[Complaint]:
        """Return the tree without types, serialised, or the syntax errors."""
        return self._compile(text, disable_check=True)

    def check(self, text: str) -> bytes | list[Complaint]:
        """Return the tree with types and resolved names, serialised, or every error."""
        return self._compile(text, disable_check=False)

    def _compile(self, text: str, *, disable_check: bool) -> bytes | list[Complaint]:
        try:
            expression = self._environment.compile(text, disable_check=disable_check)
        except (RuntimeError, ValueError, LookupError) as error:
            return _complaints(str(error))
        serialised: bytes = expression.serialize()
        return serialised


# Environments are immutable and cost 64 ms with all of VSS: many rules share few of them.
@lru_cache(maxsize=32)
def _environment(
    variables: tuple[tuple[str, Type], ...], defined: tuple[tuple[str, Signature], ...] = ()
) -> Any:
    functions = [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(f"{name}_{argument.name}", foreign(result), [foreign(argument)], False, None)
                for argument, result in overloads
            ],
        )
        for name, overloads in OVERLOADS.items()
    ]
    functions += [
        cel.FunctionDecl(
            name,
            [
                cel.Overload(
                    f"defined_{name}", foreign(result), [foreign(type_) for type_ in types], False, None
                )
            ],
        )
        for name, (types, result) in defined
    ]
    functions += [
        cel.FunctionDecl(
            name, [cel.Overload(f"{name}_fence", foreign(result), [foreign(STRING)], False, None)]
        )
        for name, result in FENCE_OVERLOADS.items()
    ]
    functions += [
        cel.FunctionDecl(
            name,
            [cel.Overload(f"{name}_window", foreign(DOUBLE), [*map(foreign, parameters)], False, None)],
        )
        for name, parameters in PARAMETERS.items()
    ]
    return cel.NewEnv(
        variables={name: foreign(type_) for name, type_ in variables},
        extensions=[ext_strings.ExtStrings()],
        functions=functions,
    )


def foreign(type_: Type) -> Any:
    """Return the front end's own object for `type_`."""
    if type_.name == "list":
        return cel.Type.List(foreign(type_.parameters[0]))
    if type_.name == "map":
        return cel.Type.Map(foreign(type_.parameters[0]), foreign(type_.parameters[1]))
    return _TYPES[type_]


def _complaints(text: str) -> list[Complaint]:
    found = {
        Complaint(max(1, int(line)), max(1, int(column)), words): None
        for line, column, words in _COMPLAINT.findall(re.sub(r" \[[A-Z_]+\]$", "", text))
    }
    return list(found) or [Complaint(1, 1, text)]
