from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process import format_duration, parse_duration


@given(st.integers(0, 10**12))
def test_a_duration_reads_back_as_what_was_written(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        pytest.param("25s", 25_000, id="seconds"),
        pytest.param("1m30s", 90_000, id="two-units"),
        pytest.param("250ms", 250, id="milliseconds"),
        pytest.param("1.5h", 5_400_000, id="fraction"),
        pytest.param("25", 25_000, id="bare-text"),
        pytest.param(25, 25_000, id="bare-number"),
        pytest.param(" 2d ", 172_800_000, id="spaces"),
        pytest.param("0", 0, id="nought"),
    ],
)
def test_durations_are_read_with_units_or_as_seconds(written: object, milliseconds: float) -> None:
    assert parse_duration(written) == milliseconds


@pytest.mark.parametrize(
    "written", ["", "abc", "-5", "5 minutes", "nan", "inf", "s", "5x", True, None, [], "1s2"]
)
def test_what_is_no_duration_is_refused_with_advice(written: object) -> None:
    with pytest.raises(ValueError, match="write 25s"):
        parse_duration(written)
