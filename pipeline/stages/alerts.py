"""vehicle.telemetry to vehicle.alerts and vehicle.commands: the alert rules, folded over each vehicle."""

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.documents import load_rules
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from pipeline.stages.settings import RuleStageSettings
from rules import Engine
from rules.engine import PublishAction


def stage(settings: RuleStageSettings) -> Stage:
    """The stage, with the rules that the settings name. Raises ConfigurationError."""
    rules = load_rules(settings.rules)
    engine = Engine(rules, quiet_after_ms=settings.quiet_after_ms)
    counts = RuleCounts(engine.take_activations)
    actions = [action for rule in rules.rules for action in rule.actions]
    actions += [action for absence in rules.absences for action in absence.actions]
    tellings = [it for rule in rules.sequences for it in (rule.upon_match, rule.upon_timeout) if it]
    actions += [action for telling in tellings for action in telling.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name="alerts",
        inputs=("vehicle.telemetry", "vehicle.registry"),
        logic=lambda _partition: VehicleLogic("alerts", engine, counts),
        outputs=("vehicle.alerts", "vehicle.commands", "vehicle.dead-letter"),
        elsewhere=tuple(sorted(published)),
        first=("vehicle.registry",),
        check_keys=True,
    )


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    await run_stage(context, stage(context.settings))


process = Process("alerts", RuleStageSettings, main, "Alert rules over telemetry: alerts and commands")
