"""What rules of all kinds are compiled with: the names of a rule set, and the parts of one rule.

A part that is wrong is noted with its place and left out; whoever compiles the rule goes on, so that one run
finds everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rules.documents import (
    NUMERIC,
    RESERVED_WORDS,
    CommandType,
    Diagnostic,
    Placed,
    SignalCatalog,
    quote,
)
from rules.engine.ruleset import Template
from rules.geometry import Shape
from rules.language import (
    BOOL,
    DOUBLE,
    STRING,
    Compiled,
    Environment,
    Grow,
    Named,
    Problem,
    Read,
    Type,
    compile_template,
)

Path = tuple[str | int, ...]

MOST_FINDINGS = 1_000
"""Findings about the expressions of one rule set that are told."""
MOST_WINDOWED = 64
"""Signals of one rule set of which samples are kept for windows: what a vehicle may cost has a bound."""


@dataclass(slots=True)
class Vocabulary:
    """What the rules of one set may name, and the findings about them so far."""

    catalog: SignalCatalog
    lineages: Mapping[str, int] = field(default_factory=dict)
    """For each rule whose state did not begin at revision 1, the revision at which it did."""
    fences: Mapping[str, Shape] = field(default_factory=dict)
    """What `inside` and `distance` may name."""
    findings: list[Diagnostic] = field(default_factory=list)
    named: Mapping[str, Named] = field(default_factory=dict)
    """What authors have defined."""
    windowed: set[str] = field(default_factory=set)
    """The signals over which some expression has a window."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Attributes of vehicles, each with the type that the first expression which reads it means."""
    _signals: dict[str, Compiled | None] = field(default_factory=dict)
    _environments: dict[tuple[tuple[str, Type], ...], Environment] = field(default_factory=dict)
    _set: "Vocabulary | None" = None
    """For a rule with words of its own: the vocabulary of the set."""
    used: set[str] = field(default_factory=set)
    """What of `named` an expression has used."""
    words: Mapping[str, Type] = field(default_factory=dict)
    """Words that rules bring with them: declared for all at once they cost each rule nothing."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Fences by the names that they have here -> full names."""
    commands: Mapping[str, CommandType] = field(default_factory=dict)
    """What vehicles understand, by what rules call it; nothing where nobody has declared it."""
    tenants: dict[str, "Vocabulary"] = field(default_factory=dict)
    """What each tenant's documents may name."""

    def environment(self, **names: Type) -> Environment:
        """The names of expressions: signals, aliases, `vehicle.id`, and `names`, such as a text's `value`."""
        key = tuple(sorted(names.items(), key=lambda item: item[0]))
        if key not in self._environments:
            if self._set is not None:
                made = self._set.environment(**names).naming(self.named.values(), self.used)
                if self.seen is not self._set.seen:
                    made = made.seeing(self.seen)
            else:
                made = Environment(
                    _types(self.catalog),
                    self.catalog.aliases,
                    names,
                    self.named.values(),
                    self.fences,
                    self.words,
                )
            self._environments[key] = made
        return self._environments[key]

    def selector(self) -> Environment:
        """The names of `spec.vehicles`, which is judged before any signal is known."""
        return Environment({}, named=self.named.values(), words=self.words).naming((), self.used)

    def define(self, named: Mapping[str, Named]) -> None:
        """Give every expression from now on these names."""
        self.named = named
        self._environments.clear()

    def with_words(self, named: Mapping[str, Named]) -> "Vocabulary":
        """Return the vocabulary of one rule, which has words of its own; findings are shared."""
        words = {**self.named, **named}
        return replace(self, named=words, used=set(), _environments={}, _set=self)

    def of_tenant(self, seen: Mapping[str, str]) -> "Vocabulary":
        """Return what a tenant's documents may name, which sees these fences; findings are shared."""
        return replace(self, seen=seen, used=set(), _environments={}, _set=self)

    def clash(self, name: str) -> str | None:
        """Say what else `name` means; None if nothing."""
        if name in self.catalog.aliases:
            return f"{quote(name)} is the alias of {quote(self.catalog.aliases[name])}"
        signal = next((each for each in self.catalog.spec.signals if each.split(".")[0] == name), None)
        if signal is not None:
            return f"{quote(name)} is the beginning of the signal {quote(signal)}"
        if name in RESERVED_WORDS:
            return f"{quote(name)} has a meaning of its own in expressions"
        return None

    def signal(self, name: str) -> Compiled | None:
        """A signal by itself: the value of most alerts, compiled once for all of them."""
        if self._set is not None:
            return self._set.signal(name)
        if name not in self._signals:
            compiled = self.environment().compile(name)
            self._signals[name] = compiled if isinstance(compiled, Compiled) else None
        return self._signals[name]

    def lineage(self, name: str) -> int:
        """The revision at which the state of a rule last began."""
        return self.lineages.get(name, 1)


def _types(catalog: SignalCatalog) -> dict[str, Type]:
    """Signals as conditions see them: every number is a double."""
    plain = {"boolean": BOOL, "string": STRING}
    return {
        name: DOUBLE if signal.type in NUMERIC else plain[signal.type]
        for name, signal in catalog.spec.signals.items()
    }


