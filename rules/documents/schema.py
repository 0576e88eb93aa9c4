"""The JSON Schema of a rule document, for editors: completion, and errors while one types.

Made from the models, so that it cannot differ from them. What it accepts may still have findings: a schema
knows neither the ladder's order nor CEL.
"""

from functools import reduce
from operator import or_
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from rules.documents.durations import FIELD_PATTERN, format_duration
from rules.documents.parse import KINDS

_ANY_KIND: Any = reduce(or_, KINDS.values())
_ANY_DOCUMENT: TypeAdapter[Any] = TypeAdapter(Annotated[_ANY_KIND, Field(discriminator="kind")])


def editor_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of one document of any kind."""
    schema = _ANY_DOCUMENT.json_schema(by_alias=True)
    for name in KINDS:
        schema["$defs"][name]["required"] = ["apiVersion", "kind", "metadata", "spec"]
    _write_durations(schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule document of Telltale",
        **schema,
    }


def _write_durations(schema: Any) -> None:
    """Pydantic gives a default as code holds it, in milliseconds; an editor offers it to an author."""
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            _write_durations(part)
    if isinstance(schema, dict) and schema.get("pattern") == FIELD_PATTERN and "default" in schema:
        schema["default"] = format_duration(schema["default"])
