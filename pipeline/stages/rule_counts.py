"""What alert and sequence rules did, as metrics.

A metric's labels are bounded: rules and severities, never a vehicle. A failing rule is also a line in the
log.
"""

from collections.abc import Callable, Mapping

from prometheus_client import Counter

from pipeline.stages.counting import Hearing, HearingMetrics, Tallies
from pipeline.stages.failure_log import FailureLog
from rules.engine.outcomes import AlertRecord, CommandRecord, Outcome, RuleFailure
from rules.engine.shadows import Shadowed

MATCHED = Counter(
    "telltale_alerts_rule_matched_total",
    "Activations: a rule's condition began to hold for a vehicle",
    ["rule"],
)
FIRED = Counter("telltale_alerts_rule_fired_total", "Alerts that began to fire", ["rule", "severity"])
RESOLVED = Counter("telltale_alerts_rule_resolved_total", "Alerts that ended", ["rule", "reason"])
FAILED = Counter("telltale_alerts_rule_failed_total", "Evaluations of a rule that raised", ["rule"])
COMMANDS = Counter("telltale_alerts_commands_total", "Commands requested by a rule", ["rule"])
SHADOWED = Counter(
    "telltale_alerts_rule_shadowed_total",
    "Outcomes that were recorded and acted on nothing",
    ["rule", "track"],
)
HEARD = HearingMetrics("alerts")


class RuleCounts:
    """The counts of one worker, shared by its partitions.

    `activations` tells how often the condition of each rule began to hold since it was last asked.
    """

    def __init__(self, activations: Callable[[], Mapping[str, int]] = dict) -> None:
        self._activations = activations
        self._hearing = Hearing(HEARD)
        self._tallies = Tallies()
        self._log = FailureLog("alerts")

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        self._hearing.heard(events, newest, received)

    def happened(self, outcome: Outcome) -> None:
        """An alert began, rose or ended, a rule asked for a command, or it failed."""
        match outcome:
            case AlertRecord(state="resolved"):
                self._tallies.add(RESOLVED, outcome.rule, outcome.reason or "cleared")
            case AlertRecord():
                if outcome.record_id.endswith("-0"):
                    self._tallies.add(FIRED, outcome.rule, outcome.severity)
            case CommandRecord():
                self._tallies.add(COMMANDS, outcome.rule)
            case Shadowed():
                self._tallies.add(SHADOWED, outcome.rule, outcome.track)
            case RuleFailure():
                self._tallies.add(FAILED, outcome.rule)
                self._log.tell(outcome)

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        for rule, number in self._activations().items():
            self._tallies.add(MATCHED, rule, number=number)
        self._hearing.flush()
        self._tallies.flush()
