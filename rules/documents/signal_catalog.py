"""SignalCatalog: the names that rules may use, and where a message's payload holds them.

VSS names and datatypes are the vocabulary. A path is a list of JSON keys; `pos.lat` is short for two of them,
and a key that itself holds dots, spaces or brackets is written as an item of a list: `["VEHICLE_SPEED ()"]`.
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from rules.documents.closed import Closed, Document, Finding, Many, told
from rules.documents.diagnostics import quote
from rules.documents.durations import UNITS, Duration
from rules.documents.reserved_words import RESERVED_WORDS

Datatype = Literal[
    "double",
    "float",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "boolean",
    "string",
]
DATATYPES: tuple[str, ...] = get_args(Datatype)
INTEGER_RANGES: dict[str, tuple[int, int]] = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
}
NUMERIC = frozenset({"double", "float", *INTEGER_RANGES})

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SIGNAL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*\Z")
_LONGEST_NAME = 200
MOST_SIGNALS = 10_000


def _path(value: Any) -> Any:
    if isinstance(value, str):
        value = value.split(".")
    if isinstance(value, list | tuple) and all(isinstance(key, str) for key in value):
        if value and all(value):
            return tuple(value)
        raise PydanticCustomError("path", "a path is made of keys that are not empty")
    raise PydanticCustomError("path", "a path is a text like pos.lat, or a list of keys that are texts")


PayloadPath = Annotated[
    Many[str],
    BeforeValidator(_path, json_schema_input_type=str | list[str]),
]
"""The keys to follow from the payload's root."""


class Timestamp(Closed):
    """Where the event time stands, and how it is written."""

    path: PayloadPath
    """Where it stands."""
    format: Literal["unixMillis", "unixSeconds", "rfc3339"] = "unixMillis"
    """How it is written."""


class Sequence(Closed):
    """Where a number stands that the vehicle raises with every message: duplicates are recognised by it."""

    path: PayloadPath
    """Where it stands."""


class Position(Closed):
    """Where the place stands: degrees on WGS 84; `accuracy` in metres."""

    latitude: PayloadPath
    """Where it stands."""
    longitude: PayloadPath
    """Where it stands."""
    accuracy: PayloadPath | None = None
    """Where it stands, in metres."""


