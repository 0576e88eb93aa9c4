"""What all partitions of a worker use, behind the narrowest faces that do: a fake Kafka has the same ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiokafka import TopicPartition

from pipeline.process.names import changelog_topic, topic_name
from pipeline.runtime.metrics import StageMetrics
from pipeline.runtime.pacing import Budget, Pace, Turns
from pipeline.runtime.stage import Stage
from pipeline.runtime.transactions import Packed


class Group(Protocol):
    """The consumer: where it fetches, and whether the group still counts this worker in."""

    def open_partition(self, topic: str, partition: int) -> None:
        """Fetch from the partition, from where it was last positioned."""

    def close_partition(self, topic: str, partition: int) -> None:
        """Fetch no more from the partition."""

    async def position(self, topic: str, partition: int, offset: int) -> int | None:
        """Continue at `offset`; how often this was done for the partition, None if it is not assigned."""

    async def where(self, topic: str, partition: int) -> tuple[int, int, int] | None:
        """Where the consumer stands, how often it was positioned, and the end of the committed log."""

    async def confirm(self, generation: int) -> str | None:
        """A heartbeat of this generation: None if the coordinator confirms it, else what it says."""

    async def rejoin(self) -> None:
        """Ask for a new assignment."""

    def reached(self) -> bool:
        """Whether the group's coordinator is known and answers."""


class Log(Protocol):
    """Reading outside the group."""

    async def span(self, topics: Sequence[str], partition: int) -> dict[str, tuple[int, int]]:
        """First offset and end of one partition of each topic, transactions or not."""

    async def held_back(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        """Those whose committed log ends before the log does: a transaction is open in them, or hangs."""

    async def committed(self, topics: Sequence[str], partition: int) -> dict[str, tuple[int, str]]:
        """The group's offset and its metadata, for topics that have one."""

    def records(
        self, topic: str, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Any], None]:
        """The committed records from `start` until the consumer's position is `end`."""


class Producer(Protocol):
    """A transactional producer."""

    @property
    def worn(self) -> bool:
        """Whether it has to be replaced before it can send much more."""

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has."""

    async def commit(
        self, packed: Packed, offsets: Mapping[TopicPartition, int], group: str, changelog: TopicPartition
    ) -> int | None:
        """Everything or, after an exception, who knows. The changelog's position behind what was written."""

    async def abort_in(self, partitions: Sequence[TopicPartition]) -> None:
        """Begin a transaction in these partitions and abort it: what of this producer hangs there ends."""

    async def close(self) -> None:
        """Close it in good order; nothing is open."""

    def abandon(self) -> None:
        """Throw it away without a word to the broker, which aborts what was open."""


@dataclass(slots=True)
class Shared:
    """What a worker gives to each of its partitions."""

    stage: Stage
    prefix: str
    group_id: str
    count: int
    """Partitions of the topics of the vehicle's way."""
    topic_ids: Mapping[str, str]
    limits: Mapping[str, int]
    group: Group
    log: Log
    start_producer: Callable[[int], Awaitable[Producer]]
    metrics: StageMetrics
    clock: Callable[[], float]
    """Seconds, monotonic."""
    fatal: Callable[[Exception], None]
    """End the worker with this."""
    partitions: Mapping[str, int] = field(default_factory=dict)
    """Partition counts, by logical name."""
    pace: Pace = field(default_factory=Pace)
    budget: Budget = field(default_factory=Budget)
    turns: Turns = field(default_factory=Turns)
    inputs: dict[str, str] = field(init=False)
    """Kafka's name of each input, by logical name."""
    logical: dict[str, str] = field(init=False)
    """Logical name of each input, by Kafka's."""
    changelog: str = field(init=False)

    def __post_init__(self) -> None:
        self.inputs = {name: topic_name(self.prefix, name) for name in self.stage.inputs}
        self.logical = {kafka: name for name, kafka in self.inputs.items()}
        self.changelog = topic_name(self.prefix, changelog_topic(self.stage.name))
        self.limits = {topic_name(self.prefix, name): limit for name, limit in self.limits.items()}

    def limit(self, topic: str) -> int:
        """Most bytes of a batch for a topic, by Kafka's name."""
        return min(self.limits.get(topic, 1_048_588), 1_048_588)

    def name(self, logical: str) -> str:
        """Kafka's name of a topic."""
        return topic_name(self.prefix, logical)
