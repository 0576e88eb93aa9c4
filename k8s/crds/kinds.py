"""Every kind that a cluster learns from Telltale: where it stands in the API, and what `kubectl get` shows.

A RuleTest is no kind of the cluster: tests run before anything is applied.
"""

from dataclasses import dataclass
from typing import Final

from k8s.crds.rule_status import DocumentStatus, RuleStatus
from k8s.kinds import RULE_PIPELINE, Kind, rule_kind
from k8s.pipelines.spec import LONGEST_NAME, RulePipeline
from k8s.pipelines.status import RulePipelineStatus
from rules.documents import KINDS
from rules.documents.closed import LABEL_PATTERN, NAME_PATTERN, Closed, Document


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; those of a lower priority than 0 are for `-o wide`."""

    name: str
    type: str
    path: str
    description: str = ""
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class CustomKind:
    """A kind of ours: its model is the source of its CRD."""

    kind: Kind
    model: type[Document]
    status: type[Closed]
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    name_pattern: str = NAME_PATTERN
    longest_name: int = 127
    sets_defaults: bool = False
    """Whether the API server writes defaults into the resource; rule documents stay as they were written."""
    is_scaled: bool = False
    """Whether `kubectl scale` knows it: spec.replicas, status.replicas and status.selector."""


_READY = Column(
    "Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether every worker runs it."
)
_REASON = Column(
    "Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready, or not.", True
)
_MESSAGE = Column(
    "Message", "string", '.status.conditions[?(@.type=="Ready")].message', "The same in words.", True
)
_AGE = Column("Age", "date", ".metadata.creationTimestamp")
_REVISION = Column("Revision", "integer", ".status.revision", "The revision with which it began to run.")
_WORKERS = Column("Workers", "string", ".status.workers", "How many workers run it, of how many.")
_FIRING = Column("Firing", "integer", ".status.firing", "Alerts that fire now.")
_OF_RULES = (_REVISION, _WORKERS, _FIRING, _READY, _REASON, _MESSAGE, _AGE)
_OF_DOCUMENTS = (_REVISION, _WORKERS, _READY, _REASON, _MESSAGE, _AGE)
_OF_PIPELINES = (
    Column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether all stages are up."),
    Column("Stages", "string", ".status.readyStages", "How many stages are up, of how many."),
    Column("Revision", "integer", ".status.revision", "The last revision that was wholly up."),
    Column(
        "Replicas", "integer", ".status.replicas", "Workers of each stage that says none of its own.", True
    ),
    Column("Lag", "integer", ".status.lag", "Records that wait to be processed.", True),
    _REASON,
    _MESSAGE,
    _AGE,
)

_PLURALS: Final = {
    "AlertRule": ("alertrules", ("alr",)),
    "AggregationRule": ("aggregationrules", ("agr",)),
    "SequenceRule": ("sequencerules", ("sqr",)),
    "GeofenceRule": ("geofencerules", ("gfr",)),
    "Geofence": ("geofences", ("gf",)),
    "SignalCatalog": ("signalcatalogs", ("sigcat",)),
    "Definitions": ("definitions", ("defs",)),
    "Adaptation": ("adaptations", ("adapt",)),
    "CommandType": ("commandtypes", ("cmdt",)),
    "Rollout": ("rollouts", ("rlo",)),
}


def _document_kind(name: str) -> CustomKind:
    plural, short_names = _PLURALS[name]
    alerts = name.endswith("Rule")
    return CustomKind(
        rule_kind(name, plural),
        KINDS[name],
        RuleStatus if alerts else DocumentStatus,
        short_names,
        _OF_RULES if alerts else _OF_DOCUMENTS,
    )


DOCUMENT_KINDS: Final = tuple(_document_kind(name) for name in KINDS if name != "RuleTest")
"""The kinds whose resources are rule documents, in the order of `rules.documents.KINDS`."""
PIPELINE_KIND: Final = CustomKind(
    RULE_PIPELINE,
    RulePipeline,
    RulePipelineStatus,
    ("rp",),
    _OF_PIPELINES,
    name_pattern=LABEL_PATTERN,
    longest_name=LONGEST_NAME,
    sets_defaults=True,
    is_scaled=True,
)
CUSTOM_KINDS: Final = (*DOCUMENT_KINDS, PIPELINE_KIND)
