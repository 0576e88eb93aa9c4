"""A tick says that time went on; it is withheld while something may have happened that is not in the log."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.ticks import Ticks


def due(
    ticks: Ticks, now: float, connected_at: float | None = 0.0, waiting_since: float | None = None
) -> bool:
    return ticks.due(now, connected_at=connected_at, waiting_since=waiting_since)


def test_one_a_second() -> None:
    ticks = Ticks()
    sent = [now / 10 for now in range(1000) if due(ticks, 10 + now / 10)]
    assert 99 <= len(sent) <= 100


def test_a_late_check_does_not_make_a_burst() -> None:
    ticks = Ticks()
    assert due(ticks, 10.0)
    assert due(ticks, 60.0)
    assert not due(ticks, 60.9)
    assert due(ticks, 61.0)


@pytest.mark.parametrize(
    ("now", "connected_at", "waiting_since", "reason"),
    [
        pytest.param(10.0, None, None, "not connected", id="not-connected"),
        pytest.param(10.0, 9.5, None, "just connected", id="just-connected"),
        pytest.param(10.0, 0.0, 8.9, "waiting for Kafka", id="waiting"),
    ],
)
def test_withheld_with_a_reason(
    now: float, connected_at: float | None, waiting_since: float | None, reason: str
) -> None:
    ticks = Ticks()
    assert not due(ticks, now, connected_at, waiting_since)
    assert ticks.withheld == reason


def test_a_full_window_withholds_for_a_second() -> None:
    ticks = Ticks()
    ticks.window_full(10.0)
    assert not due(ticks, 10.9)
    assert ticks.withheld == "backlog at the broker"
    assert due(ticks, 11.0)
    assert ticks.withheld is None


def test_waiting_for_less_than_a_second_is_the_usual_way_of_things() -> None:
    assert due(Ticks(), 10.0, waiting_since=9.1)


@given(
    st.lists(
        st.tuples(st.floats(0.01, 5), st.booleans(), st.booleans(), st.none() | st.floats(0, 3)), max_size=60
    )
)
def test_no_tick_in_an_outage(steps: list[tuple[float, bool, bool, float | None]]) -> None:
    ticks, now, full_at = Ticks(), 100.0, -1.0
    for step, connected, full, waited in steps:
        now += step
        if full:
            ticks.window_full(now)
            full_at = now
        since = None if waited is None else now - waited
        if due(ticks, now, 0.0 if connected else None, since):
            assert connected
            assert now - full_at >= 1
            assert since is None or now - since <= 1
