"""A Kafka that behaves: offsets with markers and aborted records in them, fencing, groups that move on.

And a Faust that misbehaves as the real one does: it skips batches, repeats them, and cuts them anywhere.
"""

import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition
from aiokafka.record.memory_records import MemoryRecords

from pipeline.runtime.batches import Batch
from pipeline.runtime.failures import Fenced, OutcomeUnknown
from pipeline.runtime.transactions import OFFSET_METADATA, Packed
from pipeline.runtime.worker import Worker


@dataclass(frozen=True, slots=True)
class FakeRecord:
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass
class FakeKafka:
    """Logs of committed records; None is an offset that holds no record for a reader."""

    logs: dict[tuple[str, int], list[FakeRecord | None]] = field(default_factory=dict)
    firsts: dict[tuple[str, int], int] = field(default_factory=dict)
    offsets: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What the coming commits do: ok, before (nothing was written), after (all was), aborted."""
    commits: int = 0
    hanging: set[tuple[str, int]] = field(default_factory=set)
    """Where a transaction of an earlier owner was forgotten without a marker."""
    producers: list["FakeProducer"] = field(default_factory=list)

    def log(self, topic: str, partition: int) -> list[FakeRecord | None]:
        return self.logs.setdefault((topic, partition), [])

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, *, timestamp: int = 1
    ) -> None:
        log = self.log(topic, partition)
        log.append(FakeRecord(topic, partition, len(log), timestamp, key, value))

    def append_nothing(self, topic: str, partition: int) -> None:
        self.log(topic, partition).append(None)

    def records(self, topic: str, partition: int) -> list[FakeRecord]:
        return [record for record in self.log(topic, partition) if record is not None]

    def span(self, topic: str, partition: int) -> tuple[int, int]:
        return self.firsts.get((topic, partition), 0), len(self.log(topic, partition))


class FakeLog:
    """What the runtime reads beside its inputs."""

    def __init__(self, kafka: FakeKafka) -> None:
        self._kafka = kafka
        self.read = 0

    async def span(self, topics: Sequence[str], partition: int) -> dict[str, tuple[int, int]]:
        return {topic: self._kafka.span(topic, partition) for topic in topics}

    async def held_back(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        return [tp for tp in partitions if (tp.topic, tp.partition) in self._kafka.hanging]

    async def committed(self, topics: Sequence[str], partition: int) -> dict[str, tuple[int, str]]:
        return {
            topic: found
            for topic in topics
            if (found := self._kafka.offsets.get((topic, partition))) is not None
        }

    async def records(
        self, topic: str, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        assert (topic, partition) not in self._kafka.hanging, "a restore that never ends"
        found = [record for record in self._kafka.log(topic, partition)[start:end] if record is not None]
        for index in range(0, len(found), 3):
            self.read += len(found[index : index + 3])
            yield found[index : index + 3]


class FakeProducer:
    """One epoch of one transactional id."""

    worn = False

    def __init__(self, kafka: FakeKafka, partition: int) -> None:
        self._kafka = kafka
        self._partition = partition
        self._epoch = kafka.epochs[partition] = kafka.epochs.get(partition, 0) + 1
        self._gone = False
        kafka.producers.append(self)

    @property
    def gone(self) -> bool:
        return self._gone

    async def partitions(self, topic: str) -> int:
        return 4

    async def commit(
        self, packed: Packed, offsets: Mapping[TopicPartition, int], group: str, changelog: TopicPartition
    ) -> int | None:
        assert not self._gone, "a producer that was given up is used"
        if self._kafka.epochs[self._partition] != self._epoch:
            raise Fenced("fenced")
        fault = self._kafka.faults.pop(0) if self._kafka.faults else "ok"
        if fault == "before":
            raise OutcomeUnknown("lost on the way there")
        touched = {(tp.topic, tp.partition) for tp, _ in packed.batches}
        assert not touched & self._kafka.hanging, "the commit's marker commits what hung"
        end = None
        for tp, batch in packed.batches:
            log = self._kafka.log(tp.topic, tp.partition)
            for record in _records(batch):
                made = FakeRecord(
                    tp.topic,
                    tp.partition,
                    len(log),
                    record.timestamp,
                    record.key,
                    record.value,
                    record.headers,
                )
                log.append(None if fault == "aborted" else made)
            if tp == changelog:
                end = len(log)
        for topic, partition in {(tp.topic, tp.partition) for tp, _ in packed.batches}:
            self._kafka.append_nothing(topic, partition)
        if fault == "aborted":
            raise OutcomeUnknown("aborted")
        for tp, offset in offsets.items():
            self._kafka.offsets[tp.topic, tp.partition] = (offset, OFFSET_METADATA)
        self._kafka.commits += 1
        if fault == "after":
            raise OutcomeUnknown("the answer was lost")
        return end

    async def abort_in(self, partitions: Sequence[TopicPartition]) -> None:
        for tp in partitions:
            self._kafka.append_nothing(tp.topic, tp.partition)
            self._kafka.append_nothing(tp.topic, tp.partition)
            self._kafka.hanging.discard((tp.topic, tp.partition))

    async def close(self) -> None:
        self._gone = True

    def abandon(self) -> None:
        self._gone = True


def _records(batch: Any) -> list[Any]:
    found = []
    records = MemoryRecords(bytes(batch._build()))
    while records.has_next():
        found.extend(
            FakeRecord(
                "", 0, record.offset, record.timestamp, record.key, record.value, tuple(record.headers)
            )
            for record in records.next_batch()
        )
    return found


class FakeGroup:
    """One member's consumer. `pump` delivers what is open, the way `dice` fall."""

    def __init__(self, kafka: FakeKafka, dice: random.Random, *, honest: bool = False) -> None:
        self._kafka = kafka
        self._dice = dice
        self.honest = honest
        self.generation = 0
        self.confirmed = True
        self.rejoins = 0
        self._positions: dict[tuple[str, int], int] = {}
        self._seeks: dict[tuple[str, int], int] = {}
        self._open: set[tuple[str, int]] = set()
        self._assigned: set[tuple[str, int]] = set()
        self._held: list[Batch] = []

    def give(self, tps: Sequence[TopicPartition], generation: int) -> None:
        """A new assignment: the consumer begins where the group committed."""
        self.generation = generation
        self._assigned = {(tp.topic, tp.partition) for tp in tps}
        self._open.clear()
        for key in self._assigned:
            self._positions[key] = self._kafka.offsets.get(key, (0, ""))[0]

    def open_partition(self, topic: str, partition: int) -> None:
        self._open.add((topic, partition))

    def close_partition(self, topic: str, partition: int) -> None:
        self._open.discard((topic, partition))

    async def position(self, topic: str, partition: int, offset: int) -> int | None:
        if (topic, partition) not in self._assigned:
            return None
        self._positions[topic, partition] = offset
        self._seeks[topic, partition] = self._seeks.get((topic, partition), 0) + 1
        return self._seeks[topic, partition]

    async def where(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        if (topic, partition) not in self._assigned:
            return None
        key = (topic, partition)
        return self._positions[key], self._seeks.get(key, 0), len(self._kafka.log(topic, partition))

    async def confirm(self, generation: int) -> str | None:
        return None if self.confirmed and generation == self.generation else "UnknownMemberId"

    async def rejoin(self) -> None:
        self.rejoins += 1

    def reached(self) -> bool:
        return True

    def pump(self, worker: Worker) -> None:
        """Fetch once from everything that is open."""
        for key in sorted(self._open & self._assigned):
            first, end = self._kafka.span(*key)
            start = self._positions[key]
            if start < first:
                start = self._positions[key] = first
            stop = min(end, start + self._dice.randint(1, 7))
            if stop <= start:
                continue
            self._positions[key] = stop
            records = [record for record in self._kafka.log(*key)[start:stop] if record is not None]
            batch = Batch(*key, start, stop, self._seeks.get(key, 0), self.generation, end, records)
            fate = 1.0 if self.honest else self._dice.random()
            if fate < 0.1:
                continue  # Faust skipped it
            if fate < 0.2:
                self._held.append(batch)  # it comes later, when it no longer fits
                continue
            worker.deliver(batch)
            if fate < 0.3:
                worker.deliver(batch)
            if self._held and fate < 0.6:
                worker.deliver(self._held.pop())
