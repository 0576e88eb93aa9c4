"""What rules did, as metrics: counted in memory, written to Prometheus once for a checkpoint.

A metric's labels are bounded: rules and severities, never a vehicle. A failing rule is also a line in the
log, with its vehicle and event, at most once a minute for each rule.

Lag in event time is the way before the rules: the partition's clock is receivedAt, so what a vehicle buffers,
its broker holds back, or a wrong clock in a vehicle shows there, and nothing of ours. Of a batch the newest
event counts: uploads hours late are ordinary, a whole fleet that is late is not. How far the stage itself is
behind is `telltale_alerts_lag_records`; the age of its newest outcome is
`time() - telltale_alerts_event_time_seconds`.
"""

from collections import Counter as Tally
from collections.abc import Mapping

import structlog
from prometheus_client import Counter, Gauge, Histogram

from rules.engine.outcomes import AlertRecord, CommandRecord, RuleFailure

LOG_EVERY_MS = 60_000

MATCHED = Counter(
    "telltale_alerts_rule_matched_total",
    "Activations: a rule's condition began to hold for a vehicle",
    ["rule"],
)
FIRED = Counter("telltale_alerts_rule_fired_total", "Alerts that began to fire", ["rule", "severity"])
RESOLVED = Counter("telltale_alerts_rule_resolved_total", "Alerts that ended", ["rule", "reason"])
FAILED = Counter("telltale_alerts_rule_failed_total", "Evaluations of a rule that raised", ["rule"])
COMMANDS = Counter("telltale_alerts_commands_total", "Commands requested by a rule", ["rule"])
EVENTS = Counter("telltale_alerts_events_total", "Telemetry records that the rules saw")
EVENT_TIME = Gauge("telltale_alerts_event_time_seconds", "Newest event time seen, seconds since the epoch")
EVENT_LAG = Histogram(
    "telltale_alerts_event_lag_seconds",
    "lag in event time: the partition's clock minus the newest event time of a batch of records",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0),
)


class RuleCounts:
    """The counts of one worker, shared by its partitions."""

    def __init__(self) -> None:
        self._matched: Tally[str] = Tally()
        self._fired: Tally[tuple[str, str]] = Tally()
        self._resolved: Tally[tuple[str, str]] = Tally()
        self._failed: Tally[str] = Tally()
        self._commands: Tally[str] = Tally()
        self._events = 0
        self._newest = 0
        self._logged: dict[str, int] = {}
        self._log = structlog.get_logger("telltale.alerts")

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        if not events:
            return
        self._events += events
        self._newest = max(self._newest, newest)
        EVENT_LAG.observe(max(0, received - newest) / 1000)

    def matched(self, activations: Mapping[str, int]) -> None:
        """Conditions began to hold, so often for each rule."""
        self._matched.update(activations)

    def alert(self, record: AlertRecord) -> None:
        """An alert began, rose or ended."""
        if record.state == "resolved":
            self._resolved[record.rule, record.reason or "cleared"] += 1
        elif record.record_id.endswith("-0"):
            self._fired[record.rule, record.severity] += 1

    def command(self, record: CommandRecord) -> None:
        """A rule asked for a command."""
        self._commands[record.rule] += 1

    def failed(self, failure: RuleFailure) -> None:
        """An expression of a rule raised."""
        self._failed[failure.rule] += 1
        last = self._logged.get(failure.rule)
        if last is None or abs(failure.ts - last) >= LOG_EVERY_MS:
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
        for counter, tally in ((FIRED, self._fired), (RESOLVED, self._resolved)):
            for labels, number in tally.items():
                counter.labels(*labels).inc(number)
            tally.clear()
        for counter, names in ((MATCHED, self._matched), (FAILED, self._failed), (COMMANDS, self._commands)):
            for rule, number in names.items():
                counter.labels(rule).inc(number)
            names.clear()
