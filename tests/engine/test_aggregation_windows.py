"""Where windows lie: calendars of time zones with their changes of the clock, hops, and what they share."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.engine.aggregation.windows import Calendar, Fixed, Hopping, Tumbling
from rules.instants import format_instant, parse_instant

HOUR = 3_600_000
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Africa/Cairo",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Asia/Gaza",
)
instants = st.integers(parse_instant("1971-01-05T00:00:00Z"), parse_instant("2035-01-01T00:00:00Z"))
windows = st.one_of(
    st.builds(Tumbling, st.integers(1_000, 100_000_000)),
    st.builds(
        lambda pane, many, hops: Hopping(pane * many, pane * min(hops, many)),
        st.integers(1_000, 4_000_000),
        st.integers(1, 30),
        st.integers(1, 30),
    ),
    st.builds(Calendar, st.sampled_from(("day", "week", "month", "quarter", "year")), st.sampled_from(ZONES)),
)


@given(windows, instants)
def test_every_window_of_a_pane_holds_the_whole_pane_and_ends_rise(window: Fixed, instant: int) -> None:
    pane = window.pane_of(instant)
    assert pane <= instant
    assert window.pane_of(pane) == pane
    spans = window.windows_of(pane)
    assert spans == sorted(set(spans))
    assert all(start <= pane and instant < end for start, end in spans)
    assert (window.first_end(pane), window.last_end(pane)) == (spans[0][1], spans[-1][1])
    assert instant < window.boundary_after(instant) <= spans[0][1]


@given(st.sampled_from(("day", "week", "month", "quarter", "year")), st.sampled_from(ZONES), instants)
def test_calendar_windows_follow_each_other_and_begin_with_their_date(
    unit: str, zone: str, instant: int
) -> None:
    calendar = Calendar(unit, zone)
    start = calendar.pane_of(instant)
    end = calendar.first_end(start)
    assert start <= instant < end
    assert calendar.pane_of(end) == end
    assert calendar.pane_of(start - 1) < start
    first, before = local(start, zone), local(start - 1, zone)
    assert first.date() > before.date()
    if unit == "week":
        assert first.weekday() == 0 or before.weekday() == 6 or zone == "Pacific/Apia"
    if unit in ("month", "quarter", "year"):
        assert first.month != before.month


def local(instant: int, zone: str) -> datetime:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)
    return moment.astimezone(ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "at", "start", "hours"),
    [
        pytest.param("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00.000Z", 23, id="spring"),
        pytest.param("Europe/Berlin", "2026-10-25T12:00:00Z", "2026-10-24T22:00:00.000Z", 25, id="autumn"),
        pytest.param(
            "Australia/Lord_Howe", "2026-04-05T05:00:00Z", "2026-04-04T13:00:00.000Z", 24.5, id="half"
        ),
        pytest.param(
            "America/Sao_Paulo", "2018-11-04T12:00:00Z", "2018-11-04T03:00:00.000Z", 23, id="no-midnight"
        ),
        pytest.param(
            "America/Sao_Paulo", "2018-02-17T12:00:00Z", "2018-02-17T02:00:00.000Z", 25, id="late-midnight"
        ),
        pytest.param(
            "America/Havana", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00.000Z", 25, id="midnight-twice"
        ),
        pytest.param("Asia/Shanghai", "2026-01-01T15:59:59.999Z", "2025-12-31T16:00:00.000Z", 24, id="none"),
        pytest.param(
            "Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-29T10:00:00.000Z", 24, id="before-a-lost-day"
        ),
        pytest.param(
            "Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00.000Z", 24, id="after-a-lost-day"
        ),
    ],
)
def test_a_day_is_as_long_as_it_is_there(zone: str, at: str, start: str, hours: float) -> None:
    day = Calendar("day", zone)
    pane = day.pane_of(parse_instant(at))
    assert format_instant(pane) == start
    assert day.first_end(pane) - pane == hours * HOUR


def test_units_of_the_calendar() -> None:
    at = parse_instant("2026-08-19T12:00:00Z")
    spans = {
        unit: tuple(
            map(format_instant, Calendar(unit, "UTC").windows_of(Calendar(unit, "UTC").pane_of(at))[0])
        )
        for unit in ("day", "week", "month", "quarter", "year")
    }
    midnight = "T00:00:00.000Z"
    assert spans == {
        "day": ("2026-08-19" + midnight, "2026-08-20" + midnight),
        "week": ("2026-08-17" + midnight, "2026-08-24" + midnight),
        "month": ("2026-08-01" + midnight, "2026-09-01" + midnight),
        "quarter": ("2026-07-01" + midnight, "2026-10-01" + midnight),
        "year": ("2026-01-01" + midnight, "2027-01-01" + midnight),
    }
