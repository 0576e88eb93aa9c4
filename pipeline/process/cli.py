"""The root of the command line: `telltale`, joined from what each package adds.

A package names its Typer app in the entry points `telltale.commands`; one that cannot be imported
costs its own commands and one line on stderr. Modules with commands import nothing heavy at the top:
`telltale --help` is asked often.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from pipeline.process.collector import begin_patiently
from pipeline.process.failures import TelltaleError
from pipeline.process.registry import COMMANDS, PROCESSES, entry_points, load

CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 110}

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Settings file (YAML); TELLTALE_CONFIG names one too.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def process_names(incomplete: str = "") -> list[str]:
    """Names of processes that begin so, for the shell's completion."""
    return [name for name in entry_points(PROCESSES) if name.startswith(incomplete)]


def build() -> tuple[typer.Typer, list[str]]:
    """The whole command line, and why parts of it are missing."""
    root = typer.Typer(
        name="telltale",
        help="Rules for connected vehicles: YAML rules over MQTT and Kafka, in the vehicle's own time.",
        context_settings=CONTEXT_SETTINGS,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    names = ", ".join(entry_points(PROCESSES))
    root.callback()(root_options)
    root.command(
        "run", help=_RUN_HELP.format(names=names), short_help=f"Run a process: {names}.", no_args_is_help=True
    )(run_command)
    root.command("settings", short_help="Show every setting, its value, source and meaning.")(
        settings_command
    )
    root.command("version")(version_command)
    missing = []
    for point in entry_points(COMMANDS).values():
        try:
            app = load(point)
        except TelltaleError as error:
            missing.append(f"the commands of {error}")
            continue
        problem = _join(root, app)
        if problem:
            missing.append(f"the commands of {point.name} ({point.value}) cannot be used: {problem}")
    return root, missing


def _join(root: typer.Typer, app: object) -> str | None:
    """Add the commands of `app` to the root; why not, where that is impossible."""
    if not isinstance(app, typer.Typer):
        return "it is no Typer app"
    known = set(_words(root))
    for word in _words(app):
        if word in known:
            return f"{word} is there already"
    root.registered_commands += app.registered_commands
    root.registered_groups += app.registered_groups
    return None


def _words(app: typer.Typer) -> Iterator[str]:
    for command in app.registered_commands:
        yield command.name or (command.callback.__name__.replace("_", "-") if command.callback else "")
    for group in app.registered_groups:
        inner = group.typer_instance
        yield group.name or (inner.info.name if inner else None) or ""


def main() -> None:
    """Entry point of the console script."""
    begin_patiently()
    root, missing = build()
    if "_TELLTALE_COMPLETE" not in os.environ:
        for line in missing:
            print(f"telltale: {line}", file=sys.stderr)
    try:
        root(prog_name="telltale")
    except TelltaleError as error:
        print(f"telltale: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


_RUN_HELP = """Run one process until SIGTERM or Ctrl-C: {names}.

Settings come from TELLTALE_* variables over the settings file; `telltale settings NAME` lists them.
Logs go to stderr. One HTTP port serves /metrics, /healthz, /readyz and /version.

Exit codes: 0 drained; 1 unexpected; 2 settings or rules are wrong; 3 a needed party did not come within
startTimeout; 4 topics do not fit.
"""


def _show_version(asked: bool) -> None:
    if asked:
        from pipeline.process.version import program_version

        print(f"telltale {program_version()}")
        raise typer.Exit


def root_options(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """What may stand before the command."""


def run_command(
    name: Annotated[
        str, typer.Argument(help="The process.", autocompletion=process_names, show_default=False)
    ],
    config: Config = None,
) -> None:
    """Run one process."""
    from pipeline.process.registry import load_process

    process = load_process(name)
    from pipeline.process.running import run

    raise typer.Exit(run(process, config))


def settings_command(
    name: Annotated[
        str | None,
        typer.Argument(
            help="One process; without it, all.", autocompletion=process_names, show_default=False
        ),
    ] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Show every setting with its value, where it comes from, and what it means; secrets are masked.

    Exit code 2, and all errors at once, if a value is wrong.
    """
    from pipeline.process.settings_page import show_settings

    raise typer.Exit(show_settings(name, config, as_json=as_json))


def version_command(as_json: Json = False) -> None:
    """Show the version of this program and of what it stands on."""
    from pipeline.process.version import program_version, versions

    if as_json:
        import json

        print(json.dumps(versions()))
        return
    print(f"telltale {program_version()}")
    for name, version in versions().items():
        if name != "telltale":
            print(f"  {name} {version}")
