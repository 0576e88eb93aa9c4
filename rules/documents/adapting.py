"""Rules and their adaptations become the rules that run.

On the level of nodes, so that each value keeps the place where its author wrote it: a template that is wrong
in an adaptation is reported there, whatever rule it went into.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from rules.documents.adaptable import Adaptable, values_of
from rules.documents.adaptation import Adaptation, AdaptationSpec
from rules.documents.closed import Document, within
from rules.documents.diagnostics import Diagnostic, Path, did_you_mean, quote, write_path
from rules.documents.durations import RESOLVED
from rules.documents.exceptions import Row
from rules.documents.placed import Placed
from rules.documents.shapes import shape_findings
from rules.documents.yaml_reader import Node, Origin

_MAPPINGS = ("labels", "annotations")


def _is_adaptable(document: Document) -> bool:
    return isinstance(getattr(document, "spec", None), Adaptable)


def adapt(
    documents: Sequence[Placed[Document]], broken: Iterable[str]
) -> tuple[tuple[Placed[Document], ...], list[Diagnostic]]:
    """Return the documents with every rule as it runs, and what is wrong with the adaptations.

    `broken` names documents that are not among `documents` because they have faults themselves.
    """
    adaptations: list[Placed[Any]] = [each for each in documents if isinstance(each.document, Adaptation)]
    rules = [each for each in documents if _is_adaptable(each.document)]
    diagnostics = list(_unknown_rules(adaptations, rules, frozenset(broken)))
    ours: dict[str, list[Placed[Any]]] = {}
    for each in adaptations:
        ours.setdefault(_rule_of(each), []).append(each)
    running: list[Placed[Document]] = []
    for placed in documents:
        if not _is_adaptable(placed.document):
            running.append(placed)
            continue
        name = placed.document.metadata.name
        made = _Merging(placed).merged(sorted(ours.get(name, ()), key=_turn), diagnostics)
        if made is not None:
            running.append(made)
    return tuple(running), diagnostics


def _rule_of(adaptation: Placed[Any]) -> str:
    """The full name of the rule that it is about: a tenant's adaptation is of its own rules alone."""
    document = adaptation.document
    return within(document.metadata.tenant, document.spec.rule)


def _turn(adaptation: Placed[Any]) -> tuple[bool, str]:
    """Actions are replaced before others are appended; apart from that the order is that of the names."""
    actions = adaptation.document.spec.actions
    return actions is None or actions.replace is None, adaptation.document.metadata.name


def _unknown_rules(
    adaptations: Sequence[Placed[Any]], rules: Sequence[Placed[Document]], broken: frozenset[str]
) -> Iterator[Diagnostic]:
    named: dict[str, list[Placed[Document]]] = {}
    for each in rules:
        named.setdefault(each.document.metadata.name, []).append(each)
    for placed in adaptations:
        rule = _rule_of(placed)
        if rule not in named and rule not in broken:
            hint = did_you_mean(rule, named) or "load the file of the rule together with this one"
            yield placed.diagnostic(
                "TT240", ("spec", "rule"), f"no rule has the name {quote(rule)}", hint=hint
            )
        if len({type(each.document) for each in named.get(rule, ())}) > 1:
            kinds = " and ".join(sorted(type(each.document).__name__ for each in named[rule]))
            message = f"rules of two kinds have the name {quote(rule)}: {kinds}"
            yield placed.diagnostic("TT240", ("spec", "rule"), message, hint="rename one of them")


