"""vehicle.telemetry to vehicle.aggregates and vehicle.late: figures of vehicles and of groups of them."""

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.documents import load_rules
from pipeline.stages.grouping import STAGE, AggregationLogic
from pipeline.stages.partials import TOPIC
from pipeline.stages.settings import RuleStageSettings
from rules.engine import AggregationEngine, PublishAction


def stage(settings: RuleStageSettings) -> Stage:
    """The stage, with the rules that the settings name. Raises ConfigurationError."""
    quiet_after = settings.quiet_after_ms
    rules = load_rules(settings.rules)
    engine = AggregationEngine(rules, quiet_after_ms=quiet_after)
    counts = AggregationCounts()
    alarms = [rule.alarm for rule in rules.aggregations if rule.alarm is not None]
    actions = [action for alarm in alarms for action in alarm.telling.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name=STAGE,
        inputs=("vehicle.telemetry", "vehicle.registry", TOPIC),
        logic=lambda partition: AggregationLogic(
            (partition, settings.partitions), engine, counts, quiet_after
        ),
        outputs=(
            "vehicle.aggregates",
            "vehicle.late",
            "vehicle.alerts",
            "vehicle.commands",
            TOPIC,
            "vehicle.dead-letter",
        ),
        elsewhere=tuple(sorted(published)),
        first=("vehicle.registry",),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    await run_stage(context, stage(context.settings))


process = Process(STAGE, RuleStageSettings, main, "Aggregation rules over telemetry: windows")
