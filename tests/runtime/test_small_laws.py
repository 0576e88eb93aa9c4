"""The pure parts: chain rule, pacing, suspicion, sharing out, formats, fail points, logs."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.runtime import Marker, dead_letter, read_record
from pipeline.runtime.assignor import Held, share_out
from pipeline.runtime.batches import Batch, Verdict, judge
from pipeline.runtime.changelog import marker_record, state_record
from pipeline.runtime.failpoints import Failpoints
from pipeline.runtime.failures import TooLarge
from pipeline.runtime.pacing import Budget, Commit, Pace, Pending, Turns, due_at
from pipeline.runtime.suspicion import Suspicion
from pipeline.runtime.transactions import Packed
from tests.runtime.fake_kafka import FakeRecord

# -- chain rule --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "seek", "verdict"),
    [
        pytest.param(10, 2, Verdict.ACCEPT, id="where-it-stands"),
        pytest.param(12, 2, Verdict.GAP, id="beyond"),
        pytest.param(8, 2, Verdict.GAP, id="before"),
        pytest.param(10, 1, Verdict.STALE, id="from-before-the-seek-though-it-fits"),
        pytest.param(12, 1, Verdict.STALE, id="on-its-way-when-the-position-was-set"),
    ],
)
def test_only_the_batch_that_starts_where_the_processor_stands_is_taken(
    start: int, seek: int, verdict: Verdict
) -> None:
    assert judge(10, 2, Batch("t", 0, start, 20, seek, 1, 20, ())) is verdict


# -- pacing ------------------------------------------------------------------------------------------------

PACE = Pace(spacing_s=0.004, busy_s=0.1, lazy_s=0.5, most_records=100)


@pytest.mark.parametrize(
    ("pending", "last", "backlog", "due"),
    [
        pytest.param(Pending(), Commit(), False, None, id="nothing"),
        pytest.param(Pending(1, 5.0, 5.0), Commit(0.0, 0.001), False, 5.0, id="outputs-at-once"),
        pytest.param(Pending(1, 5.0, 5.0), Commit(4.998, 0.001), False, 5.002, id="outputs-not-too-often"),
        pytest.param(Pending(1, 5.0, 5.0), Commit(4.9, 0.001), True, 5.1, id="outputs-gather-under-load"),
        pytest.param(
            Pending(1, 5.0, 5.0),
            Commit(4.998, 0.01),
            False,
            5.018,
            id="twice-what-the-last-took",
        ),
        pytest.param(
            Pending(1, 5.0, 5.0),
            Commit(4.998, 3.0),
            False,
            5.098,
            id="no-longer-than-under-load",
        ),
        pytest.param(Pending(1, None, 5.0), Commit(0.0, 0.001), False, 5.5, id="state-alone-is-lazy"),
        pytest.param(Pending(1, 5.3, 5.0), Commit(0.0, 0.001), False, 5.3, id="state-goes-with-outputs"),
        pytest.param(Pending(100, None, 5.0), Commit(4.9, 0.001), True, 5.0, id="never-too-many-records"),
    ],
)
def test_a_commit_is_due_when_it_buys_something(
    pending: Pending, last: Commit, backlog: bool, due: float | None
) -> None:
    assert due_at(PACE, pending, last, backlog) == (None if due is None else pytest.approx(due))


@given(st.lists(st.floats(0, 0.05), min_size=1, max_size=400))
def test_no_second_has_more_transactions_than_the_budget(gaps: list[float]) -> None:
    budget, now, slots = Budget(per_second=50, burst=5), 0.0, []
    for gap in gaps:
        now += gap
        slots.append(now + budget.delay(now))
    for slot in slots:
        assert sum(slot <= other < slot + 1.0 for other in slots) <= 50 + 5 + 1


def test_whoever_waits_for_its_turn_is_told_and_who_must_commit_waits_for_none() -> None:
    turns, told = Turns(), []
    for partition in range(4):
        turns.join(partition)
    with contextlib.ExitStack() as inside:
        for partition in (0, 1):
            assert turns.is_free(partition, lambda: None)
            inside.enter_context(turns.taken(partition))
        assert not turns.is_free(2, lambda: told.append(2))
        assert not turns.is_free(3, lambda: told.append(3))
        turns.leave(3)
        assert told == [2]  # half of three is no more than of four: it asks, and waits again
        assert not turns.is_free(2, lambda: told.append(2))
        with turns.taken(2):
            pass
        assert told == [2]
    assert turns.is_free(2, lambda: None)


def test_a_partition_that_is_alone_has_its_turn() -> None:
    turns = Turns()
    assert turns.is_free(0, lambda: None)
    turns.join(0)
    assert turns.is_free(0, lambda: None)


# -- suspicion ---------------------------------------------------------------------------------------------


def test_suspicion_stays_until_the_commit_has_passed_the_place() -> None:
    suspicion = Suspicion()
    for _ in range(3):
        assert not suspicion.careful
        suspicion.failed({"t": 100})
    assert suspicion.careful
    suspicion.passed({"t": 60})
    assert suspicion.careful
    suspicion.blame("t", 70, "code", "reason")
    suspicion.passed({"t": 70})
    assert ("t", 70) in suspicion.poison
    suspicion.passed({"t": 100})
    assert not suspicion.poison
    assert not suspicion.careful


# -- sharing out -------------------------------------------------------------------------------------------

members = st.dictionaries(
    st.text("abcd", min_size=1, max_size=3),
    st.builds(Held, st.integers(-1, 5), st.lists(st.integers(-1, 20), max_size=12).map(tuple)),
    min_size=1,
    max_size=6,
)


@given(st.integers(0, 16), members)
def test_every_partition_has_one_owner_and_the_load_is_even(partitions: int, held: dict[str, Held]) -> None:
    shares = share_out(partitions, held)
    assert sorted(partition for share in shares.values() for partition in share) == list(range(partitions))
    counts = [len(share) for share in shares.values()]
    assert max(counts) - min(counts) <= 1


@given(st.integers(1, 32), st.integers(1, 6), st.integers(0, 5))
def test_a_worker_that_joins_or_leaves_moves_no_more_than_it_must(
    partitions: int, count: int, gone: int
) -> None:
    names = [f"w{index}" for index in range(count)]
    before = share_out(partitions, dict.fromkeys(names, Held()))
    held = {name: Held(1, tuple(share)) for name, share in before.items()}
    assert share_out(partitions, held) == before
    joined = share_out(partitions, {**held, "new": Held()})
    assert all(set(joined[name]) <= set(before[name]) for name in names)
    if count > 1:
        left = {name: held[name] for name in names if name != names[gone % count]}
        after = share_out(partitions, left)
        assert all(set(before[name]) <= set(after[name]) for name in left)


@pytest.mark.parametrize(("older", "later"), [("a", "b"), ("b", "a")])
def test_of_two_that_claim_a_partition_the_later_generation_has_it(older: str, later: str) -> None:
    shares = share_out(4, {older: Held(3, (0, 1)), later: Held(4, (0, 1))})
    assert shares == {older: [2, 3], later: [0, 1]}


# -- formats -----------------------------------------------------------------------------------------------


@given(st.binary(), st.none() | st.binary())
def test_a_state_record_is_read_as_it_was_written(key: bytes, value: bytes | None) -> None:
    assert read_record(*state_record(key, value)) == (key, value)


@given(st.dictionaries(st.text(), st.integers(0, 2**62)), st.binary())
def test_a_marker_is_read_as_it_was_written(positions: dict[str, int], clock: bytes) -> None:
    marker = Marker(positions, dict.fromkeys(positions, "id"), clock)
    assert read_record(*marker_record(marker)) == marker


@given(st.integers(0, 3_000_000), st.integers(0, 100), st.integers(0, 60_000))
def test_a_dead_letter_always_fits_its_topic(size: int, headers: int, header_size: int) -> None:
    record = FakeRecord(
        "t", 1, 2, 3, b"key", b"x" * size, tuple(("h", b"y" * header_size) for _ in range(headers))
    )
    letter = dead_letter(record, "stage", "code", "reason" * 200, most_bytes=1_048_588)
    packed = Packed(lambda _: 1_048_588)
    packed.add(("dead", 1), letter.key, letter.value, letter.headers, letter.timestamp)
    assert packed.records == 1


def test_records_are_packed_into_batches_that_the_topic_takes() -> None:
    packed = Packed(lambda topic: 10_000)
    for index in range(50):
        packed.add(("t", 0), b"k", b"x" * 900, (), index)
    assert packed.records == sum(batch.record_count() for _, batch in packed.batches) == 50
    assert all(batch.size() <= 10_000 for _, batch in packed.batches)
    with pytest.raises(TooLarge, match="10000"):
        packed.add(("t", 0), b"k", b"x" * 10_001)


# -- fail points and logs ----------------------------------------------------------------------------------


def test_fail_points_count_and_are_dead_outside_tests() -> None:
    armed = Failpoints({"TELLTALE_TESTING": "1", "TELLTALE_FAILPOINTS": "produced:3,begin"})
    assert [armed.due("produced") for _ in range(4)] == [False, False, True, False]
    assert armed.due("begin")
    assert not armed.due("committed")
    assert not Failpoints({"TELLTALE_FAILPOINTS": "begin"}).due("begin")
    with pytest.raises(ValueError, match="none of begin"):
        Failpoints({"TELLTALE_TESTING": "1", "TELLTALE_FAILPOINTS": "nowhere"})
