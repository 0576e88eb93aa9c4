"""Texts become documents and findings: pure, all findings at once, never an exception.

A set with errors is refused whole by whoever runs it; here the documents that are right are returned all the
same, so that one run also finds what is wrong in them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from rules.documents.adaptable import Adaptable, values_of
from rules.documents.adaptation import Adaptation
from rules.documents.adapting import adapt
from rules.documents.aggregation_rule import AggregationRule
from rules.documents.alert_rule import AlertRule
from rules.documents.closed import API_VERSION, Document, Finding
from rules.documents.command_type import CommandType
from rules.documents.definitions import Definitions
from rules.documents.diagnostics import Diagnostic, Path, did_you_mean, quote
from rules.documents.geofence import Geofence
from rules.documents.geofence_rule import GeofenceRule
from rules.documents.geojson import Complaint, Feature, features
from rules.documents.placed import Placed
from rules.documents.rollout import Rollout
from rules.documents.rule_test import RuleTest
from rules.documents.sequence_rule import SequenceRule
from rules.documents.set_checks import Header, set_findings
from rules.documents.shapes import shape_findings
from rules.documents.signal_catalog import SignalCatalog
from rules.documents.vss import read_vss
from rules.documents.yaml_reader import Node, read_yaml

KINDS: dict[str, type[Document]] = {
    "AlertRule": AlertRule,
    "AggregationRule": AggregationRule,
    "SequenceRule": SequenceRule,
    "Definitions": Definitions,
    "Geofence": Geofence,
    "Adaptation": Adaptation,
    "GeofenceRule": GeofenceRule,
    "SignalCatalog": SignalCatalog,
    "Rollout": Rollout,
    "CommandType": CommandType,
    "RuleTest": RuleTest,
}


def _is_adaptable(model: type[Document]) -> bool:
    spec = model.model_fields["spec"].annotation
    return isinstance(spec, type) and issubclass(spec, Adaptable)


_ADAPTABLE_KINDS = frozenset(kind for kind, model in KINDS.items() if _is_adaptable(model))

D = TypeVar("D", bound=Document)


class Source(NamedTuple):
    """A text and the name that findings about it carry.

    One with a name in `.json` may be a VSS export, one in `.geojson` is a collection of fences.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read. `left_out` names directories that are rule sets of their own (see `load`)."""

    documents: tuple[Placed[Document], ...] = ()
    """As they were written."""
    diagnostics: tuple[Diagnostic, ...] = ()
    left_out: tuple[str, ...] = ()
    running: tuple[Placed[Document], ...] = ()
    """Rules as adaptations have made them, without those that are switched off, and all other documents."""

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The findings that make the set unusable."""
        return tuple(each for each in self.diagnostics if each.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The findings that do not."""
        return tuple(each for each in self.diagnostics if each.severity == "warning")

    @property
    def alert_rules(self) -> tuple[Placed[AlertRule], ...]:
        """The alert rules in the order in which they were read."""
        return self._of(AlertRule)

    @property
    def sequence_rules(self) -> tuple[Placed[SequenceRule], ...]:
        """The sequence rules in the order in which they were read."""
        return self._of(SequenceRule)

    @property
    def definitions(self) -> tuple[Placed[Definitions], ...]:
        """What gives names to expressions and lists, in the order in which it was read."""
        return self._of(Definitions)

    @property
    def command_types(self) -> tuple[Placed[CommandType], ...]:
        """What vehicles understand, in the order in which it was read."""
        return self._of(CommandType)

    @property
    def geofences(self) -> tuple[Placed[Geofence], ...]:
        """The fences in the order in which they were read."""
        return self._of(Geofence)

    @property
    def rule_tests(self) -> tuple[Placed[RuleTest], ...]:
        """The tests in the order in which they were read; `rules.testing` runs them, nothing else."""
        return self._of(RuleTest)

    @property
    def aggregation_rules(self) -> tuple[Placed[AggregationRule], ...]:
        """The aggregation rules in the order in which they were read."""
        return self._of(AggregationRule)

    @property
    def geofence_rules(self) -> tuple[Placed[GeofenceRule], ...]:
        """The geofence rules in the order in which they were read."""
        return self._of(GeofenceRule)

    @property
    def rollout(self) -> Placed[Rollout] | None:
        """What makes a candidate of the set, None where nothing does."""
        return next(iter(self._of(Rollout)), None)

    @property
    def catalogs(self) -> tuple[Placed[SignalCatalog], ...]:
        """The catalogs; a set without errors that holds rules has exactly one."""
        return self._of(SignalCatalog)

    @property
    def catalog(self) -> Placed[SignalCatalog] | None:
        """The catalog, None where there is none."""
        return next(iter(self.catalogs), None)

    def _of(self, model: type[D]) -> tuple[Placed[D], ...]:
        return tuple(
            Placed(each.document, each.file, each.root, each.text)
            for each in self.running
            if isinstance(each.document, model)
        )


@dataclass(slots=True)
class _Reading:
    documents: list[Placed[Document]] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)


def parse(sources: Iterable[Source]) -> Loaded:
    """Return the documents of `sources`, one rule set, with everything that is wrong with them."""
    return Parser().parse(sources)


class Parser:
    """Parses sets that are nearly the same, one after another: what was in the last one is not read again."""

    def __init__(self) -> None:
        self._known: dict[Source, _Reading] = {}

    def parse(self, sources: Iterable[Source]) -> Loaded:
        """As `parse` does."""
        reading = _Reading()
        used: dict[Source, _Reading] = {}
        for source in sources:
            one = self._known.get(source)
            if one is None:
                one = _Reading()
                _read_source(one, Source(source.name, source.text.removeprefix("\ufeff")))
            used[source] = one
            reading.documents += one.documents
            reading.diagnostics += one.diagnostics
            reading.headers += one.headers
        self._known = used
        return _joined(reading)


def _joined(reading: _Reading) -> Loaded:
    reading.diagnostics.extend(set_findings(reading.headers))
    rules = {header.name for header in reading.headers if header.kind in _ADAPTABLE_KINDS}
    running, findings = adapt(reading.documents, filter(None, rules))
    reading.diagnostics.extend(findings)
    order = {name: index for index, name in enumerate(dict.fromkeys(d.file for d in reading.diagnostics))}
    reading.diagnostics.sort(key=lambda d: (order[d.file], d.line, d.column, d.code))
    return Loaded(tuple(reading.documents), tuple(reading.diagnostics), running=running)


def _read_source(reading: _Reading, source: Source) -> None:
    if source.name.endswith(".json") and '"apiVersion"' not in source.text:
        _read_vss(reading, source)
        return
    is_geojson = source.name.endswith(".geojson")
    # JSON may be indented with tabs, and has none inside its texts.
    roots, findings = read_yaml(source.text.replace("\t", " ") if is_geojson else source.text)
    for finding in findings:
        severity = "error" if finding.is_error else "warning"
        place = (finding.line, finding.column)
        reading.diagnostics.append(
            Diagnostic(finding.code, severity, source.name, *place, "", finding.message, finding.hint)  # type: ignore[arg-type]
        )
    if not roots and not findings:
        message = "this file holds no document"
        reading.diagnostics.append(Diagnostic("TT009", "warning", source.name, 1, 1, "", message))
    for root in roots:
        if is_geojson:
            _read_features(reading, source, root)
        else:
            _read_document(reading, source, root)


def _read_vss(reading: _Reading, source: Source) -> None:
    root = Node({}, 1, 1, 0, 0)
    catalog, findings = read_vss(source.text)
    raw: Placed[Any] = Placed({}, source.name, root, source.text)
    _place(reading, raw, findings)
    if catalog is not None:
        reading.documents.append(Placed(catalog, source.name, root, source.text))
    reading.headers.append(Header("SignalCatalog", "default", source.name, 1, 1))


def _read_document(reading: _Reading, source: Source, root: Node) -> None:
    raw: Placed[Any] = Placed(root.plain(), source.name, root, source.text)
    model = _model_of(reading, raw)
    if model is not None:
        _place(reading, raw, _validate(reading, raw, model))


def _read_features(reading: _Reading, source: Source, root: Node) -> None:
    whole: Placed[Any] = Placed({}, source.name, root, source.text)
    for each in features(root):
        match each:
            case Complaint(path, message, hint):
                reading.diagnostics.append(whole.diagnostic("TT067", path, message, hint=hint))
            case Feature():
                raw: Placed[Any] = Placed(each.document, source.name, each.root, source.text)
                findings = _validate(reading, raw, Geofence)
                _place(reading, whole, [replace(it, path=each.origin(it.path)) for it in findings])


def _validate(reading: _Reading, raw: Placed[Any], model: type[Document]) -> list[Finding]:
    """Take the document in if its shape is right; what is wrong with it."""
    metadata = raw.document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    place = raw.position(("metadata", "name"))
    kind = raw.document["kind"]
    reading.headers.append(Header(kind, name if isinstance(name, str) else None, raw.file, *place))
    try:
        context = values_of(raw.document.get("spec"))
        document = model.model_validate(raw.document, by_alias=True, by_name=False, context=context)
    except ValidationError as error:
        return shape_findings(model, raw.document, error)
    reading.documents.append(Placed(document, raw.file, raw.root, raw.text))
    meant = document.metadata.meant
    found = list(document.findings())
    if isinstance(spec := getattr(document, "spec", None), Adaptable):
        found += spec.adaptable_findings()
    return [each for each in found if each.severity == "error" or each.code not in meant]


def _place(reading: _Reading, raw: Placed[Any], findings: Iterable[Finding]) -> None:
    reading.diagnostics.extend(raw.finding(each) for each in findings)


def _model_of(reading: _Reading, raw: Placed[Any]) -> type[Document] | None:
    def refuse(code: str, path: Path, message: str, hint: str | None) -> None:
        reading.diagnostics.append(raw.diagnostic(code, path, message, hint=hint))

    value = raw.document
    if not isinstance(value, dict):
        refuse("TT010", (), "a document is a mapping", "it begins with apiVersion and kind")
        return None
    for key in ("apiVersion", "kind"):
        if not isinstance(value.get(key), str):
            hint = f"apiVersion: {API_VERSION}" if key == "apiVersion" else "kind: AlertRule"
            path = (key,) if key in value else ()
            refuse("TT010", path, "expected a text" if path else f"{quote(key)} is missing", hint)
            return None
    version, kind = value["apiVersion"], value["kind"]
    if version != API_VERSION:
        refuse("TT011", ("apiVersion",), f"unknown apiVersion {quote(version)}", f"apiVersion: {API_VERSION}")
        return None
    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or "docs/rules.md lists the kinds"
        refuse("TT012", ("kind",), f"unknown kind {quote(kind)}", hint)
        return None
    return KINDS[kind]
