"""A batch says where the consumer stood before and after it; whoever stands elsewhere does not take it.

Faust has been seen to skip records in a rebalance, and a seek races with batches on their way. The chain
rule makes both harmless: `judge` accepts the batch that starts where the processor stands and no other.
Positions are the consumer's, not the records': transaction markers and compacted records take offsets too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pipeline.runtime.stage import Record


@dataclass(frozen=True, slots=True)
class Batch:
    """All records that one fetch brought for one partition. There may be none between `start` and `end`."""

    topic: str
    partition: int
    start: int
    end: int
    seek: int
    """How often the partition had been positioned when this was fetched."""
    generation: int
    """The group's generation in which this was fetched."""
    last: int
    """End of the committed log when this was fetched, for the lag."""
    records: Sequence[Record]


class Verdict(Enum):
    """What to do with a batch."""

    ACCEPT = "accept"
    STALE = "stale"
    """Fetched before the position was set: the right one is on its way."""
    GAP = "gap"
    """Fetched after, yet it starts elsewhere: go back to where the processor stands."""


def judge(standing: int, seek: int, batch: Batch) -> Verdict:
    """Whether a processor that stands at `standing`, set by the `seek`-th positioning, takes the batch."""
    if batch.seek < seek:
        return Verdict.STALE
    return Verdict.ACCEPT if batch.start == standing else Verdict.GAP
