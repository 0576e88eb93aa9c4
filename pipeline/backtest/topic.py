"""A backtest over a Kafka topic: each partition through the very logics of the stages, ticks and all.

vehicle.telemetry goes to the rule stages as it stands; vehicle.raw goes through `normalize` first. What the
registry says now of a vehicle is heard when its record came. So the same records give the same outcomes with
the same ids as live, where the topic still begins where the stages did.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.backtest.asked import Asked, TopicAsked
from pipeline.backtest.groups import Sample, sample_of
from pipeline.backtest.replay import Failure, Folded, Told, folds_of
from pipeline.backtest.rulesets import rule_sets, wanted_signals
from pipeline.backtest.workers import Meet, Progress, Share
from pipeline.process.failures import ConfigurationError
from pipeline.process.kafka import client_options
from pipeline.process.names import changelog_topic, topic_name
from pipeline.process.topics import TOPICS
from pipeline.runtime.stage import Output, Record
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.normalize import Normalize
from pipeline.stages.outcomes import Outputs
from pipeline.stages.payloads import shape_of
from pipeline.stages.telemetry import decode_telemetry
from pipeline.topics import Admin, LastWords, not_reached
from rules import RuleSet
from rules.engine import GroupSample, RuleFailure

TELEMETRY, RAW, REGISTRY = "vehicle.telemetry", "vehicle.raw", "vehicle.registry"


class _Counts:
    """What a stage would have counted, as far as a backtest tells of it."""

    def __init__(self) -> None:
        self.failures: dict[str, tuple[int, Failure]] = {}

    def heard(self, events: int, newest: int, received: int) -> None:
        """Nothing: the records themselves are counted."""

    def happened(self, outcome: Any) -> None:
        if isinstance(outcome, RuleFailure):
            first = Failure(outcome.rule, outcome.vehicle_id, outcome.ts, outcome.error)
            number, first = self.failures.get(outcome.rule, (0, first))
            self.failures[outcome.rule] = (number + 1, first)

    def flush(self) -> None:
        """Nothing."""


class _Writer:
    """Writes what a stage tells; what it says for groups is kept, for all partitions together."""

    def __init__(self, stage: str, samples: list[Sample]) -> None:
        self._outputs = Outputs(stage)
        self._samples = samples

    def output(self, outcome: Any, received: int) -> Output | None:
        """The record; None for what is none."""
        if isinstance(outcome, GroupSample):
            self._samples.append(sample_of(outcome, len(self._samples)))
            return None
        return self._outputs.output(outcome, received)


class _Partition:
    """One partition under one rule set: the logic of each stage."""

    def __init__(self, rules: RuleSet, quiet_after_ms: int) -> None:
        self.counts = _Counts()
        self.samples: list[Sample] = []
        self._logics = [
            VehicleLogic(stage, fold, self.counts, writer=_Writer(stage, self.samples))
            for stage, fold in folds_of(rules, quiet_after_ms).items()
        ]
        for logic in self._logics:
            logic.restored(None)
        self._number = 0
        self.told: list[Told] = []

    def process(self, topic: str, records: Sequence[Record]) -> None:
        out: list[Output] = []
        for logic in self._logics:
            logic.process(topic, records, out)
        for output in out:
            if output.value is None or output.topic == "vehicle.dead-letter":
                continue
            vehicle_id = "" if output.key is None else output.key.decode(errors="replace")
            self.told.append(
                Told(output.timestamp or 0, vehicle_id, self._number, output.topic, output.value)
            )
            self._number += 1


class _Seen:
    """Which signals came, which vehicles, how many messages. Decodes only while a signal is missing."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = set(wanted)
        self.signals: set[str] = set()
        self.vehicles: set[bytes] = set()
        self.messages = 0
        self.first: int | None = None
        self.last: int | None = None

    def see(self, records: Sequence[Record]) -> None:
        for record in records:
            if record.key is None:
                continue
            self.messages += 1
            self.vehicles.add(record.key)
            at = record.timestamp
            self.first = at if self.first is None or at < self.first else self.first
            self.last = at if self.last is None or at > self.last else self.last
            if self.wanted:
                try:
                    said = decode_telemetry(record.value or b"").signals
                except msgspec.DecodeError:
                    continue
                self.signals.update(said)
                self.wanted.difference_update(said)


def fold_topic(asked: Asked, worker: int, progress: Progress, _meet: Meet) -> Share:
    """One worker's partitions. Raises ConfigurationError, PartyMissing."""
    return asyncio.run(_fold(asked, worker, progress))


async def _fold(asked: Asked, worker: int, progress: Progress) -> Share:
    topic = asked.topic
    assert topic is not None
    sets = rule_sets(asked)
    seen = _Seen(wanted_signals(sets))
    dropped: Counter[str] = Counter()
    count = await partitions_of(topic)
    mine = range(worker, count, asked.workers)
    found: list[list[_Partition]] = []
    for place, number in enumerate(mine):
        partitions = [_Partition(rules, asked.quiet_after_ms) for rules in sets]
        found.append(partitions)
        normalize = Normalize(shape_of(sets[0].catalog)) if topic.name == RAW else None
        reader = PartitionReader(topic, number)
        async with reader:
            registry = await reader.registry()
            async for records, share in reader.batches():
                if normalize is not None:
                    records = normalized(normalize, records, dropped)
                seen.see(records)
                for topic_, part in merged(registry, records):
                    for partition in partitions:
                        partition.process(topic_, part)
                progress((place + share) / len(mine), seen.messages)
    progress(1.0, seen.messages)
    return Share([_folded([each[place] for each in found], seen) for place in range(len(sets))], dropped)


