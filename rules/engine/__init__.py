"""The engine: what a rule set makes of what vehicles say."""

from rules.engine.engine import Engine
from rules.engine.events import Event
from rules.engine.fold import Fold
from rules.engine.outcomes import AlertRecord, CommandRecord, Outcome, PublishRecord, RuleFailure
from rules.engine.ruleset import CommandAction, PublishAction, Rule, RuleSet, Rung, Signal
from rules.engine.state import StateFormatError
from rules.engine.vehicle import VehicleState

__all__ = [
    "AlertRecord",
    "CommandAction",
    "CommandRecord",
    "Engine",
    "Event",
    "Fold",
    "Outcome",
    "PublishAction",
    "PublishRecord",
    "Rule",
    "RuleFailure",
    "RuleSet",
    "Rung",
    "Signal",
    "StateFormatError",
    "VehicleState",
]
