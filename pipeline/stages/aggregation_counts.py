"""What aggregation rules did, as metrics: counted in memory, written to Prometheus once for a checkpoint.

A metric's labels are bounded: rules, never a vehicle or a group. A failing rule is also a line in the log,
with its vehicle and event, at most once a minute for each rule.
"""

from collections import Counter as Tally

import structlog
from prometheus_client import Counter, Gauge

from rules.engine import AggregateRecord, AlertRecord, GroupDropped, LateRecord
from rules.engine.outcomes import RuleFailure

_LOG_EVERY_MS = 60_000

EVENTS = Counter("telltale_aggregations_events_total", "Telemetry records that the rules saw")
EVENT_TIME = Gauge(
    "telltale_aggregations_event_time_seconds", "Newest event time seen, seconds since the epoch"
)
RESULTS = Counter(
    "telltale_aggregations_results_total",
    "Results of windows: their first, later ones (updated), and final ones",
    ["rule", "kind"],
)
LATE = Counter("telltale_aggregations_late_total", "Messages too late for all windows of a rule", ["rule"])
DROPPED = Counter(
    "telltale_aggregations_dropped_total",
    "Messages of groups beyond those that a rule may have in a partition",
    ["rule"],
)
ALERTS = Counter(
    "telltale_aggregations_alerts_total",
    "Alerts on results of windows, as they began and ended",
    ["rule", "state"],
)
FAILED = Counter("telltale_aggregations_rule_failed_total", "Evaluations of a rule that raised", ["rule"])


class AggregationCounts:
    """The counts of one worker, shared by its partitions."""

    def __init__(self) -> None:
        self._events = 0
        self._newest = 0
        self._results: Tally[tuple[str, str]] = Tally()
        self._late: Tally[str] = Tally()
        self._failed: Tally[str] = Tally()
        self._alerts: Tally[tuple[str, str]] = Tally()
        self._dropped: Tally[str] = Tally()
        self._logged: dict[str, int] = {}
        self._log = structlog.get_logger("telltale.aggregations")

    def heard(self, events: int, newest: int, _received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        self._events += events
        self._newest = max(self._newest, newest)

    def happened(self, outcome: object) -> None:
        """A window was told of, a message was too late, or a rule failed."""
        match outcome:
            case AggregateRecord():
                kind = "final" if outcome.final else "updated" if outcome.update else "first"
                self._results[outcome.rule, kind] += 1
            case LateRecord():
                self._late[outcome.rule] += 1
            case AlertRecord():
                self._alerts[outcome.rule, outcome.state] += 1
            case GroupDropped():
                self._dropped[outcome.rule] += 1
            case RuleFailure():
                self._fail(outcome)

    def _fail(self, failure: RuleFailure) -> None:
        self._failed[failure.rule] += 1
        last = self._logged.get(failure.rule)
        if last is None or abs(failure.ts - last) >= _LOG_EVERY_MS:
            self._logged[failure.rule] = failure.ts
            self._log.warning(
                "A rule failed on an event; other rules are not affected",
                rule=failure.rule,
                vehicle=failure.vehicle_id,
                event_time_ms=failure.ts,
                error=failure.error,
            )

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        EVENTS.inc(self._events)
        self._events = 0
        EVENT_TIME.set(self._newest / 1000)
        for labels, number in self._results.items():
            RESULTS.labels(*labels).inc(number)
        self._results.clear()
        for labels, number in self._alerts.items():
            ALERTS.labels(*labels).inc(number)
        self._alerts.clear()
        for counter, tally in ((LATE, self._late), (FAILED, self._failed), (DROPPED, self._dropped)):
            for rule, number in tally.items():
                counter.labels(rule).inc(number)
            tally.clear()
