"""A rule's story in sentences: how it stands, since when, what it waits for, and what moved it."""

from collections.abc import Iterator, Sequence
from typing import Any

from rules.documents import format_duration
from rules.engine.memory import FOREVER
from rules.engine.ruleset import Absence, Opening, Pattern, Rule
from rules.explain.judging import Judgement, Value
from rules.explain.watching import Moment, State
from rules.instants import format_instant


def verdict(rule: Rule | Pattern | Absence, state: State, at: int) -> Iterator[str]:
    """How the rule stands at an instant, and what it waits for."""
    if state.phase == "not for this vehicle":
        yield "the rule is not for this vehicle: `vehicles` does not hold for it"
        return
    if not isinstance(rule, Absence) and rule.schedule is not None:
        yield _schedule(rule.schedule, at)
    if isinstance(rule, Pattern):
        yield from _sequence(rule, state)
        return
    since = "" if state.since is None else f" since {format_instant(state.since)}"
    if state.phase == "firing":
        assert state.fired_at is not None
        yield f"firing ({state.severity}){since}, fired at {format_instant(state.fired_at)}"
        if state.clearing_since is not None:
            ends, began = state.clearing_since + rule.keep_ms, state.clearing_since
            yield f"ends at {format_instant(ends)}: keepFiringFor runs since {format_instant(began)}"
        if state.unknown_since is not None and isinstance(rule, Rule):
            ends, began = state.unknown_since + rule.stale_grace_ms, state.unknown_since
            yield f"unknown since {format_instant(began)}; resolves as stale at {format_instant(ends)}"
        return
    if state.phase == "pending" and isinstance(rule, Rule):
        assert state.since is not None
        held, due = max(0, at - state.since), state.since + rule.for_ms
        hold = f": held {format_duration(held)} of {format_duration(rule.for_ms)}" if rule.for_ms else ""
        yield f"pending{since}{hold}" + (f", fires at {format_instant(due)}" if due > at else "")
        if rule.count is not None:
            within = "" if rule.within_ms is None else f" within {format_duration(rule.within_ms)}"
            yield f"forEvents: {state.counted or 0} of {rule.count} messages{within}"
        return
    yield "inactive"
    if state.ended_at is not None:
        yield f"ended at {format_instant(state.ended_at)}"
        if rule.cooldown_ms and at < state.ended_at + rule.cooldown_ms:
            yield f"cooldown: nothing begins before {format_instant(state.ended_at + rule.cooldown_ms)}"
    if isinstance(rule, Absence):
        yield f"waits for a silence of {format_duration(rule.duration_ms)}"


def _schedule(schedule: Opening, at: int) -> str:
    changes = schedule.next_edge(at + 1)
    until = "" if changes >= FOREVER else f" until {format_instant(changes)}"
    if schedule.is_open(at):
        return f"the schedule is open{until}"
    return f"outside its schedule{until}: the condition counts as false"


def _sequence(rule: Pattern, state: State) -> Iterator[str]:
    if not state.partials:
        yield "inactive: no partial match"
        if state.ended_at is not None:
            yield f"cooldown: nothing begins before {format_instant(state.ended_at)}"
        return
    for started, station in state.partials:
        step = rule.steps[rule.plan.stations[station].step][0]
        over = started + rule.plan.within_ms
        yield f"a partial match since {format_instant(started)} waits at {step}, until {format_instant(over)}"


def judgement_lines(judgement: Judgement, at: int) -> Iterator[str]:
    """A condition and its comparisons, indented."""
    yield f"{judgement.field}: {judgement.text}  ->  {_truth(judgement.truth)}"
    for part in judgement.parts:
        values = ", ".join(_value(value, at) for value in part.values)
        yield f"    {_truth(part.truth):<8} {part.text}" + (f"    ({values})" if values else "")


def moment_line(moment: Moment) -> str:
    """What happened, in a line."""
    if moment.cause == "message":
        cause = ", ".join(f"{name} = {_plain(value)}" for name, value in moment.signals.items()) or "message"
    else:
        cause = {"silence": "time passed", "registry": "the registry changed"}[moment.cause]
    return f"{format_instant(moment.at)}  {_change(moment)}: {cause}{_because(moment)}"


def _because(moment: Moment) -> str:
    """The comparisons that end what was: those that do not hold."""
    if not moment.is_open:
        return "; outside its schedule"
    if moment.before.phase != "pending" or moment.after.phase != "inactive":
        return ""
    parts = [part for it in moment.judgements if it.field == "when" for part in it.parts]
    against = [f"`{part.text}` is {_truth(part.truth)}" for part in parts if part.truth is not True]
    return f"; {', '.join(against)}" if against else ""


def _change(moment: Moment) -> str:
    before, after = moment.before, moment.after
    failed = [it.error for it in moment.told if type(it).__name__ == "RuleFailure"]
    if failed:
        return f"failed ({failed[0]})"
    if before.phase != after.phase or before.since != after.since:
        reasons = [it.reason for it in moment.told if getattr(it, "reason", None)]
        how = f" ({reasons[0]})" if reasons else ""
        return f"{before.phase} -> {after.phase}{how}"
    if before.severity != after.severity:
        return f"{before.severity} -> {after.severity}"
    if before.clearing_since != after.clearing_since:
        return "begins to clear" if after.clearing_since is not None else "holds again"
    if before.unknown_since != after.unknown_since:
        return "unknown" if after.unknown_since is not None else "known again"
    if before.counted != after.counted:
        return f"counted {after.counted}"
    if len(before.partials) != len(after.partials):
        return f"{len(before.partials)} -> {len(after.partials)} partial matches"
    return "goes on" if not moment.told else "told"


def as_json(value: Any) -> Any:
    """Dataclasses of this package as plain JSON: instants as RFC 3339 where a field's name says so."""
    if hasattr(value, "to_record"):
        return value.to_record()
    if hasattr(value, "__dataclass_fields__"):
        return {_camel(name): _field(name, getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, tuple | list):
        return [as_json(it) for it in value]
    if isinstance(value, dict):
        return {str(key): as_json(it) for key, it in value.items()}
    return value


_INSTANTS = frozenset(
    ("at", "since", "fired_at", "clearing_since", "unknown_since", "ended_at", "sampled_at")
)


def _field(name: str, value: Any) -> Any:
    if name in _INSTANTS:
        return None if value is None else format_instant(value)
    if name == "partials":
        return [{"since": format_instant(since), "station": station} for since, station in value]
    return as_json(value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


def _truth(truth: bool | None) -> str:
    return "unknown" if truth is None else "true" if truth else "false"


def _value(value: Value, at: int) -> str:
    known = (
        f"{value.written} = {_plain(value.value)}" if value.value is not None else f"{value.written}: unknown"
    )
    notes: Sequence[str] = [value.note] if value.note else []
    if value.sampled_at is not None and at > value.sampled_at:
        notes = [*notes, f"{format_duration(at - value.sampled_at)} old"]
    return f"{known}, {', '.join(notes)}" if notes else known


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
