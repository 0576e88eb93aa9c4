"""The engine: what a rule set makes of what vehicles say."""

from rules.engine.aggregation.engine import AggregationEngine
from rules.engine.aggregation.merging import Merger
from rules.engine.aggregation.records import AggregateRecord, LateRecord
from rules.engine.aggregation.sources import GroupDropped, GroupSample, Partial, Sources
from rules.engine.aggregation.vehicle import VehicleWindows
from rules.engine.engine import Engine
from rules.engine.events import Event
from rules.engine.failures import StateFormatError
from rules.engine.fence_state import FencedVehicle
from rules.engine.fold import Fold
from rules.engine.geofences import Geofences
from rules.engine.outcomes import AlertRecord, CommandRecord, Outcome, PublishRecord, RuleFailure
from rules.engine.registration import NOTHING, Registration, RegistrationError, registration
from rules.engine.rollouts import Limits, Rollout
from rules.engine.ruleset import CommandAction, PublishAction, Rule, RuleSet, Rung, Signal
from rules.engine.standing import Standing
from rules.engine.vehicle import VehicleState

__all__ = [
    "NOTHING",
    "AggregateRecord",
    "AggregationEngine",
    "AlertRecord",
    "CommandAction",
    "CommandRecord",
    "Engine",
    "Event",
    "FencedVehicle",
    "Fold",
    "Geofences",
    "GroupDropped",
    "GroupSample",
    "LateRecord",
    "Limits",
    "Merger",
    "Outcome",
    "Partial",
    "PublishAction",
    "PublishRecord",
    "Registration",
    "RegistrationError",
    "Rollout",
    "Rule",
    "RuleFailure",
    "RuleSet",
    "Rung",
    "Signal",
    "Sources",
    "Standing",
    "StateFormatError",
    "VehicleState",
    "VehicleWindows",
    "registration",
]
