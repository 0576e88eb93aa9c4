"""What workers have counted, as canaries are judged by it: records, errors, outcomes; and their lag."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

_RECORDS = {"uplink": "received_messages_total", "downlink": "requested_commands_total"}
_OUTCOMES = {"uplink": "produced_records_total", "downlink": "sent_messages_total"}
_ERRORS = ("dead_letters_total", "rule_failed_total", "failures_total")
_OWN_TOPICS = ("vehicle.dead-letter", "-changelog")
"""Outputs that are no outcome: dead letters are errors, and state follows from how often it is written."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What one worker has counted since it started."""

    records: float = 0.0
    errors: float = 0.0
    outcomes: float = 0.0
    lag: float | None = None
    """Records not yet processed, of its partitions."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A pod whose metrics are wanted."""

    name: str
    stage: str
    address: str
    """host:port of its HTTP port."""


class Metrics(Protocol):
    """Where the counts of workers come from: the workers themselves, or a Prometheus."""

    async def read(self, workers: Iterable[Worker]) -> Mapping[str, Counts]:
        """Counts by the names of the pods; a worker that does not answer is left out."""
        ...


Sample = tuple[str, Mapping[str, str], float]
"""Name, labels and value."""


def samples_of(text: str) -> list[Sample]:
    """The samples of a page of metrics; ValueError where it is none."""
    return [
        (sample.name, sample.labels, float(sample.value))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def counts_of(stage: str, samples: Iterable[Sample]) -> Counts:
    """What the samples of one worker of a stage come to."""
    beginning = f"telltale_{stage}_"
    records_name = _RECORDS.get(stage, "records_total")
    outcomes_name = _OUTCOMES.get(stage, "outputs_total")
    records = errors = outcomes = 0.0
    lag: float | None = None
    for name, labels, value in samples:
        if not name.startswith(beginning) or not math.isfinite(value):
            continue
        short = name[len(beginning) :]
        if short == records_name:
            records += value
        elif short == outcomes_name and not any(part in labels.get("topic", "") for part in _OWN_TOPICS):
            outcomes += value
        elif short in _ERRORS:
            errors += value
        elif short == "lag_records":
            lag = (lag or 0.0) + value
    return Counts(records, errors, outcomes, lag)
