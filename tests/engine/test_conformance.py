"""tests/conformance/alerts.yaml and windows.yaml, case by case, through documents, compiler and engine."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import AlertRecord, Engine, Event, Outcome, RuleSet, Source, compile_rules, parse
from rules.engine.expressions import Expression
from rules.engine.memory import Look, Memory, layout_for
from rules.language import DOUBLE, UNKNOWN, Compiled, Environment

CONFORMANCE = Path(__file__).parents[1] / "conformance"
ALERTS = ("alerts.yaml", "cases"), ("windows.yaml", "alerts")


def cases(file: str, key: str) -> list[Any]:
    sections = yaml.safe_load((CONFORMANCE / file).read_text())
    return [
        pytest.param(case, id=f"{section['section']}: {case['case']}")
        for section in sections
        for case in section.get(key, ())
    ]


@pytest.mark.parametrize("case", [case for file, key in ALERTS for case in cases(file, key)])
def test_conformance(case: dict[str, Any]) -> None:
    engine = Engine(rule_set(case), quiet_after_ms=0)
    vehicle = engine.new_vehicle("v1")
    out: list[Outcome] = []
    live = received = 0
    for line in case["messages"]:
        if line.startswith("tick "):
            live += int(line[5:]) * 1000
            received += int(line[5:]) * 1000
            engine.advance(vehicle, live, received, out)
            continue
        second, _, values = line.partition(": ")
        signals = {
            name: float(value)
            for name, value in zip(("speed", "load"), values.split(), strict=False)
            if value != "_"
        }
        received = max(received, int(second) * 1000)
        engine.process(vehicle, Event(int(second) * 1000, received, signals), live, out)
    assert [told(outcome) for outcome in out] == case["alerts"]
    if "state" in case:
        phases = [alert.phase.name.lower() for alert in vehicle.alerts.values()]
        assert phases == [case["state"]]


def told(outcome: Outcome) -> str:
    assert isinstance(outcome, AlertRecord), outcome
    ends_at = "-" if outcome.ends_at is None else str(outcome.ends_at // 1000)
    words = [outcome.state, str(outcome.starts_at // 1000), str(outcome.fired_at // 1000), ends_at]
    return " ".join([*words, *(word for word in (outcome.reason, outcome.by) if word)])


def rule_set(case: dict[str, Any]) -> RuleSet:
    signal = {"staleAfter": case.get("staleAfter", "10m")}
    documents = [
        {
            "apiVersion": "telltale.dev/v1alpha1",
            "kind": "SignalCatalog",
            "metadata": {"name": "default"},
            "spec": {"timestamp": {"path": "ts"}, "signals": {"speed": signal, "load": signal}},
        },
        {
            "apiVersion": "telltale.dev/v1alpha1",
            "kind": "AlertRule",
            "metadata": {"name": "rule"},
            "spec": case["rule"],
        },
    ]
    text = "\n---\n".join(json.dumps(document) for document in documents)
    compiled = compile_rules(parse([Source("case.yaml", text)]))
    assert isinstance(compiled, RuleSet), "\n".join(finding.format() for finding in compiled)
    return compiled


@pytest.mark.parametrize("case", cases("windows.yaml", "values"))
def test_windows(case: dict[str, Any]) -> None:
    expected = {key: value for key, value in case.items() if key not in ("case", "samples", "at")}
    said = {key: window(key) for key in expected}
    layout = layout_for({}, said.values())
    memory = Memory.empty(layout)
    for sample in case["samples"].split():
        second, value = sample.split(":")
        memory.take(0, int(second) * 1000, float(value))
    look = Look(memory, "v1", case["at"] * 1000)
    found = {key: Expression(compiled, layout).value(look) for key, compiled in said.items()}
    found = {key: None if value is UNKNOWN else value for key, value in found.items()}
    assert found == {key: value if value is None else pytest.approx(value) for key, value in expected.items()}


def window(key: str) -> Compiled:
    percent = f", {key[1:]}" if key[1:].isdigit() else ""
    function = "percentile" if percent else key
    compiled = Environment({"speed": DOUBLE}).compile(f"{function}(speed{percent}, duration('60s'))")
    assert isinstance(compiled, Compiled), compiled
    return compiled
