"""A compiled rule set: what the engine runs, without the documents that it came from.

`rules.compile` builds it; nothing here knows YAML or CEL, only compiled expressions and their reads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from rules.engine.aggregation.windows import Fixed, Session, Sliding
from rules.engine.rollouts import Rollout
from rules.engine.sequences import Plan
from rules.geometry import Shape
from rules.language.windows import Window


class Read(Protocol):
    """A value that an expression uses: of a signal (`value`, `prev`, ...) or a `local` (vehicle.id)."""

    @property
    def kind(self) -> str: ...
    @property
    def signal(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def window(self) -> Window | None: ...


class Compiled(Protocol):
    """An expression of the language package."""

    @property
    def text(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def reads(self) -> Sequence[Read]: ...
    @property
    def constants(self) -> Mapping[str, object]: ...
    @property
    def evaluate(self) -> Callable[[Sequence[object]], object]: ...
    @property
    def age_limits(self) -> Sequence[tuple[str, int]]: ...
    @property
    def comparison(self) -> tuple[str, str] | None: ...


class Template(Protocol):
    """A text with holes."""

    @property
    def reads(self) -> Sequence[Read]: ...
    def render(self, args: Sequence[object]) -> object: ...


class Opening(Protocol):
    """A schedule: when a rule applies. Equal ones are open at the same instants."""

    def is_open(self, at: int) -> bool: ...
    def next_edge(self, at: int) -> int: ...
    def last_edge(self, at: int) -> int: ...


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal of the catalog, as far as time concerns it."""

    name: str
    stale_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the severity ladder; without a condition it always holds."""

    severity: str
    condition: Compiled | None = None


@dataclass(frozen=True, slots=True)
class CommandAction:
    """Tell the vehicle something. `payload` is JSON whose texts may be templates."""

    name: str
    payload: object
    upon: str = "firing"
    expires_after_ms: int = 60_000
    max_age_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class PublishAction:
    """Write the alert to a topic of the author's."""

    topic: str
    upon: str = "firing"


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert rule. Durations in milliseconds; the ladder's highest severity stands first."""

    name: str
    when: Compiled
    for_ms: int = 0
    count: int | None = None
    within_ms: int | None = None
    clear_when: Compiled | None = None
    keep_ms: int = 0
    cooldown_ms: int = 0
    stale_grace_ms: int = 600_000
    ladder: tuple[Rung, ...] = (Rung("warning"),)
    value: Compiled | None = None
    lowest: bool = False
    """The peak is the lowest value: of a condition such as `pressure < 200`."""
    labels: Mapping[str, str | Template] = field(default_factory=dict)
    annotations: Mapping[str, str | Template] = field(default_factory=dict)
    actions: tuple[CommandAction | PublishAction, ...] = ()
    vehicles: Compiled | None = None
    lineage: int = 1
    """The revision at which the rule's state last began; with the name it makes the ids of alerts."""
    schedule: Opening | None = None


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of a match, or of a partial match that ran out of time, and done about it."""

    severity: str
    annotations: Mapping[str, str | Template] = field(default_factory=dict)
    actions: tuple[CommandAction | PublishAction, ...] = ()


@dataclass(frozen=True, slots=True)
class Pattern:
    """One sequence rule: its steps by name, each with its condition, and the plan that refers to them."""

    name: str
    steps: tuple[tuple[str, Compiled], ...]
    plan: Plan
    upon_match: Telling
    upon_timeout: Telling | None = None
    labels: Mapping[str, str | Template] = field(default_factory=dict)
    vehicles: Compiled | None = None
    lineage: int = 1
    schedule: Opening | None = None


@dataclass(frozen=True, slots=True)
class Absence:
    """One alert rule about silence: no message, or none with one of `signals`, for so long."""

    name: str
    signals: frozenset[str]
    """By the catalog's names; empty for any message at all."""
    duration_ms: int
    keep_ms: int = 0
    cooldown_ms: int = 0
    ladder: tuple[Rung, ...] = (Rung("warning"),)
    """The first step that holds when the silence is told."""
    value: Compiled | None = None
    labels: Mapping[str, str | Template] = field(default_factory=dict)
    annotations: Mapping[str, str | Template] = field(default_factory=dict)
    actions: tuple[CommandAction | PublishAction, ...] = ()
    vehicles: Compiled | None = None
    lineage: int = 1


@dataclass(frozen=True, slots=True)
class SpeedLimit:
    """How fast a vehicle may be inside a fence, by one of its signals."""

    signal: str
    limit: float
    for_ms: int = 0


@dataclass(frozen=True, slots=True)
class FenceRule:
    """One geofence rule. Durations in milliseconds."""

    name: str
    fences: tuple[str, ...]
    events: frozenset[str] = frozenset({"enter", "exit"})
    enter_after_ms: int = 0
    exit_after_ms: int = 0
    dwell_ms: int | None = None
    stale_after_ms: int = 120_000
    exit_buffer_meters: float = 0.0
    max_accuracy_meters: float | None = None
    speed_limit: SpeedLimit | None = None
    severity: str = "info"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str | Template] = field(default_factory=dict)
    actions: tuple[CommandAction | PublishAction, ...] = ()
    vehicles: Compiled | None = None
    lineage: int = 1


@dataclass(frozen=True, slots=True)
class Measure:
    """One named aggregate: a function of the samples that its argument gives, one for a message."""

    name: str
    function: str
    argument: Compiled | None = None
    """None: each message is a sample."""
    percent: float = 0.0


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alert on the results of windows."""

    name: str
    """Of its rule."""
    when: Compiled
    telling: Telling
    value: Compiled | None = None
    lowest: bool = False
    """Low values are the bad ones."""
    labels: Mapping[str, str | Template] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One aggregation rule."""

    name: str
    window: Fixed | Session | Sliding
    measures: tuple[Measure, ...]
    where: Compiled | None = None
    groups: tuple[tuple[str, Compiled], ...] | None = None
    """What tells groups apart, by name; None: each vehicle by itself."""
    having: Compiled | None = None
    """Over the measures' names."""
    lateness_ms: int = 0
    emit: str = "onClose"
    """Or `onUpdate`; or `every`, so many milliseconds."""
    every_ms: int = 0
    alarm: Alarm | None = None
    vehicles: Compiled | None = None
    lineage: int = 1


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All rules that run together, and the catalog that they were checked against."""

    signals: Mapping[str, Signal]
    rules: tuple[Rule, ...]
    revision: int = 1
    fingerprint: str = ""
    """A hash of the documents' content: equal sets have equal ones."""
    catalog: Any = None
    """The SignalCatalog that the rules were checked against."""
    warnings: tuple[Any, ...] = ()
    """The findings (Diagnostic) that are no errors."""
    sequences: tuple[Pattern, ...] = ()
    absences: tuple[Absence, ...] = ()
    fences: Mapping[str, Shape] = field(default_factory=dict)
    """All fences by their names."""
    aggregations: tuple[Aggregation, ...] = ()
    fence_labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    fence_rules: tuple[FenceRule, ...] = ()
    shadows: frozenset[str] = frozenset()
    """The rules that are evaluated and recorded, and act on nothing."""
    rollout: Rollout | None = None
    """Where the set is a candidate: the share of vehicles that it has, beside the stable set."""
