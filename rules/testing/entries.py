"""A test as it runs: what comes, in its order, and what must have come of it."""

from dataclasses import dataclass, field

from rules.documents import Expectation, Placed, RuleTest
from rules.documents.rule_test import Moment, instant_of
from rules.documents.samples import Fix, Value
from rules.engine import Registration


@dataclass(slots=True)
class Message:
    """What a vehicle says; `at` is its event time. Milliseconds since the epoch."""

    received_at: int
    vehicle: str
    at: int
    signals: dict[str, Value] = field(default_factory=dict)
    position: Fix | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry says this of a vehicle; None: the vehicle is forgotten."""

    received_at: int
    vehicle: str
    known: Registration | None


@dataclass(frozen=True, slots=True)
class Restart:
    """All states are packed and read again."""

    received_at: int


@dataclass(frozen=True, slots=True)
class Uplink:
    """The uplink goes away, or is back."""

    received_at: int
    is_back: bool


@dataclass(frozen=True, slots=True)
class Question:
    """How does a rule stand? `index` is the expectation's."""

    received_at: int
    index: int
    vehicle: str
    rule: str


Entry = Message | Registry | Restart | Uplink | Question


@dataclass(frozen=True, slots=True)
class Expected:
    """An expectation with the names that its author left out."""

    index: int
    vehicle: str | None
    """None where it is about groups of vehicles."""
    rule: str | None
    """None where a sort of outcome is expected of all rules together."""
    what: Expectation


@dataclass(frozen=True, slots=True)
class Script:
    """A test, ready to run."""

    placed: Placed[RuleTest]
    rules: frozenset[str]
    """The names of the rules that run."""
    start: int
    quiet_after_ms: int
    entries: tuple[Entry, ...]
    end: int
    expected: tuple[Expected, ...]

    @property
    def name(self) -> str:
        """The test's."""
        return self.placed.document.metadata.name

    def instant(self, moment: Moment) -> int:
        """Milliseconds since the epoch of an instant that the test names."""
        return instant_of(moment, self.start)
