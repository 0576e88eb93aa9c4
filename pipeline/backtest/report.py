"""What a person is told of a backtest: a table of rules, what was left out and why, and what differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.backtest.alerts import Alert, Change, alerts_of, differences
from pipeline.backtest.running import Result
from pipeline.process.durations import format_duration
from rules.instants import format_instant

_MOST_CHANGES = 200
_COLOURS = {"critical": "red", "warning": "yellow", "+": "green", "-": "red", "~": "yellow"}


def print_report(console: Console, result: Result) -> None:
    """The summary: tables and sentences."""
    if result.against is None:
        console.print(_rules_table(result, alerts_of(result.told)))
    else:
        _print_differences(console, result)
    for line in _sentences(result):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _rules_table(result: Result, alerts: Mapping[str, Alert]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule")
    for name in ("vehicles", "fired", "open", "median", "longest", "other records"):
        table.add_column(name, justify="right")
    others = _others(result)
    for rule in result.rules:
        own = [alert for alert in alerts.values() if alert.rule == rule]
        lengths = [alert.ends_at - alert.fired_at for alert in own if alert.ends_at is not None]
        table.add_row(
            Text(rule),
            str(len({alert.vehicle_id for alert in own})),
            str(len(own)),
            str(sum(alert.ends_at is None for alert in own)),
            _length(int(median(lengths))) if lengths else "-",
            _length(max(lengths)) if lengths else "-",
            str(others.get(rule, 0)),
        )
    return table


def _others(result: Result) -> dict[str, int]:
    """Commands and records for other topics, by rule."""
    found: dict[str, int] = {}
    for record in result.told:
        if record.topic != "vehicle.alerts":
            said = orjson.loads(record.value)
            rule = said.get("rule") or said.get("cause", {}).get("rule", "?")
            found[rule] = found.get(rule, 0) + 1
    return found


def _print_differences(console: Console, result: Result) -> None:
    before, after = alerts_of(result.against or ()), alerts_of(result.told)
    changes = differences(before, after)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rule")
    for name in ("before", "now", "+ new", "- gone", "~ changed"):
        table.add_column(name, justify="right")
    for rule in result.rules:
        table.add_row(
            Text(rule),
            str(sum(alert.rule == rule for alert in before.values())),
            str(sum(alert.rule == rule for alert in after.values())),
            *(str(sum(it.any.rule == rule and it.sign == sign for it in changes)) for sign in "+-~"),
        )
    console.print(table)
    for change in changes[:_MOST_CHANGES]:
        console.print(Text(_change_line(change), style=_COLOURS[change.sign]), soft_wrap=True)
    if len(changes) > _MOST_CHANGES:
        console.print(f"… and {len(changes) - _MOST_CHANGES} more: --json has them all")


def _change_line(change: Change) -> str:
    head = f"{change.sign} {change.any.rule}  {change.any.vehicle_id}"
    if change.before is not None and change.after is not None:
        return f"{head}  {_span(change.before)}  ->  {_span(change.after)}"
    return f"{head}  {_span(change.any)}"


def _span(alert: Alert) -> str:
    end = "still firing" if alert.ends_at is None else f"{format_instant(alert.ends_at)} {alert.reason}"
    began = f"since {format_instant(alert.starts_at)}, fired {format_instant(alert.fired_at)}"
    return f"{alert.severity} {began}, {end}"


def _sentences(result: Result) -> Iterator[str]:
    rate = result.messages / result.seconds if result.seconds else 0.0
    span = ""
    if result.first is not None and result.last is not None:
        span = f", {format_instant(result.first)} to {format_instant(result.last)}"
    yield (
        f"{_count(result.messages, 'message')} of {_count(result.vehicles, 'vehicle')}{span}"
        f" in {result.seconds:.1f} s ({rate:,.0f}/s)"
    )
    if result.duplicates:
        yield f"passed over: {_count(result.duplicates, 'repeated message')}"
    if result.dropped:
        parts = ", ".join(f"{number:,} {reason}" for reason, number in sorted(result.dropped.items()))
        yield f"not used, as live: {parts}"
    if result.ignored:
        yield f"columns that the catalog does not know: {_some(result.ignored)}"
    yield from findings(result)


def findings(result: Result) -> Iterator[str]:
    """What makes the result doubtful: signals that never came, rules that failed."""
    for rule, names in result.missing.items():
        yield f"{rule}: the trace never has {_some(names)}"
    for rule, (number, first) in sorted(result.failures.items()):
        where = f"{first.vehicle_id} at {format_instant(first.at)}"
        yield f"{rule}: no value for {_count(number, 'event')}, first for {where}: {first.error}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"


def _length(milliseconds: int) -> str:
    return format_duration(milliseconds)


def json_lines(result: Result) -> Iterable[str]:
    """One record a line: topic, key, and the value as it stands on the topic; with --against, its side."""
    sides = [("", result.told)]
    if result.against is not None:
        sides = [("before", result.against), ("now", result.told)]
    for side, told in sides:
        for record in told:
            line: dict[str, object] = {"side": side} if side else {}
            line |= {
                "topic": record.topic,
                "key": record.vehicle_id,
                "timestamp": format_instant(record.at),
                "value": orjson.Fragment(record.value),
            }
            yield orjson.dumps(line).decode()
