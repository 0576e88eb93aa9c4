"""What aggregation rules did, as metrics.

A metric's labels are bounded: rules, never a vehicle or a group. A failing rule is also a line in the log.
"""

from prometheus_client import Counter

from pipeline.stages.counting import Hearing, HearingMetrics, Tallies
from pipeline.stages.failure_log import FailureLog
from rules.engine import AggregateRecord, AlertRecord, GroupDropped, LateRecord
from rules.engine.outcomes import RuleFailure
from rules.engine.shadows import Shadowed

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
SHADOWED = Counter(
    "telltale_aggregations_rule_shadowed_total",
    "Outcomes that were recorded and acted on nothing",
    ["rule", "track"],
)
HEARD = HearingMetrics("aggregations")


class AggregationCounts:
    """The counts of one worker, shared by its partitions."""

    def __init__(self) -> None:
        self._hearing = Hearing(HEARD)
        self._tallies = Tallies()
        self._log = FailureLog("aggregations")

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        self._hearing.heard(events, newest, received)

    def happened(self, outcome: object) -> None:
        """A window was told of, a message was too late, or a rule failed."""
        match outcome:
            case AggregateRecord():
                kind = "final" if outcome.final else "updated" if outcome.update else "first"
                self._tallies.add(RESULTS, outcome.rule, kind)
            case LateRecord():
                self._tallies.add(LATE, outcome.rule)
            case AlertRecord():
                self._tallies.add(ALERTS, outcome.rule, outcome.state)
            case GroupDropped():
                self._tallies.add(DROPPED, outcome.rule)
            case Shadowed():
                self._tallies.add(SHADOWED, outcome.rule, outcome.track)
            case RuleFailure():
                self._tallies.add(FAILED, outcome.rule)
                self._log.tell(outcome)

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        self._hearing.flush()
        self._tallies.flush()
