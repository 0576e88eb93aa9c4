"""An aggregation rule, compiled: where its windows lie, what each aggregate takes, and what is told."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from rules.compile.aggregation_results import Results, alarm_of
from rules.compile.exceptions import Exceptions
from rules.compile.parts import Part, Vocabulary
from rules.documents import AggregationRule, Placed, Window, did_you_mean, quote
from rules.engine.aggregation.windows import Calendar, Fixed, Hopping, Session, Sliding, Tumbling
from rules.engine.expressions import truth_of
from rules.engine.ruleset import Aggregation, Measure
from rules.language import (
    BOOL,
    DOUBLE,
    INT,
    STRING,
    UNKNOWN,
    Argument,
    Compiled,
    EvaluationError,
    Problem,
    Type,
    UnknownValue,
    outer_call,
)

_NUMBERS = (DOUBLE, INT)
_TAKES: dict[str, tuple[Type, ...]] = {
    "count": (DOUBLE, INT, STRING),
    "sum": (DOUBLE, INT, BOOL),
    "avg": (DOUBLE, INT, BOOL),
    "min": _NUMBERS,
    "max": _NUMBERS,
    "stddev": _NUMBERS,
    "percentile": _NUMBERS,
    "distinct": (DOUBLE, INT, STRING, BOOL),
    "first": (DOUBLE, INT, STRING, BOOL),
    "last": (DOUBLE, INT, STRING, BOOL),
    "increase": _NUMBERS,
}
_AT_A_MESSAGE = frozenset({"value", "prev", "changed", "delta", "rate", "age", "local"})
"""What is known of a vehicle at each message without remembering a window of its own."""
_PERCENT = re.compile(r"\s*([0-9]{1,3}(?:\.[0-9]{1,6})?)\s*\Z")


def aggregation_rule(vocabulary: Vocabulary, placed: Placed[AggregationRule]) -> Aggregation | None:
    """Compile one rule; None after an error, which is noted in the vocabulary."""
    spec = placed.document.spec
    part = Part(vocabulary, placed)
    vehicles = part.vehicles(spec.vehicles)
    where = None
    if spec.where is not None:
        where = _at_a_message(part, spec.where, ("spec", "where"), BOOL)
    exceptions = Exceptions(part, vocabulary.environment(), _AT_A_MESSAGE)
    if exceptions and part.is_right:
        where = exceptions.unless(vocabulary.environment(), spec.where or "true", ("spec", "where"))
    groups = _groups(part)
    measures: list[Measure] = []
    types: dict[str, Type] = {}
    for name, text in spec.aggregates.items():
        measure = _measure(part, name, text)
        if measure is not None:
            measures.append(measure[0])
            types[name] = measure[1]
    having = alarm = None
    if len(types) == len(spec.aggregates) and part.is_right:
        results = Results(part, types, groups)
        if spec.having is not None:
            having = results.condition(spec.having, ("spec", "having"))
        if having is not None:
            _judge_having(part, having, measures, of_groups=groups is not None)
        if spec.alert is not None:
            alarm = alarm_of(results, spec.alert)
    if not part.is_right or any(each.severity == "error" for each in placed.document.findings()):
        return None
    emit, every = (spec.emit, 0) if isinstance(spec.emit, str) else ("every", spec.emit.every_ms)
    name = placed.document.metadata.name
    return Aggregation(
        name=name,
        window=_window(spec.window),
        measures=tuple(measures),
        where=where,
        groups=groups,
        having=having,
        lateness_ms=spec.allowed_lateness_ms,
        emit=emit,
        every_ms=every,
        alarm=alarm,
        vehicles=vehicles,
        lineage=vocabulary.lineage(name),
    )


def _window(window: Window) -> Fixed | Session | Sliding:
    if window.tumbling_ms is not None:
        return Tumbling(window.tumbling_ms)
    if window.hopping_ms is not None:
        return Hopping(window.hopping_ms, window.every_ms or window.hopping_ms)
    if window.sliding_ms is not None:
        return Sliding(window.sliding_ms)
    if window.session_ms is not None:
        return Session(window.session_ms)
    return Calendar(window.calendar or "day", window.time_zone or "UTC")


def _measure(part: Part, name: str, text: str) -> tuple[Measure, Type] | None:
    """The aggregate and the type of its result; None after noting what is wrong."""
    path = ("spec", "aggregates", name)
    call = outer_call(text)
    if call is None or call.name not in _TAKES:
        hint = did_you_mean(call.name, list(_TAKES)) if call is not None else None
        message = "an aggregate is one call of a function over samples"
        if call is not None:
            message = f"{quote(call.name)} is no function over samples"
        hint = hint or f"one of {', '.join(_TAKES)}; results meet in having"
        part.find("TT220", path, message, hint=hint)
        return None
    function, arguments = call
    if function == "count" and not arguments:
        return Measure(name, function), DOUBLE
    percent = 0.0
    if function == "percentile":
        match = _PERCENT.match(arguments[1].text) if len(arguments) == 2 else None
        if match is None or float(match[1]) > 100:
            message = "percentile takes a value and a percentage from 0 to 100"
            part.find("TT221", path, message, hint="for example: percentile(speed, 95)")
            return None
        percent = float(match[1])
    elif len(arguments) != 1:
        message = f"{function} takes one value, here are {len(arguments)}"
        hint = "the window is the rule's own" if len(arguments) > 1 else f"for example: {function}(speed)"
        part.find("TT221", path, message, hint=hint)
        return None
    argument = _at_a_message(part, arguments[0].text, path, at=arguments[0])
    if argument is None:
        return None
    if argument.type not in _TAKES[function]:
        message = f"{function} does not take a {argument.type}"
        hint = "how many messages it holds for: sum of it" if function == "count" else None
        part.find("TT222", path, message, hint=hint)
        return None
    if function == "increase":
        argument = _growth(part, argument, path)
        if argument is None:
            return None
    keeps_type = function in ("first", "last") and argument.type in (STRING, BOOL)
    return Measure(name, function, argument, percent), argument.type if keeps_type else DOUBLE


def _growth(part: Part, counter: Compiled, path: tuple[str, ...]) -> Compiled | None:
    """How much a counter has grown since the vehicle's sample before; what it shows, after a fall."""
    if len(counter.reads) != 1 or counter.source != counter.reads[0].name or counter.reads[0].kind != "value":
        message = "increase takes the signal of a counter, no expression"
        part.find("TT221", path, message, hint="for example: increase(Vehicle.TraveledDistance)")
        return None
    signal = counter.reads[0].signal
    text = f"delta({signal}) < 0.0 ? {signal} : delta({signal})"
    growth = part.vocabulary.environment().compile(text, DOUBLE)
    assert isinstance(growth, Compiled), growth
    return growth


