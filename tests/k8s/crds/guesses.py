"""Values at random that a structural schema allows, for the most part; what they mean is left to chance."""

import re
from random import Random
from typing import Any

from tests.k8s.crds.fields import Schema, types_of

TEXTS = (
    "speed > 100",
    "true",
    "30s",
    "{{ value }}",
    "Vehicle.Speed",
    "depot-1",
    "a",
    "every-field",
    "max(speed)",
)
PATTERNED = (
    *("30s", "22:00", "v1", "info", "warning", "toNext", "fleet", "kafka:9092", "{{ limit }}", "a_1", "1Gi"),
    *("http://prometheus:9090", "DoNotSchedule", "onClose"),
)
KEYS = ("limit", "most", "speed", "Vehicle.Speed", "summary", "TELLTALE_LOG_LEVEL")


def guess(schema: Schema, chance: Random, depth: int = 0) -> Any:
    """A value of the schema."""
    if "enum" in schema:
        return chance.choice(schema["enum"])
    types = types_of(schema) or ["string", "number", "array", "object", "boolean"]
    return _of_type(chance.choice(types), schema, chance, depth)


def _of_type(type_: str, schema: Schema, chance: Random, depth: int) -> Any:
    match type_:
        case "string":
            return _text(schema, chance)
        case "integer":
            return chance.randint(int(schema.get("minimum", 0)), int(min(schema.get("maximum", 9), 9)))
        case "number":
            least, most = schema.get("minimum", -9), schema.get("maximum", 99)
            return chance.choice([least, most, round(chance.uniform(least, most), 2)])
        case "boolean":
            return chance.random() < 0.5
        case "array":
            least = schema.get("minItems", 0)
            inner = schema.get("items", {"type": "number"})
            return [guess(inner, chance, depth + 1) for _ in range(least + chance.randint(0, 1))]
    return _object(schema, chance, depth)


def _object(schema: Schema, chance: Random, depth: int) -> dict[str, Any]:
    if "additionalProperties" in schema:
        keys = chance.sample(KEYS, schema.get("minProperties", 0) + chance.randint(0, 1))
        return {key: guess(schema["additionalProperties"], chance, depth + 1) for key in keys}
    fields = schema.get("properties", {})
    either = chance.choice(schema.get("oneOf") or schema.get("anyOf") or [{"required": []}])["required"]
    excluded = {key for each in schema.get("oneOf", ()) for key in each["required"]} - set(either)
    needed = {*schema.get("required", ()), *either}
    optional = [key for key in fields if key not in needed and key not in excluded]
    most = min(schema.get("maxProperties", 99) - len(needed), max(0, 4 - depth))
    least = max(schema.get("minProperties", 0) - len(needed), 0)
    taken = {*needed, *chance.sample(optional, min(len(optional), chance.randint(least, max(least, most))))}
    return {key: guess(part, chance, depth + 1) for key, part in fields.items() if key in taken}


def _text(schema: Schema, chance: Random) -> str:
    if "pattern" not in schema:
        return chance.choice(TEXTS)
    fitting = [each for each in (*PATTERNED, *TEXTS) if re.search(schema["pattern"], each)]
    return chance.choice(fitting)
