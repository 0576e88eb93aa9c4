"""`telltale simulate`: its options are settings, so that a file or the environment can give them too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

PREFIX = "TELLTALE_FLEET_"


def simulate(
    vehicles: Annotated[int | None, typer.Option(min=1, help="How many vehicles [50]")] = None,
    name: Annotated[
        str | None, typer.Option(help="Vehicles are called NAME-01, NAME-02, … [vehicle]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same fleet [1]")] = None,
    interval: Annotated[
        str | None, typer.Option(help="Time between two samples, such as 1s or 250ms [1s]")
    ] = None,
    duration: Annotated[
        str | None, typer.Option("--for", help="Publish for so long [until Ctrl-C or SIGTERM]")
    ] = None,
    linger: Annotated[
        str | None, typer.Option(help="Stay for so long after the last message, to answer commands [0s]")
    ] = None,
    report_every: Annotated[
        str | None, typer.Option(help="Print the counters so often [at the end only]")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Replay this recorded drive (CSV with a header)")] = None,
    vehicle: Annotated[
        str | None, typer.Option(help="Id of the vehicle that replays the trace [trace-1]")
    ] = None,
    start: Annotated[str | None, typer.Option(help="Time of the trace's first row, RFC 3339 [now]")] = None,
    speedup: Annotated[
        str | None, typer.Option(help="Publish the trace so many times as fast; inf: at once [1]")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file (YAML)")] = None,
) -> None:
    """Simulate a fleet on MQTT 5, or replay a recorded drive.

    The broker is the one of the settings (TELLTALE_MQTT_HOST, TELLTALE_MQTT_PORT, …). At the end one
    line of JSON on standard output says what the broker has confirmed.
    """
    from bridges.simulator.simulation import process
    from pipeline.process import run

    given = {
        "VEHICLES": vehicles,
        "NAME": name,
        "SEED": seed,
        "INTERVAL": interval,
        "DURATION": duration,
        "LINGER": linger,
        "REPORT_EVERY": report_every,
        "TRACE": trace,
        "VEHICLE": vehicle,
        "START": start,
        "SPEEDUP": speedup,
    }
    options = {f"{PREFIX}{key}": str(value) for key, value in given.items() if value is not None}
    raise typer.Exit(run(process, config, {**os.environ, **options}))
