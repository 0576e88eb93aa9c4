"""A canary's verdict: what is worse beyond chance is found, what is as good is not; counters may restart."""

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.pipelines.canary import baseline_of, judge
from k8s.pipelines.readings import Counts, counts_of, samples_of
from k8s.pipelines.stages import STAGES, Checks
from k8s.pipelines.status import Reading

DOCS = Path(__file__).parents[3] / "docs" / "metrics.md"


def verdict(new: Counts, old: Counts, checks: Checks | None = None, *, elapsed: int = 600_000) -> str:
    return judge(
        checks or Checks(),
        canary={"new": new},
        stable={"old": old},
        baseline={},
        elapsed_ms=elapsed,
        for_ms=600_000,
    ).decision


@pytest.mark.parametrize(
    ("new", "old", "said", "decision"),
    [
        pytest.param((10_000, 100, 1_000), (70_000, 700, 7_000), {}, "promote", id="as-good"),
        pytest.param((10_000, 200, 1_000), (70_000, 700, 7_000), {}, "rollBack", id="twice-the-errors"),
        pytest.param((10_000, 0, 1_000), (70_000, 700, 7_000), {}, "promote", id="fewer-errors"),
        pytest.param((100, 2, 10), (70_000, 700, 7_000), {}, "promote", id="two-errors-prove-nothing"),
        pytest.param((0, 50, 0), (70_000, 700, 7_000), {}, "rollBack", id="fails-at-every-record"),
        pytest.param(
            (10_000, 10, 100), (70_000, 0, 7_000), {}, "rollBack", id="errors-where-there-were-none"
        ),
        pytest.param((10_000, 0, 100), (70_000, 0, 7_000), {}, "rollBack", id="a-tenth-of-the-outcomes"),
        pytest.param((10_000, 0, 9_000), (70_000, 0, 7_000), {}, "rollBack", id="nine-times-the-outcomes"),
        pytest.param((10_000, 0, 0), (70_000, 0, 2), {}, "promote", id="outcomes-too-rare-to-judge"),
        pytest.param((99, 0, 10), (70_000, 0, 7_000), {}, "waitForRecords", id="too-few-records"),
        pytest.param((0, 0, 0), (0, 0, 0), {"min_records": 0}, "promote", id="readiness-is-enough"),
        pytest.param(
            (10_000, 600, 0), (70_000, 4_200, 0), {"max_error_rate": 0.05}, "rollBack", id="a-bound"
        ),
        pytest.param((10_000, 400, 0), (70_000, 700, 0), {"max_error_ratio": 9.0}, "promote", id="allowed"),
    ],
)
def test_verdict(
    new: tuple[int, int, int], old: tuple[int, int, int], said: dict[str, float], decision: str
) -> None:
    checks = Checks.model_validate(said)
    assert verdict(Counts(*new), Counts(*old), checks) == decision


def test_a_worker_that_is_far_behind_at_the_end_is_rolled_back_and_not_before() -> None:
    checks = Checks(max_lag=1_000)
    behind = Counts(10_000, 0, 0, lag=5_000.0)
    assert verdict(behind, Counts(70_000), checks) == "rollBack"
    assert verdict(behind, Counts(70_000), checks, elapsed=1_000) == "wait"


def test_what_is_clearly_worse_is_not_given_the_whole_time() -> None:
    bad, good = Counts(10_000, 5_000, 0), Counts(70_000, 70, 0)
    assert verdict(bad, good, elapsed=1_000) == "rollBack"
    assert verdict(good, good, elapsed=599_999) == "wait"


@given(st.integers(0, 10**6), st.floats(0.0, 0.2), st.integers(100, 20_000))
def test_the_same_image_is_not_rolled_back_by_chance(seed: int, rate: float, records: int) -> None:
    chance = random.Random(seed)

    def errors(count: int) -> int:
        return max(0, min(count, round(chance.gauss(count * rate, (count * rate * (1 - rate)) ** 0.5))))

    new = Counts(records, errors(records), records // 10)
    old = Counts(10 * records, errors(10 * records), records)
    assert verdict(new, old) == "promote"


@given(st.floats(0.01, 0.3))
def test_doubled_errors_are_found(rate: float) -> None:
    records = 10_000
    new, old = Counts(records, 2 * rate * records), Counts(7 * records, rate * 7 * records)
    assert verdict(new, old) == "rollBack"


def test_what_was_counted_before_does_not_count_and_a_new_start_counts_from_zero() -> None:
    before = {"old": Counts(1_000_000, 500_000, 0), "again": Counts(1_000_000, 500_000, 0)}
    baseline = baseline_of(before)
    assert baseline["old"] == Reading(records=1_000_000, errors=500_000, outcomes=0)
    stable = {"old": Counts(1_010_000, 500_000, 0), "again": Counts(10_000, 0, 0)}
    said = judge(
        Checks(),
        canary={"new": Counts(10_000, 1_000, 0)},
        stable=stable,
        baseline=baseline,
        elapsed_ms=1,
        for_ms=600_000,
    )
    assert said.decision == "rollBack"
    assert "with the old image 0 %" in said.message


@pytest.mark.parametrize(
    ("canary", "stable", "told"),
    [
        ({"new": Counts(10_000, 100, 1_000)}, {}, "the old image's workers"),
        ({}, {"old": Counts(70_000, 700, 7_000)}, "the new image's workers"),
        ({}, {}, "the new image's workers"),
    ],
)
def test_whose_metrics_cannot_be_read_is_not_taken_for_one_without_errors(
    canary: dict[str, Counts], stable: dict[str, Counts], told: str
) -> None:
    said = judge(Checks(), canary=canary, stable=stable, baseline={}, elapsed_ms=600_000, for_ms=600_000)
    assert said.decision == "waitForRecords"
    assert f"the metrics of {told} cannot be read" in said.message
    bound = Checks(max_error_rate=0.001)
    if canary:  # what needs no other to be judged by is judged
        said = judge(bound, canary=canary, stable={}, baseline={}, elapsed_ms=1, for_ms=600_000)
        assert said.decision == "rollBack"
    said = judge(
        Checks(min_records=0), canary=canary, stable=stable, baseline={}, elapsed_ms=600_000, for_ms=600_000
    )
    assert said.decision == "promote"


def test_every_count_is_a_metric_that_the_stage_has() -> None:
    """Each name that is looked for stands in the table of metrics."""
    told = DOCS.read_text()
    for stage in STAGES:
        names = re.findall(rf"`(telltale_{stage}_[a-z_]+)`", told)
        page = "\n".join(f'{name}{{topic="x"}} 3' for name in names)
        counts = counts_of(stage, samples_of(page + "\n"))
        assert counts.records == 3, stage
        assert counts.errors >= 3, stage
        assert counts.outcomes == 3, stage
        assert (counts.lag == 3) or stage == "uplink"


def test_dead_letters_and_state_are_no_outcomes() -> None:
    page = (
        'telltale_alerts_outputs_total{topic="p.vehicle.alerts"} 5\n'
        'telltale_alerts_outputs_total{topic="p.vehicle.dead-letter"} 7\n'
        "telltale_alerts_lag_records NaN\n"
    )
    assert counts_of("alerts", samples_of(page)) == Counts(0.0, 0.0, 5.0, None)
    with pytest.raises(ValueError, match="<html>"):
        samples_of("<html>")