class Signal(Closed):
    """One signal; without `path` its whole name is one key at the payload's root."""

    path: PayloadPath | None = None
    """Where it stands; left out: under its name."""
    type: Datatype = "double"
    """As in VSS."""
    unit: str | None = None
    """For the linter and for people."""
    min: float | None = None
    """The least; what is below is dropped."""
    max: float | None = None
    """The most; what is above is dropped."""
    allowed: Annotated[Many[str | int | float] | None, told(minItems=1)] = None
    """Every value that it has."""
    alias: Annotated[str | None, told(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", maxLength=200)] = None
    """A second, shorter name."""
    stale_after_ms: Duration | None = None
    """So old it is unknown."""
    description: str | None = None
    """What it is."""


class Label(Closed):
    """A text that the registry has of vehicles."""

    allowed: Many[str] | None = None
    """Every text that it has."""
    description: str | None = None
    """What it is."""


class Attribute(Closed):
    """A value that the registry has of vehicles."""

    type: Literal["number", "bool", "string"] = "number"
    """What it holds."""
    unit: str | None = None
    """For the linter and for people."""
    description: str | None = None
    """What it is."""


class VehicleFacts(Closed):
    """What the registry may say; the linter warns of other names."""

    labels: dict[str, Label] = Field(default_factory=dict)
    """Labels by their names."""
    attributes: dict[str, Attribute] = Field(default_factory=dict)
    """Attributes by their names."""


class PayloadKey(Closed):
    """One key of a command's payload."""

    type: Literal["number", "bool", "string", "list", "object"] = "number"
    """What it holds."""
    min: float | None = None
    """The least, of a number."""
    max: float | None = None
    """The most, of a number."""
    required: bool = False
    """Whether it has to be there."""
    description: str | None = None
    """What it is."""


class Command(Closed):
    """A command that the fleet's vehicles know."""

    payload: dict[str, PayloadKey] = Field(default_factory=dict)
    """The keys of its payload."""
    description: str | None = None
    """What the vehicle does."""


class SignalCatalogSpec(Closed):
    """See docs/rules.md, which describes each field."""

    timestamp: Timestamp
    """Where a message has its time."""
    sequence: Sequence | None = None
    """Where a message has its number."""
    position: Position | None = None
    """Where a message has the place."""
    strict: bool = False
    """True: a message with a wrong signal is a dead letter."""
    max_past_ms: Duration = 30 * UNITS["d"]
    """A message older than this is a dead letter."""
    signals: Annotated[dict[str, Signal], told(maxProperties=MOST_SIGNALS)]
    """Each signal under its name."""
    vehicle: VehicleFacts | None = None
    """Labels and attributes that the registry has."""
    commands: dict[str, Command] | None = None
    """Commands that vehicles obey; the linter warns of others."""


class DecoderPath(NamedTuple):
    """What a decoder needs of one signal; `minimum` and `maximum` are the narrower of range and datatype."""

    name: str
    keys: tuple[str, ...]
    type: Datatype
    minimum: float | None
    maximum: float | None
    allowed: frozenset[str | int | float] | None


class SignalCatalog(Document):
    """The vocabulary of one rule set."""

    kind: Literal["SignalCatalog"] = "SignalCatalog"
    spec: SignalCatalogSpec

    @property
    def aliases(self) -> dict[str, str]:
        """The signal's name for each alias."""
        return {signal.alias: name for name, signal in self.spec.signals.items() if signal.alias is not None}

    def decoder_paths(self) -> tuple[DecoderPath, ...]:
        """Return, for each signal in the catalog's order, where it stands and what is accepted there."""
        return tuple(_decoder_path(name, signal) for name, signal in self.spec.signals.items())

    def findings(self) -> Iterator[Finding]:
        """Yield faults of names, aliases, ranges and paths."""
        if len(self.spec.signals) > MOST_SIGNALS:
            message = (
                f"a catalog has at most {MOST_SIGNALS:,} signals, this one has {len(self.spec.signals):,}"
            )
            yield Finding("TT023", ("spec", "signals"), message, "name those that rules read")
        aliases: dict[str, str] = {}
        paths: dict[tuple[str, ...], str] = {}
        for name, signal in self.spec.signals.items():
            path = ("spec", "signals", name)
            yield from _name_findings(name, path)
            yield from _range_findings(signal, path)
            if signal.alias is not None:
                yield from _alias_findings(signal.alias, (*path, "alias"), self.spec.signals, aliases)
                aliases.setdefault(signal.alias, name)
            first = paths.setdefault(signal.path or (name,), name)
            if first != name:
                message = f"{quote(first)} stands at the same place in the payload"
                hint = "an alias gives one signal a second name"
                yield Finding("TT031", path, message, hint, "warning", of_key=True)


def _decoder_path(name: str, signal: Signal) -> DecoderPath:
    least, most = INTEGER_RANGES.get(signal.type, (None, None))
    minimum = signal.min if least is None else max(least, signal.min if signal.min is not None else least)
    maximum = signal.max if most is None else min(most, signal.max if signal.max is not None else most)
    allowed = None if signal.allowed is None else frozenset(signal.allowed)
    return DecoderPath(name, signal.path or (name,), signal.type, minimum, maximum, allowed)


def _name_findings(name: str, path: tuple[str, ...]) -> Iterator[Finding]:
    if len(name) > _LONGEST_NAME or not _SIGNAL_NAME.match(name):
        message = f"a signal's name is made of words like Vehicle.Speed, at most {_LONGEST_NAME} characters"
        hint = "letters, digits and _ with dots between; the payload's own key goes into path"
        yield Finding("TT028", path, message, hint, of_key=True)
        return
    first, *others = name.split(".")
    if first == "vehicle" or (not others and first in RESERVED_WORDS):
        message = f"{quote(first)} has a meaning of its own in conditions"
        yield Finding("TT028", path, message, "VSS names begin with Vehicle", of_key=True)


def _alias_findings(
    alias: str, path: tuple[str, ...], signals: dict[str, Signal], earlier: dict[str, str]
) -> Iterator[Finding]:
    if len(alias) > _LONGEST_NAME or not _IDENTIFIER.match(alias):
        yield Finding(
            "TT029", path, "an alias is one word of letters, digits and _", "for example: coolant_temp"
        )
    elif alias in RESERVED_WORDS:
        yield Finding(
            "TT029", path, f"{quote(alias)} has a meaning of its own in conditions", "take another word"
        )
    elif alias in signals:
        yield Finding("TT029", path, f"{quote(alias)} is the name of a signal", "take another word")
    elif alias in earlier:
        message = f"{quote(alias)} is already the alias of {quote(earlier[alias])}"
        yield Finding("TT029", path, message, "an alias stands for one signal")


def _range_findings(signal: Signal, path: tuple[str, ...]) -> Iterator[Finding]:
    is_number = signal.type in NUMERIC
    for key in ("min", "max"):
        if getattr(signal, key) is not None and not is_number:
            message = f"a {signal.type} has no {key}"
            yield Finding("TT030", (*path, key), message, "leave it out, or give the signal a numeric type")
    if is_number:
        bounds = _decoder_path("", signal)
        if bounds.minimum is not None and bounds.maximum is not None and bounds.minimum > bounds.maximum:
            message = "no value can be in this range"
            yield Finding(
                "TT030", (*path, "min" if signal.min is not None else "max"), message, "min is at most max"
            )
    if signal.allowed is None:
        return
    if not signal.allowed or signal.type == "boolean":
        message = "a boolean is true or false" if signal.allowed else "no value would be allowed"
        yield Finding("TT030", (*path, "allowed"), message, "leave allowed out")
        return
    for index, value in enumerate(signal.allowed):
        if isinstance(value, str) == is_number:
            message = f"{quote(value)} is not a {signal.type}"
            yield Finding(
                "TT030", (*path, "allowed", index), message, "quotes make a text, no quotes a number"
            )
