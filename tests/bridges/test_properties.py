"""Properties survive the way to bytes and back, and no bytes are too odd to be read or named."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridges.properties import (
    MalformedProperties,
    MessageProperties,
    decode_properties,
    encode_length,
    encode_properties,
    read_length,
)

texts = st.text(max_size=30).filter(lambda text: "\0" not in text)
blocks = st.binary(max_size=30)


@given(
    st.builds(
        MessageProperties,
        content_type=st.none() | blocks,
        user=st.lists(st.tuples(texts, blocks), max_size=4).map(tuple),
        expiry_s=st.none() | st.integers(0, 0xFFFFFFFF),
        response_topic=st.none() | blocks,
        correlation=st.none() | blocks,
    )
)
def test_what_is_written_is_read(properties: MessageProperties) -> None:
    data = encode_properties(properties)
    length, start = read_length(data, 0)
    assert len(data) == start + length
    assert decode_properties(data[start:]) == properties


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_named_malformed(data: bytes) -> None:
    with contextlib.suppress(MalformedProperties):
        decode_properties(data)


@given(st.integers(0, 268_435_455))
def test_lengths_survive(value: int) -> None:
    assert read_length(encode_length(value), 0) == (value, len(encode_length(value)))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x01"])
def test_a_length_that_does_not_end_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedProperties, match="does not end"):
        read_length(data, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"\x02\x00\x00", "message expiry is cut off", id="expiry"),
        pytest.param(b"\x01", "last property is cut off", id="payload-format"),
        pytest.param(b"\x08\x00\x05abc", "value is cut off", id="text"),
        pytest.param(b"\x26\x00\x01a\x00", "value is cut off", id="user-property"),
        pytest.param(b"\x26\x00\x01\xff\x00\x00", "not UTF-8", id="name"),
        pytest.param(b"\x11\x00\x00\x00\x00", "no property 0x11", id="of-another-packet"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedProperties, match=reason):
        decode_properties(data)


def test_properties_that_nobody_keeps_are_passed_over() -> None:
    assert decode_properties(b"\x01\x01\x0b\x80\x01\x23\x00\x07\x03\x00\x01j").content_type == b"j"


def test_a_text_too_long_for_mqtt_is_refused() -> None:
    with pytest.raises(MalformedProperties, match="65536 bytes"):
        encode_properties(MessageProperties(correlation=b"x" * 65_536))
