"""vehicle.telemetry to vehicle.geofence-events and vehicle.commands: geofence rules, over each vehicle."""

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.documents import load_rules
from pipeline.stages.fence_counts import FenceCounts
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.settings import RuleStageSettings
from rules.engine import Geofences, PublishAction


def stage(settings: RuleStageSettings) -> Stage:
    """The stage, with the rules that the settings name. Raises ConfigurationError."""
    rules = load_rules(settings.rules)
    fold = Geofences(rules, quiet_after_ms=settings.quiet_after_ms)
    counts = FenceCounts()
    actions = [action for rule in rules.fence_rules for action in rule.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name="geofences",
        inputs=("vehicle.telemetry", "vehicle.registry"),
        logic=lambda _partition: VehicleLogic("geofences", fold, counts),
        outputs=("vehicle.geofence-events", "vehicle.commands", "vehicle.dead-letter"),
        elsewhere=tuple(sorted(published)),
        first=("vehicle.registry",),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    await run_stage(context, stage(context.settings))


process = Process("geofences", RuleStageSettings, main, "Geofence rules over positions: events and commands")
