"""Rules over what vehicles have said: what would have fired, and why something did or did not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.instants import instant_of
from pipeline.process.cli import Config, Json

rules_app = typer.Typer()

Start = Annotated[
    str | None,
    typer.Option(help="The time of the first row, for a trace without a clock.", show_default=False),
]
Interval = Annotated[
    str | None,
    typer.Option(help="From row to row, with --start; default: 1s.", show_default=False),
]
TimeZone = Annotated[
    str | None,
    typer.Option(help="Of times that have no offset: Asia/Shanghai.", show_default=False),
]
Since = Annotated[
    str | None,
    typer.Option(help="Of a topic: from so long ago, or from a time.", show_default=False),
]
Registry = Annotated[
    list[Path] | None,
    typer.Option(
        "--vehicles",
        help="What the registry says of the vehicles of a file: as `telltale vehicles import` reads it.",
        show_default=False,
    ),
]


@rules_app.command("backtest", short_help="What would have fired: rules over recorded telemetry.")
def backtest_rules(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files or directories: one rule set with its catalog.", show_default=False),
    ],
    sources: Annotated[
        list[str],
        typer.Option(
            "--from",
            help="A trace: a file (.csv, .jsonl, .parquet), or a topic (vehicle.telemetry, vehicle.raw);"
            " files may be several, in the order of time.",
            show_default=False,
        ),
    ],
    against: Annotated[
        list[Path] | None,
        typer.Option(
            help="Other rules, or the number of a revision that was applied: show what differs from them.",
            show_default=False,
        ),
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(help="The catalog, where the rules bring none.", show_default=False)
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Only rules whose names match: harsh-*.", show_default=False)
    ] = None,
    vehicle: Annotated[
        str | None, typer.Option(help="The vehicle, for a trace that names none.", show_default=False)
    ] = None,
    start: Start = None,
    interval: Interval = None,
    time_zone: TimeZone = None,
    since: Since = None,
    registry: Registry = None,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Run rules whose signals the trace lacks.")
    ] = False,
    cores: Annotated[
        int | None, typer.Option(min=1, max=256, help="Processes; default: one a core.", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Write the alerts as a time line (SVG).", show_default=False)
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """What would have fired: the engine over history, as fast as the cores allow.

    A backtest ends at its last event: timers due later do not fire, and what is firing then stays so. With
    --json, one record a line, its value as on the topics. Exit code 1 for a trace that cannot be used and
    for rules that failed or read signals which never came; 2 for wrong rules and options.
    """
    from pipeline.backtest.command import Options, run_backtest

    options = Options(
        rules=paths,
        sources=sources,
        catalog=catalog,
        against=against or [],
        run=run,
        vehicle=vehicle,
        start=start,
        interval=interval,
        time_zone=time_zone,
        since_ms=None if since is None else instant_of(since),
        allow_missing=allow_missing,
        vehicles=registry or [],
        cores=cores,
        plot=plot,
        as_json=as_json,
        config=config,
    )
    raise typer.Exit(run_backtest(options))


@rules_app.command("explain", short_help="Why a rule did or did not fire for a vehicle.")
def explain_rule(
    rule: Annotated[str, typer.Argument(help="The rule's name.", show_default=False)],
    vehicle: Annotated[str, typer.Argument(help="The vehicle's id.", show_default=False)],
    rules: Annotated[
        list[Path] | None,
        typer.Option(
            "--rules",
            help="Rule files or directories; repeatable; default: the setting `rules`, else the library.",
            show_default=False,
        ),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="A trace: a file, or a topic (vehicle.telemetry, vehicle.raw); default: the state that the"
            " stage has now.",
            show_default=False,
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="The instant (RFC 3339); default: the end of the trace.", show_default=False),
    ] = None,
    since: Since = None,
    unnamed: Annotated[
        bool, typer.Option("--one-vehicle", help="The trace names no vehicle: all of it is this one's.")
    ] = False,
    start: Start = None,
    interval: Interval = None,
    time_zone: TimeZone = None,
    registry: Registry = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Why: the rule's state, its conditions taken apart with the values they read, and what moved it.

    Without --from it asks the installation: the state from the changelog of the stage, the story from the
    telemetry topic. Exit code 1 where nothing is known of the vehicle, 2 for wrong rules and options.
    """
    from pipeline.explain.command import Options, run_explain
    from pipeline.process.failures import ConfigurationError
    from pipeline.process.times import parse_time

    try:
        at_ms = None if at is None else parse_time(at)
    except ValueError as error:
        raise ConfigurationError(f"--at: {error}") from None
    options = Options(
        rules=rules or [],
        rule=rule,
        vehicle=vehicle,
        sources=sources or [],
        at_ms=at_ms,
        since_ms=None if since is None else instant_of(since),
        vehicle_of_trace=vehicle if unnamed else None,
        start=start,
        interval=interval,
        time_zone=time_zone,
        vehicles=registry or [],
        as_json=as_json,
        config=config,
    )
    raise typer.Exit(run_explain(options))
