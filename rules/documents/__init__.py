"""What authors write: YAML documents, their models, their places, and every finding about them.

`parse` is pure and takes texts, `load` opens files; both give a `Loaded` with documents and diagnostics.
"""

from rules.documents.adaptable import Adaptable, Parameter
from rules.documents.adaptation import ActionsChange, Adaptation, AdaptationSpec
from rules.documents.aggregation_rule import AggregateAlert, AggregationRule, AggregationRuleSpec, Window
from rules.documents.alert_rule import (
    SEVERITIES,
    AbsentFor,
    Action,
    AlertRule,
    AlertRuleSpec,
    Command,
    ForEvents,
    Publish,
    Rung,
    Severity,
    Upon,
)
from rules.documents.closed import API_VERSION, Closed, Document, Finding, Metadata, tenant_of, within
from rules.documents.codes import CODES, Code
from rules.documents.command_type import CommandType, CommandTypeSpec
from rules.documents.definitions import (
    Definitions,
    DefinitionsSpec,
    NamedExpression,
    NamedParameter,
    Scalar,
    written,
)
from rules.documents.diagnostics import Diagnostic, did_you_mean, quote, write_path
from rules.documents.durations import Duration, format_duration, parameter_in, parse_duration
from rules.documents.exceptions import Exceptable, RuleException
from rules.documents.geofence import Geofence, GeofenceSpec
from rules.documents.geofence_rule import FenceAction, GeofenceRule, GeofenceRuleSpec
from rules.documents.load import load
from rules.documents.mode import Mode
from rules.documents.parse import KINDS, Loaded, Parser, Source, parse
from rules.documents.placed import Placed
from rules.documents.reserved_words import RESERVED_WORDS
from rules.documents.rollout import RollBackIf, Rollout, RolloutSpec
from rules.documents.rule_test import Expectation, Happening, RuleTest, RuleTestSpec
from rules.documents.schedule import WEEKDAYS, Span
from rules.documents.schema import editor_schema, schema_of
from rules.documents.sequence_rule import OnTimeout, SequenceRule, SequenceRuleSpec, SkipTo, Step, Times
from rules.documents.signal_catalog import (
    DATATYPES,
    NUMERIC,
    DecoderPath,
    Position,
    Sequence,
    Signal,
    SignalCatalog,
    SignalCatalogSpec,
    Timestamp,
)
from rules.documents.vss import read_vss

__all__ = [
    "API_VERSION",
    "CODES",
    "DATATYPES",
    "KINDS",
    "NUMERIC",
    "RESERVED_WORDS",
    "SEVERITIES",
    "WEEKDAYS",
    "AbsentFor",
    "Action",
    "ActionsChange",
    "Adaptable",
    "Adaptation",
    "AdaptationSpec",
    "AggregateAlert",
    "AggregationRule",
    "AggregationRuleSpec",
    "AlertRule",
    "AlertRuleSpec",
    "Closed",
    "Code",
    "Command",
    "CommandType",
    "CommandTypeSpec",
    "DecoderPath",
    "Definitions",
    "DefinitionsSpec",
    "Diagnostic",
    "Document",
    "Duration",
    "Exceptable",
    "Expectation",
    "FenceAction",
    "Finding",
    "ForEvents",
    "Geofence",
    "GeofenceRule",
    "GeofenceRuleSpec",
    "GeofenceSpec",
    "Happening",
    "Loaded",
    "Metadata",
    "Mode",
    "NamedExpression",
    "NamedParameter",
    "OnTimeout",
    "Parameter",
    "Parser",
    "Placed",
    "Position",
    "Publish",
    "RollBackIf",
    "Rollout",
    "RolloutSpec",
    "RuleException",
    "RuleTest",
    "RuleTestSpec",
    "Rung",
    "Scalar",
    "Sequence",
    "SequenceRule",
    "SequenceRuleSpec",
    "Severity",
    "Signal",
    "SignalCatalog",
    "SignalCatalogSpec",
    "SkipTo",
    "Source",
    "Span",
    "Step",
    "Times",
    "Timestamp",
    "Upon",
    "Window",
    "did_you_mean",
    "editor_schema",
    "format_duration",
    "load",
    "parameter_in",
    "parse",
    "parse_duration",
    "quote",
    "read_vss",
    "schema_of",
    "tenant_of",
    "within",
    "write_path",
    "written",
]
