"""A candidate's vehicles: a stable share of them, which only grows with the percentage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine import Rollout

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
