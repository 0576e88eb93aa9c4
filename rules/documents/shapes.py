"""A document's shape: pydantic's errors become findings in the author's words, at the author's places.

Pydantic's own locations carry the tags of union members, which no author wrote, and one wrong value in a
union is reported once for each member. Both are undone here, by walking the author's value along the
location.
"""

import re
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rules.documents.closed import Closed, Finding
from rules.documents.diagnostics import Path, did_you_mean, quote
from rules.documents.schedule import time_hint, zone_hint

_TYPES = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
}
_WORDED_DURATION = re.compile(r"\s*([0-9]{1,9})\s*(ms|[smhdw])[a-z]*\s*\Z", re.IGNORECASE)
_OF_TIMES = {"time_of_day": "TT053", "time_zone": "TT054"}
_CODES = {"duration": "TT024", "name": "TT025", "condition": "TT020", **_OF_TIMES}


def shape_findings(model: type[BaseModel], value: Any, error: ValidationError) -> list[Finding]:
    """Return what is wrong with `value`, which `model` has refused with `error`."""
    told: dict[Path, list[ErrorDetails]] = {}
    tagged: set[Path] = set()
    for detail in error.errors(include_url=False, include_input=False):
        path = _author_path(value, detail)
        told.setdefault(path, []).append(detail)
        if len(path) < len(detail["loc"]):
            tagged.add(path)
    findings = []
    for path, details in told.items():
        is_of_other_member = path in tagged and any(p[: len(path)] == path and p != path for p in told)
        if not is_of_other_member:
            findings.append(_finding(model, value, path, details))
    return findings


def _author_path(value: Any, detail: ErrorDetails) -> Path:
    path: list[str | int] = []
    for index, step in enumerate(detail["loc"]):
        if _holds(value, step):
            value = value[step]
        elif not (detail["type"] == "missing" and index == len(detail["loc"]) - 1):
            continue
        path.append(step)
    return tuple(path)


def _finding(model: type[BaseModel], value: Any, path: Path, details: Sequence[ErrorDetails]) -> Finding:
    kinds = [detail["type"] for detail in details]
    found = _value_at(value, path)
    if "missing" in kinds:
        return Finding("TT020", path[:-1], f"{quote(path[-1])} is missing", _example(path))
    if "extra_forbidden" in kinds:
        return _unknown_field(model, path)
    if all(kind in _TYPES for kind in kinds):
        expected = " or ".join(dict.fromkeys(_TYPES[kind] for kind in kinds))
        return Finding(
            "TT022", path, f"expected {expected}, found {_described(found)}", _type_hint(expected, found)
        )
    detail = next(each for each in details if each["type"] not in _TYPES)
    code = _CODES.get(detail["type"], "TT023")
    context = detail.get("ctx", {})
    hint = None
    if detail["type"] == "literal_error":
        known = [word.strip("' ") for word in context["expected"].replace(" or ", ",").split(",")]
        message = f"{_described(found)} is not one of {', '.join(known)}"
        hint = _one_of_hint(found, known)
    elif code == "TT020":
        message = detail["msg"]
        hint = _example((*path, "when"))
    elif code in _OF_TIMES.values():
        message = f"{_described(found)}: {detail['msg']}"
        hint = time_hint(found) if code == "TT053" else zone_hint(found)
    elif code == "TT024":
        message = f"{_described(found)} is not a duration: {detail['msg']}"
        hint = _duration_hint(found)
    elif code == "TT025":
        message = f"{_described(found)} is not a name: {detail['msg']}"
        hint = _name_hint(found)
    elif detail["type"] == "too_long":
        message = f"at most {context['max_length']} of them, found {context['actual_length']}"
    elif detail["type"] == "string_pattern_mismatch":
        message = f"{_described(found)} does not match {context['pattern']}"
        hint = "letters, digits, dots, dashes and underscores"
    else:
        sentence = detail["msg"].removeprefix("Input ")
        message = f"{sentence}, found {_described(found)}"
    return Finding(code, path, message, hint)