@dataclass(slots=True)
class _Merging:
    """One rule, and what its adaptations make of it."""

    placed: Placed[Document]
    _set_at: dict[Path, str] = field(default_factory=dict)
    """Where each value was set by an adaptation."""

    def merged(
        self, adaptations: Sequence[Placed[Any]], diagnostics: list[Diagnostic]
    ) -> Placed[Document] | None:
        """Return the rule as it runs; None if it is switched off."""
        rule: Any = self.placed.document
        if not adaptations and not rule.spec.parameters:
            return self.placed
        root = _copy(self.placed.root)
        spec = root.value["spec"] = _copy(root.value["spec"])
        is_enabled = True
        before = len(diagnostics)
        for adaptation in adaptations:
            diagnostics.extend(self._apply(adaptation, spec))
            is_enabled = is_enabled and adaptation.document.spec.enabled
        if not is_enabled:
            return None
        if len(diagnostics) > before:
            return self.placed
        return self._validated(root, diagnostics)

    def _validated(self, root: Node, diagnostics: list[Diagnostic]) -> Placed[Document]:
        plain = root.plain()
        model = type(self.placed.document)
        made = Placed(self.placed.document, self.placed.file, root, self.placed.text)
        context = {**values_of(plain["spec"]), RESOLVED: True}
        try:
            document = model.model_validate(plain, by_alias=True, by_name=False, context=context)
        except ValidationError as error:
            findings = shape_findings(model, plain, error)
        else:
            made = Placed(document, made.file, root, made.text)
            told = {(each.code, each.path, each.message) for each in self.placed.document.findings()}
            findings = [
                each for each in document.findings() if (each.code, each.path, each.message) not in told
            ]
        adapted = f", adapted at {min(self._set_at.values())}" if self._set_at else ""
        for each in findings:
            found = made.finding(each)
            above = [made.node(each.path[:length]) for length in range(len(each.path) + 1)]
            is_theirs = all(node is None or node.origin is None for node in above)
            diagnostics.append(replace(found, message=found.message + adapted) if is_theirs else found)
        return made

    def _apply(self, adaptation: Placed[Any], spec: Node) -> Iterator[Diagnostic]:
        said: AdaptationSpec = adaptation.document.spec
        rule: Any = self.placed.document
        written: Mapping[str, Node] = adaptation.root.value["spec"].value
        for name, value in said.parameters.items():
            yield from self._parameter(adaptation, spec, name, value)
        for name, rows in said.exceptions.items():
            yield from self._exception(adaptation, spec, name, rows)
        for key in ("severity", "mode", *_MAPPINGS, "actions"):
            if key not in written or written[key].value is None:
                continue
            home = self._home(spec, key)
            if home is None:
                message = f"a rule of the kind {type(rule).__name__} has no {key}"
                if "alert" in type(rule.spec).model_fields:
                    message = f"only an alert has {key}, and {quote(rule.metadata.name)} gives none"
                yield adaptation.diagnostic("TT243", ("spec", key), message, of_key=True)
            elif key in ("severity", "mode"):
                yield from self._put(adaptation, home, ("spec", key))
            elif key == "actions":
                yield from self._actions(adaptation, home)
            else:
                if key not in home.value:
                    home.value[key] = Node({}, home.line, home.column, home.start, home.end)
                home.value[key] = _copy(home.value[key])
                for name in written[key].value:
                    yield from self._put(adaptation, home.value[key], ("spec", key, name))

    def _home(self, spec: Node, key: str) -> Node | None:
        """Where a rule has what adaptations change: in its `spec`, or in the alert that it may give."""
        rule: Any = self.placed.document
        alert = getattr(rule.spec, "alert", None)
        if key in type(rule.spec).model_fields:
            return spec
        if alert is None or key not in type(alert).model_fields:
            return None
        spec.value["alert"] = _copy(spec.value["alert"])
        home: Node = spec.value["alert"]
        return home

    def _put(
        self, adaptation: Placed[Any], holder: Node, path: Path, *, into: str | None = None
    ) -> Iterator[Diagnostic]:
        """Put what the adaptation has at `path` into `holder`, unless another one has."""
        node, key_place = adaptation.node(path), adaptation.position(path, of_key=True)
        assert node is not None
        place = adaptation.place(path)
        first = self._set_at.setdefault(path, place)
        if first is not place:
            message = (
                f"another adaptation of {quote(self.placed.document.metadata.name)} sets {write_path(path)}"
            )
            yield adaptation.diagnostic("TT244", path, message, hint=f"it does so at {first}")
            return
        key = str(path[-1]) if into is None else into
        holder.value[key] = _from(adaptation, node)
        holder.keys[key] = key_place

    def _parameter(self, adaptation: Placed[Any], spec: Node, name: str, value: Any) -> Iterator[Diagnostic]:
        rule: Any = self.placed.document
        path: Path = ("spec", "parameters", name)
        declared = rule.spec.parameters.get(name)
        if declared is None:
            known = rule.spec.parameters
            hint = did_you_mean(name, known) or (f"it has {', '.join(known)}" if known else None)
            message = f"the rule {quote(rule.metadata.name)} has no parameter {quote(name)}"
            yield adaptation.diagnostic("TT241", path, message, hint=hint, of_key=True)
            return
        problem = declared.problem(value)
        if problem is not None:
            hint = f"the parameter is declared at {self.placed.place(path)}"
            yield adaptation.diagnostic("TT242", path, problem, hint=hint)
            return
        parameters = spec.value["parameters"] = _copy(spec.value["parameters"])
        parameters.value[name] = _copy(parameters.value[name])
        yield from self._put(adaptation, parameters.value[name], path, into="default")

    def _exception(
        self, adaptation: Placed[Any], spec: Node, name: str, rows: Sequence[Row]
    ) -> Iterator[Diagnostic]:
        rule: Any = self.placed.document
        path: Path = ("spec", "exceptions", name)
        declared = {each.name: index for index, each in enumerate(getattr(rule.spec, "exceptions", ()))}
        if name not in declared:
            hint = did_you_mean(name, declared) or (f"it has {', '.join(declared)}" if declared else None)
            message = f"the rule {quote(rule.metadata.name)} has no exception {quote(name)}"
            yield adaptation.diagnostic("TT241", path, message, hint=hint, of_key=True)
            return
        index = declared[name]
        wrong = [
            adaptation.diagnostic("TT094", (*path, number), problem)
            for number, row in enumerate(rows)
            if (problem := rule.spec.exceptions[index].row_problem(row)) is not None
        ]
        yield from wrong
        added = adaptation.node(path)
        if wrong or added is None:
            return
        exceptions = spec.value["exceptions"] = _copy(spec.value["exceptions"])
        exception = exceptions.value[index] = _copy(exceptions.value[index])
        values = exception.value.get("values")
        if values is None or values.value is None:
            values = Node([], added.line, added.column, added.start, added.end)
        values = exception.value["values"] = _copy(values)
        values.value += [_from(adaptation, row) for row in added.value]

    def _actions(self, adaptation: Placed[Any], spec: Node) -> Iterator[Diagnostic]:
        change: Node = adaptation.root.value["spec"].value["actions"]
        replaced = change.value.get("replace")
        if replaced is not None and replaced.value is not None:
            yield from self._put(adaptation, spec, ("spec", "actions", "replace"), into="actions")
        appended = change.value.get("append")
        if appended is not None and appended.value is not None:
            before = spec.value.get("actions")
            actions = (
                Node([], change.line, change.column, change.start, change.end)
                if before is None
                else _copy(before)
            )
            origin = before.origin if before is not None else None
            actions.value = [
                *(_at(origin, node) for node in actions.value),
                *(_from(adaptation, node) for node in appended.value),
            ]
            spec.value["actions"] = actions


def _copy(node: Node) -> Node:
    """A node that may be changed without changing what it was copied from."""
    value = node.value.copy() if isinstance(node.value, dict | list) else node.value
    return replace(node, value=value, keys=dict(node.keys))


def _from(placed: Placed[Any], node: Node) -> Node:
    """A node of another document, which says so."""
    return _at(Origin(placed.file, placed.text), node)


def _at(origin: Origin | None, node: Node) -> Node:
    return node if origin is None or node.origin is not None else replace(node, origin=origin)
