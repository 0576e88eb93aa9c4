"""Values of several types: what a structural schema can say of "a text, or a list", and what it cannot.

A structural schema gives a value one type or none. Where a model takes several, the schema has no type, keeps
what is inside (`x-kubernetes-preserve-unknown-fields`), and says beside each other what holds for values of
each type: a pattern judges texts only, a maximum numbers only, and so on. Then `not` refuses the types that
are left: it stands for a schema that no value of an allowed type fits, and every other does.
"""

from collections.abc import Sequence
from typing import Any

Schema = dict[str, Any]

_NONE_OF: dict[str, Schema] = {
    "string": {"minLength": 1, "maxLength": 0},
    "number": {"minimum": 1, "maximum": 0},
    "array": {"minItems": 1, "maxItems": 0},
    "object": {"minProperties": 1, "maxProperties": 0},
}
"""What no value of a type fits, and every value of another does; booleans are told by their two values."""
_BOOLEANS: Schema = {"enum": [True, False]}
_INTEGER_OR_TEXT = "x-kubernetes-int-or-string"
"""The one union that Kubernetes knows itself."""


def alternatives(members: Sequence[Schema]) -> Schema:
    """Return a structural schema of the values that one of `members`, structural schemas, takes."""
    by_type: dict[str, Schema] = {}
    for member in members:
        for type_, part in _by_type(member).items():
            by_type[type_] = _both(by_type[type_], part) if type_ in by_type else part
    if len(by_type) == 1:
        ((type_, part),) = by_type.items()
        return part
    if "" in by_type:
        return {"x-kubernetes-preserve-unknown-fields": True}
    if by_type.keys() == {"string", "number"} and by_type["number"]["type"] == "integer":
        limits = _without_type("string", by_type["string"]) | _without_type("number", by_type["number"])
        return {_INTEGER_OR_TEXT: True, **{k: v for k, v in limits.items() if k != "multipleOf"}}
    found: Schema = {"x-kubernetes-preserve-unknown-fields": True}
    for type_, part in by_type.items():
        found |= _without_type(type_, part)
    found["not"] = _none_of(by_type)
    return found


def _by_type(member: Schema) -> dict[str, Schema]:
    """A member that has alternatives itself comes apart into them."""
    if "type" in member:
        type_ = "number" if member["type"] == "integer" else member["type"]
        return {type_: member}
    if _INTEGER_OR_TEXT in member:
        number = _part(member, "number") | {"type": "integer"}
        return {"string": _part(member, "string"), "number": number}
    refused = member.get("not")
    if refused is None:
        return {"": member}
    return {type_: _part(member, type_) for type_ in _types_beside(refused)}


def worded(schema: Schema) -> str:
    """Say which types a schema without one takes, for `kubectl explain`; an empty text for all others."""
    if _INTEGER_OR_TEXT in schema:
        return "A text or a whole number."
    if "not" not in schema:
        return ""
    words = [_WORDS[type_] for type_ in _types_beside(schema["not"])]
    return f"{' or '.join(words)}.".capitalize()


_WORDS = {
    "string": "a text",
    "number": "a number",
    "array": "a list",
    "object": "a mapping",
    "boolean": "true or false",
}
_OF_TYPE = {
    "string": ("minLength", "maxLength", "pattern"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("minItems", "maxItems", "items"),
    "object": ("minProperties", "maxProperties", "properties", "required", "additionalProperties"),
    "boolean": (),
}


def _part(member: Schema, type_: str) -> Schema:
    return {"type": type_, **{key: member[key] for key in _OF_TYPE[type_] if key in member}}


def _types_beside(refused: Schema) -> list[str]:
    types = [type_ for type_, none in _NONE_OF.items() if none.items() <= refused.items()]
    return [*types, "boolean"] if "not" in refused else types


def _none_of(types: dict[str, Schema]) -> Schema:
    found: Schema = {}
    for type_, none in _NONE_OF.items():
        found |= none if type_ in types else {}
    return found | ({"not": _BOOLEANS} if "boolean" in types else {})


def _without_type(type_: str, part: Schema) -> Schema:
    found = {key: part[key] for key in _OF_TYPE[type_] if key in part}
    if "enum" in part:  # it would judge values of every type
        assert type_ == "string", part
        found["pattern"] = f"^({'|'.join(part['enum'])})$"
    if part.get("type") == "integer":
        found["multipleOf"] = 1
    if "properties" in part:  # nobody prunes here; too many keys are wrong keys
        found.setdefault("maxProperties", len(part["properties"]))
    if "oneOf" in part:  # of required keys, which every text has, all of them
        found["anyOf"] = part["oneOf"]
    return found


def _both(one: Schema, other: Schema) -> Schema:
    """What fits one of two schemas of one type fits this; objects keep the fields of both."""
    found: Schema = {"type": one["type"] if one["type"] == other["type"] else "number"}
    if "properties" in one and "properties" in other:
        names = {**one["properties"], **other["properties"]}
        found["properties"] = {
            name: alternatives(
                [side["properties"][name] for side in (one, other) if name in side["properties"]]
            )
            for name in names
        }
        shared = [name for name in one.get("required", []) if name in other.get("required", [])]
        if shared:
            found["required"] = shared
    if "enum" in one and "enum" in other:
        found["enum"] = [*one["enum"], *(each for each in other["enum"] if each not in one["enum"])]
    if "items" in one and "items" in other:
        found["items"] = alternatives([one["items"], other["items"]])
    rules = one.get("x-kubernetes-validations")
    if rules and rules == other.get("x-kubernetes-validations"):
        found["x-kubernetes-validations"] = rules
    if words := " Or: ".join(dict.fromkeys(it["description"] for it in (one, other) if "description" in it)):
        found["description"] = words
    for key in ("additionalProperties", "x-kubernetes-preserve-unknown-fields", "oneOf"):
        if key in one and one[key] == other.get(key):
            found[key] = one[key]
    return found
