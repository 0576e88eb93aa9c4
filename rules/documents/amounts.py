"""A number of a field, or the name of a parameter in its place: `limit: "{{ limit }}"`.

As with durations, a name is kept for writing the document again; the rule that runs has the number alone.
"""

from typing import Annotated, Any

from pydantic import (
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from rules.documents.durations import RESOLVED, parameter_in

NUMBERS = "numbers"
"""The key of pydantic's context under which the values of parameters are."""


class NamedNumber(float):
    """A number that was written as the name of a parameter."""

    written: str


def _read(value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> float:
    name = parameter_in(value) if isinstance(value, str) else None
    if name is None:
        number: float = check(value)
        return number
    context: dict[str, Any] = info.context or {}
    known: dict[str, float] = context.get(NUMBERS, {})
    if name not in known:
        raise PydanticCustomError(
            "parameter", "no parameter of the type double has the name {name}", {"name": f"{name!r:.80}"}
        )
    if context.get(RESOLVED):
        return float(check(known[name]))
    named = NamedNumber(check(known[name]))
    named.written = value
    return named


def _write(value: float) -> float | str:
    return value.written if isinstance(value, NamedNumber) else value


class _Schema:
    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        hole = {"type": "string", "pattern": r"^\{\{\s*[A-Za-z_][A-Za-z0-9_]*\s*\}\}$"}
        return {"anyOf": [handler(schema), hole]}


AMOUNT = (WrapValidator(_read), PlainSerializer(_write, return_type=float | str), _Schema)
"""What makes of `Annotated[float, Field(ge=0), *AMOUNT]` a number that may be a parameter's."""

Amount = Annotated[float, *AMOUNT]