def _unknown_field(model: type[BaseModel], path: Path) -> Finding:
    key = str(path[-1])
    for owner in _models_at(model, path[:-1]):
        if key in owner.later:
            message = f"this version of Telltale does not run {quote(key)}"
            return Finding("TT014", path, message, owner.later[key], of_key=True)
        known = [field.alias or name for name, field in owner.model_fields.items()]
        if key in owner.elsewhere:
            hint: str | None = f"this is called {quote(owner.elsewhere[key])} here"
        elif key == "<<":
            hint = "YAML 1.2 has no merge key; an alias for the whole value works"
        else:
            hint = did_you_mean(key, known) or f"known here: {', '.join(known)}"
        return Finding("TT021", path, f"unknown field {quote(key)}", hint, of_key=True)
    return Finding("TT021", path, f"unknown field {quote(key)}", of_key=True)


def _models_at(annotation: Any, path: Path) -> Iterator[type[Closed]]:
    """Yield the models that describe the value at `path` under `annotation`."""
    for each in _members(annotation):
        if isinstance(each, type) and issubclass(each, Closed):
            if not path:
                yield each
                continue
            for name, field in each.model_fields.items():
                if (field.alias or name) == path[0]:
                    yield from _models_at(field.annotation, path[1:])
        elif path and get_origin(each) in (tuple, dict):
            parts = get_args(each)
            yield from _models_at(parts[0] if get_origin(each) is tuple else parts[1], path[1:])


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for each in get_args(annotation):
            yield from _members(each)
    elif origin is typing.Annotated:
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation


def _holds(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _value_at(value: Any, path: Path) -> Any:
    for step in path:
        if not _holds(value, step):
            return None
        value = value[step]
    return value


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return quote(value)


def _type_hint(expected: str, found: Any) -> str | None:
    if expected == "a text" and isinstance(found, bool | int | float):
        return f'put it in quotes: "{_described(found)}"'
    if expected == "a list" and found is not None:
        return "begin each item with a dash"
    if expected in ("a number", "a whole number") and isinstance(found, str):
        return "write the number without quotes and without a unit"
    return None


def _one_of_hint(found: Any, known: Sequence[str]) -> str | None:
    if not isinstance(found, str):
        return None
    begun = next((word for word in known if len(word) > 2 and found.lower().startswith(word)), None)
    return f"did you mean {quote(begun)}?" if begun is not None else did_you_mean(found, known)


def _duration_hint(found: Any) -> str | None:
    if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
        return f"which unit? {found}s, {found}m, {found}h or {found}ms"
    if isinstance(found, str):
        match = _WORDED_DURATION.match(found)
        if match and match[0] != f"{match[1]}{match[2]}":
            return f"did you mean {match[1]}{match[2].lower()}?"
        if "." in found:
            return "durations are whole numbers: 1h30m instead of 1.5h"
    return None


def _name_hint(found: Any) -> str | None:
    if not isinstance(found, str):
        return None
    slug = "".join(c if c.isascii() and c.isalnum() else "-" for c in found[:200].lower())
    slug = "-".join(part for part in slug.split("-") if part)[:63].strip("-")
    return f"for example: {slug}" if slug else None


def _example(path: Path) -> str | None:
    examples = {
        ("spec", "when"): "the condition, for example: when: Vehicle.Speed > 120",
        (
            "spec",
            "steps",
        ): "for example: steps: [{name: fast, when: speed > 120}, {name: slow, when: speed < 5}]",
        ("spec", "within"): "the time in which all of it happens, for example: within: 90s",
        ("metadata", "name"): "for example: name: overspeed",
        ("spec", "timestamp"): "for example: timestamp: {path: ts, format: unixMillis}",
        ("spec", "signals"): "for example: signals: {Vehicle.Speed: {path: speed, unit: km/h}}",
        ("metadata",): "for example: metadata: {name: overspeed}",
    }
    return examples.get(tuple(str(step) for step in path))
