"""What the pipeline adds to the command line: schemas, topics, vehicles, the tools of those who write rules.

Nothing heavy is imported at the top: `telltale --help` is asked often.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.process.cli import CONTEXT_SETTINGS, Config, Json
from pipeline.vehicles.commands import app as vehicles_app

app = typer.Typer()
topics_app = typer.Typer(
    name="topics",
    help="Make the Kafka topics of an installation, or check them.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)
rules_app = typer.Typer(
    name="rules",
    help="Check rule documents, test them, and try them on recorded telemetry.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
)
app.add_typer(topics_app)
app.add_typer(rules_app)
app.add_typer(vehicles_app)

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
        since_ms=None if since is None else _instant(since),
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


def _instant(text: str) -> int:
    """A time, or a duration before now, in milliseconds since the epoch."""
    import time

    from pipeline.process.durations import parse_duration
    from pipeline.process.failures import ConfigurationError
    from pipeline.process.times import parse_time

    try:
        return parse_time(text)
    except ValueError:
        try:
            return int(time.time() * 1000 - parse_duration(text))
        except ValueError:
            raise ConfigurationError(
                f"--since {text}: write 10m, 2h, or a time such as 2026-01-01T00:00:00Z"
            ) from None


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


@app.command(short_help="A directory to begin with: a catalog, a rule and its tests.")
def init(
    directory: Annotated[Path, typer.Argument(help="Where; made if it is not there.")] = Path(),
) -> None:
    """Write a signal catalog, one rule and its tests; what is there already is left as it is."""
    from pipeline.starting import start

    started = start(directory)
    for file in started.written:
        print(f"wrote {file}")
    for file in started.kept:
        print(f"kept  {file}")
    print(f"now: telltale rules test {directory}")


@rules_app.command("new", short_help="Begin a rule with a copy of one that ships.")
def new_rule(
    directory: Annotated[Path, typer.Argument(help="Where the rules are.")] = Path(),
    source: Annotated[
        str | None,
        typer.Option("--from", help="The rule to copy; without it, the list of them.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="What the copy is called; default: as it was.", show_default=False),
    ] = None,
) -> None:
    """Copy a rule of the library, and its tests, into a directory. Without --from, list what ships."""
    from pipeline.starting import copy_rule, shipped

    if source is None:
        for rule in shipped():
            print(f"{rule.name:<30}  {rule.sentence}")
        return
    copied = copy_rule(directory, source, name or source)
    for file in copied.written:
        print(f"wrote {file}")
    if copied.missing:
        print("the catalog needs, under spec.signals:")
        for line in copied.missing:
            print(f"    {line}")
    for finding in copied.findings:
        print(finding.format())
    print(f"now: telltale rules test {directory}")


@rules_app.command("schema", short_help="Print the JSON Schema of rule documents, for editors.")
def rules_schema() -> None:
    """Print the JSON Schema of rule documents: completion and errors while you type; see docs/rules.md."""
    import json

    from rules.documents import editor_schema

    print(json.dumps(editor_schema(), indent=2, ensure_ascii=False))


@rules_app.command("check", short_help="Check rule documents: all findings at once.")
def check_rules(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Files or directories: one rule set with its catalog.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Check rule documents and their tests: form, types, names, all findings at once.

    Exit code 1 if there is an error, 2 if a path is not there.
    """
    from pipeline.checking import check, report

    checked = check(paths)
    print(report(checked, as_json=as_json))
    if checked.errors:
        raise typer.Exit(1 if _are_there(paths) else 2)


