"""Topics on the command line: their schemas, their records, and making them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.instants import instant_of
from pipeline.process.cli import CONTEXT_SETTINGS, Config, Json

app = typer.Typer()
topics_app = typer.Typer(
    name="topics",
    help="Make the Kafka topics of an installation, check them, or delete them.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)

Replication = Annotated[
    int | None,
    typer.Option(
        min=1, max=32767, help="Replicas of each partition; default: the cluster's own.", show_default=False
    ),
]
RulePaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--rules",
        help="Rule files or directories whose publish actions name topics; repeatable; default: the setting"
        " `rules`, else the library that ships.",
        show_default=False,
    ),
]


def topic_words(incomplete: str = "") -> list[str]:
    """Short names of topics that begin so, for the shell's completion."""
    from pipeline.process.topics import TOPICS
    from pipeline.schemas import short_name

    return [word for word in map(short_name, TOPICS.values()) if word.startswith(incomplete)]


@app.command(short_help="Print the JSON Schema of a topic's records.")
def schema(
    topic: Annotated[
        str | None,
        typer.Argument(
            help="vehicle.alerts, or short: alerts.", autocompletion=topic_words, show_default=False
        ),
    ] = None,
    headers: Annotated[
        bool, typer.Option("--headers", help="The schema of the headers, where there is one.")
    ] = False,
) -> None:
    """Print the JSON Schema of a topic's records; without a topic, list the topics."""
    from pipeline.process.failures import ConfigurationError
    from pipeline.process.topics import TOPICS
    from pipeline.schemas import find_topic, schema_text

    if topic is None:
        for entry in TOPICS.values():
            what = entry.schema or (
                f"bytes; headers as in {entry.headers}" if entry.headers else "bytes of ours"
            )
            print(f"{entry.name:<28}  {what:<48}  {entry.meaning}")
        return
    entry = find_topic(topic)
    file = entry.headers if headers else entry.schema or entry.headers
    if file is None:
        kind = "headers" if headers else "records"
        raise ConfigurationError(f"the {kind} of {entry.name} have no schema: it holds {entry.meaning}")
    print(schema_text(file), end="")


@app.command()
def tail(
    topic: Annotated[
        str,
        typer.Argument(
            help="vehicle.alerts, or short: alerts, commands, deliveries, dead-letters, …",
            autocompletion=topic_words,
            show_default=False,
        ),
    ],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="From the oldest record that is kept.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(help="From so long ago (10m, 2h), or from a time (RFC 3339).", show_default=False),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Wait for more, or end where the topic ends now.")] = True,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="End after so many.", show_default=False)
    ] = None,
    vehicle: Annotated[
        str | None, typer.Option(help="Only records with this key.", show_default=False)
    ] = None,
    ticks: Annotated[
        bool, typer.Option("--ticks", help="Show ticks too: time passed, and no vehicle spoke.")
    ] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Watch a topic: committed records, a line each. Ctrl-C ends it."""
    import asyncio
    import contextlib

    from pipeline.process.failures import ConfigurationError
    from pipeline.process.settings import ProcessSettings, load_settings
    from pipeline.schemas import find_topic
    from pipeline.tail import Watch, to_stdout, watch

    settings = load_settings(ProcessSettings, config)
    if from_beginning and since is not None:
        raise ConfigurationError("--from-beginning and --since exclude each other")
    what = Watch(
        topic=find_topic(topic, settings.prefix),
        from_beginning=from_beginning,
        since_ms=None if since is None else instant_of(since),
        follow=follow,
        limit=limit,
        vehicle=vehicle,
        as_json=as_json,
        ticks=ticks,
    )
    with contextlib.suppress(BrokenPipeError):
        shown = asyncio.run(watch(settings, what, to_stdout))
        if shown == 0 and not follow:
            print("telltale: no record there", file=sys.stderr)


@topics_app.command("create", short_help="Make the topics that are missing.")
def create_topics(
    replication: Replication = None,
    rules: RulePaths = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Make the topics that are missing; those that exist are left as they are.

    Exit code 4, with every difference, if one that exists does not fit.
    """
    from pipeline.topics_page import create_missing

    create_missing(config, replication=replication, rules=rules or [], as_json=as_json)


@topics_app.command("check", short_help="Compare the topics with what is needed.")
def check_topics(
    replication: Replication = None,
    rules: RulePaths = None,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Compare the topics with what the installation needs; exit code 4, with every difference."""
    from pipeline.topics_page import check_all

    check_all(config, replication=replication, rules=rules or [], as_json=as_json)


@topics_app.command("delete", short_help="Delete the topics, with all that is in them.")
def delete_topics(
    yes: Annotated[bool, typer.Option("--yes", help="Really do it.")] = False,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Delete the topics of the installation, with all that is in them, for good.

    Topics that rules publish to stay: others read and write them too. Stop the stages first.
    """
    from pipeline.topics_page import delete_all

    delete_all(config, yes=yes, as_json=as_json)
