"""`telltale rules check`: every finding of every file at once; nothing runs, nothing is connected to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rules import Diagnostic, load
from rules.lint import lint
from rules.testing import suite


@dataclass(frozen=True, slots=True)
class Checked:
    """What there is to say about a rule set."""

    findings: tuple[Diagnostic, ...]
    documents: int
    left_out: tuple[str, ...]
    """Directories that are rule sets of their own: nothing in them was looked at."""

    @property
    def errors(self) -> int:
        """How many findings make the set unusable."""
        return sum(finding.severity == "error" for finding in self.findings)


def check(paths: Sequence[Path]) -> Checked:
    """All findings about the documents below `paths`, warnings about a right set too."""
    loaded = load(paths, tests=True)
    tests = suite(loaded)
    findings = tests if isinstance(tests, list) else [*tests.warnings, *lint(loaded)]
    return Checked(tuple(findings), len(loaded.documents), loaded.left_out)


def report(checked: Checked, *, as_json: bool) -> str:
    """What is printed: the findings, what was left out, and one line that sums them up."""
    errors = checked.errors
    warnings = len(checked.findings) - errors
    if as_json:
        return json.dumps(
            {
                "errors": errors,
                "warnings": warnings,
                "documents": checked.documents,
                "leftOut": list(checked.left_out),
                "findings": [
                    {
                        "code": it.code,
                        "severity": it.severity,
                        "file": it.file,
                        "line": it.line,
                        "column": it.column,
                        "path": it.path,
                        "message": it.message,
                        "hint": it.hint,
                    }
                    for it in checked.findings
                ],
            },
            indent=2,
        )
    total = (
        f"{_count(checked.documents, 'document')}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    )
    left_out = [
        f"{directory}: left out, it has a catalog of its own: check it by itself"
        for directory in checked.left_out
    ]
    return "\n".join([*(finding.format() for finding in checked.findings), *left_out, total])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
