"""Functions that look at one signal's past: prev, changed, delta, rate, age; and where the vehicle is.

They take the name of a signal, not an expression: each is a value that the engine keeps per vehicle and
hands in beside the signals. Those over many samples are in `windows`.
"""

from collections.abc import Mapping
from typing import Final

from rules.language.declarations import BOOL, DOUBLE, DURATION, DYN, STRING, Type

OVERLOADS: Final[Mapping[str, tuple[tuple[Type, Type], ...]]] = {
    "prev": ((DOUBLE, DOUBLE), (BOOL, BOOL), (STRING, STRING)),
    "changed": ((DYN, BOOL),),
    "delta": ((DOUBLE, DOUBLE),),
    "rate": ((DOUBLE, DOUBLE),),
    "age": ((DYN, DURATION),),
}
"""Name -> (type of the signal, type of the result), one pair an overload."""

PREFIXES: Final[Mapping[str, str]] = {
    "value": "s",
    "prev": "p",
    "changed": "c",
    "delta": "d",
    "rate": "r",
    "age": "a",
    "window": "w",
    "local": "l",
    "fence": "g",
    "fact": "v",
}
"""Kind of a read -> first letter of the Python local that holds it."""

FENCE_OVERLOADS: Final[Mapping[str, Type]] = {"inside": BOOL, "distance": DOUBLE}
"""Functions of a fence's name -> type of the result: `inside("depot-1")`, `distance("depot-1")` in metres."""


def fence_read(function: str, fence: str) -> str:
    """The name under which the engine keeps what a function says of a fence, as it keeps a signal's value."""
    return f'{function}("{fence}")'
