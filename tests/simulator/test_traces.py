import math
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.simulator.journeys import Coverage, Kind, Publication
from bridges.simulator.traces import TraceError, parse_trace, replay

HEADER = "ENGINE_RPM (),VEHICLE_SPEED (),NOTE,OPEN"


def test_units_are_no_part_of_a_key_and_empty_cells_are_left_out():
    assert parse_trace([HEADER, "0.000000, 12.5, ok, true,", " ,3,, FALSE"]) == [
        {"ENGINE_RPM": 0.0, "VEHICLE_SPEED": 12.5, "NOTE": "ok", "OPEN": True},
        {"VEHICLE_SPEED": 3.0, "OPEN": False},
    ]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        pytest.param([], "line 1: there is no header", id="empty"),
        pytest.param(["a,b"], "there is a header and nothing below it", id="header-only"),
        pytest.param(["a,a (x)", "1,2"], "line 1: the column 'a' stands there twice", id="column-twice"),
        pytest.param([",", "1,2"], "line 1: no column has a name", id="no-names"),
        pytest.param(["a,b", "1,2", "1,2,3"], "line 3: 3 cells under 2 columns", id="too-many-cells"),
    ],
)
def test_what_is_wrong_with_a_trace_is_said_with_its_line(lines, sentence):
    with pytest.raises(TraceError, match=sentence.replace("(", r"\(")):
        parse_trace(lines)


@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_text_gives_rows_or_a_trace_error(lines):
    try:
        rows = parse_trace(lines)
    except TraceError:
        return
    assert rows
    for row in rows:
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in row.values())
        orjson.dumps(row)


def test_row_n_is_n_intervals_after_the_start_and_leaves_in_its_turn():
    rows = [{"speed": float(number)} for number in range(5)]
    coverage, *published = replay(
        rows, "t1", start_ms=1_000, publish_from_ms=9_000, interval_ms=500, speedup=10.0
    )
    assert coverage == Coverage(9_000, "t1", online=True)
    assert [event.sampled for event in published] == [1_000, 1_500, 2_000, 2_500, 3_000]
    assert [event.at for event in published] == [9_000, 9_050, 9_100, 9_150, 9_200]
    assert [orjson.loads(event.payload) for event in published] == [
        {"speed": float(number), "ts": 1_000 + 500 * number, "seq": number} for number in range(5)
    ]
    assert {event.kind for event in published} == {Kind.LATE}


def test_an_infinite_speedup_publishes_all_at_once_and_one_is_live():
    rows = [{"a": 1.0}] * 3
    options = {"start_ms": 5, "publish_from_ms": 5, "interval_ms": 1_000}
    at_once = [it.at for it in replay(rows, "t1", **options, speedup=float("inf"))]
    assert at_once == [5, 5, 5, 5]
    live = [it for it in replay(rows, "t1", **options, speedup=1.0) if isinstance(it, Publication)]
    assert [it.at for it in live] == [5, 1_005, 2_005]
    assert {it.kind for it in live} == {Kind.LIVE}


def test_the_keys_of_a_logger_are_those_that_a_catalog_can_name():
    drive = Path(__file__).parent / "etios.csv"
    rows = parse_trace(drive.read_text(encoding="utf-8").splitlines())
    assert len(rows) == 20
    assert rows[0]["COOLANT_TEMPERATURE"] == 81.0
    assert len(rows[0]) == 27
