"""What geofence rules did, as metrics.

Labels are rules and kinds of events, never a vehicle; nor a fence, of which there may be very many.
"""

from prometheus_client import Counter

from pipeline.stages.counting import Hearing, HearingMetrics, Tallies
from pipeline.stages.failure_log import FailureLog
from rules.engine.fence_outcomes import FenceOutcome, FenceRecord
from rules.engine.outcomes import CommandRecord, RuleFailure
from rules.engine.shadows import Shadowed

TOLD = Counter("telltale_geofences_rule_told_total", "Events of visits that rules told of", ["rule", "event"])
FAILED = Counter("telltale_geofences_rule_failed_total", "Texts of a rule that had no value", ["rule"])
COMMANDS = Counter("telltale_geofences_commands_total", "Commands requested by a rule", ["rule"])
SHADOWED = Counter(
    "telltale_geofences_rule_shadowed_total",
    "Outcomes that were recorded and acted on nothing",
    ["rule", "track"],
)
HEARD = HearingMetrics("geofences")


class FenceCounts:
    """The counts of one worker, shared by its partitions."""

    def __init__(self) -> None:
        self._hearing = Hearing(HEARD)
        self._tallies = Tallies()
        self._log = FailureLog("geofences")

    def heard(self, events: int, newest: int, received: int) -> None:
        """A batch was evaluated: its telemetry records, their newest event time, the partition's clock."""
        self._hearing.heard(events, newest, received)

    def happened(self, outcome: FenceOutcome) -> None:
        """A rule told of an event, asked for a command, or failed."""
        match outcome:
            case FenceRecord():
                self._tallies.add(TOLD, outcome.rule, outcome.happening.event)
            case CommandRecord():
                self._tallies.add(COMMANDS, outcome.rule)
            case Shadowed():
                self._tallies.add(SHADOWED, outcome.rule, outcome.track)
            case RuleFailure():
                self._tallies.add(FAILED, outcome.rule)
                self._log.tell(outcome)

    def flush(self) -> None:
        """Write to Prometheus what was counted since the last call."""
        self._hearing.flush()
        self._tallies.flush()
