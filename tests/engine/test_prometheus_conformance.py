"""tests/conformance/prometheus.yaml, case by case, through documents, compiler and engine."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import Engine, Event, RuleSet, Source, compile_rules, parse
from rules.documents import parse_duration
from rules.engine.alerts import Phase
from tests.engine.rulebook import document

CASES = Path(__file__).parents[1] / "conformance" / "prometheus.yaml"
LETTERS = {Phase.RESTING: "i", Phase.PENDING: "p", Phase.FIRING: "f"}


def cases() -> list[Any]:
    sections = yaml.safe_load(CASES.read_text())
    return [
        pytest.param(case, id=f"{section['section']}: {case['case']}")
        for section in sections
        for case in section["cases"]
    ]


def series(text: str) -> list[float | None]:
    found: list[float | None] = []
    for word in str(text).split():
        value, _, more = word.partition("x")
        found += [None if value == "_" else float(value)] * (1 + int(more or 0))
    return found


@pytest.mark.parametrize("is_restarted", [False, True], ids=["steady", "restarted"])
@pytest.mark.parametrize("case", cases())
def test_conformance(case: dict[str, Any], is_restarted: bool) -> None:
    catalog = document("SignalCatalog", "c", {"timestamp": {"path": "ts"}, "signals": {"x": {}}})
    text = f"{catalog}\n---\n{document('AlertRule', 'rule', case['rule'])}"
    rules = compile_rules(parse([Source("case.yaml", text)]))
    assert isinstance(rules, RuleSet), [each.format() for each in rules]
    engine = Engine(rules)
    vehicle = engine.new_vehicle("v1")
    states = ""
    for number, value in enumerate(series(case["values"])):
        at = number * parse_duration(case["every"])
        engine.process(vehicle, Event(at, at, {} if value is None else {"x": value}), at, [])
        if is_restarted:
            vehicle = engine.restore("v1", engine.snapshot(vehicle))
        alert = vehicle.alerts.get(0)
        states += LETTERS[Phase.RESTING if alert is None else alert.phase]
    assert states == case["states"]
