"""What a stage is to the runtime: pure code over one partition's records, and the topics around it.

A `Logic` has no clock, no Kafka and no await. The runtime decides when it is called and makes what it
returned true in Kafka exactly once, so that a stage can be tested as a function and replayed as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Record(Protocol):
    """A consumed record, as aiokafka's ConsumerRecord has it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Output(NamedTuple):
    """A record to write. `topic` is the logical name; `timestamp` is ms since the epoch, None is now.

    `partition` None is the partition that the logic belongs to, where the topic is one of the stage's
    `outputs`; in any other topic it is the one that the key belongs to.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int | None = None
    partition: int | None = None


class Logic(Protocol):
    """What a stage does with one partition. Synchronous; any exception fails the whole slice of records.

    A logic may also have `left() -> None`, called when its partition is not processed any more, be it parked
    or thrown away, and `catch_up(key: bytes, value: bytes | None) -> None`, called on a logic that was
    parked, for each state record that another worker wrote in the meantime (None: deleted), followed by
    `restored`. A logic without it is built anew in that case.
    """

    def restore(self, key: bytes, value: bytes) -> None:
        """Take one state record, as `changes` gave it. All calls come before `restored`."""

    def restored(self, clock: bytes | None) -> None:
        """All state is in; `clock` is what `clock()` gave at that checkpoint, None on the first start."""

    def process(self, topic: str, records: Sequence[Record], out: list[Output]) -> None:
        """Apply some consecutive records of one input (its logical name), and append what comes of them."""

    def changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """The state records that changed since the last call; None deletes one."""

    def clock(self) -> bytes:
        """The partition's clock, kept with the positions of the inputs."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: a consumer group, its inputs, what it does with each partition, and what it writes."""

    name: str
    inputs: tuple[str, ...]
    logic: Callable[[int], Logic]
    outputs: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    """Topics beside `outputs` that outputs may name, whatever their partition count."""
    first: tuple[str, ...] = ()
    """Inputs that a partition reads to the end that they have at take-over before it begins the others."""
    check_keys: bool = False
    """Whether a record whose key belongs to another partition becomes a dead letter (wrong-partition)."""
