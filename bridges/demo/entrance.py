"""From options to a demonstration, and from how it ended to an exit code and a sentence."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from bridges.demo.accounts import broken_identities
from bridges.demo.children import ChildFailed
from bridges.demo.demonstration import Demonstration, Interrupted, Plan
from bridges.demo.installation import library
from bridges.demo.observer import NotDrained
from bridges.demo.screen import FullScreen, Lines
from bridges.embedded import EmbeddedFailure
from pipeline.process import parse_duration


def enter(
    duration: str | None,
    *,
    as_json: bool,
    vehicles: int,
    seed: int,
    interval: str,
    rules: tuple[Path, ...],
    undisturbed: bool,
) -> int:
    """Run the demo; the exit code."""
    console = Console(stderr=True)
    try:
        duration_s = None if duration is None else parse_duration(duration) / 1000
        interval_s = parse_duration(interval) / 1000
    except ValueError as error:
        console.print(f"telltale demo: the time {error}", highlight=False, markup=False)
        return 2
    if as_json and duration_s is None:
        console.print("telltale demo: --json needs an end: add --for 60s", highlight=False, markup=False)
        return 2
    plan = Plan(
        rules=rules or library(),
        vehicles=vehicles,
        seed=seed,
        interval=f"{interval_s:g}s",
        duration_s=duration_s,
        undisturbed=undisturbed,
    )
    return asyncio.run(_play(plan, console, as_json=as_json))


async def _play(plan: Plan, console: Console, *, as_json: bool) -> int:
    live = console.is_terminal and not as_json
    demonstration = Demonstration(plan, FullScreen(console) if live else Lines(console))
    try:
        summary = await demonstration.run()
    except Interrupted:
        return 0 if plan.duration_s is None else 1
    except (EmbeddedFailure, ChildFailed, NotDrained) as failure:
        console.print(f"telltale demo: {failure}", highlight=False, markup=False)
        console.print(f"The logs are in {demonstration.directory}", highlight=False, markup=False)
        return 1
    if summary is None:
        return 0
    if as_json:
        sys.stdout.write(orjson.dumps(summary).decode() + "\n")
        sys.stdout.flush()
    else:
        Console().print(_page(summary))
    broken = broken_identities(summary)
    for sentence in broken:
        console.print(f"telltale demo: the books do not balance: {sentence}", highlight=False, markup=False)
    return 1 if broken else 0


def _page(summary: Mapping[str, object]) -> Table:
    """The books for people."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in summary.items():
        if isinstance(value, Mapping):
            shown = ", ".join(f"{name} {part}" for name, part in value.items())
        else:
            shown = f"{value:,}"
        table.add_row(key.replace("_", " "), shown)
    return table
