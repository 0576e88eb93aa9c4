"""From documents to a rule set that runs, or to every finding at once.

Expressions are compiled against the one catalog of the set; what depends on more than one field of a rule
(`changed` under `for`, a hold that is longer than its signal lives) is judged here, too. A set with an error
is refused whole: the last good one goes on running.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import JsonValue

from rules.documents import (
    NUMERIC,
    Action,
    AlertRule,
    Diagnostic,
    Loaded,
    Placed,
    SequenceRule,
    SequenceRuleSpec,
    SignalCatalog,
    format_duration,
    quote,
)
from rules.engine import CommandAction, PublishAction, Rule, RuleSet, Rung, Signal
from rules.engine.ruleset import Pattern, Telling, Template
from rules.engine.sequences import Contiguity, Plan, Skip, Station
from rules.language import BOOL, DOUBLE, INT, STRING, Compiled, Environment, Problem, Type, compile_template

Path = tuple[str | int, ...]

_VALUE_TYPES = (DOUBLE, INT, BOOL, STRING)


def compile_rules(
    loaded: Loaded, revision: int = 1, lineages: Mapping[str, int] | None = None
) -> RuleSet | list[Diagnostic]:
    """Compile all rules of a set; the list of all findings, those of loading included, if one is an error.

    `lineages` gives, for each rule whose state did not begin at revision 1, the revision at which it did.
    """
    findings = list(loaded.diagnostics)
    catalog = loaded.catalog
    rules: list[Rule] = []
    sequences: list[Pattern] = []
    if catalog is not None:
        compiler = _Compiler(catalog.document, lineages or {})
        for placed in loaded.alert_rules:
            rule = compiler.rule(placed)
            if rule is not None:
                rules.append(rule)
        patterns = [_sequence_rule(_Part(compiler, placed)) for placed in loaded.sequence_rules]
        sequences = [pattern for pattern in patterns if pattern is not None]
        findings += compiler.findings
    if any(finding.severity == "error" for finding in findings):
        return findings
    signals = {} if catalog is None else catalog.document.spec.signals
    return RuleSet(
        signals={name: Signal(name, signal.stale_after_ms) for name, signal in signals.items()},
        rules=tuple(rules),
        revision=revision,
        fingerprint=fingerprint(loaded),
        catalog=None if catalog is None else catalog.document,
        warnings=tuple(findings),
        sequences=tuple(sequences),
    )


def fingerprint(loaded: Loaded) -> str:
    """A hash of what the documents say: the order of documents and keys, comments and files do not count."""
    texts = sorted(
        json.dumps(placed.document.as_written(), sort_keys=True, ensure_ascii=False)
        for placed in loaded.documents
    )
    return hashlib.blake2b("\n".join(texts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _types(catalog: SignalCatalog) -> dict[str, Type]:
    """Signals as conditions see them: every number is a double."""
    plain = {"boolean": BOOL, "string": STRING}
    return {
        name: DOUBLE if signal.type in NUMERIC else plain[signal.type]
        for name, signal in catalog.spec.signals.items()
    }


@dataclass(slots=True)
class _Compiler:
    """Compiles the rules of one catalog, and gathers what it finds."""

    catalog: SignalCatalog
    lineages: Mapping[str, int]
    findings: list[Diagnostic] = field(default_factory=list)
    _environments: dict[Type | None, Environment] = field(default_factory=dict)

    def environment(self, value: Type | None = None) -> Environment:
        """The names of expressions; with the type of the alert's value, those of texts."""
        if value not in self._environments:
            names = {} if value is None else {"value": value}
            self._environments[value] = Environment(_types(self.catalog), self.catalog.aliases, names)
        return self._environments[value]

    def rule(self, placed: Placed[AlertRule]) -> Rule | None:
        """Compile one rule; None after an error."""
        before = len(self.findings)
        spec = placed.document.spec
        part = _Part(self, placed)
        vehicles = None
        if spec.vehicles is not None:
            vehicles = part.expression(Environment({}), spec.vehicles, ("spec", "vehicles"), BOOL)
        when = part.expression(self.environment(), spec.when, ("spec", "when"), BOOL)
        clear = None
        if spec.clear_when is not None:
            clear = part.expression(self.environment(), spec.clear_when, ("spec", "clearWhen"), BOOL)
        ladder = tuple(part.ladder())
        value = part.value(when)
        texts = self.environment(None if value is None else value.type)
        annotations = {
            key: part.text(texts, text, ("spec", "annotations", key))
            for key, text in spec.annotations.items()
        }
        actions = part.actions(texts, spec.actions, ("spec", "actions"))
        if when is not None:
            part.judge(when, clear)
        if when is None or any(it.severity == "error" for it in self.findings[before:]):
            return None
        name = placed.document.metadata.name
        return Rule(
            name=name,
            when=when,
            for_ms=spec.for_ms,
            count=None if spec.for_events is None else spec.for_events.count,
            within_ms=None if spec.for_events is None else spec.for_events.within_ms,
            clear_when=clear,
            keep_ms=spec.keep_firing_for_ms,
            cooldown_ms=spec.cooldown_ms,
            stale_grace_ms=spec.stale_grace_ms,
            ladder=ladder,
            value=value,
            lowest=value is not None and _is_lowest(value, when),
            labels=dict(spec.labels),
            annotations=annotations,
            actions=actions,
            vehicles=vehicles,
            lineage=self.lineages.get(name, 1),
        )


