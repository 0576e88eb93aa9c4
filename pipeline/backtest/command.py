"""`telltale rules backtest`: options in, a report out, and an exit code: 0 right, 1 findings, 2 usage."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.backtest.alerts import alerts_of
from pipeline.backtest.asked import Asked, Gaps, TopicAsked
from pipeline.backtest.report import findings, json_lines, print_report
from pipeline.backtest.running import Result, backtest
from pipeline.backtest.timeline import write_timeline
from pipeline.backtest.times import instant_of
from pipeline.process.durations import parse_duration
from pipeline.process.failures import ConfigurationError
from pipeline.process.settings import ProcessSettings, load_settings
from pipeline.schemas import find_topic
from pipeline.stages.settings import RuleStageSettings
from pipeline.store import RulesLog
from rules import Source

# Below so many bytes a second process costs more than it saves.
_WORTH_A_WORKER = 8 << 20


@dataclass(frozen=True, slots=True)
class Options:
    """The command line as it was written."""

    rules: list[Path]
    sources: list[str]
    catalog: Path | None
    against: list[Path]
    run: str | None
    vehicle: str | None
    start: str | None
    interval: str | None
    time_zone: str | None
    since_ms: int | None
    allow_missing: bool
    vehicles: list[Path]
    cores: int | None
    plot: Path | None
    as_json: bool
    config: Path | None


def run_backtest(options: Options) -> int:
    """Run it and print; the exit code. Raises ConfigurationError, TraceError."""
    asked = _asked(options)
    errors = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %  {task.fields[messages]:,} messages"),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    ) as bar:
        task = bar.add_task("backtest", total=1.0, messages=0)
        result = backtest(asked, lambda share, count: bar.update(task, completed=share, messages=count))
    if options.plot is not None:
        _plot(options.plot, result, errors)
    if options.as_json:
        for line in json_lines(result):
            print(line)
        for finding in findings(result):
            errors.print(f"telltale: {finding}", soft_wrap=True, highlight=False, markup=False)
    else:
        print_report(Console(), result)
    doubtful = bool(result.failures) or bool(result.missing and not options.allow_missing)
    return 1 if doubtful else 0


def _revision(against: Sequence[Path]) -> int | None:
    """The revision that `--against` names, where it names one and no files."""
    if len(against) == 1 and str(against[0]).isdecimal() and not against[0].exists():
        return int(str(against[0]))
    return None


async def _documents(settings: ProcessSettings, revision: int) -> Sequence[Source]:
    async with RulesLog(settings) as log:
        return (await log.read()).sources(revision)


def _plot(file: Path, result: Result, errors: Console) -> None:
    span = (result.first or 0, result.last or 0)
    against = None if result.against is None else alerts_of(result.against)
    try:
        hidden = write_timeline(file, alerts_of(result.told), span, against)
    except OSError as error:
        raise ConfigurationError(f"--plot {file}: {error.strerror}") from None
    if hidden:
        errors.print(f"telltale: {file}: {hidden} lanes had no room; --run RULE picks rules")


def _asked(options: Options) -> Asked:
    catalog = () if options.catalog is None else (options.catalog,)
    gaps = gaps_of(options.vehicle, options.start, options.interval, options.time_zone)
    settings = load_settings(RuleStageSettings, options.config)
    if options.vehicles and any(not Path(source).exists() for source in options.sources):
        raise ConfigurationError("--vehicles is for files; a topic comes with its registry")
    files, topic = sources_of(options.sources, options.since_ms, settings)
    size = sum(file.stat().st_size for file in files)
    workers = options.cores or len(os.sched_getaffinity(0))
    if options.cores is None and topic is None and size < _WORTH_A_WORKER:
        workers = 1
    revision = _revision(options.against)
    documents = () if revision is None else tuple(asyncio.run(_documents(settings, revision)))
    return Asked(
        (*options.rules, *catalog),
        files,
        topic,
        (*options.against, *catalog) if options.against and revision is None else (),
        documents,
        options.run,
        gaps,
        options.allow_missing,
        quiet_after_ms=settings.quiet_after_ms,
        workers=workers,
        vehicles=tuple(options.vehicles),
    )


def sources_of(
    sources: Sequence[str], since_ms: int | None, settings: RuleStageSettings
) -> tuple[tuple[Path, ...], TopicAsked | None]:
    """What `--from` names: files, or one topic. Raises ConfigurationError."""
    files = tuple(Path(source) for source in sources if Path(source).exists())
    for file in files:
        if file.is_dir():
            raise ConfigurationError(f"--from {file}: a directory; name its files")
    others = [source for source in sources if not Path(source).exists()]
    if not others:
        if since_ms is not None:
            raise ConfigurationError("--since is for topics; a file is read whole")
        return files, None
    if files or len(others) > 1:
        raise ConfigurationError(f"--from {others[0]}: no such file (a topic stands alone)")
    if "/" in others[0] or Path(others[0]).suffix.lower() in (".csv", ".tsv", ".jsonl", ".json", ".parquet"):
        raise ConfigurationError(f"--from {others[0]}: no such file")
    return (), TopicAsked(find_topic(others[0], settings.prefix).name, settings, since_ms)


def gaps_of(vehicle: str | None, start: str | None, interval: str | None, time_zone: str | None) -> Gaps:
    """What a trace lacks, as options say it. Raises ConfigurationError."""
    zone: tzinfo | None = None
    if time_zone is not None:
        try:
            zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ConfigurationError(
                f"--time-zone {time_zone}: no such zone; write Asia/Shanghai or UTC"
            ) from None
    if start is None:
        if interval is not None:
            raise ConfigurationError("--interval needs --start: when was the first row sampled?")
        return Gaps(vehicle, zone=zone)
    try:
        begin = instant_of(start, "unixMillis", zone)
    except ValueError as error:
        raise ConfigurationError(f"--start {start}: {error}") from None
    return Gaps(vehicle, begin, _interval(interval or "1s"), zone)


def _interval(text: str) -> int:
    try:
        interval = round(parse_duration(text))
    except ValueError as error:
        raise ConfigurationError(f"--interval: {text!r} {error}") from None
    if interval <= 0:
        raise ConfigurationError(f"--interval {text}: longer than nothing")
    return interval
