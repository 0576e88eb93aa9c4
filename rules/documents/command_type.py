"""CommandType: a command that vehicles understand, and what its payload holds.

Where a set has a type for a command, the payloads that rules give it are held to the type when rules are
compiled: nothing is checked once more at run time.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rules.documents.closed import Closed, Document, Finding, Many, told
from rules.documents.definitions import Scalar, written
from rules.documents.diagnostics import Path, quote
from rules.documents.durations import Duration

MOST_KEYS = 256
COMMAND_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""What can be a level of an MQTT topic."""

KeyType = Literal["number", "integer", "boolean", "string", "list", "object"]


class PayloadValue(Closed):
    """What stands under one key of the payload."""

    type: KeyType = "number"
    """An integer is a number without a fraction."""
    min: float | None = None
    """The least, of a number."""
    max: float | None = None
    """The most, of a number."""
    allowed: Annotated[Many[Scalar] | None, told(minItems=1)] = None
    """Every value that vehicles understand."""
    required: bool = False
    """Whether vehicles refuse a command without it."""
    unit: str | None = None
    """For those who read the type; nothing is converted."""
    description: str | None = None
    """What it is for."""

    elsewhere: ClassVar = {"minimum": "min", "maximum": "max", "enum": "allowed", "values": "allowed"}

    def problem(self, value: object) -> str | None:
        """Say why a constant cannot stand here; None if it can."""
        if not _is_of(value, self.type):
            return f"a {self.type} is expected" if self.type[0] not in "io" else f"an {self.type} is expected"
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.min is not None and value < self.min:
                return f"at least {self.min:g} is expected"
            if self.max is not None and value > self.max:
                return f"at most {self.max:g} is expected"
        if self.allowed is not None and value not in self.allowed:
            return f"one of {', '.join(map(written, self.allowed))} is expected"
        return None


class CommandTypeSpec(Closed):
    """See docs/rules.md, which describes each field."""

    command: Annotated[str | None, Field(pattern=COMMAND_PATTERN)] = None
    """What rules call the command; left out, it is the document's name."""
    payload: Annotated[dict[str, PayloadValue], told(maxProperties=MOST_KEYS)] = Field(default_factory=dict)
    """The keys that vehicles know; a payload with others is refused."""
    expires_after_ms: Duration | None = None
    """For rules that do not say it themselves."""
    description: str | None = None
    """What the vehicle does."""

    elsewhere: ClassVar = {
        "name": "command",
        "fields": "payload",
        "parameters": "payload",
        "ttl": "expiresAfter",
    }


class CommandType(Document):
    """A command that vehicles understand; rules that give it another payload are refused."""

    kind: Literal["CommandType"] = "CommandType"
    spec: CommandTypeSpec

    @property
    def command(self) -> str:
        """What rules call the command."""
        return self.spec.command or self.metadata.name.rpartition(".")[2]

    def findings(self) -> Iterator[Finding]:
        """Yield values that nothing could have."""
        if len(self.spec.payload) > MOST_KEYS:
            message = f"a payload has at most {MOST_KEYS} keys, this one has {len(self.spec.payload)}"
            yield Finding(
                "TT096", ("spec", "payload"), message, "an object has as many of its own as you like"
            )
        for key, value in self.spec.payload.items():
            yield from _value_findings(value, ("spec", "payload", key))


def _value_findings(value: PayloadValue, path: Path) -> Iterator[Finding]:
    is_number = value.type in ("number", "integer")
    for key, bound in (("min", value.min), ("max", value.max)):
        if bound is not None and not is_number:
            hint = "leave it out, or make it a number"
            yield Finding("TT096", (*path, key), f"a {value.type} has no {key}", hint)
    if value.min is not None and value.max is not None and value.min > value.max:
        yield Finding("TT096", (*path, "min"), "no value can be in this range", "min is at most max")
    if value.allowed == ():
        yield Finding("TT096", (*path, "allowed"), "no value would be allowed", "leave allowed out")
    for index, each in enumerate(value.allowed or ()):
        if not _is_of(each, value.type):
            message = f"{quote(each)} is not of the type {value.type}"
            hint = "quotes make a text, no quotes a number"
            yield Finding("TT096", (*path, "allowed", index), message, hint)


def _is_of(value: object, type_: KeyType) -> bool:
    match type_:
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "integer":
            return (isinstance(value, int) and not isinstance(value, bool)) or (
                isinstance(value, float) and value.is_integer()
            )
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "list":
            return isinstance(value, list | tuple)
        case "object":
            return isinstance(value, dict)
