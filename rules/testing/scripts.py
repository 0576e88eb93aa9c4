"""A RuleTest becomes a script: messages and questions in the order in which they come.

What a name or a value means is judged here, against the catalog and the rules of the set, and all that is
wrong is found at once, as for rules.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from rules.documents import Diagnostic, Loaded, Placed, RuleTest, did_you_mean, quote
from rules.documents.diagnostics import Path
from rules.documents.rule_test import SORTS, Happening, Registered, instant_of
from rules.documents.samples import Fix, SampleProblem, Value, read_positions, read_samples
from rules.documents.signal_catalog import NUMERIC, DecoderPath, SignalCatalog
from rules.engine import NOTHING, Registration, RegistrationError, registration
from rules.instants import parse_instant
from rules.testing.entries import Entry, Expected, Message, Question, Registry, Restart, Script, Uplink
from rules.testing.values import misfit, worded

_OF_ALERTS = frozenset(("state", "alerts", "commands", "published"))
_OF_FENCES = frozenset(("events", "commands", "published"))
_OF_WINDOWS = frozenset(("aggregates", "late"))
_OF_WINDOWS_WITH_ALERT = _OF_WINDOWS | {"alerts", "commands", "published"}

POSITION = "position"
"""The track that is no signal's."""


def scripts(loaded: Loaded) -> tuple[list[Script], list[Diagnostic]]:
    """Return the tests of a set, and all that is wrong with them."""
    catalog = loaded.catalog
    if catalog is None:
        return [], []
    windows = loaded.aggregation_rules
    sorts: dict[str, frozenset[str]] = {}
    kinds: list[tuple[tuple[Placed[Any], ...], frozenset[str]]] = [
        (loaded.alert_rules, _OF_ALERTS),
        (loaded.sequence_rules, _OF_ALERTS),
        (loaded.geofence_rules, _OF_FENCES),
        (tuple(it for it in windows if it.document.spec.alert is None), _OF_WINDOWS),
        (tuple(it for it in windows if it.document.spec.alert is not None), _OF_WINDOWS_WITH_ALERT),
    ]
    grouped = {it.document.metadata.name for it in windows if it.document.spec.group_by is not None}
    for rules, its in kinds:
        for rule in rules:
            name = rule.document.metadata.name
            sorts[name] = sorts.get(name, frozenset()) | its
    found: list[Script] = []
    findings: list[Diagnostic] = []
    for placed in loaded.rule_tests:
        writer = _Writer(placed, catalog.document, sorts, grouped)
        script = writer.script()
        findings += writer.findings
        if script is not None:
            found.append(script)
    return found, findings


