import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.documents.durations import LONGEST_MS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0s", 0),
        ("250ms", 250),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("1m500ms", 60_500),
        ("2d", 172_800_000),
        ("1w", 604_800_000),
        ("90m", 5_400_000),
    ],
)
def test_a_duration_is_read_as_milliseconds(text, milliseconds):
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "5 m", "1.5h", "-5s", "+5s", "30s1h", "1h1h", "5M", "5min", "٣s", "1e3s", "5s\n", "ms5"],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="written like"):
        parse_duration(text)


def test_a_duration_beyond_ten_years_is_refused():
    with pytest.raises(ValueError, match="ten years"):
        parse_duration("99999d")


@given(st.integers(0, LONGEST_MS))
def test_what_is_written_is_read_back(milliseconds):
    assert parse_duration(format_duration(milliseconds)) == milliseconds


@given(st.text(max_size=60))
def test_any_text_is_a_duration_or_a_value_error(text):
    try:
        milliseconds = parse_duration(text)
    except ValueError:
        return
    assert 0 <= milliseconds <= LONGEST_MS
