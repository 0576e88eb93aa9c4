"""Changing the rules that run, and looking at what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.process.cli import Config, Json

rules_app = typer.Typer()

Message = Annotated[str, typer.Option("--message", "-m", help="Why, for the history.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")]
Names = Annotated[
    list[str], typer.Argument(help="overspeed, or Geofence/depot-1 for one kind.", show_default=False)
]


@rules_app.command("apply", short_help="Make rule documents the next revision of what runs.")
def apply_rules(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files or directories of rule documents.", show_default=False)
    ] = None,
    percent: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="For so many of the vehicles, beside what runs. Without paths: change the share.",
            show_default=False,
        ),
    ] = None,
    salt: Annotated[
        str | None, typer.Option(help="Another text gives another share.", show_default=False)
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Run these documents alone; without it, beside those that run.")
    ] = False,
    dry_run: DryRun = False,
    message: Message = "",
    expect: Annotated[
        int | None, typer.Option(help="Only if this revision runs now.", show_default=False)
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Check the documents, then make them the next revision: all of it, or nothing.

    The stages swap to it between two batches and keep the state of rules (docs/live-rules.md says when).
    With --percent it is a candidate: promote it, or roll it back.
    Exit code 1 if somebody else changed the rules at the same time, 2 if they are wrong.
    """
    from pipeline.store.commands import apply_files

    raise typer.Exit(
        apply_files(
            paths or [],
            config,
            prune=prune,
            percent=percent,
            salt=salt,
            dry_run=dry_run,
            message=message,
            expect=expect,
            as_json=as_json,
        )
    )


@rules_app.command("delete", short_help="Take documents out of what runs.")
def delete_rules(
    names: Names, dry_run: DryRun = False, message: Message = "", as_json: Json = False, config: Config = None
) -> None:
    """Take documents out; what fires of a deleted rule is resolved with the reason `deleted`."""
    from pipeline.store.commands import delete_documents

    raise typer.Exit(delete_documents(names, config, dry_run=dry_run, message=message, as_json=as_json))


@rules_app.command("rollback", short_help="Go back to an earlier revision.")
def roll_back_rules(
    to: Annotated[
        int | None, typer.Option(help="The revision; default: the one before.", show_default=False)
    ] = None,
    dry_run: DryRun = False,
    message: Message = "",
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Make an earlier revision's documents the next revision: history goes on. Ends a rollout, too."""
    from pipeline.store.commands import roll_back

    raise typer.Exit(roll_back(config, to=to, dry_run=dry_run, message=message, as_json=as_json))


@rules_app.command("promote", short_help="Give all vehicles what a rollout's share has.")
def promote_rules(
    dry_run: DryRun = False, message: Message = "", as_json: Json = False, config: Config = None
) -> None:
    """Give the candidate's rules to all vehicles: the end of a rollout that went well.

    Exit code 2 if no rollout runs.
    """
    from pipeline.store.commands import promote_candidate

    raise typer.Exit(promote_candidate(config, dry_run=dry_run, message=message, as_json=as_json))


@rules_app.command("history", short_help="Who changed the rules, when and why.")
def rules_history(as_json: Json = False, config: Config = None) -> None:
    """Show the revisions that are kept, the newest first; * is the one that is to run."""
    from pipeline.store.commands import show_history

    raise typer.Exit(show_history(config, as_json=as_json))


@rules_app.command("get", short_help="Print the documents that run.")
def get_rules(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Only these: overspeed, or Geofence/depot-1.", show_default=False),
    ] = None,
    revision: Annotated[
        int | None,
        typer.Option(help="Of this one; default: the one that is to run.", show_default=False),
    ] = None,
    diff: Annotated[
        int | None, typer.Option(help="What differs from this revision.", show_default=False)
    ] = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Print documents as they are stored: JSON, which a YAML file may hold, to be applied again."""
    from pipeline.store.commands import show_documents

    raise typer.Exit(show_documents(names or [], config, revision=revision, against=diff, as_json=as_json))
