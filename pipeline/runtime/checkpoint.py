"""A checkpoint is one transaction: outputs, changed state, the marker, and the group's offsets.

Everything is packed before the transaction begins, so that what Kafka would refuse is found while nothing is
open. What the metrics say is counted after the commit, so that they agree with the topics.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from aiokafka import TopicPartition

from pipeline.runtime.dead_letters import TOPIC as DEAD_LETTERS
from pipeline.runtime.pacing import Pending
from pipeline.runtime.session import Session
from pipeline.runtime.stage import Output
from pipeline.runtime.transactions import Packed

_YIELD_EVERY = 1_000


async def commit_session(session: Session) -> None:
    """Commit what the session owes. After an exception the session is of no more use."""
    shared = session.shared
    began = shared.clock()
    session.gather()
    packed = Packed(shared.limit)
    written = await _pack_outputs(session, session.out, packed)
    dead = Counter(_code(output) for output in session.out if output.topic == DEAD_LETTERS)
    session.add_changes(packed, session.changes)
    session.add_marker(packed)
    changelog = TopicPartition(shared.changelog, session.partition)
    try:
        end = await session.producer.commit(packed, session.offsets(), shared.group_id, changelog)
    except BaseException:
        shared.metrics.transactions.labels("failed").inc()
        raise
    metrics = shared.metrics
    metrics.transactions.labels("committed").inc()
    metrics.checkpoint.observe(shared.clock() - began)
    metrics.batches.inc(session.batches)
    for took in session.runs_s:
        metrics.processing.observe(took)
    metrics.state_records.inc(len(session.changes))
    for counter, counts in (
        (metrics.records, session.processed),
        (metrics.outputs, written),
        (metrics.dead_letters, dead),
    ):
        for label, count in counts.items():
            counter.labels(label).inc(count)
    session.changelog_position = end
    session.pending = Pending()
    session.out.clear()
    session.changes.clear()
    session.processed.clear()
    session.runs_s.clear()
    session.batches = 0


async def _pack_outputs(session: Session, outputs: Sequence[Output], packed: Packed) -> Counter[str]:
    """Pack them, and count them by topic."""
    shared = session.shared
    written: Counter[str] = Counter()
    own = {
        topic: (shared.name(topic), session.partition)
        for topic, count in shared.partitions.items()
        if count == shared.count
    }
    for start in range(0, len(outputs), _YIELD_EVERY):
        chunk = outputs[start : start + _YIELD_EVERY]
        for output in chunk:
            topic, key, value, headers, timestamp, partition = output
            target = own.get(topic) if partition is None else None
            packed.add(target or await session.target(output), key, value, headers, timestamp)
        written.update(output.topic for output in chunk)
        await asyncio.sleep(0)
    return written


def _code(dead_letter: Output) -> str:
    """The code of a dead letter, which is bounded."""
    for name, content in dead_letter.headers:
        if name == "code":
            return content.decode(errors="replace")
    return "none"
