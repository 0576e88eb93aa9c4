"""The registry in Kafka: read to its end, and written so that each vehicle's record is where the stages look.

A record replaces the one before it. Whoever changes a part of one reads it first: of two who do that at once
the later has the word.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.process.failures import TelltaleError, TopicsDiffer
from pipeline.process.kafka import client_options
from pipeline.process.names import topic_name
from pipeline.process.partitioning import partition_of
from pipeline.process.settings import ProcessSettings
from pipeline.stages.registry import decode_registration
from pipeline.topics import Admin, LastWords, not_reached
from rules.engine import Registration, RegistrationError

REGISTRY = "vehicle.registry"
RAW = "vehicle.raw"
_JSON = [("content-type", b"application/json")]


class Known(NamedTuple):
    """What the registry holds of a vehicle; a record that cannot be read is None with the reason."""

    registration: Registration | None
    problem: str | None = None


class Registry:
    """The registry of one installation, for the time of an `async with`.

    PartyMissing if Kafka does not answer, TopicsDiffer if the topics are not there or differ.
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._names = {logical: topic_name(settings.prefix, logical) for logical in (REGISTRY, RAW)}
        self._partitions = 0
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        async with Admin(settings) as admin:
            found = await admin.observe(self._names.values())
        missing = [name for name in self._names.values() if name not in found]
        if missing:
            raise TopicsDiffer(
                f"there is no topic {' and no topic '.join(missing)} at {settings.kafka.bootstrap}; `telltale"
                " topics create` makes them, unless the installation has another prefix (TELLTALE_PREFIX)"
            )
        counts = {name: found[name].partitions for name in self._names.values()}
        if len(set(counts.values())) > 1:
            raise TopicsDiffer(
                "the topics have not the same number of partitions: a vehicle would be in two places",
                [f"{name}: {count} partitions" for name, count in counts.items()],
            )
        self._partitions = counts[self._names[REGISTRY]]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._producer is not None:
            await self._producer.stop()

    async def read(self, vehicle_id: str | None = None) -> dict[str, Known]:
        """Every vehicle that the registry has, or the one, in the order of their ids."""
        wanted = range(self._partitions)
        key = None if vehicle_id is None else vehicle_id.encode()
        numbers = wanted if key is None else [partition_of(key, self._partitions)]
        name = self._names[REGISTRY]
        records: dict[bytes, Any] = {}
        async for record in self._committed([TopicPartition(name, number) for number in numbers]):
            if record.key is None or (key is not None and record.key != key):
                continue
            if record.value is None:
                records.pop(record.key, None)
            else:
                records[record.key] = record
        return {found.decode(errors="replace"): _known(records[found]) for found in sorted(records)}

    async def _committed(self, partitions: list[TopicPartition]) -> Any:
        consumer = AIOKafkaConsumer(
            **client_options(self._settings, "vehicles"),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        with LastWords() as words:
            try:
                await consumer.start()
                try:
                    consumer.assign(partitions)
                    ends = await consumer.end_offsets(partitions)
                    left = [part for part in partitions if await consumer.position(part) < ends[part]]
                    while left:
                        for batch in (await consumer.getmany(*left, timeout_ms=1000)).values():
                            for record in batch:
                                yield record
                        left = [part for part in left if await consumer.position(part) < ends[part]]
                finally:
                    await consumer.stop()
            except (KafkaError, OSError) as error:
                raise not_reached(self._settings, words[-1:] or [str(error)]) from error

    async def write(self, entries: Mapping[str, Registration]) -> None:
        """Write each vehicle's record, and wait until Kafka has them all."""
        values = {
            vehicle_id: json.dumps(as_record(vehicle_id, said), ensure_ascii=False).encode()
            for vehicle_id, said in entries.items()
        }
        await self._send((REGISTRY, vehicle_id, value) for vehicle_id, value in values.items())

    async def forget(self, vehicle_ids: Iterable[str]) -> None:
        """Take vehicles out of the registry, and tell the stages to forget them."""
        await self._send(
            (logical, vehicle_id, None) for vehicle_id in vehicle_ids for logical in (REGISTRY, RAW)
        )

    async def _send(self, records: Iterable[tuple[str, str, bytes | None]]) -> None:
        now = time.time_ns() // 1_000_000
        with LastWords() as words:
            try:
                producer = await self._started()
                sent = []
                for logical, vehicle_id, value in records:
                    key = vehicle_id.encode()
                    sent.append(
                        await producer.send(
                            self._names[logical],
                            value,
                            key=key,
                            partition=partition_of(key, self._partitions),
                            timestamp_ms=now,
                            headers=[] if value is None else _JSON,
                        )
                    )
                await producer.flush()
                for future in sent:
                    await future
            except (KafkaError, OSError) as error:
                why = words[-1] if words else f"{type(error).__name__}: {error}"
                raise TelltaleError(
                    f"Kafka did not take all records: {why}\n  say it again: saying it twice is no harm"
                ) from error

    async def _started(self) -> Any:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                **client_options(self._settings, "vehicles"), enable_idempotence=True, linger_ms=5
            )
            await self._producer.start()
        return self._producer


def as_record(vehicle_id: str, said: Registration) -> dict[str, Any]:
    """The record of `vehicle.registry`."""
    return {"vehicleId": vehicle_id, "labels": dict(said.labels), "attributes": dict(said.attributes)}


def _known(record: Any) -> Known:
    try:
        vehicle_id = record.key.decode()
        return Known(decode_registration(record.value, vehicle_id, record.timestamp))
    except (msgspec.DecodeError, RegistrationError, ValueError) as error:
        return Known(None, str(error))
