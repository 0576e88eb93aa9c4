"""vehicle.telemetry to vehicle.geofence-events and vehicle.commands: geofence rules, over each vehicle."""

from collections.abc import Callable

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.documents import load_rules
from pipeline.stages.fence_counts import FenceCounts
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.live import live_rules
from pipeline.stages.outcomes import SHADOWS
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import Versions
from rules import RuleSet
from rules.engine import FencedVehicle, Geofences, PublishAction


def make(settings: RuleStageSettings) -> Callable[[RuleSet], Geofences]:
    """What runs a rule set."""
    return lambda rules: Geofences(rules, quiet_after_ms=settings.quiet_after_ms)


def stage(settings: RuleStageSettings, versions: Versions[FencedVehicle] | None = None) -> Stage:
    """The stage, with live rules or with those that the settings name. Raises ConfigurationError."""
    rules = load_rules(settings.rules) if versions is None else versions.current.rules
    fold = make(settings)(rules) if versions is None else versions.current.fold
    counts = FenceCounts()
    actions = [action for rule in rules.fence_rules for action in rule.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name="geofences",
        inputs=("vehicle.telemetry", "vehicle.registry"),
        logic=lambda _partition: VehicleLogic("geofences", fold, counts, versions=versions),
        outputs=("vehicle.geofence-events", "vehicle.commands", SHADOWS, "vehicle.dead-letter"),
        elsewhere=tuple(sorted(published)),
        first=("vehicle.registry",),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    async with live_rules(context, make(context.settings)) as versions:
        await run_stage(context, stage(context.settings, versions))


process = Process("geofences", RuleStageSettings, main, "Geofence rules over positions: events and commands")