@dataclass(slots=True)
class _Part:
    """The parts of one rule."""

    compiler: _Compiler
    placed: Placed[Any]

    def find(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        hint: str | None = None,
        severity: Literal["error", "warning"] = "error",
    ) -> None:
        """Note a finding about a field, unless it is a warning that the author means."""
        if severity == "warning" and code in self.placed.document.metadata.meant:
            return
        self.compiler.findings.append(
            self.placed.diagnostic(code, path, message, hint=hint, severity=severity)
        )

    def expression(
        self, environment: Environment, text: str, path: Path, expect: Type | None = None
    ) -> Compiled | None:
        """Compile one expression; None after noting its problems."""
        compiled = environment.compile(text, expect)
        if isinstance(compiled, Compiled):
            return compiled
        self._note(compiled, path)
        return None

    def text(self, environment: Environment, text: str, path: Path) -> str | Template:
        """Compile one text; without a hole it stays what it is."""
        if "{{" not in text:
            return text
        template = compile_template(text, environment)
        if isinstance(template, list):
            self._note(template, path)
            return text
        return template

    def _note(self, problems: list[Problem], path: Path) -> None:
        self.compiler.findings += [
            self.placed.diagnostic(
                problem.code, path, problem.message, hint=problem.hint, at=(problem.line, problem.column)
            )
            for problem in problems
        ]

    def ladder(self) -> Iterator[Rung]:
        """The steps of the severity, highest first."""
        spec = self.placed.document.spec
        if isinstance(spec.severity, str):
            yield Rung(spec.severity)
            return
        for index, rung in enumerate(spec.severity):
            for severity, text in rung.named:
                path = ("spec", "severity", index, severity)
                condition = self.expression(self.compiler.environment(), text, path, BOOL)
                yield Rung(severity, None if text.strip() == "true" else condition)

    def value(self, when: Compiled | None) -> Compiled | None:
        """The alert's value: what the author wrote, else the one signal that the condition reads."""
        text = self.placed.document.spec.value
        environment = self.compiler.environment()
        if text is None:
            reads = () if when is None else when.reads
            signals = list({read.signal for read in reads if read.kind != "local"})
            if len(signals) != 1:
                return None
            compiled = environment.compile(signals[0])
            return compiled if isinstance(compiled, Compiled) else None
        value = self.expression(environment, text, ("spec", "value"))
        if value is not None and value.type not in _VALUE_TYPES:
            message = f"the value of an alert is a number, a bool or a string, this is a {value.type}"
            self.find("TT104", ("spec", "value"), message, hint="write a condition on it instead")
            return None
        return value

    def actions(
        self, environment: Environment, actions: Sequence[Action], path: Path
    ) -> tuple[CommandAction | PublishAction, ...]:
        """Actions with their texts compiled."""
        return tuple(self._action(environment, it, (*path, index)) for index, it in enumerate(actions))

    def _action(self, environment: Environment, action: Action, path: Path) -> CommandAction | PublishAction:
        """One action with its texts compiled."""
        if action.command is None:
            topic = "" if action.publish is None else action.publish.topic
            return PublishAction(topic, action.upon)
        command = action.command
        path = (*path, "command", "payload")
        return CommandAction(
            name=command.name,
            payload=self._payload(environment, dict(command.payload), path),
            upon=action.upon,
            expires_after_ms=command.expires_after_ms,
            max_age_ms=command.max_age_ms,
        )

    def _payload(self, environment: Environment, payload: JsonValue, path: Path) -> object:
        match payload:
            case str():
                return self.text(environment, payload, path)
            case dict():
                return {key: self._payload(environment, item, (*path, key)) for key, item in payload.items()}
            case list():
                return [self._payload(environment, item, (*path, at)) for at, item in enumerate(payload)]
        return payload

    def judge(self, when: Compiled, clear: Compiled | None) -> None:
        """Find what does not go together with the rule's times."""
        spec = self.placed.document.spec
        held = (
            ("for", spec.for_ms, when, ("spec", "when")),
            ("keepFiringFor", spec.keep_firing_for_ms, clear, ("spec", "clearWhen")),
        )
        for key, hold, condition, path in held:
            if condition is None or not hold:
                continue
            for read in condition.reads:
                if read.kind == "changed":
                    message = f"changed({read.signal}) holds for a message only, never {key} a time"
                    self.find("TT204", path, message, hint=f"take {key} away, or compare with prev(...)")
        signals = self.compiler.catalog.spec.signals
        for name in sorted({read.signal for read in when.reads if read.kind not in ("local", "age")}):
            stale_after = signals[name].stale_after_ms
            if stale_after is not None and stale_after < spec.for_ms:
                message = (
                    f"{quote(name)} is unknown {format_duration(stale_after)} after its last message, "
                    f"before the hold of {format_duration(spec.for_ms)} is over"
                )
                hint = "only a vehicle that goes on sending the signal can fire this; is that meant?"
                self.find("TT205", ("spec", "for"), message, hint=hint, severity="warning")