def _folded(partitions: Sequence[_Partition], seen: _Seen) -> Folded:
    failures: dict[str, tuple[int, Failure]] = {}
    for partition in partitions:
        for rule, (number, first) in partition.counts.failures.items():
            before, earliest = failures.get(rule, (0, first))
            failures[rule] = (before + number, min(earliest, first, key=lambda it: it.at))
    return Folded(
        [told for partition in partitions for told in partition.told],
        failures,
        seen.messages,
        0,
        len(seen.vehicles),
        seen.first,
        seen.last,
        frozenset(seen.signals),
        [sample for partition in partitions for sample in partition.samples],
    )


class _Written:
    """A record that `normalize` would have written."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, output: Output, cause: Record) -> None:
        self.topic, self.partition, self.offset = TELEMETRY, cause.partition, cause.offset
        self.key, self.value, self.headers = output.key, output.value, output.headers
        self.timestamp = output.timestamp if output.timestamp is not None else cause.timestamp


def normalized(normalize: Normalize, records: Sequence[Record], dropped: Counter[str]) -> list[Record]:
    """What `normalize` makes of records of vehicle.raw."""
    written: list[Record] = []
    for record in records:
        out: list[Output] = []
        normalize.process(RAW, [record], out)
        if not out:
            dropped["duplicate"] += 1
        for output in out:
            if output.topic == TELEMETRY:
                written.append(_Written(output, record))
            else:
                dropped["dead-letter"] += 1
    normalize.changes()
    return written


def merged(registry: list[Record], records: Sequence[Record]) -> list[tuple[str, Sequence[Record]]]:
    """Telemetry, with what the registry said before each record; `registry` loses what was passed on."""
    parts: list[tuple[str, Sequence[Record]]] = []
    begin = 0
    while registry and records and registry[0].timestamp <= records[-1].timestamp:
        said = registry.pop(0)
        place = begin
        while place < len(records) and records[place].timestamp < said.timestamp:
            place += 1
        if place > begin:
            parts.append((TELEMETRY, records[begin:place]))
        parts.append((REGISTRY, [said]))
        begin = place
    if begin < len(records):
        parts.append((TELEMETRY, records[begin:]))
    return parts


# -- Kafka ---------------------------------------------------------------------------------------------------


async def partitions_of(topic: TopicAsked) -> int:
    """How many the topic has. Raises ConfigurationError where there is no such topic."""
    if topic.name not in (TELEMETRY, RAW):
        raise ConfigurationError(f"--from {topic.name}: a backtest reads {TELEMETRY} or {RAW}")
    name = topic_name(topic.settings.prefix, topic.name)
    async with Admin(topic.settings) as admin:
        found = (await admin.observe([name])).get(name)
    if found is None:
        raise ConfigurationError(
            f"--from {topic.name}: there is no topic {name} at {topic.settings.kafka.bootstrap},"
            " and no file of that name"
        )
    return found.partitions


class PartitionReader:
    """One partition, from where it begins (or from `since`) to where it ends now."""

    def __init__(self, topic: TopicAsked, number: int) -> None:
        self._topic = topic
        prefix = topic.settings.prefix
        self._telemetry = TopicPartition(topic_name(prefix, topic.name), number)
        self._registry = TopicPartition(topic_name(prefix, REGISTRY), number)
        self._consumer: Any = AIOKafkaConsumer(
            **client_options(topic.settings, "backtest"),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
        )

    async def __aenter__(self) -> None:
        with LastWords() as words:
            try:
                await self._consumer.start()
            except (KafkaError, OSError) as error:
                raise not_reached(self._topic.settings, words[-1:] or [str(error)]) from error

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def registry(self) -> list[Record]:
        """All that the registry says of this partition's vehicles, in order."""
        assert REGISTRY in TOPICS
        if not self._consumer.partitions_for_topic(self._registry.topic):
            await self._consumer.topics()
        known = self._consumer.partitions_for_topic(self._registry.topic) or ()
        if self._registry.partition not in known:
            return []
        return [record async for records, _ in self._read(self._registry, None) for record in records]

    def changelog(self, stage: str) -> Any:
        """Batches of the records that hold the state of this partition of a stage."""
        name = topic_name(self._topic.settings.prefix, changelog_topic(stage))
        return self._read(TopicPartition(name, self._telemetry.partition), None)

    def batches(self) -> Any:
        """Batches of telemetry, each with the share of the partition that was read with it."""
        return self._read(self._telemetry, self._topic.since_ms)

    async def _read(self, partition: Any, since_ms: int | None) -> Any:
        consumer = self._consumer
        consumer.assign([partition])
        begin = (await consumer.beginning_offsets([partition]))[partition]
        end = (await consumer.end_offsets([partition]))[partition]
        if since_ms is not None:
            place = (await consumer.offsets_for_times({partition: since_ms})).get(partition)
            begin = end if place is None else place.offset
        consumer.seek(partition, begin)
        position = begin
        while position < end:
            batches = await consumer.getmany(partition, timeout_ms=500)
            position = await consumer.position(partition)
            records = [record for record in batches.get(partition, ()) if record.offset < end]
            if records:
                yield records, (position - begin) / max(1, end - begin)
