"""What every rule stage counts, and how: in memory, and written to Prometheus once for a checkpoint.

Lag in event time is the way before the rules: the partition's clock is receivedAt, so what a vehicle buffers,
its broker holds back, or a wrong clock in a vehicle shows there, and nothing of ours. Of a batch the newest
event counts: uploads hours late are ordinary, a whole fleet that is late is not. How far the stage itself is
behind is `telltale_<stage>_lag_records`; the age of its newest outcome is
`time() - telltale_<stage>_event_time_seconds`.
"""

from collections import Counter as Tally

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0)


class HearingMetrics:
    """The metrics of what a stage hears: made once for a stage."""

    def __init__(self, stage: str) -> None:
        prefix = f"telltale_{stage}"
        self.events = Counter(f"{prefix}_events_total", "Telemetry records that the rules saw")
        self.event_time = Gauge(
            f"{prefix}_event_time_seconds", "Newest event time seen, seconds since the epoch"
        )
        self.event_lag = Histogram(
            f"{prefix}_event_lag_seconds",
            "lag in event time: the partition's clock minus the newest event time of a batch of records",
            buckets=_BUCKETS,
        )


class Hearing:
    """What the partitions of one worker have heard."""

    def __init__(self, metrics: HearingMetrics) -> None:
        self._metrics = metrics
        self._events = 0
        self._newest = 0

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        if not events:
            return
        self._events += events
        self._newest = max(self._newest, newest)
        self._metrics.event_lag.observe(max(0, received - newest) / 1000)

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        self._metrics.events.inc(self._events)
        self._events = 0
        self._metrics.event_time.set(self._newest / 1000)


class Tallies:
    """Counts by metric and labels."""

    def __init__(self) -> None:
        self._counted: Tally[tuple[Counter, tuple[str, ...]]] = Tally()

    def add(self, metric: Counter, *labels: str, number: int = 1) -> None:
        """So many more of it."""
        self._counted[metric, labels] += number

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        for (metric, labels), number in self._counted.items():
            metric.labels(*labels).inc(number)
        self._counted.clear()
