"""What a stage's worker counts; the names are those of `telltale_<stage>_<thing>_<unit>`.

Labels are bounded: never a vehicle, never a key. Counters go up when the checkpoint that holds what they
count is committed, so that they agree with the topics.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SHORT = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class StageMetrics:
    """The metrics of one stage in one registry."""

    def __init__(self, stage: str, registry: CollectorRegistry) -> None:
        name = f"telltale_{stage}"
        self.batches = Counter(f"{name}_batches", "batches of records processed", registry=registry)
        self.records = Counter(
            f"{name}_records", "records processed and committed", ["topic"], registry=registry
        )
        self.outputs = Counter(
            f"{name}_outputs", "records written and committed", ["topic"], registry=registry
        )
        self.dead_letters = Counter(
            f"{name}_dead_letters", "records that could not be used", ["reason"], registry=registry
        )
        self.records_lost = Counter(
            f"{name}_records_lost", "records that retention deleted before they were read", registry=registry
        )
        self.transactions = Counter(
            f"{name}_transactions",
            "transactions by outcome: committed, failed",
            ["outcome"],
            registry=registry,
        )
        self.failures = Counter(
            f"{name}_failures",
            "times that a partition started again at its marker",
            ["kind"],
            registry=registry,
        )
        self.processing = Counter(
            f"{name}_processing_seconds", "time spent in the stage's own code", registry=registry
        )
        self.checkpoint = Histogram(
            f"{name}_checkpoint_seconds", "time of a checkpoint", buckets=_SHORT, registry=registry
        )
        self.restore = Histogram(
            f"{name}_restore_seconds", "time to take a partition over", buckets=_LONG, registry=registry
        )
        self.state_records = Counter(
            f"{name}_state_records", "state records written and committed", registry=registry
        )
        self.lag = Gauge(
            f"{name}_lag_records",
            "records not yet processed, of the partitions of this worker",
            registry=registry,
        )
        self.partitions = Gauge(
            f"{name}_partitions", "partitions of this worker: assigned, working", ["state"], registry=registry
        )


@lru_cache(maxsize=32)
def stage_metrics(stage: str, registry: CollectorRegistry = REGISTRY) -> StageMetrics:
    """The metrics of a stage; the same each time, since a registry takes a name once."""
    return StageMetrics(stage, registry)
