"""What a rule means: documents in, a rule set out, and an engine that folds a vehicle's events into outcomes.

Pure: no I/O but for `load`, no clock, no framework.
"""

from rules.compile import compile_rules
from rules.documents import AlertRule, Diagnostic, Loaded, SignalCatalog, Source, load, parse
from rules.engine import (
    AlertRecord,
    CommandRecord,
    Engine,
    Event,
    Outcome,
    PublishRecord,
    RuleFailure,
    RuleSet,
    StateFormatError,
    VehicleState,
)

__all__ = [
    "AlertRecord",
    "AlertRule",
    "CommandRecord",
    "Diagnostic",
    "Engine",
    "Event",
    "Loaded",
    "Outcome",
    "PublishRecord",
    "RuleFailure",
    "RuleSet",
    "SignalCatalog",
    "Source",
    "StateFormatError",
    "VehicleState",
    "compile_rules",
    "load",
    "parse",
]
