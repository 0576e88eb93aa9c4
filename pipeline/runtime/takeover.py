"""Taking a partition over: prove, fence, prove again, read to the end, stand at the marker.

    confirm(generation)     a worker that slept past its session time-out must not fence the rightful owner
    start the producer      whoever had the partition can commit no more; what it had open is aborted
    confirm(generation)     between the two proofs nobody else can have been given the partition
    end what hangs          an earlier transaction of this id that Kafka forgot without a marker is aborted
    read the changelog      to its end, committed records only; the last marker says where the inputs continue

The order is the guarantee. Group offsets are only believed where there never was a marker.

A Kafka that comes back from a kill may take a transaction's partitions for deleted topics while it still
reads its metadata, and then completes the abort without a marker in them (seen with 4.4.0). What hangs so
would hold back every reader; worse, the marker of our next commit would commit it. So it is ended first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import aclosing
from typing import Any

import structlog
from aiokafka import TopicPartition

from pipeline.runtime.changelog import Marker, read_record
from pipeline.runtime.failures import NotOurs, StateUnusable
from pipeline.runtime.session import Parked, Session
from pipeline.runtime.shared import Producer, Shared
from pipeline.runtime.stage import Logic
from pipeline.runtime.transactions import OFFSET_METADATA

log = structlog.get_logger(__name__)

_PARKED_FOR_S = 3_600.0
"""Tombstones stay in the changelog for a day: a parked state that is younger misses none of them."""
_YIELD_EVERY = 500


async def take_over(shared: Shared, partition: int, generation: int, parked: Parked | None) -> Session:
    """A session that stands where the partition's last checkpoint stood.

    Raises NotOurs, OutcomeUnknown, RestoreStuck (try again), StateUnusable (a person decides).
    """
    await _confirm(shared, generation)
    producer = await shared.start_producer(partition)
    try:
        await _confirm(shared, generation)
        await _end_what_hangs(shared, partition, producer)
        session = await _restore(shared, partition, producer, parked)
        for name, position in session.positions.items():
            await stand(session, name, position)
        return session
    except BaseException:
        producer.abandon()
        raise


async def stand(session: Session, name: str, position: int) -> None:
    """Let the consumer continue one input at `position`. NotOurs if the partition is not assigned."""
    shared = session.shared
    seek = await shared.group.position(shared.inputs[name], session.partition, position)
    if seek is None:
        raise NotOurs(f"{shared.inputs[name]}[{session.partition}] is not assigned to this worker")
    session.seeks[name] = seek
    session.positions[name] = position


async def _confirm(shared: Shared, generation: int) -> None:
    objection = await shared.group.confirm(generation)
    if objection is not None:
        raise NotOurs(f"the group does not confirm generation {generation}: {objection}")


async def _end_what_hangs(shared: Shared, partition: int, producer: Producer) -> None:
    """Abort what earlier owners left open wherever this partition writes. Of others it ends nothing."""
    own = [shared.changelog, *(shared.name(name) for name in shared.stage.outputs)]
    written = [TopicPartition(topic, partition) for topic in own]
    for name in shared.stage.elsewhere:
        topic = shared.name(name)
        count = await producer.partitions(topic)
        written += [TopicPartition(topic, number) for number in range(count)]
    held_back = await shared.log.held_back(written)
    if held_back:
        await producer.abort_in(held_back)
        log.warning(
            "A transaction was open where this partition writes; what was ours of it is aborted",
            partition=partition,
            topics=sorted({tp.topic for tp in held_back}),
        )


async def _restore(shared: Shared, partition: int, producer: Producer, parked: Parked | None) -> Session:
    inputs = [shared.inputs[name] for name in shared.stage.inputs]
    spans = await shared.log.span([shared.changelog, *inputs], partition)
    first, end = spans[shared.changelog]
    found = None
    if parked is not None and first <= parked.position <= end:
        found = await _catch_up(shared, partition, parked, end)
    logic, marker = found or await _build(shared, partition, first, end)
    where = f"{shared.changelog}[{partition}]"
    if marker is None:
        positions = await _first_positions(shared, partition, spans, where)
    else:
        positions = _positions(shared, partition, marker, spans, where)
    ends = {name: spans[shared.inputs[name]][1] for name in shared.stage.first}
    awaited = {name: end_then for name, end_then in ends.items() if positions[name] < end_then}
    return Session(partition, shared, producer, logic, positions, end, awaited)


async def _build(shared: Shared, partition: int, first: int, end: int) -> tuple[Logic, Marker | None]:
    live, marker = await _read(shared, partition, first, end)
    for key in [key for key, value in live.items() if value is None]:
        del live[key]
    if marker is None and live:
        raise StateUnusable(
            f"{shared.changelog}[{partition}] holds state without a marker: it is not a changelog of this"
            " program, or its end was cut off; restore the topic, or empty it to begin anew"
        )
    logic = shared.stage.logic(partition)
    for count, (key, value) in enumerate(live.items()):
        logic.restore(key, value or b"")
        if count % _YIELD_EVERY == _YIELD_EVERY - 1:
            await asyncio.sleep(0)
    logic.restored(marker.clock if marker else None)
    return logic, marker


async def _catch_up(shared: Shared, partition: int, parked: Parked, end: int) -> tuple[Logic, Marker] | None:
    """The parked logic, with what others wrote since; None if it cannot take that in."""
    if shared.clock() - parked.since > _PARKED_FOR_S:
        return None
    parked.taken = True
    if end <= parked.position + 1:  # the one more is the commit of the last checkpoint
        return parked.logic, parked.marker
    tail, marker = await _read(shared, partition, parked.position, end)
    if marker is None:
        return (parked.logic, parked.marker) if not tail else None
    apply: Any = getattr(parked.logic, "catch_up", None)
    if apply is None:
        return None
    for key, value in tail.items():
        apply(key, value)
    parked.logic.restored(marker.clock)
    return parked.logic, marker


async def _read(
    shared: Shared, partition: int, start: int, end: int
) -> tuple[dict[bytes, bytes | None], Marker | None]:
    """The last value of each key, and the last marker."""
    last: dict[bytes, bytes | None] = {}
    marker: Marker | None = None
    async with aclosing(shared.log.records(shared.changelog, partition, start, end)) as found:
        async for records in found:
            for chunk in _chunks(records):
                for record in chunk:
                    read = read_record(record.key, record.value)
                    if isinstance(read, Marker):
                        marker = read
                    else:
                        last[read[0]] = read[1]
                await asyncio.sleep(0)
    return last, marker


def _chunks(records: Any) -> Iterable[Any]:
    return (records[index : index + _YIELD_EVERY] for index in range(0, len(records), _YIELD_EVERY))


def _positions(
    shared: Shared, partition: int, marker: Marker, spans: dict[str, tuple[int, int]], where: str
) -> dict[str, int]:
    if set(marker.positions) != set(shared.stage.inputs):
        raise StateUnusable(
            f"{where} was written with the inputs {', '.join(sorted(marker.positions))}, the stage has"
            f" {', '.join(sorted(shared.stage.inputs))}: a stage's inputs are fixed from its first version"
        )
    positions = {}
    for name, position in marker.positions.items():
        topic = f"{shared.inputs[name]}[{partition}]"
        then, now = marker.topics.get(name), shared.topic_ids.get(name)
        if then is not None and now is not None and then != now:
            raise StateUnusable(
                f"{topic} is not the topic that {where} was written for (its id was {then}, is {now}): it was"
                " deleted and created anew; delete the changelog too, or use a new prefix"
            )
        first, end = spans[shared.inputs[name]]
        if position > end:
            raise beyond_end(topic, position, end)
        positions[name] = skip_lost(shared, partition, name, position, first)
    return positions


def beyond_end(topic: str, position: int, end: int) -> StateUnusable:
    """The log is shorter than what was read of it."""
    return StateUnusable(
        f"{topic} was read to {position}, yet ends at {end}: it was deleted and created anew, or Kafka lost"
        " records; restore it, or use a new prefix"
    )


def skip_lost(shared: Shared, partition: int, name: str, position: int, first: int) -> int:
    """Where to continue: at the log's first offset, loudly, if retention deleted what was not read."""
    if position >= first:
        return position
    shared.metrics.records_lost.inc(first - position)
    log.error(
        "Records were deleted before they were read: the topic's retention is too short",
        topic=shared.inputs[name],
        partition=partition,
        records_lost=first - position,
        position=position,
        first=first,
    )
    return first


async def _first_positions(
    shared: Shared, partition: int, spans: dict[str, tuple[int, int]], where: str
) -> dict[str, int]:
    committed = await shared.log.committed(list(shared.inputs.values()), partition)
    positions = {}
    for name, topic in shared.inputs.items():
        first, end = spans[topic]
        offset, metadata = committed.get(topic, (first, ""))
        if metadata == OFFSET_METADATA and offset > first:
            raise StateUnusable(
                f"{where} is empty, yet group {shared.group_id} has read {topic}[{partition}] to {offset}:"
                " the state was deleted; restore the topic, or delete the group's offsets to begin anew"
            )
        positions[name] = min(max(offset, first), end)
    return positions
