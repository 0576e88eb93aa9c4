"""`telltale settings`: every key with value, source and meaning; never a secret.

Without a name the keys of all processes are shown once, with the processes that read them: one
settings file serves an installation. What is wrong is told on stderr after the table, all at once.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.process.context import Process
from pipeline.process.failures import ConfigurationError, TelltaleError
from pipeline.process.keys import Key
from pipeline.process.registry import keys_of_all, load_process, load_processes
from pipeline.process.settings import ProcessSettings
from pipeline.process.sources import Found, Resolved, resolve


@dataclass(slots=True)
class Row:
    """One key as it is shown."""

    key: Key
    value: str
    source: str
    processes: list[str] = field(default_factory=list)

    def as_record(self) -> dict[str, object]:
        """For programs."""
        return {
            "key": self.key.key,
            "variable": self.key.variable,
            "value": self.value,
            "source": self.source,
            "meaning": self.key.meaning,
            "processes": self.processes,
        }


def show_settings(
    name: str | None,
    config: Path | None,
    *,
    as_json: bool,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Print the page; the exit code."""
    processes, unavailable = _processes(name)
    rows: dict[str, Row] = {}
    problems: dict[str, None] = {}
    warnings: dict[str, None] = {}
    environment = os.environ if environment is None else environment
    for process in processes:
        resolved: Resolved[Any] = resolve(process.settings, config, environment, others=keys_of_all)
        problems |= dict.fromkeys(resolved.problems)
        warnings |= dict.fromkeys(resolved.warnings)
        for found in resolved.found:
            row = rows.setdefault(
                found.key.key, Row(found.key, _shown(found, resolved.settings), found.source)
            )
            row.processes.append(process.name)
    if name is None and len(processes) > 1:
        # A slip that one process sees in another's variable is none.
        known = {row.key.variable for row in rows.values()}
        warnings = {text: None for text in warnings if text.partition(" ")[0] not in known}
    _print(list(rows.values()), {process.name for process in processes}, as_json=as_json)
    for text in [*warnings, *unavailable]:
        print(f"telltale: warning: {text}", file=sys.stderr)
    if problems:
        count = len(problems)
        summary = "1 setting is wrong:" if count == 1 else f"{count} settings are wrong:"
        raise ConfigurationError(summary, tuple(problems))
    return 0


def _processes(name: str | None) -> tuple[list[Process[Any]], list[str]]:
    if name is not None:
        return [load_process(name)], []
    loaded = list(load_processes())
    processes = [process for process in loaded if not isinstance(process, TelltaleError)]
    unavailable = [f"the settings of {process}" for process in loaded if isinstance(process, TelltaleError)]
    return processes, unavailable


def _shown(found: Found, settings: ProcessSettings | None) -> str:
    """The value in force; what was written where it is wrong."""
    if settings is not None:
        value: Any = settings
        for name in found.key.path:
            value = getattr(value, name)
        return found.key.show(value)
    if found.source != "default":
        return "********" if found.key.secret else found.key.show(found.value)
    return found.key.show(found.key.default())


def _print(rows: list[Row], every: set[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([row.as_record() for row in rows], indent=2))
        return
    by_processes: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        by_processes.setdefault(tuple(row.processes), []).append(row)
    blocks = sorted(by_processes.items(), key=lambda block: -len(block[0]))
    widths = [
        max((len(text) for text in column), default=0) for column in zip(*map(_cells, rows), strict=True)
    ]
    # A file or a pipe takes any width; on a terminal too narrow for it the meaning gets a line of its own.
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
    for number, (names, block) in enumerate(blocks):
        if number:
            print()
        if len(every) > 1:
            print("every process" if set(names) == every else ", ".join(names))
        for row in block:
            cells = [cell.ljust(width) for cell, width in zip(_cells(row), widths, strict=True)]
            line = "  " + "  ".join(cells)
            if len(line) + len(row.key.meaning) + 2 > room:
                print(f"{line.rstrip()}\n      {row.key.meaning}")
            else:
                print(f"{line}  {row.key.meaning}".rstrip())
    print("\nAs a variable: TELLTALE_ and the key in capitals, words apart: kafka.saslUsername is")
    print("TELLTALE_KAFKA_SASL_USERNAME. A secret may be in a file: TELLTALE_KAFKA_SASL_PASSWORD_FILE.")


def _cells(row: Row) -> tuple[str, str, str]:
    return row.key.key, row.value or "-", row.source