def _at_a_message(
    part: Part, text: str, path: tuple[str, ...], expect: Type | None = None, at: Argument | None = None
) -> Compiled | None:
    """An expression that is evaluated for single messages; None after noting what is wrong."""
    compiled = part.vocabulary.environment().compile(text, expect)
    if not isinstance(compiled, Compiled):
        part.find_problems([_moved(problem, at) for problem in compiled], path)
        return None
    for read in compiled.reads:
        if read.kind not in _AT_A_MESSAGE:
            message = f"{quote(read.signal)} has a window of its own here, inside of the rule's window"
            part.find("TT221", path, message, hint="take the signal itself")
            return None
    return compiled


def _moved(problem: Problem, at: Argument | None) -> Problem:
    """The problem with its place in the whole text."""
    if at is None:
        return problem
    column = problem.column + at.column - 1 if problem.line == 1 else problem.column
    return replace(problem, line=problem.line + at.line - 1, column=column)


def _groups(part: Part) -> tuple[tuple[str, Compiled], ...] | None:
    """What tells groups apart; None for a rule by vehicle."""
    group_by = part.placed.document.spec.group_by
    if group_by is None:
        return None
    groups = []
    for name, text in group_by.items():
        path = ("spec", "groupBy", name)
        value = _at_a_message(part, text, path)
        if value is not None and value.type not in _TAKES["distinct"]:
            part.find(
                "TT223", path, f"a {value.type} does not tell groups apart", hint="take one value of it"
            )
        elif value is not None:
            groups.append((name, value))
    return tuple(groups)


def _judge_having(part: Part, having: Compiled, measures: Sequence[Measure], *, of_groups: bool) -> None:
    """Find a condition that holds where there is no sample of anything: it is never asked there."""
    counts = {measure.name for measure in measures if measure.function in ("count", "distinct")}
    nothing = [0.0 if read.signal in counts else UNKNOWN for read in having.reads]
    try:
        holds = truth_of(having.evaluate(nothing))
    except (UnknownValue, EvaluationError):
        return
    if holds and having.reads:
        message = "this holds for a window without a message, and there is no record of such a window"
        hint = "an AlertRule with absentFor tells of silence"
        severity: Literal["error", "warning"] = "error" if of_groups else "warning"
        part.find("TT224", ("spec", "having"), message, hint=hint, severity=severity)
