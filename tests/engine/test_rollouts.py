"""A candidate's vehicles: a stable share of them, which only grows with the percentage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine import Rollout
from rules.engine.comparing import Comparison, Figures
from rules.engine.rollouts import Limits

IDS = [f"LFV{number:014}" for number in range(20_000)]
PERCENT = st.integers(0, 10_000).map(lambda hundredths: hundredths / 100)


@given(st.text(), st.text(max_size=8), PERCENT, PERCENT)
def test_raising_the_percentage_keeps_the_vehicles_that_have_the_candidate(
    vehicle: str, salt: str, one: float, other: float
) -> None:
    fewer, more = sorted((one, other))
    assert Rollout(more, salt).takes(vehicle) or not Rollout(fewer, salt).takes(vehicle)


@given(st.text(), st.text(max_size=8))
def test_nobody_is_taken_by_none_and_everybody_by_all(vehicle: str, salt: str) -> None:
    assert not Rollout(0, salt).takes(vehicle)
    assert Rollout(100, salt).takes(vehicle)


@pytest.mark.parametrize("percent", [0.5, 1, 10, 33.33, 50, 99])
@pytest.mark.parametrize("salt", ["", "spring"])
def test_the_share_of_a_fleet_is_near_the_percentage(percent: float, salt: str) -> None:
    share = sum(map(Rollout(percent, salt).takes, IDS)) / len(IDS)
    # Four standard deviations of a fair draw.
    assert abs(share - percent / 100) < 4 * (percent / 100 * (1 - percent / 100) / len(IDS)) ** 0.5


def test_another_salt_takes_other_vehicles() -> None:
    one = {vehicle for vehicle in IDS if Rollout(10, "a").takes(vehicle)}
    other = {vehicle for vehicle in IDS if Rollout(10, "b").takes(vehicle)}
    assert len(one & other) < len(one) / 5


def test_who_is_taken_is_the_same_for_ever() -> None:
    """Held by value: another hash would move vehicles between revisions at an upgrade of the program."""
    taken = [number for number in range(100) if Rollout(10, "").takes(f"v{number}")]
    assert taken == [23, 48, 66, 76, 79]


ABOVE = Limits(100, fire_ratio_above=2.0)
BELOW = Limits(100, fire_ratio_below=0.5)
ERRORS = Limits(100, error_rate_above=0.01)
COST = Limits(100, cost_ratio_above=1.5)


@pytest.mark.parametrize(
    ("limits", "candidate", "stable", "told"),
    [
        # Twice as many and three standard deviations: 200 + 3 * sqrt(201).
        pytest.param(ABOVE, Figures(1000, 242), Figures(1000, 100), None, id="fires-more-by-chance"),
        pytest.param(ABOVE, Figures(1000, 243), Figures(1000, 100), "it fired 243 times", id="fires-more"),
        pytest.param(ABOVE, Figures(1000, 3), Figures(1000), None, id="a-few-against-none"),
        pytest.param(ABOVE, Figures(1000, 4), Figures(1000), "it fired 4 times", id="several-against-none"),
        pytest.param(ABOVE, Figures(1000, 0), Figures(1000, 100), None, id="fewer-are-not-more"),
        # Half as many less three standard deviations: 50 - 3 * sqrt(50).
        pytest.param(BELOW, Figures(1000, 29), Figures(1000, 100), None, id="fires-less-by-chance"),
        pytest.param(BELOW, Figures(1000, 28), Figures(1000, 100), "it fired 28 times", id="fires-less"),
        pytest.param(BELOW, Figures(1000, 900), Figures(1000, 100), None, id="more-are-not-fewer"),
        pytest.param(BELOW, Figures(1000), Figures(1000), None, id="none-against-none"),
        pytest.param(ERRORS, Figures(1000, errors=10), Figures(1000), None, id="fails-as-often-as-allowed"),
        pytest.param(ERRORS, Figures(1000, errors=11), Figures(1000), "it failed 11 times", id="fails"),
        pytest.param(ERRORS, Figures(1000, errors=30), Figures(1000, errors=20), None, id="both-fail"),
        pytest.param(COST, Figures(1000, cost_ns=1500), Figures(1000, cost_ns=1000), None, id="costs"),
        pytest.param(COST, Figures(1000, cost_ns=1501), Figures(1000, cost_ns=1000), "it takes", id="dear"),
        pytest.param(ABOVE, Figures(99, 99), Figures(99), None, id="too-few-events"),
        pytest.param(ABOVE, Figures(100, 99), Figures(100), "it fired 99 times", id="just-enough-events"),
        pytest.param(Limits(100), Figures(1000, 900, 900, 9), Figures(1000), None, id="no-limits"),
    ],
)
def test_a_candidate_is_taken_back_for_what_exceeds_its_limits_beyond_chance(
    limits: Limits, candidate: Figures, stable: Figures, told: str | None
) -> None:
    found = Comparison(candidate, stable).verdict(limits)
    assert (found is None) == (told is None)
    assert found is None or found.startswith(told or "")
