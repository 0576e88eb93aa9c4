"""What the registry says of one vehicle: labels, which are texts, and attributes, which are values.

It is checked where it comes in, so that a condition meets a value of the type that it means, or none.
"""

import math
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import msgspec

from rules.engine.failures import StateFormatError
from rules.language import BOOL, DOUBLE, STRING, Type
from rules.language.registry import ATTRIBUTES, LABELS, fact_key

MOST_ENTRIES: Final = 100
"""Most labels, and most attributes, of one vehicle."""
LONGEST_TEXT: Final = 256
Attribute = float | bool | str

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,62}")
_FORMAT: Final = b"\x01"
_TYPES: Final[Mapping[type, Type]] = {str: STRING, bool: BOOL, float: DOUBLE}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class RegistrationError(Exception):
    """What is wrong with a registration, one sentence for each problem. It is not used at all."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Registration:
    """One vehicle's labels and attributes. `at` is the time of the record that said so, in milliseconds."""

    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    at: int = 0

    def facts(self) -> dict[str, object]:
        """The values by the keys under which expressions read them."""
        found: dict[str, object] = {
            _keys(LABELS, name, STRING)[0]: text for name, text in self.labels.items()
        }
        for name, value in self.attributes.items():
            found.update(dict.fromkeys(_keys(ATTRIBUTES, name, _TYPES[type(value)]), value))
        return found

    def pack(self) -> bytes:
        """As a part of a vehicle's state."""
        return _FORMAT + _encode((self.at, self.labels, self.attributes))

    @classmethod
    def unpack(cls, packed: bytes) -> "Registration":
        """What `pack` made. Raises StateFormatError."""
        if packed[:1] != _FORMAT:
            raise StateFormatError(f"a registration in format {packed[:1].hex() or 'none'}")
        try:
            at, labels, attributes = _decode(memoryview(packed)[1:])
        except (msgspec.DecodeError, ValueError) as error:
            raise StateFormatError(f"a registration: {error}") from error
        return cls(labels, attributes, at)


NOTHING: Final = Registration()
"""Of a vehicle that the registry does not have."""


def registration(labels: Mapping[str, Any], attributes: Mapping[str, Any], *, at: int = 0) -> Registration:
    """A checked registration. Raises RegistrationError with every problem."""
    problems = [*_problems("label", labels), *_problems("attribute", attributes)]
    if problems:
        raise RegistrationError(problems)
    return Registration(
        {sys.intern(name): text for name, text in labels.items()},
        {sys.intern(name): _value(value) for name, value in attributes.items()},
        at,
    )


def _value(value: Attribute | int) -> Attribute:
    return value if isinstance(value, bool | str) else float(value)


def _problems(kind: str, entries: Mapping[str, Any]) -> Iterator[str]:
    if len(entries) > MOST_ENTRIES:
        yield f"{len(entries)} {kind}s, at most {MOST_ENTRIES}"
        return
    for name, value in entries.items():
        if _NAME.fullmatch(name) is None:
            yield (
                f"the {kind} {name[:80]!r}: a name begins with a letter or _, and has at most 63 of letters, "
                "digits and _ . / -"
            )
        elif isinstance(value, str):
            if len(value) > LONGEST_TEXT:
                yield f"the {kind} {name!r} has {len(value)} characters, at most {LONGEST_TEXT}"
        elif kind == "label":
            yield f"the label {name!r} is {_said(value)}, a label is a string"
        elif not isinstance(value, bool) and not _is_number(value):
            yield f"the attribute {name!r} is {_said(value)}, an attribute is a number, a bool or a string"


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:
        return False


def _said(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return f"{'the bool' if isinstance(value, bool) else 'the number'} {str(value).lower()[:40]}"
    return "a list" if isinstance(value, list | tuple) else "an object"


@lru_cache(maxsize=4096)
def _keys(where: str, name: str, type_: Type) -> tuple[str, ...]:
    fact = f"{where}.{name}"
    return tuple(dict.fromkeys((fact, fact_key(fact, type_))))
