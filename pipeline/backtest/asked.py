"""What a person asked of a backtest: rules, traces, and what a trace does not say itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from pipeline.process.settings import ProcessSettings


@dataclass(frozen=True, slots=True)
class Gaps:
    """What a trace may lack: its vehicle, its clock, the zone of its times. All durations in milliseconds."""

    vehicle: str | None = None
    start: int | None = None
    """Row n of a vehicle was sampled at `start` + n · `interval`."""
    interval: int | None = None
    zone: tzinfo | None = None
    """Of times without an offset."""


@dataclass(frozen=True, slots=True)
class TopicAsked:
    """A topic as a trace. `name` is without the installation's prefix."""

    name: str
    settings: ProcessSettings
    since_ms: int | None = None
    """Records from that time on, in milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A backtest, over files or over a topic."""

    rules: tuple[Path, ...]
    files: tuple[Path, ...] = ()
    topic: TopicAsked | None = None
    against: tuple[Path, ...] = ()
    against_documents: tuple[tuple[str, str], ...] = ()
    """Instead of files: the documents of a revision, each with its name."""
    run: str | None = None
    """Only the rules whose names match: * and ? as in a shell."""
    gaps: Gaps = Gaps()
    allow_missing: bool = False
    """Rules that read signals which the trace lacks are run all the same."""
    quiet_after_ms: int = 10_000
    workers: int = 1
    vehicles: tuple[Path, ...] = ()
    """Files of what the registry says, as `telltale vehicles import` reads them."""
