"""The types that a condition is checked with: what the catalog declares and what an expression yields."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Type:
    """A static type of CEL, such as double or map(string, list(int))."""

    name: str
    parameters: tuple["Type", ...] = ()

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(map(str, self.parameters))})"


Signature = tuple[tuple[Type, ...], Type]
"""Types of a function's parameters and of its result."""

BOOL: Final = Type("bool")
INT: Final = Type("int")
UINT: Final = Type("uint")
DOUBLE: Final = Type("double")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
NULL: Final = Type("null_type")
DURATION: Final = Type("duration")
TIMESTAMP: Final = Type("timestamp")
DYN: Final = Type("dyn")

NUMBERS: Final = frozenset({INT, UINT, DOUBLE})
SIMPLE: Final = frozenset({BOOL, INT, UINT, DOUBLE, STRING, BYTES, DURATION, TIMESTAMP})
"""Types whose values Python compares exactly as CEL does, both sides having the same one."""


def list_of(element: Type) -> Type:
    """Return the type of lists of `element`."""
    return Type("list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """Return the type of maps from `key` to `value`."""
    return Type("map", (key, value))


def type_of(type_: Type) -> Type:
    """Return the type of `type_` itself as a value."""
    return Type("type", (type_,))
