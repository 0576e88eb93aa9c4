"""vehicle.telemetry to vehicle.aggregates and vehicle.late: figures of vehicles and of groups of them."""

from collections.abc import Callable

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.documents import load_rules
from pipeline.stages.grouping import STAGE, AggregationLogic
from pipeline.stages.live import live_rules
from pipeline.stages.outcomes import SHADOWS
from pipeline.stages.partials import TOPIC
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import Versions, version_of
from rules import RuleSet
from rules.engine import AggregationEngine, PublishAction, VehicleWindows


def make(settings: RuleStageSettings) -> Callable[[RuleSet], AggregationEngine]:
    """What runs a rule set."""
    return lambda rules: AggregationEngine(rules, quiet_after_ms=settings.quiet_after_ms)


def stage(settings: RuleStageSettings, versions: Versions[VehicleWindows] | None = None) -> Stage:
    """The stage, with live rules or with those that the settings name. Raises ConfigurationError."""
    quiet_after = settings.quiet_after_ms
    if versions is None:
        files = load_rules(settings.rules)
        versions = Versions(make(settings), version_of(0, files, make(settings)))
    rules = versions.current.rules
    counts = AggregationCounts()
    alarms = [rule.alarm for rule in rules.aggregations if rule.alarm is not None]
    actions = [action for alarm in alarms for action in alarm.telling.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name=STAGE,
        inputs=("vehicle.telemetry", "vehicle.registry", TOPIC),
        logic=lambda partition: AggregationLogic(
            (partition, settings.partitions), versions, counts, quiet_after
        ),
        outputs=(
            "vehicle.aggregates",
            "vehicle.late",
            "vehicle.alerts",
            "vehicle.commands",
            SHADOWS,
            TOPIC,
            "vehicle.dead-letter",
        ),
        elsewhere=tuple(sorted(published)),
        first=("vehicle.registry",),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    async with live_rules(context, make(context.settings)) as versions:
        await run_stage(context, stage(context.settings, versions))


process = Process(STAGE, RuleStageSettings, main, "Aggregation rules over telemetry: windows")
