"""A backtest over files: each worker reads all of them, and folds its share of the vehicles."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.backtest.asked import Asked
from pipeline.backtest.csv_trace import CsvTrace
from pipeline.backtest.json_lines import JsonLinesTrace
from pipeline.backtest.messages import Order, Trace, TraceError, own_vehicles
from pipeline.backtest.parquet_trace import ParquetTrace
from pipeline.backtest.replay import Replay, folds_of
from pipeline.backtest.rulesets import missing_signals, registrations, rule_sets, wanted_signals
from pipeline.backtest.workers import Meet, Progress, Share
from pipeline.process.failures import ConfigurationError
from pipeline.stages.payloads import shape_of
from rules import RuleSet

_REPORT_EVERY = 4096


def open_trace(file: Path, rules: RuleSet, wanted: frozenset[str], asked: Asked) -> Trace:
    """The trace in a file, by its suffix. Raises TraceError, or ConfigurationError for another suffix."""
    shape, aliases = shape_of(rules.catalog), dict(rules.catalog.aliases)
    match file.suffix.lower():
        case ".csv" | ".tsv" | ".txt":
            return CsvTrace(file, shape, aliases, wanted, asked.gaps)
        case ".jsonl" | ".ndjson" | ".json":
            return JsonLinesTrace(file, shape, aliases, asked.gaps)
        case ".parquet" | ".pq":
            return ParquetTrace(file, shape, aliases, wanted, asked.gaps)
    raise ConfigurationError(
        f"{file}: unknown suffix {file.suffix!r}: .csv, .tsv, .jsonl and .parquet are read"
    )


def ignored_columns(asked: Asked, rules: RuleSet) -> tuple[str, ...]:
    """The columns that the catalog does not know. Raises TraceError where a rule's signal has no column.

    A look at the heads of the files: nobody should wait for a run to learn that a column is missing.
    """
    traces = [open_trace(file, rules, frozenset(), asked) for file in asked.files]
    columns = [trace.signals for trace in traces]
    if not asked.allow_missing and all(each is not None for each in columns):
        seen = frozenset[str]().union(*(each for each in columns if each is not None))
        missing = missing_signals(rules, seen)
        if missing:
            lacks = [f"  {rule} reads {', '.join(names)}" for rule, names in missing.items()]
            files = ", ".join(trace.name for trace in traces)
            advice = "  --run RULE picks rules, --allow-missing runs them all the same"
            raise TraceError("\n".join([f"{files}: no column for signals that rules read", *lacks, advice]))
    return tuple(dict.fromkeys(name for trace in traces for name in trace.ignored))


def fold_files(asked: Asked, worker: int, progress: Progress, meet: Meet) -> Share:
    """One worker's vehicles, in all files, and time up to the end of the trace. Raises TraceError."""
    sets = rule_sets(asked)
    wanted = wanted_signals(sets)
    said = registrations(asked.vehicles)
    replays = [Replay(folds_of(rules, asked.quiet_after_ms), said) for rules in sets]
    mine = own_vehicles(worker, asked.workers)
    dropped: Counter[str] = Counter()
    order = Order()
    for place, file in enumerate(asked.files):
        trace = open_trace(file, sets[0], wanted, asked)
        for number, message in enumerate(trace.messages(mine, order)):
            for replay in replays:
                replay.hear(message)
            if number % _REPORT_EVERY == 0:
                progress((place + trace.progress()) / len(asked.files), replays[0].messages)
        dropped += trace.dropped
    progress(1.0, replays[0].messages)
    end = meet(replays[0].last)
    if end is not None:
        for replay in replays:
            replay.finish(end)
    return Share([replay.result() for replay in replays], dropped)
