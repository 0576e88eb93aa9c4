"""The live view: one screen that fits, from 80 columns by 24 lines on; more room shows more, not larger.

Pure: from what is known to lines of text, so that a test can read the screen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bridges.demo.accounts import Accounts
from bridges.demo.board import AlertLine, Board, CommandLine
from bridges.demo.children import Child, Phase
from bridges.demo.health import Condition

WIDE = 120
_LONG_FRACTION = re.compile(r"\d+\.\d{3,}")
LEAST_ALERTS = 8
"""Where fewer lines than that would be left for alerts, the table of rules is not shown."""

SEVERITY = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
COMMAND = {
    "requested": "yellow",
    "published": "cyan",
    "acknowledged": "green",
    "rejected": "magenta",
    "expired": "dim",
    "undeliverable": "red",
}


@dataclass(slots=True)
class Scene:
    """All that the view needs; `now` and `began` are seconds on one clock, `began` when the fleet did."""

    now: float
    began: float
    vehicles: int
    heading: str
    board: Board
    accounts: Accounts
    fleet: Mapping[str, object]
    children: Sequence[Child]
    conditions: Mapping[str, Condition]
    rules: Sequence[str]


def render(scene: Scene, width: int, height: int) -> RenderableType:
    """The screen as lines, at most `height` of them."""
    parts: list[RenderableType] = [_header(scene), _flow(scene, width), _commands_so_far(scene), Text()]
    processes = len(scene.children) + 1
    tables = len(scene.rules) + 1
    # What is counted here: a heading over each table, an empty line after each part, the footer.
    if width >= WIDE:
        parts += [_beside(_processes(scene), _notes(scene, processes - 1)), Text()]
    else:
        parts += [_processes(scene), Text()]
    alerts = height - 8 - processes - tables
    if width >= WIDE and alerts >= LEAST_ALERTS:
        parts += [_alerts(scene, alerts), Text(), _beside(_rules(scene), _commands(scene, tables - 1))]
    else:
        left = height - 9 - processes
        commands = max(2, left // 3)
        parts += [_alerts(scene, max(2, left - commands)), Text(), _commands(scene, commands)]
    parts.append(_footer(scene))
    return Group(*parts)


def _beside(left: Table, right: Table) -> Table:
    both = Table.grid(expand=True, padding=(0, 2))
    both.add_column(ratio=1)
    both.add_column(ratio=1)
    both.add_row(left, right)
    return both


def clock(seconds: float) -> str:
    """`1:05` for 65 seconds."""
    whole = max(0, int(seconds))
    return f"{whole // 60}:{whole % 60:02d}"


def _header(scene: Scene) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(" Telltale ", "bold black on yellow")
    text.append(f" {clock(scene.now - scene.began)} ", "bold")
    text.append(f" {scene.vehicles} vehicles ")
    text.append(f" {scene.board.rate(scene.now):,.0f} messages/s ", "bold green")
    latency = scene.fleet.get("latency_ms")
    if isinstance(latency, Mapping) and latency.get("p50") is not None:
        text.append(" latency ")
        text.append(f"p50 {latency['p50']:.0f} p99 {latency['p99']:.0f} ms", "bold green")
    return text


def _flow(scene: Scene, width: int) -> Text:
    accounts = scene.accounts
    text = Text(no_wrap=True, overflow="ellipsis")
    steps = [
        ("published", scene.fleet.get("published", 0)),
        ("in Kafka", accounts.uplinked),
        ("normalized", accounts.normalized),
        ("duplicates", accounts.duplicates),
        ("dead letters", accounts.dead_lettered),
    ]
    if width >= 100:
        steps.insert(2, ("redelivered", accounts.redelivered))
    for name, count in steps:
        text.append(f" {name} ", "dim")
        text.append(f"{count:,}")
    return text


def _commands_so_far(scene: Scene) -> Text:
    counts = scene.board.command_states
    text = Text(" commands", "dim", no_wrap=True, overflow="ellipsis")
    for state, style in COMMAND.items():
        if counts[state]:
            text.append(f"  {counts[state]}", style)
            text.append(f" {state}", "dim")
    for count, what in (
        (scene.accounts.geofence_events, "at fences"),
        (scene.accounts.aggregates, "from windows"),
    ):
        if count:
            text.append(f"  {count:,}")
            text.append(f" {what}", "dim")
    return text


def _table(*columns: tuple[str, str, int | None]) -> Table:
    """A table without lines; each column has a heading, a justification and a width (None: what is left)."""
    table = Table(
        box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False, show_header=True, header_style="bold dim"
    )
    for heading, justify, wide in columns:
        ratio = 1 if wide is None else None
        table.add_column(
            heading,
            justify="right" if justify == "right" else "left",
            width=wide,
            ratio=ratio,
            no_wrap=True,
            overflow="ellipsis",
        )
    return table


def _processes(scene: Scene) -> Table:
    table = _table(
        ("PROCESS", "left", 11),
        ("PID", "right", 8),
        ("CPU", "right", 5),
        ("MB", "right", 5),
        ("RESTARTS", "right", 8),
        ("STATE", "left", None),
    )
    for child in scene.children:
        condition = scene.conditions.get(child.name, Condition())
        table.add_row(
            child.name,
            str(child.pid or "–"),
            "–" if condition.cpu is None else f"{condition.cpu:.0%}",
            "–" if condition.memory_mb is None else f"{condition.memory_mb:.0f}",
            Text(str(child.restarts), "bold red" if child.restarts else ""),
            _state(child, condition),
        )
    return table


def _state(child: Child, condition: Condition) -> Text:
    if child.phase is Phase.RUNNING and condition.ready:
        return Text("ready", "green")
    if child.phase is Phase.DEAD:
        return Text(f"{child.last_exit}, is started again", "bold red")
    if child.phase is Phase.RUNNING:
        return Text(condition.missing or "starting", "yellow")
    return Text(child.phase.value, "yellow")


def _alerts(scene: Scene, rows: int) -> Table:
    board = scene.board
    table = _table(
        ("TIME", "right", 5),
        ("ALERTS", "left", 9),
        (f"{len(board.firing)} firing", "left", 28),
        ("VEHICLE", "left", 10),
        ("", "left", None),
    )
    for line in list(board.news)[: -rows - 1 : -1]:
        table.add_row(
            clock(line.at - scene.began), _transition(line), line.rule, line.vehicle_id, _story(line)
        )
    for _ in range(rows - min(rows, len(board.news))):
        table.add_row()
    return table


def _transition(line: AlertLine) -> Text:
    if line.state not in ("firing", "resolved"):
        return Text(line.state, SEVERITY["info"])
    if line.state == "resolved":
        return Text(line.reason or "resolved", "green")
    return Text(line.severity, SEVERITY.get(line.severity, ""))


def _story(line: AlertLine) -> Text:
    summary = _LONG_FRACTION.sub(lambda number: f"{float(number[0]):.1f}", line.summary)
    if line.state == "resolved":
        return Text(f"ends: {summary}", "dim")
    return Text(f"rises: {summary}" if line.raised else summary)


def _commands(scene: Scene, rows: int) -> Table:
    table = _table(
        ("TIME", "right", 5),
        ("COMMANDS", "left", 13),
        ("", "left", 23),
        ("VEHICLE", "left", 10),
        ("RULE", "left", None),
    )
    shown = list(scene.board.commands.values())[: -rows - 1 : -1]
    for line in shown:
        table.add_row(*_command(line, scene.began))
    for _ in range(rows - len(shown)):
        table.add_row()
    return table


def _command(line: CommandLine, began: float) -> tuple[str, Text, str, str, Text]:
    state = Text(line.state, COMMAND.get(line.state, ""))
    return clock(line.at - began), state, line.name, line.vehicle_id, Text(line.rule, "dim")


def _rules(scene: Scene) -> Table:
    board = scene.board
    table = _table(
        ("RULE", "left", None), ("FIRING", "right", 7), ("FIRED", "right", 6), ("VEHICLES", "right", 9)
    )
    firing = [line.rule for line in board.firing.values()]
    for rule in scene.rules:
        fired = board.fired[rule]
        table.add_row(
            Text(rule, "" if fired else "dim"),
            Text(str(firing.count(rule) or ""), "bold yellow"),
            str(fired or ""),
            f"{len(board.vehicles.get(rule, ()))} of {scene.vehicles}" if fired else "",
        )
    return table


def _notes(scene: Scene, rows: int) -> Table:
    table = _table(("TIME", "right", 5), ("WHAT ELSE HAPPENED", "left", None))
    for at, sentence in list(scene.board.notes)[: -rows - 1 : -1]:
        table.add_row(clock(at - scene.began), sentence)
    return table


def _footer(scene: Scene) -> Text:
    if scene.heading:
        return Text(f" {scene.heading}", "bold yellow", no_wrap=True, overflow="ellipsis")
    if scene.board.notes and scene.now - scene.board.notes[-1][0] < 8.0:
        return Text(f" {scene.board.notes[-1][1]}", "bold yellow", no_wrap=True, overflow="ellipsis")
    victim = next((child for child in scene.children if child.name == "alerts" and child.pid), None)
    advice = f"try: kill -9 {victim.pid}   " if victim else ""
    return Text(f" Ctrl-C ends it   {advice}", "dim", no_wrap=True, overflow="ellipsis")
