"""The rule as it stands in the stage: its state from the changelog, its story from the telemetry topic.

The state is exact: it is what the worker wrote. The story is told anew over the telemetry since a time, and
so begins without what was before.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipeline.backtest.asked import TopicAsked
from pipeline.backtest.rulesets import read_rules
from pipeline.backtest.topic import RAW, TELEMETRY, PartitionReader, merged, normalized, partitions_of
from pipeline.explain.asked import Question, watch
from pipeline.explain.offline import VehicleMissing
from pipeline.process.partitioning import partition_of
from pipeline.runtime.changelog import Marker, read_record
from pipeline.runtime.stage import Output, Record
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.normalize import Normalize
from pipeline.stages.payloads import shape_of
from rules.engine import Registration
from rules.engine.registration import NOTHING
from rules.engine.tracks import split
from rules.explain import Watch

STAGE = "alerts"


class _NoCounts:
    def heard(self, events: int, newest: int, received: int) -> None: ...
    def happened(self, outcome: Any) -> None: ...
    def flush(self) -> None: ...


def watch_topic(question: Question) -> tuple[Watch, int]:
    """The rule after the vehicle's records of a topic, up to the instant or its end; and that instant."""
    return asyncio.run(_watch_topic(question))


def state_now(question: Question, topic: TopicAsked) -> tuple[Watch, int]:
    """The rule as the stage's last checkpoint has it, at the vehicle's event time."""
    return asyncio.run(_state_now(question, topic))


async def _watch_topic(question: Question) -> tuple[Watch, int]:
    topic = question.asked.topic
    assert topic is not None
    number = partition_of(question.vehicle.encode(), await partitions_of(topic))
    watched = watch(question)
    logic = VehicleLogic(STAGE, watched, _NoCounts())
    logic.restored(None)
    normalize = None
    if topic.name == RAW:
        normalize = Normalize(shape_of(read_rules(question.asked.rules, None).catalog))
    key, last = question.vehicle.encode(), None
    reader = PartitionReader(topic, number)
    async with reader:
        registry = [record for record in await reader.registry() if record.key == key]
        async for batch, _ in reader.batches():
            records: Sequence[Record] = [it for it in batch if it.key is None or it.key == key]
            if question.at is not None:
                records = [it for it in records if it.timestamp <= question.at]
            if normalize is not None:
                records = normalized(normalize, records, Counter())
            out: list[Output] = []
            for name, part in merged(registry, records):
                logic.process(name, part, out)
            last = records[-1].timestamp if records else last
    if watched.vehicle is None or not watched.messages:
        raise VehicleMissing(f"{topic.name} says nothing of {question.vehicle}")
    return watched, question.at if question.at is not None else last or 0


async def _state_now(question: Question, topic: TopicAsked) -> tuple[Watch, int]:
    number = partition_of(question.vehicle.encode(), await partitions_of(replace(topic, name=TELEMETRY)))
    parts: dict[str, bytes] = {}
    prefix = question.vehicle.encode() + b"\0"
    reader = PartitionReader(topic, number)
    async with reader:
        async for records, _ in reader.changelog(STAGE):
            for record in records:
                said = read_record(record.key, record.value)
                if isinstance(said, Marker) or not said[0].startswith(prefix):
                    continue
                name = said[0][len(prefix) :].decode()
                if said[1] is None:
                    parts.pop(name, None)
                else:
                    parts[name] = said[1]
    if not parts:
        raise VehicleMissing(f"the stage {STAGE} has no state of {question.vehicle}")
    watched = watch(question)
    stable, candidate = split(parts)
    packed = stable.pop("@registry", None)
    parts = stable if candidate is None else candidate
    registration = NOTHING if packed is None else Registration.unpack(packed)
    vehicle = watched.restore(question.vehicle, parts, registration)
    return watched, watched.last_heard(vehicle) or 0
