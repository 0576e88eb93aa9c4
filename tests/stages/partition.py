"""One partition of a stage without Kafka: its log, its changelog, and workers that die between batches.

What a dead worker had not committed is lost with it, outputs included; the next one reads on from the last
checkpoint, as the runtime does it.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from hypothesis import strategies as st

from pipeline.runtime.stage import Logic, Output


class Record(NamedTuple):
    """A consumed record. `topic` is the logical name."""

    topic: str
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 0


class After(Enum):
    """What comes after a batch."""

    NOTHING = "nothing"
    CHECKPOINT = "checkpoint"
    DEATH = "death"


Step = tuple[int, After]
"""The size of a batch, and what comes after it."""

steps = st.lists(st.tuples(st.integers(1, 9), st.sampled_from(After)), max_size=40)


class Result(NamedTuple):
    """What a partition has committed: its outputs, its state, its clock."""

    outputs: list[Output]
    state: dict[bytes, bytes]
    clock: bytes | None


def run(new_logic: Callable[[], Logic], records: Sequence[Record], plan: Iterable[Step] = ()) -> Result:
    """Process all records: first in batches as `plan` says, then the rest at once."""
    committed = Result([], {}, None)
    logic, pending = _taken_over(new_logic, committed), []
    position = position_committed = 0
    batches = iter(plan)
    while position_committed < len(records):
        size, after = next(batches, (len(records), After.CHECKPOINT))
        batch = records[position : position + size]
        for topic, of_topic in groupby(batch, attrgetter("topic")):
            logic.process(topic, list(of_topic), pending)
        position += len(batch)
        match after:
            case After.CHECKPOINT:
                committed = _checkpoint(logic, committed, pending)
                pending, position_committed = [], position
            case After.DEATH:
                logic, pending, position = _taken_over(new_logic, committed), [], position_committed
            case After.NOTHING:
                pass
    return committed


def _taken_over(new_logic: Callable[[], Logic], committed: Result) -> Logic:
    logic = new_logic()
    for key, value in committed.state.items():
        logic.restore(key, value)
    logic.restored(committed.clock)
    return logic


def _checkpoint(logic: Logic, before: Result, pending: Sequence[Output]) -> Result:
    state = dict(before.state)
    for key, value in logic.changes():
        if value is None:
            state.pop(key, None)
        else:
            state[key] = value
    return Result([*before.outputs, *pending], state, logic.clock())


def headers_of(output: Output) -> dict[str, str]:
    return {name: value.decode() for name, value in output.headers}
