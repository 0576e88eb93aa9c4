"""`telltale rules test`: the tests beside the rules, for people, for programs, and as JUnit's XML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from rules import Diagnostic, load
from rules.testing import Coverage, Suite, Verdict, suite


@dataclass(frozen=True, slots=True)
class Tested:
    """What there is to say about the tests of a rule set."""

    findings: tuple[Diagnostic, ...]
    """Why nothing ran, if there is an error among them."""
    verdicts: tuple[Verdict, ...]
    coverage: Coverage | None
    left_out: tuple[str, ...]
    least: float | None
    """The coverage that was asked for, in percent."""

    @property
    def has_errors(self) -> bool:
        """Whether rules or tests are wrong, so that nothing ran."""
        return self.coverage is None

    @property
    def failed(self) -> int:
        """How many tests did not get what they expected."""
        return sum(bool(verdict.failures) for verdict in self.verdicts)

    @property
    def is_thin(self) -> bool:
        """Whether the tests saw less than was asked for."""
        return self.coverage is not None and self.least is not None and self.coverage.percent < self.least

    @property
    def exit_code(self) -> int:
        """0 right, 1 findings or failed expectations, 2 nothing to run."""
        if self.has_errors or self.failed or self.is_thin:
            return 1
        return 0 if self.verdicts else 2


def run_tests(paths: Sequence[Path], *, pattern: str | None = None, least: float | None = None) -> Tested:
    """Run the tests below `paths` whose names fit."""
    loaded = load(paths, tests=True)
    found = suite(loaded)
    if not isinstance(found, Suite):
        return Tested(tuple(found), (), None, loaded.left_out, least)
    verdicts = tuple(found.run(pattern))
    return Tested(tuple(found.warnings), verdicts, found.coverage(), loaded.left_out, least)


def report(tested: Tested, *, tells_branches: bool) -> str:
    """What is printed for people."""
    lines = [finding.format() for finding in tested.findings]
    lines += [
        f"{directory}: left out, it has a catalog of its own: test it by itself"
        for directory in tested.left_out
    ]
    if tested.coverage is None:
        errors = sum(finding.severity == "error" for finding in tested.findings)
        return "\n".join([*lines, f"nothing ran: {_count(errors, 'error')}"])
    for verdict in tested.verdicts:
        lines.append(f"{'FAIL' if verdict.failures else 'ok  '}  {verdict.name}")
        for failure in verdict.failures:
            lines += [f"      {line}" for line in failure.format().split("\n")]
    if not tested.verdicts:
        lines.append("no test is there: a RuleTest document, in *.test.yaml, whose name fits")
        return "\n".join(lines)
    coverage = tested.coverage
    if tells_branches or tested.is_thin:
        lines += [
            branches.format()
            for branches in coverage.branches
            if branches.missing and branches.rule not in coverage.untested
        ]
    if coverage.untested:
        lines.append(f"rules without a test: {', '.join(coverage.untested)}")
    wanted = f", {tested.least:g} % were asked for" if tested.is_thin else ""
    right = len(tested.verdicts) - tested.failed
    lines.append(f"{_count(len(tested.verdicts), 'test')}: {right} ok, {tested.failed} failed")
    lines.append(
        f"coverage: {coverage.covered} of {_count(coverage.total, 'branch')} of conditions, "
        f"{coverage.percent:.0f} %{wanted}"
    )
    return "\n".join(lines)


def as_json(tested: Tested) -> str:
    """What is printed for programs."""
    coverage = tested.coverage
    told: dict[str, Any] = {
        "tests": [
            {
                "name": verdict.name,
                "file": verdict.file,
                "failed": bool(verdict.failures),
                "failures": [asdict(failure) for failure in verdict.failures],
            }
            for verdict in tested.verdicts
        ],
        "failed": tested.failed,
        "findings": [asdict(finding) for finding in tested.findings],
        "leftOut": list(tested.left_out),
    }
    if coverage is not None:
        told["coverage"] = {
            "percent": round(coverage.percent, 2),
            "covered": coverage.covered,
            "total": coverage.total,
            "untested": list(coverage.untested),
            "conditions": [
                {
                    "rule": it.rule,
                    "file": it.file,
                    "line": it.line,
                    "column": it.column,
                    "path": it.path,
                    "text": it.text,
                    "true": True in it.seen,
                    "false": False in it.seen,
                    "unknown": None in it.seen,
                }
                for it in coverage.branches
            ],
        }
    return json.dumps(told, indent=2)


def as_junit(tested: Tested) -> bytes:
    """JUnit's XML, as Jenkins, GitLab and GitHub's actions read it: a suite for each file."""
    root = ElementTree.Element(
        "testsuites", name="telltale", tests=str(len(tested.verdicts)), failures=str(tested.failed)
    )
    suites: dict[str, list[Verdict]] = {}
    for verdict in tested.verdicts:
        suites.setdefault(verdict.file, []).append(verdict)
    for file, verdicts in suites.items():
        failed = sum(bool(verdict.failures) for verdict in verdicts)
        count = str(len(verdicts))
        element = ElementTree.SubElement(root, "testsuite", name=file, tests=count, failures=str(failed))
        for verdict in verdicts:
            case = ElementTree.SubElement(
                element, "testcase", classname=Path(file).stem, name=verdict.name, file=file
            )
            for failure in verdict.failures:
                told = ElementTree.SubElement(case, "failure", message=_printable(failure.message))
                told.text = _printable(failure.format())
    if tested.has_errors:
        element = ElementTree.SubElement(root, "testsuite", name="rules", tests="1", errors="1")
        case = ElementTree.SubElement(element, "testcase", classname="rules", name="check")
        told = ElementTree.SubElement(case, "error", message="the rules or the tests are wrong")
        told.text = _printable("\n".join(finding.format() for finding in tested.findings))
    ElementTree.indent(root)
    text: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return text + b"\n"


def _printable(text: str) -> str:
    """XML 1.0 has no place for most control characters."""
    return "".join(each if each in "\t\n" or each >= " " else "\ufffd" for each in text)


def _count(number: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("ch") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
