"""`telltale rules check`: every finding of every file at once; nothing runs, nothing is connected to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from rules import Diagnostic, RuleSet, compile_rules, load


def check(paths: Sequence[Path]) -> tuple[list[Diagnostic], int]:
    """All findings about the documents below `paths`, and how many documents there are."""
    loaded = load(paths)
    findings = list(loaded.diagnostics)
    compiled = compile_rules(loaded)
    if not isinstance(compiled, RuleSet):
        findings += [finding for finding in compiled if finding not in findings]
    return findings, len(loaded.documents)


def report(findings: Sequence[Diagnostic], documents: int, *, as_json: bool) -> str:
    """What is printed: the findings, and one line that sums them up."""
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    if as_json:
        return json.dumps(
            {
                "errors": errors,
                "warnings": warnings,
                "documents": documents,
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
                    for it in findings
                ],
            },
            indent=2,
        )
    total = f"{_count(documents, 'document')}: {_count(errors, 'error')}, {_count(warnings, 'warning')}"
    return "\n".join([*(finding.format() for finding in findings), total])


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
