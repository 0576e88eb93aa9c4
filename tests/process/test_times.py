from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process import format_time, parse_time
from pipeline.process.times import GREATEST_MS, LEAST_MS

times = st.integers(LEAST_MS, GREATEST_MS)


@given(times)
def test_a_time_reads_back_as_what_was_written(time_ms: int) -> None:
    assert parse_time(format_time(time_ms)) == time_ms


@given(times, times)
def test_texts_compare_as_times_do(one: int, other: int) -> None:
    assert (one < other) == (format_time(one) < format_time(other))


def test_any_offset_is_read_and_cut_to_milliseconds() -> None:
    assert parse_time("2026-01-01T08:00:10.1239+08:00") == parse_time("2026-01-01T00:00:10.123Z")
    assert parse_time("2026-01-01t00:00:10z") == 1_767_225_610_000


@pytest.mark.parametrize(
    "text", ["", "2026-01-01", "2026-01-01T00:00:00", "20260101T000000Z", "2026-13-01T00:00:00Z", "now", "١"]
)
def test_what_is_not_rfc_3339_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_time(text)


@pytest.mark.parametrize("time_ms", [LEAST_MS - 1, GREATEST_MS + 1])
def test_a_time_beyond_four_digits_of_years_is_refused(time_ms: int) -> None:
    with pytest.raises(ValueError, match="outside of the years"):
        format_time(time_ms)
