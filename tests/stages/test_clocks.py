"""Time is in the log: what moves a partition's clocks, and which vehicles are due."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.clocks import Clocks
from pipeline.stages.deadlines import Deadlines


def test_ticks_move_the_live_clock_and_records_do_not():
    clocks = Clocks()
    assert not clocks.tick(10_000)
    clocks.hear(60_000)
    assert clocks.live == 0
    assert clocks.tick(11_000)
    assert (clocks.live, clocks.received) == (1000, 60_000)


def test_an_outage_of_the_uplink_counts_as_one_second():
    clocks = Clocks()
    for second in (10, 11, 12, 3612, 3613):
        clocks.tick(second * 1000)
    assert clocks.live == 2000 + 1000 + 1000


def test_two_uplinks_ticking_make_time_no_faster():
    clocks = Clocks()
    for instant in (10_000, 10_400, 11_000, 11_390, 11_380, 12_000):
        clocks.tick(instant)
    assert clocks.live == 2000


def test_clocks_of_before_rules_had_revisions_are_read():
    assert Clocks.unpack(struct.pack(">Bqqq", 1, 5, 6, 7)) == Clocks(5, 6, 7, 0)


def test_clocks_survive_packing_and_an_unknown_format_is_refused():
    clocks = Clocks(5, 6, 7, 8)
    assert Clocks.unpack(clocks.pack()) == clocks
    with pytest.raises(ValueError, match="format 03"):
        Clocks.unpack(b"\x03" + clocks.pack()[1:])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 50), st.integers(0, 3))))
def test_deadlines_equal_a_scan_of_all_vehicles(steps):
    deadlines, now, live = Deadlines(), {}, 0
    for vehicle, deadline, passed in steps:
        now[vehicle] = deadline
        deadlines.arm(vehicle, deadline)
        live += passed
        expected = sorted((due, name) for name, due in now.items() if due is not None and due < live)
        taken = deadlines.passed(live, now.get)
        assert taken == [name for _, name in expected]
        for name in taken:
            now[name] = live + 2
            deadlines.arm(name, now[name])