def _is_lowest(value: Compiled, when: Compiled) -> bool:
    """Whether low values are the bad ones: the condition is that this very signal is below a constant."""
    if when.comparison is None or len(value.reads) != 1 or value.reads[0].kind != "value":
        return False
    signal, operator = when.comparison
    return value.reads[0].signal == signal and operator in ("<", "<=")


def _sequence_rule(part: _Part) -> Pattern | None:
    """Compile one sequence; None after an error, which is noted."""
    placed: Placed[SequenceRule] = part.placed
    before = len(part.compiler.findings)
    spec = placed.document.spec
    vehicles = None
    if spec.vehicles is not None:
        vehicles = part.expression(Environment({}), spec.vehicles, ("spec", "vehicles"), BOOL)
    steps = [step for step in _steps(part, spec) if step is not None]
    upon_match = _telling(part, spec.severity, spec.annotations, spec.actions, ("spec",))
    upon_timeout = None
    if spec.on_timeout is not None:
        it = spec.on_timeout
        upon_timeout = _telling(part, it.severity, it.annotations, it.actions, ("spec", "onTimeout"))
    if (
        len(part.compiler.findings) > before
        or len(steps) != len(spec.steps)
        or any(placed.document.findings())
    ):
        return None
    name = placed.document.metadata.name
    return Pattern(
        name=name,
        steps=tuple(steps),
        plan=_plan(spec, [condition for _, condition in steps]),
        upon_match=upon_match,
        upon_timeout=upon_timeout,
        labels=dict(spec.labels),
        vehicles=vehicles,
        lineage=part.compiler.lineages.get(name, 1),
    )


def _steps(part: _Part, spec: SequenceRuleSpec) -> Iterator[tuple[str, Compiled] | None]:
    names = part.compiler.environment()
    for index, step in enumerate(spec.steps):
        text, key = (step.not_, "not") if step.when is None else (step.when, "when")
        condition = part.expression(names, text or "false", ("spec", "steps", index, key), BOOL)
        yield None if condition is None else (step.name, condition)


def _telling(
    part: _Part, severity: str, annotations: Mapping[str, str], actions: Sequence[Action], path: Path
) -> Telling:
    texts = part.compiler.environment()
    return Telling(
        severity=severity,
        annotations={
            key: part.text(texts, text, (*path, "annotations", key)) for key, text in annotations.items()
        },
        actions=part.actions(texts, actions, (*path, "actions")),
    )


def _plan(spec: SequenceRuleSpec, conditions: Sequence[Compiled]) -> Plan:
    skip, target = Skip.PAST_LAST_EVENT, None
    if isinstance(spec.skip, str):
        skip = Skip(spec.skip)
    elif spec.skip.to_first is not None:
        skip, target = Skip.TO_FIRST, spec.skip.to_first
    else:
        skip, target = Skip.TO_LAST, spec.skip.to_last
    names = [step.name for step in spec.steps]
    return Plan(
        stations=tuple(_stations(spec, conditions)),
        within_ms=spec.within_ms,
        contiguity=Contiguity(spec.contiguity),
        skip=skip,
        skip_step=-1 if target is None else names.index(target),
        cooldown_ms=spec.cooldown_ms,
        tells_timeouts=spec.on_timeout is not None,
    )


def _stations(spec: SequenceRuleSpec, conditions: Sequence[Compiled]) -> Iterator[Station]:
    """A `not` without `for` is no station of its own: it guards the way to the next one."""
    guards: list[int] = []
    for index, step in enumerate(spec.steps):
        if step.not_ is not None and step.for_ms is None:
            guards.append(index)
            continue
        here = guards if step.not_ is None else [*guards, index]
        least, most = step.least_and_most
        yield Station(
            step=index,
            least=least,
            most=most,
            within_ms=step.within_ms,
            away_ms=step.for_ms,
            guards=tuple(here),
            guards_on_arrival=tuple(it for it in here if not _is_momentary(conditions[it])),
        )
        if step.not_ is None:
            guards = []


def _is_momentary(condition: Compiled) -> bool:
    """Whether it holds for single messages only."""
    return any(read.kind == "changed" for read in condition.reads)
