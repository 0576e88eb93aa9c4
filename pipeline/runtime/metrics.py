"""What a stage's worker counts; the names are those of `telltale_<stage>_<thing>_<unit>`.

Labels are bounded: never a vehicle, never a key. Counters go up when the checkpoint that holds what they
count is committed, so that they agree with the topics.
"""

from __future__ import annotations

from functools import lru_cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_SHORT = (0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_SLICE = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
_LONG = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class StageMetrics:
    """The metrics of one stage in one registry."""

    def __init__(self, stage: str, registry: CollectorRegistry) -> None:
        def counter(thing: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"telltale_{stage}_{thing}", meaning, labels, registry=registry)

        def histogram(thing: str, meaning: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"telltale_{stage}_{thing}", meaning, buckets=buckets, registry=registry)

        def gauge(thing: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"telltale_{stage}_{thing}", meaning, labels, registry=registry)

        self.batches = counter("batches", "batches of records processed")
        self.records = counter("records", "records processed and committed", "topic")
        self.outputs = counter("outputs", "records written and committed", "topic")
        self.state_records = counter("state_records", "state records written and committed")
        self.dead_letters = counter("dead_letters", "records that could not be used", "reason")
        self.records_lost = counter("records_lost", "records that retention deleted before they were read")
        self.transactions = counter("transactions", "transactions, committed and failed", "outcome")
        self.failures = counter("failures", "times that a partition started again at its marker", "kind")
        self.processing = histogram(
            "processing_seconds",
            "evaluation time: the stage's own code over some records in a row (decode, judge, encode)",
            _SLICE,
        )
        self.checkpoint = histogram("checkpoint_seconds", "time of a checkpoint", _SHORT)
        self.restore = histogram("restore_seconds", "time to take a partition over", _LONG)
        self.lag = gauge("lag_records", "records not yet processed, of this worker's partitions")
        self.partitions = gauge("partitions", "partitions of this worker: assigned, working", "state")


@lru_cache(maxsize=32)
def stage_metrics(stage: str, registry: CollectorRegistry = REGISTRY) -> StageMetrics:
    """The metrics of a stage; the same each time, since a registry takes a name once."""
    return StageMetrics(stage, registry)
