"""A JSON Schema of a pydantic model becomes a structural schema, the only kind that Kubernetes takes.

Structural means: no references, each value has one type, and what stands inside anyOf, oneOf and not says
nothing of types. Kubernetes's own additions are `x-kubernetes-…`. Three things are not the model's words:

- A field that is optional may be `null` in a file. Kubernetes has no such value here: `kubectl` takes null
  for "leave it out", which is what it means in a file, too.
- A default is told in the description and not set. A default that the API server sets would become a part of
  the document, and a rule of the cluster would be another one than the same rule on disk.
- `additionalProperties: false` is left out: the API server refuses or drops fields that are not declared.
"""

import json
from collections.abc import Mapping
from typing import Any

from k8s.crds.alternatives import alternatives, worded
from k8s.crds.cross_field import CROSS_FIELD

Schema = dict[str, Any]

_KEPT = (
    "type",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "enum",
    "oneOf",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)
_MOST_EXAMPLES = 3
_ORDER = (
    "description",
    "type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "not",
    "oneOf",
    "anyOf",
    "x-kubernetes-validations",
    "required",
    "items",
    "additionalProperties",
    "properties",
)


def structural(schema: Mapping[str, Any], *, sets_defaults: bool = False) -> Schema:
    """Return the structural form of a schema as `rules.documents.schema_of` makes it."""
    return _Inlining(schema["$defs"], sets_defaults).schema({"$ref": schema["$ref"]})


class _Inlining:
    def __init__(self, definitions: Mapping[str, Any], sets_defaults: bool) -> None:
        self.definitions = definitions
        self.sets_defaults = sets_defaults

    def schema(self, written: Mapping[str, Any]) -> Schema:
        if "$ref" in written:
            return self._referenced(written)
        if "anyOf" in written:
            return self._any_of(written)
        found: Schema = {key: written[key] for key in _KEPT if key in written}
        if "const" in written:
            found["enum"] = [written["const"]]
        if "exclusiveMinimum" in written:
            found |= {"minimum": written["exclusiveMinimum"], "exclusiveMinimum": True}
        if "exclusiveMaximum" in written:
            found |= {"maximum": written["exclusiveMaximum"], "exclusiveMaximum": True}
        if "items" in written:
            found["items"] = self.schema(written["items"])
        if "properties" in written:
            found["properties"] = {key: self.schema(part) for key, part in written["properties"].items()}
        elif "type" in found and found["type"] == "object":
            found = self._values(written.get("additionalProperties", True)) | found
        if "type" not in found and "x-kubernetes-preserve-unknown-fields" not in found:
            # The model takes any JSON here: a payload, coordinates of several depths.
            found["x-kubernetes-preserve-unknown-fields"] = True
        return self._described(found, written)

    def _values(self, values: Any) -> Schema:
        if values is False:
            return {}
        free = values is True or not (set(self._resolved(values)) - {"title", "description"})
        if free:
            return {"x-kubernetes-preserve-unknown-fields": True}
        return {"additionalProperties": self.schema(values)}

    def _resolved(self, written: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" in written:
            return self._resolved(self.definitions[written["$ref"].rpartition("/")[2]])
        return written

    def _referenced(self, written: Mapping[str, Any]) -> Schema:
        name = written["$ref"].rpartition("/")[2]
        found = self.schema(self.definitions[name])
        rules = CROSS_FIELD.get(name.rpartition("__")[2], ())
        if rules:
            found.pop("oneOf", None)  # the rules say the same, in words
            found["x-kubernetes-validations"] = [rule.written() for rule in rules]
        beside = {key: value for key, value in written.items() if key != "$ref"}
        found |= {key: beside[key] for key in _KEPT if key in beside}
        return self._described(found, beside)

    def _any_of(self, written: Mapping[str, Any]) -> Schema:
        members = [each for each in written["anyOf"] if each.get("type") != "null"]
        beside = {key: value for key, value in written.items() if key != "anyOf"}
        if len(members) == 1:
            found = self.schema(members[0])
        else:
            found = alternatives([self.schema(each) for each in members])
            beside["description"] = " ".join(filter(None, [beside.get("description"), worded(found)]))
        found |= {key: beside[key] for key in _KEPT if key in beside}
        return self._described(found, beside)

    def _described(self, found: Schema, written: Mapping[str, Any]) -> Schema:
        """Tell examples and the default in the description, where an author looks; or set the default."""
        text = written.get("description", found.get("description", ""))
        told = [text] if text else []
        default = written.get("default")
        if self.sets_defaults and default is not None and "const" not in written:
            found["default"] = _beyond(found, default)
        elif default not in (None, [], {}, "") and "const" not in written:
            told.append(f"Default: {_plain(default)}.")
        if "examples" in written:
            told.append(f"For example: {', '.join(map(_plain, written['examples'][:_MOST_EXAMPLES]))}.")
        if told:
            found["description"] = "\n".join(told)
        return {key: found[key] for key in _ORDER if key in found}


def _beyond(schema: Schema, default: Any) -> Any:
    """The default of an object without what its fields have as their own.

    What a rule reads stays: a default is judged before the defaults inside it are set.
    """
    if isinstance(default, list):
        return [_beyond(schema.get("items", {}), each) for each in default]
    if not isinstance(default, dict):
        return default
    fields = schema.get("properties", {})
    judged = " ".join(rule["rule"] for rule in schema.get("x-kubernetes-validations", ()))
    kept = {key: _beyond(fields.get(key, {}), value) for key, value in default.items() if value is not None}
    return {
        key: it
        for key, it in kept.items()
        if f"self.{key}" in judged or (it != fields.get(key, {}).get("default") and it != {})
    }


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
