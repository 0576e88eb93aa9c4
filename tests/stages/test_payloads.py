"""What bad input gets: DESIGN 11, the rows that concern a payload."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.payloads import (
    MAX_PAYLOAD_BYTES,
    PayloadShape,
    Position,
    Reader,
    SignalShape,
    Unusable,
    codec_of,
    decode_json,
)

NOW = 1_767_225_600_000
SIGNALS = (
    SignalShape("Vehicle.Speed", ("speed",), "number", minimum=0, maximum=350),
    SignalShape("Vehicle.Doors", ("body", "doors"), "integer"),
    SignalShape("Vehicle.Belt", ("body", "belt"), "boolean"),
    SignalShape("Vehicle.Gear", ("gear",), "text", allowed=frozenset({"P", "D"})),
    SignalShape("OBD", ("VEHICLE_SPEED ()",), "number"),
)
SHAPE = PayloadShape(SIGNALS, ("ts",), "unixMillis", ("seq",), ("pos", "lat"), ("pos", "lon"), ("pos", "acc"))
STRICT = PayloadShape(SIGNALS, ("ts",), "unixMillis", strict=True)


def read(payload: object, shape: PayloadShape = SHAPE, received_at: int = NOW):
    reader = Reader(shape)
    return reader.read(json.dumps(payload).encode(), received_at, decode_json), dict(reader.dropped)


def test_a_payload_becomes_time_sequence_signals_and_position():
    reading, dropped = read(
        {
            "ts": NOW - 5,
            "seq": 17,
            "speed": 131,
            "body": {"doors": 4, "belt": False},
            "gear": "D",
            "VEHICLE_SPEED ()": 1.5,
            "pos": {"lat": 31.2, "lon": 121.4, "acc": 5},
        }
    )
    assert reading.instant == NOW - 5
    assert reading.sequence == 17
    assert reading.signals == {
        "Vehicle.Speed": 131.0,
        "Vehicle.Doors": 4.0,
        "Vehicle.Belt": False,
        "Vehicle.Gear": "D",
        "OBD": 1.5,
    }
    assert type(reading.signals["Vehicle.Speed"]) is float
    assert reading.position == Position(31.2, 121.4, 5.0)
    assert dropped == {}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param({"sped": 1}, "unknown-signal", id="unknown"),
        pytest.param({"speed": "fast"}, "wrong-type", id="text-for-number"),
        pytest.param({"speed": True}, "wrong-type", id="boolean-for-number"),
        pytest.param({"speed": 2**64}, "out-of-range", id="integer-beyond-64-bits"),
        pytest.param({"speed": [1]}, "wrong-type", id="list-for-number"),
        pytest.param({"speed": -0.1}, "out-of-range", id="below-minimum"),
        pytest.param({"speed": 350.1}, "out-of-range", id="above-maximum"),
        pytest.param({"body": {"doors": 1.5}}, "wrong-type", id="fraction-for-integer"),
        pytest.param({"body": {"belt": 1}}, "wrong-type", id="number-for-boolean"),
        pytest.param({"body": 7}, "wrong-type", id="scalar-for-object"),
        pytest.param({"gear": "X"}, "not-allowed", id="value-not-allowed"),
        pytest.param({"gear": "D" * 2000}, "wrong-type", id="text-too-long"),
        pytest.param({"pos": {"lat": 91, "lon": 0}}, "out-of-range", id="latitude"),
        pytest.param({"pos": {"lat": 0, "lon": 0}}, "out-of-range", id="null-island"),
        pytest.param({"pos": {"lat": "x", "lon": 0}}, "wrong-type", id="position-type"),
        pytest.param({"pos": {"lat": 1, "lon": 1, "acc": -1}}, "wrong-type", id="accuracy"),
        pytest.param({"seq": -1}, "wrong-type", id="sequence"),
    ],
)
def test_a_bad_signal_is_dropped_and_counted_and_the_rest_is_used(payload, reason):
    reading, dropped = read({"ts": NOW, "VEHICLE_SPEED ()": 3, **payload})
    assert reading.signals == {"OBD": 3.0}
    assert dropped == {reason: 1}


def test_a_strict_catalog_refuses_the_whole_message():
    with pytest.raises(Unusable, match="unknown-signal at 'sped'") as raised:
        read({"ts": NOW, "speed": 3, "sped": 4}, STRICT)
    assert raised.value.code == "signal-rejected"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        pytest.param(b"\xff\xfe", "payload-undecodable", id="not-text"),
        pytest.param(b'{"ts": 1', "payload-undecodable", id="cut-off"),
        pytest.param(b"[" * 100_000, "payload-undecodable", id="nested-too-deep"),
        pytest.param(b"[]", "payload-not-an-object", id="list"),
        pytest.param(b"null", "payload-not-an-object", id="null"),
        pytest.param(b"{}", "time-missing", id="no-time"),
        pytest.param(b'{"ts": "noon"}', "time-unreadable", id="time-text"),
        pytest.param(b'{"ts": true}', "time-unreadable", id="time-boolean"),
        pytest.param(b'{"ts": 1e300}', "time-unreadable", id="time-huge"),
        pytest.param(b'{"ts": -1e300}', "time-unreadable", id="time-hugely-negative"),
        pytest.param(f'{{"ts": {NOW + 300_001}}}'.encode(), "time-in-the-future", id="ahead"),
        pytest.param(f'{{"ts": {NOW - 30 * 86_400_000 - 1}}}'.encode(), "time-too-old", id="old"),
        pytest.param(b" " * (MAX_PAYLOAD_BYTES + 1), "payload-too-large", id="too-large"),
    ],
)
def test_what_spoils_the_whole_message_has_a_code(payload, code):
    with pytest.raises(Unusable) as raised:
        Reader(SHAPE).read(payload, NOW, decode_json)
    assert raised.value.code == code
    assert len(str(raised.value)) < 300


def test_a_clock_a_little_ahead_is_set_to_the_arrival_and_counted():
    assert read({"ts": NOW + 2000})[0].instant == NOW + 2000
    reading, dropped = read({"ts": NOW + 2001})
    assert reading.instant == NOW
    assert dropped == {"time-ahead": 1}


@pytest.mark.parametrize(
    ("time_format", "value", "instant"),
    [
        pytest.param("unixSeconds", NOW // 1000, NOW, id="seconds"),
        pytest.param("unixSeconds", NOW / 1000 + 0.25, NOW + 250, id="fractions"),
        pytest.param("rfc3339", "2026-01-01T00:00:00Z", NOW, id="text"),
        pytest.param("rfc3339", "2026-01-01T02:00:00+02:00", NOW, id="zone"),
    ],
)
def test_times_come_in_three_formats(time_format, value, instant):
    assert read({"ts": value}, PayloadShape((), ("ts",), time_format))[0].instant == instant


def test_a_content_type_without_a_codec_is_named():
    assert codec_of(None) is codec_of("application/JSON; charset=utf-8") is codec_of("application/x+json")
    with pytest.raises(Unusable, match="application/cbor") as raised:
        codec_of("application/cbor")
    assert raised.value.code == "content-type-unknown"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["ts", "seq", "speed", "body", "doors", "pos", "lat", "x"]), below)
    ),
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_payload_does_more_than_be_unusable(payload):
    try:
        reading = Reader(SHAPE).read(payload, NOW, decode_json)
    except Unusable:
        return
    assert NOW - 31 * 86_400_000 < reading.instant <= NOW + 2000
