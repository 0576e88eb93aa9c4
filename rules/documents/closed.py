"""What all documents share: closed, frozen models, the envelope of Kubernetes, and the small types of fields.

A field's name in Python is its key in YAML, in camelCase and without the unit: `keep_firing_for_ms` is
written `keepFiringFor`. Authors give a unit with each duration, code needs to be told which one it holds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from rules.documents.diagnostics import Path

API_VERSION: Literal["telltale.dev/v1alpha1"] = "telltale.dev/v1alpha1"

MEANT = "telltale.dev/meant"
"""The annotation that names warnings which are not to be given."""

MOST_ACTIONS = 32
"""Of one rule."""

T = TypeVar("T")

Many = Annotated[tuple[T, ...], Field(strict=False)]
"""A YAML list, kept as a tuple: a frozen model holds no list."""

Actions = Annotated[tuple[T, ...], Field(strict=False, max_length=MOST_ACTIONS)]
"""What a rule does, in its order."""


def told(**words: JsonValue) -> Any:
    """Return what a field's JSON Schema says beside its type; `findings` judge it, with a better message."""
    return Field(json_schema_extra=words)


def exactly_one(*keys: str) -> dict[str, JsonValue]:
    """Return what the schema of a model says of which one of these keys is given, and only one."""
    return {"oneOf": [{"required": [key]} for key in keys]}


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about a valid model, not yet placed: `path` is relative to the document."""

    code: str
    path: Path
    message: str
    hint: str | None = None
    severity: Literal["error", "warning"] = "error"
    of_key: bool = False


def yaml_key(name: str) -> str:
    """Return the YAML key of a field: `keep_firing_for_ms` is `keepFiringFor`."""
    return to_camel(name.removesuffix("_ms"))


class Closed(BaseModel):
    """Unknown keys are refused, values are not coerced, instances do not change."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=yaml_key,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )

    later: ClassVar[Mapping[str, str]] = {}
    """Keys that the language has elsewhere or later, and what to do instead."""
    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Keys that authors bring from other tools, and what they are called here."""


_LABEL = "[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)?{_LABEL}\Z")
LABEL_PATTERN = rf"^{_LABEL}$"
"""What names Services and pods."""
NAME_PATTERN = rf"^({_LABEL}\.)?{_LABEL}$"


def _name(value: Any) -> Any:
    if isinstance(value, str) and not _NAME.match(value):
        raise PydanticCustomError(
            "name", "a name has 1 to 63 lower-case letters, digits and dashes, no dash first or last"
        )
    return value


def tenant_of(name: str) -> str:
    """Return whose a document of this name is: `acme` for `acme.overspeed`, no text for everybody's."""
    return name.rpartition(".")[0]


def within(tenant: str, name: str) -> str:
    """Return the full name of what a tenant calls `name`."""
    return f"{tenant}.{name}" if tenant else name


Name = Annotated[str, BeforeValidator(_name), Field(json_schema_extra={"pattern": NAME_PATTERN})]
"""What can be a Kubernetes name, a metric's label and a part of an id; a dot ends a tenant's name."""


def _expression(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("expression", "an expression is not empty")
    return value


Expression = Annotated[
    str, BeforeValidator(_expression, json_schema_input_type=str | bool), told(minLength=1)
]
"""CEL text; YAML's own true and false are read as the expressions of that name."""

Template = str
"""Text that may hold `{{ CEL }}`."""


class Metadata(Closed):
    """Who the document is; the part of Kubernetes' metadata that an author writes."""

    name: Name
    namespace: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)

    @property
    def tenant(self) -> str:
        """Whose the document is; no text where it is everybody's."""
        return tenant_of(self.name)

    @property
    def meant(self) -> frozenset[str]:
        """Codes of the warnings that the author knows and means: `telltale.dev/meant: TT205`."""
        return frozenset(self.annotations.get(MEANT, "").replace(",", " ").split())


class Document(Closed):
    """apiVersion, kind and metadata; each kind adds its `spec`."""

    api_version: Literal["telltale.dev/v1alpha1"] = API_VERSION
    metadata: Metadata

    def as_written(self) -> dict[str, Any]:
        """Return the document as plain data with the keys and units of YAML: what `parse` reads as `self`."""
        written = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return {"apiVersion": self.api_version, "kind": type(self).__name__, **written}

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong although each field on its own is right."""
        yield from ()
