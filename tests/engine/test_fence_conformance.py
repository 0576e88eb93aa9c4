"""tests/conformance/geofences.yaml, case by case, through documents, compiler and fold."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from rules import Event, RuleSet, Source, compile_rules, parse
from rules.engine import Geofences
from rules.engine.fence_outcomes import FenceOutcome, FenceRecord
from tests.engine.rulebook import document

CASES = Path(__file__).parents[1] / "conformance" / "geofences.yaml"
LATITUDE, LONGITUDE = 0.0, 20.0
METRE = 1 / 110_574.2
"""Degrees of latitude, at the equator."""


def cases() -> list[Any]:
    return [
        pytest.param(case, id=f"{section['section']}: {case['case']}")
        for section in yaml.safe_load(CASES.read_text())
        for case in section["cases"]
    ]


@pytest.mark.parametrize("case", cases())
def test_conformance(case: dict[str, Any]) -> None:
    fold = Geofences(rule_set(case["rule"]), quiet_after_ms=0)
    vehicle = fold.new_vehicle("v1")
    out: list[FenceOutcome] = []
    for word in case["fixes"].split():
        second, _, where = word.partition(":")
        metre, _, accuracy = where.partition("~")
        place = None if metre == "-" else (LATITUDE + float(metre) * METRE, LONGITUDE)
        position = (*place, float(accuracy)) if place is not None and accuracy else place
        event = Event(int(second) * 1000, int(second) * 1000, {}, position)
        fold.process(vehicle, event, 0, out)
    if "wait" in case:
        fold.advance(vehicle, case["wait"] * 1000, 0, out)
    assert [told(record) for record in out] == case["told"]


def told(record: FenceOutcome) -> str:
    assert isinstance(record, FenceRecord)
    event, starts_at, confirmed_at, visit_ms, _ = record.happening
    length = "" if visit_ms is None else f" {visit_ms // 1000}"
    return f"{event} {starts_at // 1000}-{confirmed_at // 1000}{length}"


def rule_set(spec: dict[str, Any]) -> RuleSet:
    catalog = {"timestamp": {"path": "ts"}, "position": {"latitude": "a", "longitude": "b"}, "signals": {}}
    circle = {"latitude": LATITUDE, "longitude": LONGITUDE, "radiusMeters": 100.01}
    texts = [
        document("SignalCatalog", "c", catalog),
        document("Geofence", "here", {"circle": circle}),
        document("GeofenceRule", "rule", {"fences": {"names": ["here"]}, **spec}),
    ]
    found = compile_rules(parse([Source("x.yaml", "\n---\n".join(texts))]))
    assert isinstance(found, RuleSet), [each.format() for each in found]
    return found
