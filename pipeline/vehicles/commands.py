"""`telltale vehicles …` on the command line. Nothing heavy is imported at the top."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.process.cli import CONTEXT_SETTINGS, Config, Json

app = typer.Typer(
    name="vehicles",
    help="Tell the rules what your people know of vehicles: labels, attributes; or forget a vehicle.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)
RulePaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules",
        help="Rule files whose catalog declares labels and attributes: what it does not declare is refused;"
        " repeatable; default: the setting `rules`, if it is set.",
        show_default=False,
    ),
]
VehicleId = Annotated[str, typer.Argument(metavar="ID", help="The vehicle.", show_default=False)]


@app.command("import", short_help="Register the vehicles of files.")
def import_vehicles(
    files: Annotated[
        list[Path], typer.Argument(help=".csv, .json or .jsonl; see docs/vehicles.md.", show_default=False)
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and say what would change; write nothing.")
    ] = False,
    rules: RulePaths = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Register the vehicles of files. What a file says of a vehicle replaces what the registry said.

    Vehicles that no file names stay as they are. Exit code 1, and nothing is written, if anything in the
    files is wrong: all problems are told, with file and line.
    """
    from pipeline.vehicles.work import import_files

    raise typer.Exit(import_files(files, config, rules=rules or [], dry_run=dry_run, as_json=as_json))


@app.command("set", short_help="Change labels and attributes of a vehicle.")
def set_vehicle(
    vehicle_id: VehicleId,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="NAME=TEXT; repeatable.", show_default=False)
    ] = None,
    attributes: Annotated[
        list[str] | None,
        typer.Option(
            "--attribute",
            help="NAME=VALUE, a number, true, false or text; NAME:string=007 says which; repeatable.",
            show_default=False,
        ),
    ] = None,
    removed: Annotated[
        list[str] | None,
        typer.Option("--remove", help="labels.NAME or attributes.NAME; repeatable.", show_default=False),
    ] = None,
    rules: RulePaths = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Change labels and attributes of a vehicle, and print what the registry says then. The others stay."""
    from pipeline.vehicles.work import set_one

    raise typer.Exit(
        set_one(
            vehicle_id,
            config,
            labels=labels or [],
            attributes=attributes or [],
            removed=removed or [],
            rules=rules or [],
            as_json=as_json,
        )
    )


@app.command("get", short_help="Print what the registry says of a vehicle.")
def get_vehicle(vehicle_id: VehicleId, as_json: Json = False, config: Config = None) -> None:
    """Print what the registry says of a vehicle. Exit code 1 if it does not have it."""
    from pipeline.vehicles.work import get_one

    raise typer.Exit(get_one(vehicle_id, config, as_json=as_json))


@app.command("list", short_help="Print every vehicle of the registry.")
def list_vehicles(
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="Only vehicles with NAME=TEXT; repeatable.", show_default=False),
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Print every vehicle of the registry, a line each; --json prints what `import` reads (.jsonl)."""
    from pipeline.vehicles.work import list_all

    raise typer.Exit(list_all(config, labels=labels or [], as_json=as_json))


@app.command("forget", short_help="Forget vehicles, everywhere.")
def forget_vehicles(
    vehicle_ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="The vehicles.", show_default=False)
    ],
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Forget vehicles: out of the registry, and out of the state of every stage; their alerts resolve.

    A vehicle that speaks again begins anew.
    """
    from pipeline.vehicles.work import forget_all

    raise typer.Exit(forget_all(vehicle_ids, config, as_json=as_json))
