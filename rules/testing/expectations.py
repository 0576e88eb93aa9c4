"""What a test expects, compared with what came: every difference at once, each at its expectation's place."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rules.documents import format_duration, quote
from rules.documents.closed import Closed, yaml_key
from rules.documents.diagnostics import Path, write_path
from rules.documents.rule_test import Moment
from rules.engine import AlertRecord, CommandRecord, PublishRecord, RuleFailure, Standing
from rules.instants import format_instant
from rules.testing.runs import Heard, Ran
from rules.testing.scripts import Expected, Script

MISSING = object()
"""What an outcome does not have."""


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
            (sort, value)
            for sort in ("alerts", "commands", "published")
            if (value := getattr(what, sort)) is not None
        )
        found = {"alerts": self.lives, "commands": self.commands, "published": self.published}[sort](expected)
        lines = list(self.compared(written, found))
        if lines:
            message = f"{sort} of {self.about(expected)} are not as expected"
            yield self.failure(expected, (sort,), message, lines)

    def about(self, expected: Expected) -> str:
        rule = "" if expected.rule is None else f"{expected.rule} for "
        return f"{rule}{expected.vehicle}"

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
        wanted: dict[str, object] = {"state": what.state}
        if what.severity is not None:
            wanted["severity"] = what.severity
        if "value" in what.model_fields_set:
            wanted["value"] = what.value
        got = {"state": found.state, "severity": found.severity, "value": found.value}
        different = [key for key, value in wanted.items() if not _equal(value, got[key])]
        if not different:
            return
        expected_text = " ".join(_shown(value) for value in wanted.values())
        message = (
            f"at {what.at}, {self.about(expected)} was expected to be {expected_text}, "
            f"and was {self.standing(found, wanted)}"
        )
        yield self.failure(expected, (different[0],), message, list(self.history(expected)))

    def standing(self, found: Standing, wanted: dict[str, object]) -> str:
        text: str = found.state
        if found.severity is not None:
            text += f" {found.severity}"
        if "value" in wanted:
            text += f" {_shown(found.value)}"
        return text if found.since is None else f"{text} since {self.time(found.since)}"

    def history(self, expected: Expected) -> Iterator[str]:
        """What the rule did in the whole test, which is mostly what one wants to see next."""
        for life in self.lives(expected):
            told = {key: value for key, value in life.items() if key in _OF_A_HISTORY}
            yield f"its alert: {self.written(told)}"

    # What rules brought about.

    def heard(self, expected: Expected, sort: type[Any]) -> Iterator[Heard]:
        for heard in self.ran.heard:
            outcome = heard.outcome
            if not isinstance(outcome, sort):
                continue
            alert = outcome.alert if isinstance(outcome, PublishRecord) else outcome
            if alert.vehicle_id == expected.vehicle and expected.rule in (None, alert.rule):
                yield heard

    def lives(self, expected: Expected) -> list[dict[str, object]]:
        """The alerts, each from its records, in the order in which they fired."""
        found: dict[str, dict[str, object]] = {}
        for heard in self.heard(expected, AlertRecord):
            record: AlertRecord = heard.outcome
            life = found.get(record.id)
            if life is None:
                life = found[record.id] = {
                    "startsAt": record.starts_at,
                    "firedAt": record.fired_at,
                    "value": record.value,
                    "by": record.by,
                    "labels": dict(record.labels),
                    "annotations": dict(record.annotations),
                }
                if record.sequence is not None:
                    life["outcome"] = "match" if record.sequence.is_match else "timeout"
                    life["steps"] = {name: first for name, first, _ in record.sequence.steps}
            life |= {
                "endsAt": record.ends_at,
                "severity": record.severity,
                "peak": record.peak,
                "reason": record.reason,
            }
        return list(found.values())

    def commands(self, expected: Expected) -> list[dict[str, object]]:
        return [
            {
                "name": heard.outcome.name,
                "at": heard.at,
                "payload": heard.outcome.payload,
                "expiresAt": heard.outcome.expires_at,
            }
            for heard in self.heard(expected, CommandRecord)
        ]

    def published(self, expected: Expected) -> list[dict[str, object]]:
        return [
            {"topic": heard.outcome.topic, "at": heard.at, "severity": heard.outcome.alert.severity}
            for heard in self.heard(expected, PublishRecord)
        ]

    # Lists of outcomes.

    def compared(self, written: Sequence[Closed], found: list[dict[str, object]]) -> Iterator[str]:
        """Yield what differs, item by item. What the author left out is not compared."""
        wanted = [self.wanted(item) for item in written]
        pairs = _aligned(wanted, found)
        for number, (want, have) in enumerate(pairs, start=1):
            if want is None:
                yield f"{number}. not expected: {self.written(_told(have or {}))}"
            elif have is None:
                yield f"{number}. did not come: {self.written(want)}"
            else:
                for key, value in want.items():
                    if not _agrees(key, value, have.get(key, MISSING)):
                        came = self.told(key, have.get(key, MISSING))
                        yield f"{number}. {key}: expected {self.told(key, value)}, was {came}"

    def wanted(self, item: Closed) -> dict[str, object]:
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

    def written(self, told: dict[str, object]) -> str:
        return ", ".join(f"{key} {self.told(key, value)}" for key, value in told.items())

    def told(self, key: str, value: object) -> str:
        if value is MISSING:
            return "nothing of that kind"
        if key in _INSTANTS and isinstance(value, int):
            return self.time(value)
        if key == "steps" and isinstance(value, dict):
            return "{" + ", ".join(f"{step}: {self.time(at)}" for step, at in value.items()) + "}"
        return _shown(value)

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


_INSTANTS = frozenset(("startsAt", "firedAt", "endsAt", "at", "expiresAt"))
_OF_A_HISTORY = frozenset(("startsAt", "firedAt", "endsAt", "severity", "reason"))
_ORDER = (
    "name", "topic", "startsAt", "firedAt", "endsAt", "at", "severity", "value", "peak", "reason", "by",
    "outcome", "steps", "payload", "expiresAt", "labels", "annotations",
)  # fmt: skip


def _told(have: dict[str, object]) -> dict[str, object]:
    """What is worth telling of an outcome that nobody expected."""
    quiet = ("labels", "annotations", "payload", "peak", "expiresAt")
    return {
        key: have[key]
        for key in _ORDER
        if key in have and key not in quiet and (have[key] is not None or key == "endsAt")
    }


def _aligned(
    wanted: list[dict[str, object]], found: list[dict[str, object]]
) -> list[tuple[dict[str, object] | None, dict[str, object] | None]]:
    """Pair what was wanted with what came, in order, leaving out as little as can be.

    The longest common subsequence; what stands between two pairs of it is paired one by one.
    """
    rows, columns = len(wanted), len(found)
    longest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            longest[row][column] = (
                longest[row + 1][column + 1] + 1
                if _meets(wanted[row], found[column])
                else max(longest[row + 1][column], longest[row][column + 1])
            )
    pairs: list[tuple[dict[str, object] | None, dict[str, object] | None]] = []
    row = column = 0
    wants: list[dict[str, object]] = []
    haves: list[dict[str, object]] = []

    def between() -> None:
        for place in range(max(len(wants), len(haves))):
            want = wants[place] if place < len(wants) else None
            have = haves[place] if place < len(haves) else None
            pairs.append((want, have))
        wants.clear()
        haves.clear()

    while row < rows or column < columns:
        if row < rows and column < columns and _meets(wanted[row], found[column]):
            between()
            pairs.append((wanted[row], found[column]))
            row, column = row + 1, column + 1
        elif column == columns or (row < rows and longest[row + 1][column] >= longest[row][column + 1]):
            wants.append(wanted[row])
            row += 1
        else:
            haves.append(found[column])
            column += 1
    between()
    return pairs


def _meets(wanted: dict[str, object], found: dict[str, object]) -> bool:
    return all(_agrees(key, value, found.get(key, MISSING)) for key, value in wanted.items())


def _agrees(key: str, wanted: object, found: object) -> bool:
    """Of labels and annotations only those are compared that the author names."""
    if key in ("labels", "annotations") and isinstance(wanted, dict) and isinstance(found, dict):
        found = {name: text for name, text in found.items() if name in wanted}
    return _equal(wanted, found)


def _equal(wanted: object, found: object) -> bool:
    """Equal as an author means it: 135 is 135.0, and rounding in the ninth digit is none."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int) and isinstance(found, int):
        return wanted == found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return math.isclose(wanted, found, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_equal(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, list | tuple) and isinstance(found, list | tuple):
        return len(wanted) == len(found) and all(map(_equal, wanted, found))
    return wanted == found


def _shown(value: object) -> str:
    """A value as it stands in YAML."""
    if isinstance(value, str):
        return value if value.replace("-", "").isalnum() else quote(value, 200)
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return quote(value, 200)
