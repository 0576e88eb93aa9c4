"""The JSON Schema of a rule document, for editors: completion, meanings, and errors while one types.

Made from the models, so that it cannot differ from them; what stands below a field in the code is what the
editor shows. What it accepts may still have findings: a schema knows neither the ladder's order nor CEL.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field, TypeAdapter

from rules.documents.durations import FIELD_PATTERN, format_duration
from rules.documents.parse import KINDS
from rules.documents.schedule import TIME_PATTERN, format_time_of_day

_ANY_KIND: Any = reduce(or_, KINDS.values())
_ANY_DOCUMENT: TypeAdapter[Any] = TypeAdapter(Annotated[_ANY_KIND, Field(discriminator="kind")])


def editor_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of one document of any kind."""
    schema = _ANY_DOCUMENT.json_schema(by_alias=True)
    for name in KINDS:
        schema["$defs"][name]["required"] = ["apiVersion", "kind", "metadata", "spec"]
    _tell_meanings(schema, KINDS.values())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule document of Telltale",
        **schema,
    }


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of one model, with the models that it holds under `$defs`."""
    name = model.__name__
    schema = model.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions = schema.pop("$defs", {})
    whole = {"$ref": f"#/$defs/{name}", "$defs": {**definitions, name: schema}}
    _tell_meanings(whole, [model])
    return whole


def _tell_meanings(schema: dict[str, Any], models: Iterable[type[BaseModel]]) -> None:
    reached: dict[type[BaseModel], None] = {}
    for model in models:
        _reach(model, reached)
    for model in reached:
        long_name = f"{model.__module__}.{model.__name__}".replace(".", "__")  # where two have one name
        definition = schema["$defs"].get(long_name) or schema["$defs"].get(model.__name__)
        if definition is not None:
            for part in definition.get("properties", {}).values():
                part.pop("title", None)  # it repeats the key
            _describe(definition, model)
    _write_defaults(schema)


def _reach(annotation: Any, reached: dict[type[BaseModel], None]) -> None:
    """Add the models of an annotation, and those of their fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation not in reached:
            reached[annotation] = None
            for field in annotation.model_fields.values():
                _reach(field.annotation, reached)
        return
    for part in get_args(annotation):
        _reach(part, reached)


def _write_defaults(schema: Any) -> None:
    """Pydantic gives a default as code holds it, in milliseconds or minutes; an editor offers a text."""
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            _write_defaults(part)
    if isinstance(schema, dict) and schema.get("pattern") == FIELD_PATTERN and "default" in schema:
        schema["default"] = format_duration(schema["default"])
    if isinstance(schema, dict) and schema.get("pattern") == TIME_PATTERN and "default" in schema:
        schema["default"] = format_time_of_day(schema["default"])


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Give each property the text that stands below its field. Not pydantic's way: it costs every import."""
    for owner in reversed(model.__mro__):
        if owner is BaseModel or not issubclass(owner, BaseModel):
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(definition, ast.ClassDef)
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    info = model.model_fields.get(name)
                    if info is not None and info.alias in schema["properties"]:
                        schema["properties"][info.alias]["description"] = inspect.cleandoc(text)
