"""What wakes a person is about this pipeline's pods, and asks for metrics that there are."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from k8s.pipelines.monitoring import prometheus_rule
from tests.k8s.pipelines.specs import OWNER, spec

PAGE = (Path(__file__).parents[3] / "docs/metrics.md").read_text()
KNOWN = set(re.findall(r"^\| `(telltale_\w+)` \|", PAGE, re.MULTILINE))
RULES = [
    rule
    for group in prometheus_rule(replace(OWNER, name="fleet"), spec())["spec"]["groups"]
    for rule in group["rules"]
]


def test_every_expression_asks_for_metrics_that_there_are() -> None:
    asked = {name for rule in RULES for name in re.findall(r"\btelltale_\w+", rule["expr"])}
    assert asked
    assert {name.removesuffix("_bucket") for name in asked} <= KNOWN


@pytest.mark.parametrize(
    ("pod", "is_ours"),
    [
        ("fleet-alerts-5d8f9c7b6-x2x4q", True),
        ("fleet-alerts-canary-5d8f9c7b6-x2x4q", True),
        ("fleet-2-alerts-5d8f9c7b6-x2x4q", False),
        ("fleet-alerts-alerts-5d8f9c7b6-x2x4q", False),
        ("fleet-normalize-5d8f9c7b6-x2x4q", False),
    ],
)
def test_the_pods_are_those_of_this_pipelines_stage(pod: str, is_ours: bool) -> None:
    expressions = [rule["expr"] for rule in RULES if rule["labels"]["stage"] == "alerts"]
    patterns = {found for each in expressions for found in re.findall(r'pod=~"([^"]+)"', each)}
    assert patterns
    assert {bool(re.fullmatch(pattern, pod)) for pattern in patterns} == {is_ours}
