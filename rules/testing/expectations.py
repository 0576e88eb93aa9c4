"""What a test expects, compared with what came: every difference at once, each at its expectation's place."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rules.documents import format_duration
from rules.documents.closed import Closed, yaml_key
from rules.documents.diagnostics import Path, write_path
from rules.documents.rule_test import SORTS, Moment
from rules.engine import RuleFailure, Standing
from rules.instants import format_instant
from rules.testing.comparing import MISSING, agrees, aligned, equal, shown
from rules.testing.entries import Expected, Script
from rules.testing.runs import Ran
from rules.testing.sorts import FOUND, Fields


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that was not met. `lines` tell the difference, one thing each."""

    file: str
    line: int
    column: int
    path: str
    message: str
    lines: tuple[str, ...] = ()

    def format(self) -> str:
        """The lines that a person reads."""
        head = f"{self.file}:{self.line}:{self.column}: {self.path}: {self.message}"
        return "\n".join([head, *(f"    {line}" for line in self.lines)])


def failures(script: Script, ran: Ran) -> list[Failure]:
    """Return what a test expected and did not get, in the order of the file."""
    judge = _Judge(script, ran)
    found = [failure for expected in script.expected for failure in judge.judge(expected)]
    return [*found, *judge.failures_of_rules()]


@dataclass(slots=True)
class _Judge:
    script: Script
    ran: Ran

    def judge(self, expected: Expected) -> Iterator[Failure]:
        what = expected.what
        if what.state is not None:
            yield from self.state(expected)
            return
        sort, written = next(
            (sort, value) for sort in SORTS[1:] if (value := getattr(what, sort)) is not None
        )
        found: list[Fields] = FOUND[sort](self.ran, expected)
        lines = list(self.compared(written, found))
        if lines:
            message = f"{sort} of {self.about(expected)} are not as expected"
            yield self.failure(expected, (sort,), message, lines)

    def about(self, expected: Expected) -> str:
        return " for ".join(name for name in (expected.rule, expected.vehicle) if name is not None)

    def failure(self, expected: Expected, below: Path, message: str, lines: Sequence[str] = ()) -> Failure:
        path = ("spec", "expect", expected.index, *below)
        placed = self.script.placed
        line, column = placed.position(path, of_key=True)
        return Failure(placed.file, line, column, write_path(path), message, tuple(lines))

    # A state.

    def state(self, expected: Expected) -> Iterator[Failure]:
        what = expected.what
        found = self.ran.standings[expected.index]
        assert what.at is not None
        wanted: Fields = {"state": what.state}
        if what.severity is not None:
            wanted["severity"] = what.severity
        if "value" in what.model_fields_set:
            wanted["value"] = what.value
        got = {"state": found.state, "severity": found.severity, "value": found.value}
        different = [key for key, value in wanted.items() if not equal(value, got[key])]
        if not different:
            return
        expected_text = " ".join(shown(value) for value in wanted.values())
        message = (
            f"at {what.at}, {self.about(expected)} was expected to be {expected_text}, "
            f"and was {self.standing(found, wanted)}"
        )
        yield self.failure(expected, (different[0],), message, list(self.history(expected)))

    def standing(self, found: Standing, wanted: Fields) -> str:
        text: str = found.state
        if found.severity is not None:
            text += f" {found.severity}"
        if "value" in wanted:
            text += f" {shown(found.value)}"
        return text if found.since is None else f"{text} since {self.time(found.since)}"

    def history(self, expected: Expected) -> Iterator[str]:
        """What the rule did in the whole test, which is mostly what one wants to see next."""
        for life in FOUND["alerts"](self.ran, expected):
            told = {key: value for key, value in life.items() if key in _OF_A_HISTORY}
            yield f"its alert: {self.written(told)}"

    # Lists of outcomes.

    def compared(self, written: Sequence[Closed], found: list[Fields]) -> Iterator[str]:
        """Yield what differs, item by item. What the author left out is not compared."""
        wanted = [self.wanted(item) for item in written]
        pairs = aligned(wanted, found)
        for number, (want, have) in enumerate(pairs, start=1):
            if want is None:
                yield f"{number}. not expected: {self.written(_told(have or {}))}"
            elif have is None:
                yield f"{number}. did not come: {self.written(want)}"
            else:
                for key, value in want.items():
                    if not agrees(key, value, have.get(key, MISSING)):
                        came = self.told(key, have.get(key, MISSING))
                        yield f"{number}. {key}: expected {self.told(key, value)}, was {came}"

    def wanted(self, item: Closed) -> Fields:
        """What an author wrote about one outcome; instants in milliseconds."""
        told = {}
        for name in item.model_fields_set:
            value = getattr(item, name)
            key = yaml_key(name)
            if key in _INSTANTS and value is not None:
                value = self.script.instant(value)
            if key == "steps" and value is not None:
                value = {step: self.script.instant(moment) for step, moment in value.items()}
            told[key] = value
        return {key: told[key] for key in sorted(told, key=_ORDER.index)}

    def written(self, told: Fields) -> str:
        return ", ".join(f"{key} {self.told(key, value)}" for key, value in told.items())

    def told(self, key: str, value: object) -> str:
        if value is MISSING:
            return "nothing of that kind"
        if key in _INSTANTS and isinstance(value, int):
            return self.time(value)
        if key == "steps" and isinstance(value, dict):
            return "{" + ", ".join(f"{step}: {self.time(at)}" for step, at in value.items()) + "}"
        return shown(value)

    def time(self, instant: int) -> Moment:
        """An instant as an author writes it."""
        since = instant - self.script.start
        if abs(since) >= 10 * 86_400_000:
            return format_instant(instant)
        return format_duration(since) if since >= 0 else f"-{format_duration(-since)}"

    # Rules that raised.

    def failures_of_rules(self) -> Iterator[Failure]:
        told = set()
        for heard in self.ran.heard:
            outcome = heard.outcome
            if not isinstance(outcome, RuleFailure) or (outcome.rule, outcome.error) in told:
                continue
            told.add((outcome.rule, outcome.error))
            placed = self.script.placed
            line, column = placed.position(("metadata", "name"))
            message = (
                f"at {self.time(outcome.ts)}, {outcome.rule} failed for {outcome.vehicle_id}: {outcome.error}"
            )
            yield Failure(placed.file, line, column, "metadata.name", message)


_INSTANTS = frozenset(
    ("startsAt", "firedAt", "endsAt", "at", "expiresAt", "confirmedAt", "windowStart", "windowEnd", "ts")
)
_OF_A_HISTORY = frozenset(("startsAt", "firedAt", "endsAt", "severity", "reason"))
_ORDER = (
    *("name", "topic", "fence", "event", "ts", "windowStart", "windowEnd", "startsAt", "confirmedAt"),
    *("firedAt", "endsAt", "at", "severity", "value", "peak", "reason", "by", "visitSeconds", "speed"),
    *("limit", "values", "group", "final", "update", "outcome", "steps", "payload", "expiresAt"),
    *("labels", "annotations"),
)
"""In which a line tells them."""


def _told(have: dict[str, object]) -> dict[str, object]:
    """What is worth telling of an outcome that nobody expected."""
    quiet = ("labels", "annotations", "payload", "peak", "expiresAt")
    return {
        key: have[key]
        for key in _ORDER
        if key in have and key not in quiet and (have[key] is not None or key == "endsAt")
    }
