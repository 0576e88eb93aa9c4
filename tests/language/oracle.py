"""The C++ evaluator of cel-expr-python, asked for the value of an expression: what ours is held to."""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_strings

from rules.language import UNKNOWN, Type
from rules.language.frontend import foreign
from rules.language.values import Duration, Map, Timestamp, TypeValue, Uint

ERROR = ("error",)
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


class Oracle:
    """Compiles and evaluates in C++; answers are `canonical`."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        self._environment = cel.NewEnv(
            variables={name: foreign(type_) for name, type_ in variables.items()},
            extensions=[ext_strings.ExtStrings()],
        )

    def compile(self, text: str) -> Any:
        return self._environment.compile(text)

    def bind(self, values: Mapping[str, object]) -> Any:
        """Return an activation; a name that is not in `values` is unbound, which is an error there."""
        return self._environment.Activation({name: _foreign_value(value) for name, value in values.items()})

    def value(self, expression: Any, activation: Any) -> object:
        try:
            return self._canonical(expression.eval(activation))
        except RuntimeError as error:
            # Some errors are not values there and end the evaluation, past any `||`.
            return ("aborted", str(error))

    def _canonical(self, value: Any) -> object:
        kind = value.type().name()
        plain = value.plain_value()
        if kind == "ERROR":
            return ERROR
        if kind.startswith("LIST"):
            return ("list", *(self._canonical(item) for item in value.value()))
        if kind.startswith("MAP"):
            pairs = ((_plain_key(key), self._canonical(item)) for key, item in value.value().items())
            return ("map", *sorted(pairs, key=repr))
        if kind == "TYPE":
            return "type", plain.name().split("<")[0].lower()
        if kind == "UINT":
            return "uint", plain
        return _scalar(plain)


def canonical(value: object) -> object:
    """Return our value in the form that the oracle answers in: types told apart, NaN equal to itself."""
    match value:
        case list():
            return ("list", *map(canonical, value))
        case Map():
            return ("map", *sorted(((_plain_key(key), canonical(value[key])) for key in value), key=repr))
        case Uint():
            return "uint", int(value)
        case Duration(nanoseconds):
            # What Python gets from C++ is cut to microseconds, towards zero.
            micros = abs(nanoseconds) // 1000
            return "duration", -micros if nanoseconds < 0 else micros
        case Timestamp(nanoseconds):
            return "timestamp", nanoseconds // 1000
        case TypeValue(name):
            return "type", name.rsplit(".", 1)[-1].lower().removesuffix("_type")
    return _scalar(value)


def attempt(strict: Callable[..., object], arguments: Sequence[object]) -> object | None:
    """Return what the fast code answers; None if it does not."""
    try:
        value = strict(*arguments)
    except Exception:
        return None
    return ERROR if value is UNKNOWN else canonical(value)


def _plain_key(key: object) -> object:
    return (type(key).__name__, key) if isinstance(key, bool) else key


def _scalar(value: object) -> object:
    match value:
        case float() if math.isnan(value):
            return "double", "nan"
        case float():
            return "double", value, math.copysign(1, value)
        case datetime.datetime():
            return "timestamp", (value - EPOCH) // MICROSECOND
        case datetime.timedelta():
            return "duration", value // MICROSECOND
        case bytes() | bytearray():
            return "bytes", bytes(value)
    return type(value).__name__, value


def _foreign_value(value: object) -> object:
    match value:
        case Uint():
            return int(value)
        case Duration(nanoseconds):
            return datetime.timedelta(microseconds=nanoseconds // 1000)
        case Timestamp(nanoseconds):
            return EPOCH + datetime.timedelta(microseconds=nanoseconds // 1000)
        case bytes():
            return bytearray(value)
    return value
