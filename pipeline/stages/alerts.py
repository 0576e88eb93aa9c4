"""vehicle.telemetry to vehicle.alerts and vehicle.commands: the alert rules, folded over each vehicle."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.process import Context, Process
from pipeline.runtime import run_stage
from pipeline.runtime.stage import Stage
from pipeline.stages.documents import load_rules
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.live import live_rules
from pipeline.stages.outcomes import SHADOWS
from pipeline.stages.rule_counts import RuleCounts
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import Versions
from rules import Engine, RuleSet, VehicleState
from rules.engine import Fold, PublishAction


def make(settings: RuleStageSettings) -> Callable[[RuleSet], Engine]:
    """What runs a rule set."""
    return lambda rules: Engine(rules, quiet_after_ms=settings.quiet_after_ms)


def stage(settings: RuleStageSettings, versions: Versions[VehicleState] | None = None) -> Stage:
    """The stage, with live rules or with those that the settings name. Raises ConfigurationError."""
    rules = load_rules(settings.rules) if versions is None else versions.current.rules
    engine = make(settings)(rules) if versions is None else versions.current.fold
    counts = RuleCounts(lambda: _activations(engine, versions))
    actions = [action for rule in rules.rules for action in rule.actions]
    actions += [action for absence in rules.absences for action in absence.actions]
    tellings = [it for rule in rules.sequences for it in (rule.upon_match, rule.upon_timeout) if it]
    actions += [action for telling in tellings for action in telling.actions]
    published = {action.topic for action in actions if isinstance(action, PublishAction)}
    return Stage(
        name="alerts",
        inputs=("vehicle.telemetry", "vehicle.registry"),
        logic=lambda _partition: VehicleLogic("alerts", engine, counts, versions=versions),
        outputs=("vehicle.alerts", "vehicle.commands", SHADOWS, "vehicle.dead-letter"),
        elsewhere=tuple(sorted(published)),
        first=("vehicle.registry",),
        check_keys=True,
    )


def _activations(engine: Fold[VehicleState], versions: Versions[VehicleState] | None) -> Mapping[str, int]:
    """While a candidate runs, of both revisions together."""
    current = None if versions is None else versions.current
    folds: list[Any] = [engine] if current is None else [current.engine]
    if current is not None and current.stable is not None:
        folds.append(current.stable.engine)
    found: Counter[str] = Counter()
    for fold in folds:
        found.update(fold.take_activations())
    return found


async def main(context: Context[RuleStageSettings]) -> None:
    """Run the stage until the process is asked to stop."""
    async with live_rules(context, make(context.settings)) as versions:
        await run_stage(context, stage(context.settings, versions))


process = Process("alerts", RuleStageSettings, main, "Alert rules over telemetry: alerts and commands")
