"""What rules did, as metrics: counted in memory, written to Prometheus once for a checkpoint.

A metric's labels are bounded: rules and severities, never a vehicle. A failing rule is also a line in the
log.

Lag in event time is the way before the rules: the partition's clock is receivedAt, so what a vehicle buffers,
its broker holds back, or a wrong clock in a vehicle shows there, and nothing of ours. Of a batch the newest
event counts: uploads hours late are ordinary, a whole fleet that is late is not. How far the stage itself is
behind is `telltale_alerts_lag_records`; the age of its newest outcome is
`time() - telltale_alerts_event_time_seconds`.
"""

from collections import Counter as Tally
from collections.abc import Callable, Mapping

from prometheus_client import Counter, Gauge, Histogram

from pipeline.stages.failure_log import FailureLog
from rules.engine.outcomes import AlertRecord, CommandRecord, Outcome, RuleFailure

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
    """The counts of one worker, shared by its partitions.

    `activations` tells how often the condition of each rule began to hold since it was last asked.
    """

    def __init__(self, activations: Callable[[], Mapping[str, int]] = dict) -> None:
        self._activations = activations
        self._matched: Tally[str] = Tally()
        self._fired: Tally[tuple[str, str]] = Tally()
        self._resolved: Tally[tuple[str, str]] = Tally()
        self._failed: Tally[str] = Tally()
        self._commands: Tally[str] = Tally()
        self._events = 0
        self._newest = 0
        self._log = FailureLog("alerts")

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        if not events:
            return
        self._events += events
        self._newest = max(self._newest, newest)
        EVENT_LAG.observe(max(0, received - newest) / 1000)

    def happened(self, outcome: Outcome) -> None:
        """An alert began, rose or ended, a rule asked for a command, or it failed."""
        match outcome:
            case AlertRecord(state="resolved"):
                self._resolved[outcome.rule, outcome.reason or "cleared"] += 1
            case AlertRecord():
                if outcome.record_id.endswith("-0"):
                    self._fired[outcome.rule, outcome.severity] += 1
            case CommandRecord():
                self._commands[outcome.rule] += 1
            case RuleFailure():
                self._failed[outcome.rule] += 1
                self._log.tell(outcome)

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        self._matched.update(self._activations())
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