@dataclass(slots=True)
class Part:
    """One rule of any kind while it is compiled."""

    vocabulary: Vocabulary
    placed: Placed[Any]
    is_right: bool = True
    """No error was noted so far."""

    def find(
        self,
        code: str,
        path: Path,
        message: str,
        *,
        hint: str | None = None,
        severity: Literal["error", "warning"] = "error",
        of_key: bool = False,
    ) -> None:
        """Note a finding about a field, unless it is a warning that the author means."""
        if severity == "warning" and code in self.placed.document.metadata.meant:
            return
        self._note(self.placed.diagnostic(code, path, message, hint=hint, severity=severity, of_key=of_key))

    def expression(
        self,
        environment: Environment,
        text: str,
        path: Path,
        expect: Type | None = None,
        *,
        grow: Grow | None = None,
    ) -> Compiled | None:
        """Compile one expression, with what `grow` adds to it; None after noting its problems."""
        if self._is_given_up:
            return None
        compiled = environment.compile(text, expect, grow=grow)
        if isinstance(compiled, Compiled):
            self._keep(compiled.reads, path)
            return compiled
        self.find_problems(compiled, path)
        return None

    def vehicles(self, text: str | None) -> Compiled | None:
        """The selector `spec.vehicles`, of the tenant's vehicles alone; None where there is none."""
        path = ("spec", "vehicles")
        if text is None:
            return None if (own := self.selecting(None)) is None else self._own_vehicles(own)
        selector = self.vocabulary.selector()
        problems = selector.compile(text, BOOL)
        if isinstance(problems, list) and not any("cannot be used here" in it.message for it in problems):
            with_signals = self.vocabulary.environment().compile(text, BOOL)
            if isinstance(with_signals, Compiled):
                signal = next(read.signal for read in with_signals.reads if read.kind != "local")
                message = f"a selector knows nothing that a vehicle says, such as {quote(signal)}"
                hint = (
                    "choose by vehicle.id, vehicle.labels, vehicle.attributes; put the rest into a condition"
                )
                self.find("TT230", path, message, hint=hint)
                return None
        compiled = self.expression(selector, text, path, BOOL)
        own = self.selecting(text)
        return compiled if compiled is None or own == text or own is None else self._own_vehicles(own)

    def selecting(self, text: str | None) -> str | None:
        """What `spec.vehicles` comes to: of a tenant's vehicles alone, whatever it says of others."""
        tenant = self.placed.document.metadata.tenant
        if not tenant:
            return text
        own = f'vehicle.id.startsWith("{tenant}/")'
        return own if text is None else f"({text}\n) && {own}"

    def _own_vehicles(self, text: str) -> Compiled | None:
        return self.expression(self.vocabulary.selector(), text, ("spec", "vehicles"), BOOL)

    def text(self, environment: Environment, text: str, path: Path) -> str | Template:
        """Compile one text; without a hole it stays what it is."""
        if "{{" not in text:
            return text
        if self._is_given_up:
            return text
        template = compile_template(text, environment)
        if isinstance(template, list):
            self.find_problems(template, path)
            return text
        self._keep(template.reads, path)
        return template

    def texts(
        self, environment: Environment, texts: Mapping[str, str], path: Path
    ) -> dict[str, str | Template]:
        """Compile the texts of a mapping, annotations for example."""
        return {key: self.text(environment, text, (*path, key)) for key, text in texts.items()}

    def _keep_attribute(self, key: str, path: Path) -> None:
        name, meant, type_ = key.partition(" as ")
        first = self.vocabulary.attributes.setdefault(name, type_) if meant else type_
        if first != type_:
            message = f"{name} is taken for a {type_} here, for a {first} elsewhere"
            hint = "an attribute has one type, and is unknown as any other; give one of the two another name"
            self.find("TT231", path, message, hint=hint, severity="warning")

    def _keep(self, reads: Sequence[Read], path: Path) -> None:
        """Note the signals of which an expression wants samples kept, and what it takes attributes for."""
        for read in reads:
            if read.kind == "local":
                self._keep_attribute(read.signal, path)
        windowed = self.vocabulary.windowed
        for read in reads:
            if read.window is None or read.signal in windowed:
                continue
            windowed.add(read.signal)
            if len(windowed) == MOST_WINDOWED + 1:
                message = (
                    f"the set has windows over more than {MOST_WINDOWED} signals, {read.signal} is one more"
                )
                self.find("TT206", path, message, hint="let an AggregationRule do it, which keeps no samples")

    def find_problems(self, problems: Sequence[Problem], path: Path) -> None:
        """Note problems inside the text at `path`."""
        for problem in problems:
            at = (problem.line, problem.column)
            self._note(self.placed.diagnostic(problem.code, path, problem.message, hint=problem.hint, at=at))

    def _note(self, diagnostic: Diagnostic) -> None:
        if diagnostic.severity == "error":
            self.is_right = False
        findings = self.vocabulary.findings
        if len(findings) < MOST_FINDINGS:
            findings.append(diagnostic)
        elif len(findings) == MOST_FINDINGS:
            message = f"more than {MOST_FINDINGS:,} findings: from here on expressions were not looked at"
            findings.append(replace(diagnostic, code="TT249", severity="error", message=message, hint=None))

    @property
    def _is_given_up(self) -> bool:
        """Whether there are more findings than anybody reads: the next one may cost what all others did."""
        if len(self.vocabulary.findings) <= MOST_FINDINGS:
            return False
        self.is_right = False
        return True
