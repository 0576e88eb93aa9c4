"""The memory of a vehicle's last messages, held against a plain list."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.stages.duplicates import CHUNK_MARKS, MESSAGES, MOST_MESSAGES, TIME_MS, Memory, mark


def test_the_same_sequence_at_the_same_time_is_a_duplicate_and_a_reboot_is_not():
    memory = Memory()
    assert not memory.seen(mark(1000, 7, b"x"), 0)
    assert memory.seen(mark(1000, 7, b"other bytes, as a re-encoding would give"), 0)
    assert not memory.seen(mark(2000, 7, b"x"), 0)


def test_without_a_sequence_the_content_tells():
    memory = Memory()
    assert not memory.seen(mark(1000, None, b"a"), 0)
    assert not memory.seen(mark(1000, None, b"b"), 0)
    assert memory.seen(mark(1000, None, b"a"), 0)


def replay(memory, log):
    for place, chunk in memory.changes():
        if chunk is None:
            log.pop(place, None)
        else:
            log[place] = chunk


messages = st.tuples(st.integers(0, 500), st.integers(0, 3), st.sampled_from((0, 1, 1000, TIME_MS // 40)))


@given(st.lists(messages, max_size=1500), st.sets(st.integers(0, 1500)), st.sets(st.integers(0, 1500)))
def test_no_message_of_the_last_ones_is_taken_twice_and_none_is_called_a_duplicate_that_is_new(
    sent, checkpoints, restarts
):
    memory, log, accepted, now = Memory(), {}, [], 0
    for number, (instant, sequence, passed) in enumerate(sent):
        if number in checkpoints | restarts:
            replay(memory, log)
        if number in restarts:
            memory = Memory.of(dict(log))
        now += passed
        message = mark(instant, sequence, b"")
        known = {each for each, _ in accepted}
        kept = {each for each, _ in accepted[-MESSAGES:]} | {
            each for each, at in accepted if at >= now - TIME_MS
        }
        found = memory.seen(message, now)
        assert found or message not in kept
        assert not found or message in known
        if not found:
            accepted.append((message, now))


def test_a_flood_is_bounded_and_an_old_memory_shrinks():
    memory, log = Memory(), {}
    for number in range(2 * MOST_MESSAGES):
        assert not memory.seen(mark(number, number, b""), 0)
    replay(memory, log)
    assert len(log) == MOST_MESSAGES // CHUNK_MARKS
    assert memory.seen(mark(MOST_MESSAGES + CHUNK_MARKS, MOST_MESSAGES + CHUNK_MARKS, b""), 0)
    for number in range(2 * MOST_MESSAGES, 2 * MOST_MESSAGES + 2 * CHUNK_MARKS):
        memory.seen(mark(number, number, b""), TIME_MS + 1)
    replay(memory, log)
    assert len(log) == MESSAGES // CHUNK_MARKS + 1


def test_a_checkpoint_writes_one_small_chunk_for_one_message():
    memory = Memory()
    for number in range(1000):
        memory.seen(mark(number, number, b""), 0)
    memory.changes()
    memory.seen(mark(1000, 1000, b""), 0)
    ((_, chunk),) = memory.changes()
    assert chunk is not None
    assert len(chunk) <= 16 + 16 * 8
