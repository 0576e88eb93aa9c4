"""Which branches of the conditions the tests went: each atomic condition seen true, seen false, unknown.

A rule set is compiled a second time for it, with an observer in front of every condition; the set that runs
in production, and that gives a test its verdict, knows nothing of it. Every atom is looked at whenever its
condition is evaluated, also where `&&` and `||` would not have asked for it. What counts is true and false;
that a test left a signal unknown is told, and not asked for.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import Any

from rules.compile import vocabulary_of, with_parameters
from rules.documents import Loaded, Placed, write_path
from rules.documents.diagnostics import Path
from rules.engine import Rule, RuleSet, Rung
from rules.engine.ruleset import Aggregation, Pattern
from rules.engine.ruleset import Compiled as Condition
from rules.language import BOOL, DOUBLE, Compiled, Environment
from rules.language.atoms import atoms


@dataclass(slots=True)
class Branches:
    """One atomic condition, and what the tests have seen of it: True, False, None for unknown."""

    rule: str
    file: str
    line: int
    column: int
    path: str
    text: str
    seen: set[bool | None] = field(default_factory=set)

    @property
    def missing(self) -> list[bool]:
        """What no test has seen."""
        return [truth for truth in (True, False) if truth not in self.seen]

    def format(self) -> str:
        """The line that a person reads."""
        if not self.seen - {None}:
            return f"{self.file}:{self.line}:{self.column}: {self.path}: `{self.text}` was never known"
        never = " and never ".join("true" if truth else "false" for truth in self.missing)
        return f"{self.file}:{self.line}:{self.column}: {self.path}: `{self.text}` was never {never}"


@dataclass(frozen=True, slots=True)
class Coverage:
    """The atomic conditions of the rules, and the rules of which no test expects anything."""

    branches: tuple[Branches, ...]
    untested: tuple[str, ...]

    @property
    def total(self) -> int:
        """Two for each atomic condition: true and false."""
        return 2 * len(self.branches)

    @property
    def covered(self) -> int:
        """How many of them were seen."""
        return self.total - sum(len(branches.missing) for branches in self.branches)

    @property
    def percent(self) -> float:
        """100 where there is nothing to see."""
        return 100.0 * self.covered / self.total if self.total else 100.0


class Observers:
    """A rule set with observers in it, and what they have seen so far."""

    def __init__(self, loaded: Loaded, rules: RuleSet) -> None:
        assert loaded.catalog is not None
        self._vocabulary = vocabulary_of(loaded, loaded.catalog.document, rules.fences, {})
        self._names: dict[str, Environment] = {}
        self._branches: list[Branches] = []
        self._count = 0
        alert_rules = {placed.document.metadata.name: placed for placed in loaded.alert_rules}
        aggregations = {placed.document.metadata.name: placed for placed in loaded.aggregation_rules}
        sequences = {placed.document.metadata.name: placed for placed in loaded.sequence_rules}
        self.rules = replace(
            rules,
            rules=tuple(self._alert_rule(rule, alert_rules[rule.name]) for rule in rules.rules),
            sequences=tuple(self._sequence(it, sequences[it.name]) for it in rules.sequences),
            absences=tuple(
                replace(it, ladder=self._ladder(it.name, it.ladder, alert_rules[it.name]))
                for it in rules.absences
            ),
            aggregations=tuple(self._aggregation(it, aggregations[it.name]) for it in rules.aggregations),
        )

    def branches(self, rules: Container[str]) -> tuple[Branches, ...]:
        """What was seen of these rules, in the order of the files."""
        found = (it for it in self._branches if it.rule in rules)
        return tuple(sorted(found, key=lambda it: (it.file, it.line, it.column)))

    def _environment(self, placed: Placed[Any]) -> Environment:
        """The names of a rule's conditions, those of its parameters too."""
        key = f"{placed.document.kind}/{placed.document.metadata.name}"
        if key not in self._names:
            self._names[key] = with_parameters(self._vocabulary, placed).environment()
        return self._names[key]

    def _alert_rule(self, rule: Rule, placed: Placed[Any]) -> Rule:
        return replace(
            rule,
            when=self._observed(rule.when, rule.name, placed, ("spec", "when")),
            clear_when=self._observed(rule.clear_when, rule.name, placed, ("spec", "clearWhen")),
            ladder=self._ladder(rule.name, rule.ladder, placed),
        )

    def _ladder(self, rule: str, ladder: tuple[Rung, ...], placed: Placed[Any]) -> tuple[Rung, ...]:
        severity = placed.document.spec.severity
        if isinstance(severity, str):
            return ladder
        places: list[Path] = [
            ("spec", "severity", index, name) for index, rung in enumerate(severity) for name, _ in rung.named
        ]
        return tuple(
            replace(rung, condition=self._observed(rung.condition, rule, placed, path))
            for rung, path in zip(ladder, places, strict=True)
        )

    def _sequence(self, pattern: Pattern, placed: Placed[Any]) -> Pattern:
        steps = []
        for index, ((name, condition), step) in enumerate(
            zip(pattern.steps, placed.document.spec.steps, strict=True)
        ):
            path: Path = ("spec", "steps", index, "not" if step.when is None else "when")
            steps.append((name, self._observed(condition, pattern.name, placed, path)))
        return replace(pattern, steps=tuple(steps))

    def _aggregation(self, rule: Aggregation, placed: Placed[Any]) -> Aggregation:
        names = dict.fromkeys((measure.name for measure in rule.measures), DOUBLE)
        names |= {f"group.{name}": by.type for name, by in rule.groups or () if isinstance(by, Compiled)}
        results = Environment({}, locals=names)
        alarm = rule.alarm
        if alarm is not None:
            when = self._observed(alarm.when, rule.name, placed, ("spec", "alert", "when"), results)
            alarm = replace(alarm, when=when)
        return replace(
            rule,
            where=self._observed(rule.where, rule.name, placed, ("spec", "where")),
            having=self._observed(rule.having, rule.name, placed, ("spec", "having"), results),
            alarm=alarm,
        )

    def _observed(
        self,
        condition: Any,
        rule: str,
        placed: Placed[Any],
        path: Path,
        names: Environment | None = None,
    ) -> Any:
        """The condition with an observer in front; as it is where there is nothing to observe."""
        if not isinstance(condition, Compiled):
            return condition
        looks = []
        names = names or self._environment(placed)
        for atom in atoms(condition.text):
            look = _look(names, atom.text, condition)
            if look is None:
                continue
            before = condition.text[: atom.offset]
            place = (before.count("\n") + 1, atom.offset - (before.rfind("\n") + 1) + 1)
            line, column = placed.text_position(path, *place)
            text = " ".join(atom.text.split())
            branches = Branches(rule, placed.origin(path).file, line, column, write_path(path), text)
            self._branches.append(branches)
            looks.append((look, branches.seen))
        if not looks:
            return condition

        def observe(*values: object) -> None:
            for look, seen in looks:
                seen.add(look(values))

        self._count += 1
        name = f"f_observe_{self._count}"
        given = ", ".join(read.name for read in condition.reads)
        return replace(
            condition,
            source=f"{name}({given}) or ({condition.source})",
            constants={**condition.constants, name: observe},
            comparison=None,
        )


def _look(
    names: Environment, text: str, condition: Condition
) -> Callable[[tuple[object, ...]], bool | None] | None:
    """A function from what the condition reads to the atom's truth; None if that is constant."""
    compiled = names.compile(text, BOOL)
    if not isinstance(compiled, Compiled) or not compiled.reads:
        return None
    places = {_unnamed(read): place for place, read in enumerate(condition.reads)}
    try:
        taken = [places[_unnamed(read)] for read in compiled.reads]
    except KeyError:
        return None
    evaluate = compiled.evaluate

    def look(values: tuple[object, ...]) -> bool | None:
        try:
            return evaluate([values[place] for place in taken]) is True
        except Exception:
            return None  # unknown, or an error of the rule that its own evaluation tells

    return look


def _unnamed(read: Any) -> Any:
    """A read without the local that holds it, which another compilation may have named otherwise."""
    return replace(read, name="")
