"""What rules of every kind offer to those who use them unchanged: parameters with defaults and ranges.

A parameter is a word in the rule's expressions and texts, and `"{{ hold }}"` in its durations. An Adaptation
gives it another value, so nobody copies a rule to change a number.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, TypeGuard

from pydantic import Field

from rules.documents.amounts import NUMBERS
from rules.documents.closed import Closed, Finding, Many, told
from rules.documents.definitions import MOST_PARAMETERS, Scalar, ValueType, written
from rules.documents.diagnostics import Path
from rules.documents.durations import DURATIONS, parse_duration
from rules.documents.mode import Moded

_WORDED = {"double": "a number", "boolean": "true or false", "string": "a text", "duration": "a duration"}
_TYPES = {"double": float, "boolean": bool, "string": str, "duration": str}


class Parameter(Closed):
    """One value that the rule leaves to others; `min` and `max` are written as the value is."""

    type: ValueType = "double"
    """What values it takes."""
    default: Scalar
    """Its value where no Adaptation gives another."""
    unit: str | None = None
    """For those who read the rule; nothing is converted."""
    min: float | str | None = None
    """The least that an Adaptation may give, written as the default is."""
    max: float | str | None = None
    """The most that an Adaptation may give, written as the default is."""
    allowed: Annotated[Many[Scalar] | None, told(minItems=1)] = None
    """Every value that an Adaptation may give."""
    description: str | None = None
    """What it is for."""

    elsewhere: ClassVar = {"value": "default", "enum": "allowed", "minimum": "min", "maximum": "max"}

    def problem(self, value: Scalar) -> str | None:
        """Say why `value` cannot be the parameter's; None if it can."""
        if self.type == "duration" and not _is_duration(value):
            return f"{written(value)} is not a duration, such as 30s or 5m"
        if not isinstance(value, _TYPES[self.type]):
            return f"{written(value)} is not {_WORDED[self.type]}"
        if self._is_right(self.min) and _amount(value) < _amount(self.min):
            return f"{written(value)} is less than {written(self.min)}, the least that the rule allows"
        if self._is_right(self.max) and _amount(value) > _amount(self.max):
            return f"{written(value)} is more than {written(self.max)}, the most that the rule allows"
        if self.allowed is not None and value not in self.allowed:
            return f"{written(value)} is not one of {', '.join(map(written, self.allowed))}"
        return None

    def _is_right(self, bound: float | str | None) -> TypeGuard[float | str]:
        """Whether a bound is there and of the parameter's type."""
        if self.type == "duration":
            return _is_duration(bound)
        return self.type == "double" and isinstance(bound, float)

    def findings(self, path: Path) -> Iterator[Finding]:
        """Yield what does not go together in the declaration."""
        for key, bound in (("min", self.min), ("max", self.max)):
            if bound is not None and not self._is_right(bound):
                has_bounds = self.type in ("double", "duration")
                problem = (
                    f"{written(bound)} is not {_WORDED[self.type]}"
                    if has_bounds
                    else f"a {self.type} has no {key}"
                )
                yield Finding("TT091", (*path, key), problem, "write min and max as the default is written")
        if self.allowed == ():
            yield Finding("TT091", (*path, "allowed"), "no value would be allowed", "leave allowed out")
        elif (wrong := self.problem(self.default)) is not None:
            yield Finding("TT091", (*path, "default"), wrong, "a default is a value that is allowed")


class Adaptable(Moded):
    """The part of a rule's `spec` that is the same for every kind."""

    parameters: Annotated[dict[str, Parameter], told(maxProperties=MOST_PARAMETERS)] = Field(
        default_factory=dict
    )
    """Values that the rule leaves to Adaptations, by the words that expressions have for them."""

    def adaptable_findings(self) -> Iterator[Finding]:
        """Yield faults of the parameters."""
        path: Path = ("spec", "parameters")
        if len(self.parameters) > MOST_PARAMETERS:
            message = f"a rule has at most {MOST_PARAMETERS} parameters, this one has {len(self.parameters)}"
            yield Finding("TT091", path, message, "named lists and expressions are shared in Definitions")
        for name, parameter in self.parameters.items():
            yield from parameter.findings((*path, name))


def values_of(spec: Any) -> dict[str, Any]:
    """Return what parameters are worth, as pydantic's context; of a plain `spec`, right or wrong."""
    parameters = spec.get("parameters") if isinstance(spec, Mapping) else None
    durations: dict[str, int] = {}
    numbers: dict[str, float] = {}
    for name, each in parameters.items() if isinstance(parameters, dict) else ():
        if not isinstance(each, dict):
            continue
        type_, value = each.get("type", "double"), each.get("default")
        if type_ == "duration" and _is_duration(value):
            durations[name] = parse_duration(str(value))
        elif type_ == "double" and isinstance(value, int | float) and not isinstance(value, bool):
            numbers[name] = float(value)
    return {DURATIONS: durations, NUMBERS: numbers}


def _is_duration(value: object) -> bool:
    try:
        parse_duration(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _amount(value: Scalar) -> float:
    return parse_duration(value) if isinstance(value, str) else value