@rules_app.command("test", short_help="Run the tests beside the rules.")
def run_rule_tests(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files or directories: one rule set with its catalog and its tests.", show_default=False
        ),
    ],
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            help="Only tests whose name, or whose rule's, holds this; * and ? work.",
            show_default=False,
        ),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="Write JUnit's XML to this file.", show_default=False)
    ] = None,
    min_coverage: Annotated[
        float | None,
        typer.Option(
            "--min-coverage",
            min=0,
            max=100,
            help="Fail below so many percent of branches.",
            show_default=False,
        ),
    ] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell every branch that no test has gone.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Run the RuleTest documents of a rule set, as the stages would run its rules; see docs/testing.md.

    Exit code 0 if all is as expected; 1 if a test failed, coverage is too low, or rules or tests are wrong;
    2 if there is nothing to run.
    """
    from pipeline import testing
    from pipeline.process.failures import ConfigurationError

    tested = testing.run_tests(paths, pattern=run, least=min_coverage)
    print(testing.as_json(tested) if as_json else testing.report(tested, tells_branches=coverage))
    if junit is not None:
        try:
            junit.write_bytes(testing.as_junit(tested))
        except OSError as error:
            raise ConfigurationError(f"--junit {junit}: {error.strerror}") from None
    if tested.exit_code:
        raise typer.Exit(tested.exit_code if _are_there(paths) else 2)


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
    start: Annotated[
        str | None,
        typer.Option(help="The time of the first row, for a trace without a clock.", show_default=False),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="From row to row, with --start; default: 1s.", show_default=False)
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Of times that have no offset: Asia/Shanghai.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Of a topic: from so long ago, or from a time.", show_default=False)
    ] = None,
    vehicles: Annotated[
        list[Path] | None,
        typer.Option(
            help="What the registry says of the vehicles of a file: as `telltale vehicles import` reads it.",
            show_default=False,
        ),
    ] = None,
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
        since_ms=None if since is None else _instant(since),
        allow_missing=allow_missing,
        vehicles=vehicles or [],
        cores=cores,
        plot=plot,
        as_json=as_json,
        config=config,
    )
    raise typer.Exit(run_backtest(options))


def _are_there(paths: list[Path]) -> bool:
    return all(path.exists() for path in paths)


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
    since: Annotated[
        str | None, typer.Option(help="Of a topic: from so long ago, or from a time.", show_default=False)
    ] = None,
    unnamed: Annotated[
        bool, typer.Option("--one-vehicle", help="The trace names no vehicle: all of it is this one's.")
    ] = False,
    start: Annotated[
        str | None,
        typer.Option(help="The time of the first row, for a trace without a clock.", show_default=False),
    ] = None,
    interval: Annotated[
        str | None, typer.Option(help="From row to row, with --start; default: 1s.", show_default=False)
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="Of times that have no offset: Asia/Shanghai.", show_default=False)
    ] = None,
    registry: Annotated[
        list[Path] | None,
        typer.Option(
            "--vehicles",
            help="What the registry says of the vehicles of a file: as `telltale vehicles import` reads it.",
            show_default=False,
        ),
    ] = None,
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
        since_ms=None if since is None else _instant(since),
        vehicle_of_trace=vehicle if unnamed else None,
        start=start,
        interval=interval,
        time_zone=time_zone,
        vehicles=registry or [],
        as_json=as_json,
        config=config,
    )
    raise typer.Exit(run_explain(options))


Message = Annotated[str, typer.Option("--message", "-m", help="Why, for the history.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change; write nothing.")]
Names = Annotated[
    list[str], typer.Argument(help="overspeed, or Geofence/depot-1 for one kind.", show_default=False)
]


@rules_app.command("apply", short_help="Make rule documents the next revision of what runs.")
def apply_rules(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or directories of rule documents.", show_default=False)
    ],
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
    Exit code 1 if somebody else changed the rules at the same time, 2 if they are wrong.
    """
    from pipeline.store.commands import apply_files

    raise typer.Exit(
        apply_files(
            paths, config, prune=prune, dry_run=dry_run, message=message, expect=expect, as_json=as_json
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
    """Make an earlier revision's documents the next revision: history goes on."""
    from pipeline.store.commands import roll_back

    raise typer.Exit(roll_back(config, to=to, dry_run=dry_run, message=message, as_json=as_json))


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
