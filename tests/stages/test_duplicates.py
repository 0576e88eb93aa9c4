"""The memory of a vehicle's last messages, held against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.duplicates import MESSAGES, Memory, mark


def test_the_same_sequence_at_the_same_time_is_a_duplicate_and_a_reboot_is_not():
    memory = Memory()
    assert not memory.seen(mark(1000, 7, b"x"))
    assert memory.seen(mark(1000, 7, b"other bytes, as a re-encoding would give"))
    assert not memory.seen(mark(2000, 7, b"x"))


def test_without_a_sequence_the_content_tells():
    memory = Memory()
    assert not memory.seen(mark(1000, None, b"a"))
    assert not memory.seen(mark(1000, None, b"b"))
    assert memory.seen(mark(1000, None, b"a"))


marks = st.builds(mark, st.integers(0, 400), st.integers(0, 3), st.just(b""))


@given(st.lists(marks, max_size=1200), st.sets(st.integers(0, 1200)))
def test_memory_equals_a_list_of_the_last_messages_through_restarts(messages, restarts):
    memory, log, last = Memory(), {}, []
    for number, message in enumerate(messages):
        if number in restarts:
            log.update(memory.changes())
            memory = Memory.of(log)
        assert memory.seen(message) == (message in last)
        if message not in last:
            last = [*last, message][-MESSAGES:]


def test_a_checkpoint_writes_one_small_chunk_for_one_message():
    memory = Memory()
    for number in range(1000):
        memory.seen(mark(number, number, b""))
    memory.changes()
    memory.seen(mark(1000, 1000, b""))
    ((_, chunk),) = memory.changes()
    assert len(chunk) <= 8 + 16 * 8
