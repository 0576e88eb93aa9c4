"""The fields of a structural schema: where they are in documents, and values that they cannot have."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any, NamedTuple

from k8s.crds import CustomKind, definition

Path = tuple[str | int, ...]
Schema = dict[str, Any]

OF_TYPE: dict[str, Any] = {
    "string": "a text, which is no number",
    "number": -7.25,
    "boolean": True,
    "array": [],
    "object": {},
}
MOST_ITEMS = 2_000


class Field(NamedTuple):
    """A field as the schema has it: `path` has `*` for any key of a mapping and `[]` for any item."""

    path: tuple[str, ...]
    schema: Schema


@cache
def spec_of(custom: CustomKind) -> Schema:
    """The schema of a kind's spec."""
    (version,) = definition(custom)["spec"]["versions"]
    schema: Schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema


def fields(schema: Schema, path: tuple[str, ...] = ("spec",)) -> Iterator[Field]:
    """Every field of a schema, from the outside in."""
    yield Field(path, schema)
    for key, part in schema.get("properties", {}).items():
        yield from fields(part, (*path, key))
    if "items" in schema:
        yield from fields(schema["items"], (*path, "[]"))
    if "additionalProperties" in schema:
        yield from fields(schema["additionalProperties"], (*path, "*"))


def places(document: Any, path: tuple[str, ...]) -> Iterator[Path]:
    """Where a document has the field."""
    if not path:
        yield ()
        return
    step, rest = path[0], path[1:]
    if step == "[]":
        inner = list(enumerate(document)) if isinstance(document, list) else []
    elif step == "*":
        inner = list(document.items()) if isinstance(document, dict) else []
    else:
        inner = [(step, document[step])] if isinstance(document, dict) and step in document else []
    for key, value in inner:
        for place in places(value, rest):
            yield (key, *place)


def changed(document: Any, place: Path, value: Any) -> Any:
    """The document with another value at a place."""
    found = deepcopy(document)
    at = found
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    return found


def at(document: Any, place: Path) -> Any:
    """The value at a place."""
    for step in place:
        document = document[step]
    return document


def wrong_values(schema: Schema, value: Any) -> Iterator[tuple[str, Any]]:
    """Values that a field cannot have, by what is wrong with them; `value` is a right one."""
    types = types_of(schema)
    for type_, other in OF_TYPE.items():
        if types and type_ not in types:
            yield f"{type_} for {'/'.join(types)}", other
    if types == ["integer"] or schema.get("multipleOf") == 1:
        yield "a fraction", 2.5
    yield from _beyond(schema, value)


def types_of(schema: Schema) -> list[str]:
    """The types that a field takes; none are told where it takes any."""
    if "type" in schema:
        return ["integer", "number"] if schema["type"] == "integer" else [schema["type"]]
    if "x-kubernetes-int-or-string" in schema:
        return ["integer", "number", "string"]
    refused = schema.get("not")
    if refused is None:
        return []
    told = {"minLength": "string", "minimum": "number", "minItems": "array", "minProperties": "object"}
    types = [type_ for key, type_ in told.items() if key in refused]
    return [*types, "boolean"] if "not" in refused else types


def _beyond(schema: Schema, value: Any) -> Iterator[tuple[str, Any]]:
    if "enum" in schema:
        yield "not in the list", f"{schema['enum'][0]}s"
    if "pattern" in schema:
        yield "not in the pattern", "§"
    if schema.get("minLength", 0) == 1:
        yield "empty", ""
    if "maxLength" in schema:
        yield "too long", "a" * (schema["maxLength"] + 1)
    if "minimum" in schema:
        yield "too small", schema["minimum"] - (0 if schema.get("exclusiveMinimum") else 1)
    if "maximum" in schema:
        yield "too great", schema["maximum"] + (0 if schema.get("exclusiveMaximum") else 1)
    if "minItems" in schema and isinstance(value, list):
        yield "too few", value[: schema["minItems"] - 1]
    if "maxItems" in schema and isinstance(value, list):
        yield "too many", value[:1] * (schema["maxItems"] + 1)
    if schema.get("minProperties") == 1 and isinstance(value, dict):
        yield "too few keys", {}
    if "maxProperties" in schema and isinstance(value, dict) and schema.get("additionalProperties"):
        one = next(iter(value.values()))
        yield "too many keys", {f"key_{index}": one for index in range(schema["maxProperties"] + 1)}
    if isinstance(value, dict) and "properties" in schema:
        yield "an unknown key", {**value, "noSuchField": 1}
        for key in schema.get("required", ()):
            yield f"without {key}", {name: each for name, each in value.items() if name != key}
