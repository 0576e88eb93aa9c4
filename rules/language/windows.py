"""Functions over a window of one signal's samples: `avg(speed, duration("5m"))`.

The window is (t - duration, t]. How long it is has to be known when the rule is loaded, since the engine
keeps the samples of the longest window and arms a timer for the instant at which each of them leaves; so both
the duration and the percentage of `percentile` are constants, and the signal is named itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rules.language.declarations import DOUBLE, DURATION, Type
from rules.language.moments import parse_duration
from rules.language.refusals import Refused
from rules.language.tree import Call, Ident, Literal, Node
from rules.language.values import EvaluationError

PARAMETERS: Final[Mapping[str, tuple[Type, ...]]] = {
    **dict.fromkeys(("avg", "min", "max", "sum", "count", "stddev", "increase"), (DOUBLE, DURATION)),
    "percentile": (DOUBLE, DOUBLE, DURATION),
}
"""Name -> types of the arguments; the result is a double."""
LONGEST_MS: Final = 7 * 86_400_000
LONGEST_TEXT: Final = "168h"


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked of the samples of the last `duration_ms`; `percent` is 0 but for percentiles."""

    function: str
    duration_ms: int
    percent: float = 0.0


def example(function: str) -> str:
    """A call as an author may write it."""
    middle = ", 95" if function == "percentile" else ""
    return f'{function}(Vehicle.Speed{middle}, duration("5m"))'


def signal_of(call: Call) -> str:
    """The name of the signal, as it was written. Raises Refused."""
    argument = call.args[0]
    if isinstance(argument, Ident):
        return argument.name
    raise not_a_signal(call)


def not_a_signal(call: Call) -> Refused:
    """What to say where something else than a signal stands."""
    hint = f"write {example(call.function)}, and combine the results outside of it"
    return Refused("TT108", f"{call.function}() takes the name of a signal", hint, call.args[0])


def window_of(call: Call) -> Window:
    """The window of a call that the type checker has passed. Raises Refused."""
    percent = _percent(call) if call.function == "percentile" else 0.0
    return Window(call.function, _milliseconds(call), percent)


def _milliseconds(call: Call) -> int:
    match call.args[-1]:
        case Call(function="duration", args=(Literal(value=str(text)) as place,)):
            try:
                milliseconds, rest = divmod(parse_duration(text).nanoseconds, 1_000_000)
            except EvaluationError as error:
                raise Refused("TT110", str(error), None, place) from None
        case other:
            message = f"the window of {call.function}() is not a constant duration"
            raise Refused("TT112", message, f"write {example(call.function)}", other)
    if rest:
        raise Refused("TT113", f"{text} is not a whole number of milliseconds", None, place)
    if milliseconds <= 0:
        raise Refused("TT113", f"a window of {text} holds no samples", "write a duration above zero", place)
    if milliseconds > LONGEST_MS:
        message = f"a window of {text} is longer than {LONGEST_TEXT}, the longest that a condition has"
        raise Refused("TT113", message, "an AggregationRule has longer ones", place)
    return milliseconds


def _percent(call: Call) -> float:
    node: Node = call.args[1]
    sign = 1.0
    if isinstance(node, Call) and node.function == "-_":
        node, sign = node.args[0], -1.0
    if not isinstance(node, Literal) or not isinstance(node.value, float):
        message = "the percentage of percentile() is not a constant"
        raise Refused("TT114", message, f"write {example('percentile')}", call.args[1])
    percent = sign * node.value
    if not 0.0 <= percent <= 100.0:
        message = f"percentile() takes 0 to 100, not {percent:g}"
        hint = "95 is the value that 95 % of the samples do not exceed" if percent > 100 else None
        raise Refused("TT114", message, hint, call.args[1])
    return percent
