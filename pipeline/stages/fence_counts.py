"""What geofence rules did, as metrics: counted in memory, written to Prometheus once for a checkpoint.

Labels are rules and kinds of events, never a vehicle; nor a fence, of which there may be very many. What lag
in event time means is said in `rule_counts`.
"""

from collections import Counter as Tally

from prometheus_client import Counter, Gauge, Histogram

from pipeline.stages.failure_log import FailureLog
from rules.engine.fence_outcomes import FenceOutcome, FenceRecord
from rules.engine.outcomes import CommandRecord, RuleFailure

TOLD = Counter("telltale_geofences_rule_told_total", "Events of visits that rules told of", ["rule", "event"])
FAILED = Counter("telltale_geofences_rule_failed_total", "Texts of a rule that had no value", ["rule"])
COMMANDS = Counter("telltale_geofences_commands_total", "Commands requested by a rule", ["rule"])
EVENTS = Counter("telltale_geofences_events_total", "Telemetry records that the rules saw")
EVENT_TIME = Gauge("telltale_geofences_event_time_seconds", "Newest event time seen, seconds since the epoch")
EVENT_LAG = Histogram(
    "telltale_geofences_event_lag_seconds",
    "lag in event time: the partition's clock minus the newest event time of a batch of records",
    buckets=(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0, 86400.0),
)


class FenceCounts:
    """The counts of one worker, shared by its partitions."""

    def __init__(self) -> None:
        self._told: Tally[tuple[str, str]] = Tally()
        self._failed: Tally[str] = Tally()
        self._commands: Tally[str] = Tally()
        self._events = 0
        self._newest = 0
        self._log = FailureLog("geofences")

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        if not events:
            return
        self._events += events
        self._newest = max(self._newest, newest)
        EVENT_LAG.observe(max(0, received - newest) / 1000)

    def happened(self, outcome: FenceOutcome) -> None:
        """A rule told of an event, asked for a command, or failed."""
        match outcome:
            case FenceRecord():
                self._told[outcome.rule, outcome.happening.event] += 1
            case CommandRecord():
                self._commands[outcome.rule] += 1
            case RuleFailure():
                self._failed[outcome.rule] += 1
                self._log.tell(outcome)

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        EVENTS.inc(self._events)
        self._events = 0
        EVENT_TIME.set(self._newest / 1000)
        for (rule, event), number in self._told.items():
            TOLD.labels(rule, event).inc(number)
        self._told.clear()
        for counter, names in ((FAILED, self._failed), (COMMANDS, self._commands)):
            for rule, number in names.items():
                counter.labels(rule).inc(number)
            names.clear()
