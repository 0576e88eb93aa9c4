"""An offset is committed behind the last record before which all are done."""

from hypothesis import given
from hypothesis import strategies as st

from bridges.offsets import Progress


@given(st.lists(st.integers(1, 3), max_size=30), st.randoms())
def test_nothing_unfinished_is_ever_committed_and_all_is_in_the_end(gaps: list[int], random: object) -> None:
    progress, offset, marks = Progress(), 0, []
    for gap in gaps:  # the markers of transactions leave gaps
        offset += gap
        marks.append(progress.begin(offset))
    order = list(marks)
    random.shuffle(order)  # type: ignore[attr-defined]
    committed = 0
    for mark in order:
        mark.done = True
        position = progress.to_commit()
        if position is not None and position != committed:
            assert position > committed
            assert all(other.done for other in marks if other.offset < position)
            progress.committed(position)
            committed = position
    if marks:
        assert committed == marks[-1].offset + 1
    assert len(progress) == progress.unfinished == 0
    assert progress.to_commit() is None


def test_the_marker_behind_the_last_record_is_committed_too() -> None:
    progress = Progress()
    mark = progress.begin(5)
    progress.reached(7)
    assert progress.to_commit() == 5
    progress.committed(5)
    assert progress.to_commit() is None
    mark.done = True
    assert progress.to_commit() == 7


def test_nothing_read_is_nothing_to_commit() -> None:
    assert Progress().to_commit() is None


def test_what_is_done_but_not_committed_still_counts_as_read() -> None:
    progress = Progress()
    first, second = progress.begin(1), progress.begin(2)
    second.done = True
    assert (len(progress), progress.unfinished) == (2, 1)
    first.done = True
    assert (len(progress), progress.unfinished) == (2, 0)
    progress.committed(3)
    assert len(progress) == 0