@dataclass
class _Writer:
    placed: Placed[RuleTest]
    catalog: SignalCatalog
    sorts: Mapping[str, frozenset[str]]
    """By the name of each rule, what may be expected of it."""
    grouped: Set[str]
    """The rules that are about groups of vehicles."""
    findings: list[Diagnostic] = field(default_factory=list)

    def find(self, code: str, path: Path, message: str, hint: str | None = None) -> None:
        self.findings.append(self.placed.diagnostic(code, path, message, hint=hint))

    @cached_property
    def signals(self) -> Mapping[str, DecoderPath]:
        """What values each signal takes, by its names and aliases."""
        paths = {path.name: path for path in self.catalog.decoder_paths()}
        return paths | {alias: paths[name] for alias, name in self.catalog.aliases.items()}

    def script(self) -> Script | None:
        spec = self.placed.document.spec
        self.start = parse_instant(spec.start)
        for index, name in enumerate(spec.rules):
            self.rule_is_known(name, list(self.sorts), ("spec", "rules", index))
        running = [name for name in sorted(self.sorts) if not spec.rules or name in spec.rules]
        messages = [each for vehicle in spec.vehicles for each in self.tracks(vehicle)]
        named = [*spec.vehicles, *spec.registry, *(step.vehicle for step in spec.steps if step.vehicle)]
        self.vehicles = list(dict.fromkeys(named))
        registry = [
            Registry(self.start, vehicle, self.known(registered, ("spec", "registry", vehicle)))
            for vehicle, registered in spec.registry.items()
        ]
        steps = [entry for index, step in enumerate(spec.steps) for entry in self.step(index, step)]
        expected = [] if any(self.placed.document.findings()) else list(self.expectations(running))
        if self.findings or any(self.placed.document.findings()):
            return None
        questions = [
            Question(instant_of(it.what.at, self.start), it.index, it.vehicle, it.rule)
            for it in expected
            if it.what.at is not None and it.rule is not None and it.vehicle is not None
        ]
        entries: list[Entry] = [*registry, *messages, *steps]
        entries.sort(key=lambda entry: entry.received_at)
        entries = sorted([*entries, *questions], key=lambda entry: entry.received_at)
        end = max([self.start, *(entry.received_at for entry in entries)])
        if spec.until is not None:
            end = max(end, instant_of(spec.until, self.start))
        return Script(
            self.placed,
            frozenset(running),
            self.start,
            spec.quiet_after_ms,
            tuple(entries),
            end,
            tuple(expected),
        )

    def rule_is_known(self, name: str, known: list[str], path: Path) -> None:
        if name not in known:
            hint = did_you_mean(name, known) or (f"known: {', '.join(known[:10])}" if known else None)
            self.find("TT303", path, f"no rule {quote(name)} runs here", hint)

    # What vehicles say.

    def tracks(self, vehicle: str) -> Iterator[Message]:
        """The messages of one vehicle's tracks: one for each instant at which something is sent."""
        spec = self.placed.document.spec
        messages: dict[int, Message] = {}
        for key, written in spec.vehicles[vehicle].items():
            path = ("spec", "vehicles", vehicle, key)
            samples = self.samples(key, written, path)
            for index, sample in enumerate(samples):
                if sample is None:
                    continue
                at = self.start + index * spec.every_ms
                message = messages.setdefault(index, Message(at, vehicle, at))
                if isinstance(sample, tuple):
                    message.position = sample
                else:
                    message.signals[self.signals[key].name] = sample
        yield from (messages[index] for index in sorted(messages))

    def samples(self, key: str, written: object, path: Path) -> list[Value | None] | list[Fix | None]:
        """One track, checked; what is wrong is found, and then nothing comes of it."""
        try:
            if key == POSITION:
                return read_positions(written if isinstance(written, str) else "nowhere")
            signal = self.signal(key, path)
            if signal is None:
                return []
            if isinstance(written, int | float):
                written = self.as_text(path) or written
            if isinstance(written, str):
                values = read_samples(written)
                if signal.type == "string":
                    values = [worded(value) for value in values]
                return values if self.all_fit(signal, values, path) else []
        except SampleProblem as problem:
            place = (1, problem.offset + 1)
            self.findings.append(
                self.placed.diagnostic("TT301", path, problem.message, hint=problem.hint, at=place)
            )
            return []
        assert isinstance(written, tuple | float | int)  # a bool is one
        listed: list[Value | None] = list(written) if isinstance(written, tuple) else [written]
        return listed if self.all_fit(signal, listed, path) else []

    def as_text(self, path: Path) -> str | None:
        """`0x30` alone is thirty samples of 0 here, which YAML takes for a number in base 16."""
        node = self.placed.root
        for step in path:
            node = node.value[step]
        text = self.placed.text[node.start : node.end]
        return text if text.startswith("0x") else None

    def signal(self, key: str, path: Path) -> DecoderPath | None:
        signal = self.signals.get(key)
        if signal is None:
            hint = did_you_mean(key, self.signals)
            line, column = self.placed.position(path, of_key=True)
            found = self.placed.diagnostic(
                "TT303", path, f"the catalog has no signal {quote(key)}", hint=hint
            )
            self.findings.append(
                Diagnostic(found.code, "error", found.file, line, column, found.path, found.message, hint)
            )
        return signal

    def all_fit(self, signal: DecoderPath, values: list[Value | None], path: Path) -> bool:
        """Whether `normalize` lets every value pass; numbers become floats on the way."""
        for index, value in enumerate(values):
            if value is None:
                continue
            reason = misfit(signal, value)
            if reason is not None:
                place = path if len(values) == 1 else (*path, index)
                written = f"{value:g}" if isinstance(value, float) else quote(value)
                self.find("TT302", place, f"{written} {reason}", "write _ for nothing sent")
                return False
            if signal.type in NUMERIC:
                values[index] = float(value)
        return True

    def step(self, index: int, step: Happening) -> Iterator[Entry]:
        path: Path = ("spec", "steps", index)
        at = instant_of(step.at, self.start)
        if step.restart is not None:
            yield Restart(at)
        elif step.uplink is not None:
            yield Uplink(at, is_back=step.uplink == "back")
        elif step.registry is not None or step.forget is not None:
            known = None if step.registry is None else self.known(step.registry, (*path, "registry"))
            yield Registry(at, self.vehicle(step.vehicle, path), known)
        else:
            vehicle = self.vehicle(step.vehicle, path)
            received_at = at if step.received_at is None else instant_of(step.received_at, self.start)
            if received_at < at:
                message = "a message cannot come before the instant that it tells of"
                self.find("TT307", (*path, "receivedAt"), message, "receivedAt is at or later")
            signals: dict[str, Value] = {}
            for key, value in (step.signals or {}).items():
                place = (*path, "signals", key)
                signal = self.signal(key, place)
                values: list[Value | None] = [value]
                if signal is not None and self.all_fit(signal, values, place) and values[0] is not None:
                    signals[signal.name] = values[0]
            fix = step.position
            position = None
            if fix is not None:
                accuracy = () if fix.accuracy is None else (fix.accuracy,)
                position = (fix.latitude, fix.longitude, *accuracy)
            yield Message(received_at, vehicle, at, signals, position)

    def known(self, registered: Registered, path: Path) -> Registration:
        try:
            return registration(registered.labels, registered.attributes)
        except RegistrationError as error:
            for problem in error.problems:
                self.find("TT308", path, problem)
            return NOTHING

    # What is expected.

    def expectations(self, running: list[str]) -> Iterator[Expected]:
        spec = self.placed.document.spec
        for index, what in enumerate(spec.expect):
            path: Path = ("spec", "expect", index)
            rule = what.rule
            sort = next(sort for sort in SORTS if getattr(what, sort) is not None)
            if rule is not None:
                self.rule_is_known(rule, running, (*path, "rule"))
            else:
                able = [name for name in running if sort in self.sorts[name]]
                if len(able) == 1:
                    rule = able[0]
                elif not able:
                    self.find("TT309", (*path, sort), f"no rule that runs here has {sort}")
                elif sort not in ("commands", "published"):
                    self.find("TT306", path, "several rules run here: which one is meant?", "rule: …")
            if rule is not None and rule in self.sorts and sort not in self.sorts[rule]:
                message = f"{quote(rule)} is a rule that has no {sort}"
                hint = f"it has {', '.join(each for each in SORTS if each in self.sorts[rule])}"
                self.find("TT309", (*path, sort), message, hint)
            vehicle = None
            if rule not in self.grouped or sort == "late":
                vehicle = self.vehicle(what.vehicle, path)
            elif what.vehicle is not None:
                message = f"{quote(rule)} is about groups of vehicles"
                self.find("TT309", (*path, "vehicle"), message, "take it out; group tells them apart")
            yield Expected(index, vehicle, rule, what)

    def vehicle(self, named: str | None, path: Path) -> str:
        if named is None:
            if len(self.vehicles) == 1:
                return self.vehicles[0]
            message = "several vehicles are here" if self.vehicles else "no vehicle is here"
            self.find("TT306", path, f"{message}: which one is meant?", "vehicle: …")
            return ""
        if named not in self.vehicles:
            hint = did_you_mean(named, self.vehicles) or "a vehicle has tracks, or a step with a message"
            self.find("TT303", (*path, "vehicle"), f"no vehicle {quote(named)} is here", hint)
        return named
