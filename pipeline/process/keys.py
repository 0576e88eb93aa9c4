"""Every settings model is a list of keys: one walk that reading, printing and the docs share.

field  kafka.sasl_username        key  kafka.saslUsername        env  TELLTALE_KAFKA_SASL_USERNAME
field  drain_timeout_s            key  drainTimeout              env  TELLTALE_DRAIN_TIMEOUT
"""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pipeline.process.durations import DurationMark, format_duration

PREFIX = "TELLTALE_"


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: where it sits in the model, and what a person calls it."""

    path: tuple[str, ...]
    names: tuple[str, ...]
    field: FieldInfo
    duration: DurationMark | None
    secret: bool
    many: bool
    """A list, tuple, set or mapping."""

    @property
    def key(self) -> str:
        """Its name in the YAML file, dotted."""
        return ".".join(self.names)

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + "_".join(snake(name) for name in self.names).upper()

    @property
    def meaning(self) -> str:
        """One line for a person."""
        return self.field.description or ""

    def default(self) -> object:
        """The value without any source, as `show` wants it."""
        return self.field.get_default(call_default_factory=True, validated_data={})

    def show(self, value: object) -> str:
        """A value as a person would write it; a secret is never shown."""
        if value is None:
            return ""
        if self.secret:
            return "********" if _plain(value) else ""
        if self.duration is not None and isinstance(value, int | float):
            return format_duration(value * self.duration.unit_ms)
        return _text(value)


def keys_of(model: type[BaseModel]) -> list[Key]:
    """All keys, groups opened; AssertionError if two share a name in the environment."""
    keys = list(_walk(model, (), ()))
    variables = [key.variable for key in keys]
    assert len(set(variables)) == len(variables), f"{model.__name__}: two keys share a variable: {variables}"
    return keys


def _walk(model: type[BaseModel], path: tuple[str, ...], names: tuple[str, ...]) -> typing.Iterator[Key]:
    for name, field in model.model_fields.items():
        parts = list(_parts(field.annotation))
        marks = [
            mark for mark in [*field.metadata, *_metadata(field.annotation)] if isinstance(mark, DurationMark)
        ]
        duration = marks[0] if marks else None
        written = camel(name.rsplit("_", 1)[0] if duration else name)
        group = next((part for part in parts if isinstance(part, type) and issubclass(part, BaseModel)), None)
        if group is not None:
            yield from _walk(group, (*path, name), (*names, written))
            continue
        yield Key(
            path=(*path, name),
            names=(*names, written),
            field=field,
            duration=duration,
            secret=SecretStr in parts,
            many=any(typing.get_origin(part) in (list, tuple, set, frozenset, dict) for part in parts)
            or any(part in (list, tuple, set, frozenset, dict) for part in parts),
        )


def _parts(annotation: Any) -> typing.Iterator[Any]:
    """The members of a union, with what Annotated adds taken off; the annotation itself otherwise."""
    if typing.get_origin(annotation) is typing.Annotated:
        yield from _parts(typing.get_args(annotation)[0])
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _parts(part)
    else:
        yield annotation


def _metadata(annotation: Any) -> typing.Iterator[Any]:
    if typing.get_origin(annotation) is typing.Annotated:
        yield from annotation.__metadata__
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _metadata(part)


def camel(name: str) -> str:
    """`sasl_username` as YAML has it: `saslUsername`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def snake(name: str) -> str:
    """`saslUsername` as Python has it: `sasl_username`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Path():
            return str(value)
        case list() | tuple() | set() | frozenset():
            return ",".join(_text(item) for item in value)
        case dict():
            return ",".join(f"{_text(key)}={_text(item)}" for key, item in value.items())
        case _:
            return str(value)
