"""`telltale demo`: everything on this machine, to be looked at, or counted and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    duration: Annotated[
        str | None,
        typer.Option("--for", help="End after so long, such as 60s: drain, count and compare [until Ctrl-C]"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No live view; the last line on stdout is one JSON object")
    ] = False,
    vehicles: Annotated[int, typer.Option(min=1, help="How many vehicles")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed gives the same fleet")] = 1,
    interval: Annotated[str, typer.Option(help="Time between two samples of a vehicle")] = "1s",
    rules: Annotated[
        list[Path] | None,
        typer.Option(exists=True, help="Rule files to run instead of those that ship; may be repeated"),
    ] = None,
    undisturbed: Annotated[
        bool, typer.Option("--undisturbed", help="Do not take the downlink away for some seconds")
    ] = False,
) -> None:
    """Run everything on this machine: brokers, stages, bridges, and a simulated fleet.

    A real Apache Kafka and a real MQTT broker (Apache ActiveMQ Artemis) are started on free ports; the
    first run downloads them. Every process is restarted when it dies: kill one and watch. Ctrl-C ends it.

    With --for the fleet stops at the end, everything drains, and what went in is compared with what came
    out, counted from the topics. Exit codes: 0 all of it; 1 something was lost or doubled, or failed.
    """
    from bridges.demo.entrance import enter

    raise typer.Exit(
        enter(
            duration,
            as_json=as_json,
            vehicles=vehicles,
            seed=seed,
            interval=interval,
            rules=tuple(rules or ()),
            undisturbed=undisturbed,
        )
    )
