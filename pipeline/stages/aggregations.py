"""vehicle.telemetry to vehicle.aggregates and vehicle.late: aggregation rules, folded over each vehicle."""

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.documents import load_rules
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.settings import RuleStageSettings
from rules.engine import AggregationEngine


def stage(settings: RuleStageSettings) -> Stage:
    """The stage, with the rules that the settings name. Raises ConfigurationError."""
    engine = AggregationEngine(load_rules(settings.rules), quiet_after_ms=settings.quiet_after_ms)
    counts = AggregationCounts()
    return Stage(
        name="aggregations",
        inputs=("vehicle.telemetry", "vehicle.registry"),
        logic=lambda _partition: VehicleLogic("aggregations", engine, counts),
        outputs=("vehicle.aggregates", "vehicle.late", "vehicle.dead-letter"),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    await run_stage(context, stage(context.settings))


process = Process("aggregations", RuleStageSettings, main, "Aggregation rules over telemetry: windows")
