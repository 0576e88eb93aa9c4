"""Kafka's own partitioner is the oracle, through aiokafka's copy of it."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as peer
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process import murmur2, partition_of


@given(st.binary(max_size=200))
def test_murmur2_agrees_with_kafkas_for_any_key(key: bytes) -> None:
    assert murmur2(key) == peer(bytearray(key)) & 0xFFFFFFFF


@given(st.binary(min_size=1, max_size=60), st.integers(1, 200))
def test_a_key_is_where_the_default_partitioner_puts_it(key: bytes, partitions: int) -> None:
    assert partition_of(key, partitions) == (peer(bytearray(key)) & 0x7FFFFFFF) % partitions


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        pytest.param(b"21", -973932308, id="short"),
        pytest.param(b"foobar", -790332482, id="six"),
        pytest.param(b"a-little-bit-long-string", -985981536, id="long"),
        pytest.param(b"a-little-bit-longer-string", -1486304829, id="longer"),
        pytest.param(b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971, id="longest"),
        pytest.param(b"abc", 479470107, id="odd"),
    ],
)
def test_murmur2_gives_the_values_of_kafkas_own_test(key: bytes, signed: int) -> None:
    """Source: Apache Kafka, UtilsTest.testMurmur2."""
    assert murmur2(key) == signed & 0xFFFFFFFF
