"""What a partition has in its hands from take-over to release: logic, producer, positions, and what is owed.

It is all or nothing: after any failure the whole session is thrown away. What is owed (outputs, changes) is
what the logic did since the last commit, and `positions` say which records that was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from pipeline.process.partitioning import partition_of
from pipeline.runtime.changelog import Marker, marker_record, state_record
from pipeline.runtime.dead_letters import TOPIC as DEAD_LETTERS
from pipeline.runtime.dead_letters import dead_letter
from pipeline.runtime.failures import LogicFailed, RulesChanged
from pipeline.runtime.pacing import Pending
from pipeline.runtime.shared import Producer, Shared
from pipeline.runtime.stage import Logic, Output, Record
from pipeline.runtime.suspicion import Poison
from pipeline.runtime.transactions import Packed

_KNOWN_KEYS = 1_000_000


@dataclass(slots=True)
class Parked:
    """State in memory that was that of a checkpoint when its partition was given up."""

    logic: Logic
    marker: Marker
    position: int
    """Of the changelog, behind the last record that the state contains."""
    since: float
    taken: bool = False
    """In use again, or changed: of no use to anybody else."""


@dataclass(slots=True)
class Session:
    """One ownership of one partition."""

    partition: int
    shared: Shared
    producer: Producer
    logic: Logic
    positions: dict[str, int]
    """Next offset of each input, by logical name: everything before is in the logic."""
    changelog_position: int | None
    awaited: dict[str, int] = field(default_factory=dict)
    """Of the inputs that come first, those that are behind: the end that they had at take-over."""
    seeks: dict[str, int] = field(default_factory=dict)
    out: list[Output] = field(default_factory=list)
    changes: dict[bytes, bytes | None] = field(default_factory=dict)
    pending: Pending = field(default_factory=Pending)
    processed: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    runs_s: list[float] = field(default_factory=list)
    """How long the logic took for each run of records."""
    known_keys: set[bytes | None] = field(default_factory=set)

    def process(self, topic: str, records: Sequence[Record], poison: Poison) -> None:
        """Apply records of one input, those that cannot be used as dead letters. LogicFailed if it raises."""
        if poison or self.shared.stage.check_keys:
            records = self._usable(topic, records, poison)
        if not records:
            return
        try:
            self.logic.process(topic, records, self.out)
        except RulesChanged:
            raise
        except Exception as error:
            first, last = records[0].offset, records[-1].offset
            raise LogicFailed(
                f"{type(error).__name__} on {topic}[{self.partition}] {first} to {last}: {error}"
            ) from error

    def _usable(self, topic: str, records: Sequence[Record], poison: Poison) -> Sequence[Record]:
        bad: dict[int, tuple[str, str]] = {
            offset: why for (where, offset), why in poison.items() if where == topic
        }
        if self.shared.stage.check_keys:
            unknown = {record.key for record in records} - self.known_keys
            wrong = {key for key in unknown if key is not None and self._home(key) != self.partition}
            if len(self.known_keys) > _KNOWN_KEYS:
                self.known_keys.clear()
            self.known_keys |= unknown - wrong
            if wrong:
                for record in records:
                    if record.key is not None and record.key in wrong:
                        reason = f"the key belongs to partition {self._home(record.key)}"
                        bad.setdefault(record.offset, ("wrong-partition", reason))
        if not bad:
            return records
        usable = []
        limit = self.shared.limit(self.shared.name(DEAD_LETTERS))
        for record in records:
            why = bad.get(record.offset)
            if why is None:
                usable.append(record)
            else:
                self.out.append(dead_letter(record, self.shared.stage.name, *why, most_bytes=limit))
        return usable

    def _home(self, key: bytes) -> int:
        return partition_of(key, self.shared.count)

    def gather(self) -> None:
        """Ask the logic for its changes. LogicFailed if it raises."""
        try:
            for key, value in self.logic.changes():
                self.changes[key] = value
        except Exception as error:
            raise LogicFailed(f"{type(error).__name__} while it gave its changes: {error}") from error

    def marker(self) -> Marker:
        """Where the session stands."""
        ids = self.shared.topic_ids
        return Marker(
            dict(self.positions),
            {name: ids[name] for name in self.positions if name in ids},
            bytes(self.logic.clock()),
        )

    def offsets(self) -> dict[TopicPartition, int]:
        """The group's offsets."""
        return {
            TopicPartition(self.shared.inputs[name], self.partition): position
            for name, position in self.positions.items()
        }

    async def target(self, output: Output) -> tuple[str, int]:
        """Topic and partition that an output goes to."""
        name = self.shared.name(output.topic)
        if output.partition is not None:
            return name, output.partition
        count = self.shared.partitions.get(output.topic)
        if count is None:
            count = await self.producer.partitions(name)
        if count == self.shared.count and (output.topic in self.shared.partitions or output.key is None):
            return name, self.partition
        return name, partition_of(output.key, count) if output.key is not None else self.partition % count

    def add_changes(self, packed: Packed, changes: dict[bytes, bytes | None]) -> None:
        """Append state records."""
        target = (self.shared.changelog, self.partition)
        for key, value in changes.items():
            packed.add(target, *state_record(key, value))

    def add_marker(self, packed: Packed) -> None:
        """Append the marker."""
        packed.add((self.shared.changelog, self.partition), *marker_record(self.marker()))

    async def probe(self, since: int) -> None:
        """Pack what one record made, and throw it away: TooLarge tells that it was this record."""
        packed = Packed(self.shared.limit)
        for output in self.out[since:]:
            packed.add(await self.target(output), output.key, output.value, output.headers, output.timestamp)
        before, self.changes = self.changes, {}
        self.gather()
        self.add_changes(packed, self.changes)
        before.update(self.changes)
        self.changes = before
