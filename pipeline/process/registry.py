"""Processes and commands are found by entry points; one that cannot be imported spoils no other.

[project.entry-points."telltale.processes"]     NAME = "module:Process"
[project.entry-points."telltale.commands"]      PACKAGE = "module:typer.Typer"
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pipeline.process.failures import ConfigurationError, TelltaleError

if TYPE_CHECKING:
    from pipeline.process.context import Process
    from pipeline.process.keys import Key

PROCESSES = "telltale.processes"
COMMANDS = "telltale.commands"


def entry_points(group: str) -> dict[str, metadata.EntryPoint]:
    """The entry points of a group by name, in the order of their names."""
    return {point.name: point for point in sorted(metadata.entry_points(group=group), key=lambda it: it.name)}


def load(point: metadata.EntryPoint) -> Any:
    """What an entry point names; TelltaleError with the reason where its package cannot be imported."""
    try:
        return point.load()
    except Exception as error:  # whatever a foreign package does while it is imported
        raise TelltaleError(
            f"{point.name} ({point.value}) cannot be imported: {type(error).__name__}: {error}"
        ) from error


def load_process(name: str) -> Process[Any]:
    """The process of that name; ConfigurationError if there is none."""
    points = entry_points(PROCESSES)
    if name not in points:
        near = difflib.get_close_matches(name, points, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are: {', '.join(points)}"
        raise ConfigurationError(f"no process is called {name!r}; {advice}")
    return _process(points[name])


def _process(point: metadata.EntryPoint) -> Process[Any]:
    from pipeline.process.context import Process

    found = load(point)
    if not isinstance(found, Process):
        raise TelltaleError(f"{point.name} ({point.value}) cannot be used: it is no Process")
    return found


def load_processes() -> Iterator[Process[Any] | TelltaleError]:
    """Every process, or why it cannot be imported."""
    for point in entry_points(PROCESSES).values():
        try:
            yield _process(point)
        except TelltaleError as error:
            yield error


def keys_of_all() -> list[Key]:
    """The settings of all processes that can be imported: one settings file serves them all."""
    from pipeline.process.keys import keys_of

    return [
        key
        for process in load_processes()
        if not isinstance(process, TelltaleError)
        for key in keys_of(process.settings)
    ]
