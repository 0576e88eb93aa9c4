"""The expressions of rules, each with its checked tree and its place: what the linter walks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rules.compile.parts import Path, Vocabulary
from rules.documents import Diagnostic, Placed
from rules.language.environment import Checked
from rules.language.tree import Node


@dataclass(slots=True)
class Linted:
    """One document of a rule, and the findings about it."""

    vocabulary: Vocabulary
    placed: Placed[Any]
    findings: list[Diagnostic] = field(default_factory=list)

    def condition(self, text: str | None, *path: str | int) -> "Expression | None":
        """A condition over signals, checked; None where there is none, or none that can be read."""
        if text is None:
            return None
        is_selector = path == ("spec", "vehicles")
        names = self.vocabulary.selector() if is_selector else self.vocabulary.environment()
        checked = names.checked(text)
        return Expression(self, path, checked) if isinstance(checked, Checked) else None

    def find(self, code: str, path: Path, message: str, hint: str | None = None) -> None:
        """Note a warning about a field, unless the author means it."""
        if code not in self.placed.document.metadata.meant:
            self.findings.append(self.placed.diagnostic(code, path, message, hint=hint, severity="warning"))


@dataclass(frozen=True, slots=True)
class Expression:
    """One condition of a rule."""

    linted: Linted
    path: Path
    checked: Checked

    @property
    def root(self) -> Node:
        """Its tree."""
        return self.checked.tree.root

    def find(self, code: str, node: Node, message: str, hint: str | None = None) -> None:
        """Note a warning about a part of the condition, unless the author means it."""
        linted = self.linted
        if code in linted.placed.document.metadata.meant:
            return
        at = self.checked.place(node.id)
        within = self.checked.tree.within.get(node.id, "")
        linted.findings.append(
            linted.placed.diagnostic(code, self.path, message + within, hint=hint, severity="warning", at=at)
        )


def conditions(linted: Linted) -> Iterator[Expression]:
    """Yield every condition of a rule, whatever its kind: the texts at the places where conditions stand."""
    spec = linted.placed.document.spec
    found = [
        linted.condition(getattr(spec, name, None), "spec", key)
        for name, key in (
            ("vehicles", "vehicles"),
            ("when", "when"),
            ("clear_when", "clearWhen"),
            ("where", "where"),
        )
    ]
    severity = getattr(spec, "severity", None)
    for index, rung in enumerate(severity if isinstance(severity, tuple | list) else ()):
        found += [
            linted.condition(text, "spec", "severity", index, name)
            for name, text in rung.named
            if text.strip() != "true"
        ]
    for index, step in enumerate(getattr(spec, "steps", ())):
        found += [
            linted.condition(step.when, "spec", "steps", index, "when"),
            linted.condition(step.not_, "spec", "steps", index, "not"),
        ]
    yield from (it for it in found if it is not None)
