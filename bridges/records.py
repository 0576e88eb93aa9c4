"""What the uplink makes of an MQTT message: a record with the untouched payload, or a dead letter.

    vehicle.raw, vehicle.command-responses    key = vehicle id, value = payload, timestamp = receivedAt;
        headers mqtt-topic, received-at, content-type, tenant, mqtt-user-NAME for each user property
    vehicle.dead-letter                       the same value; headers code, reason, stage, source-topic, and
        the record's own under original-

Nothing here can fail on what a vehicle sends: every message becomes exactly one record.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from bridges.mqtt import Message
from bridges.properties import MalformedProperties, decode_properties
from bridges.topics import Misfit, Routes
from pipeline.process.partitioning import partition_of
from pipeline.process.times import format_time

DEAD_LETTERS: Final = "vehicle.dead-letter"
KEPT_BYTES: Final = 64 * 1024
_LONGEST_HEADER: Final = 1024
_OVERHEAD: Final = 512

Header = tuple[str, bytes]


class Record(NamedTuple):
    """A record for Kafka; `topic` is the logical name, `code` that of a dead letter."""

    topic: str
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes
    headers: list[Header]
    code: str | None = None


class RecordMaker:
    """Turns messages into records. `largest` is the size of record that Kafka takes."""

    def __init__(self, routes: Routes, partitions: int, largest: int) -> None:
        self._routes = routes
        self._partitions = partitions
        self.largest = largest
        self.lowered = False
        self._instant = -1
        self._instant_text = b""

    def make(self, message: Message) -> Record:
        """The record of a message."""
        received_at = message.received_at
        if received_at != self._instant:  # many messages share a millisecond
            self._instant = received_at
            self._instant_text = format_time(received_at).encode()
        topic, payload = message.topic, message.payload
        try:
            target, partition, key, fixed = self._routes.find(topic)
            headers: list[Header] = [*fixed, ("received-at", self._instant_text)]
            if message.properties:
                properties = decode_properties(message.properties)
                if properties.content_type is not None:
                    headers.append(("content-type", properties.content_type))
                for name, value in properties.user:
                    headers.append((f"mqtt-user-{name}", value))
        except Misfit as misfit:
            return self._dead_letter(topic, payload, received_at, misfit.code, str(misfit))
        except MalformedProperties as problem:
            return self._dead_letter(topic, payload, received_at, "properties-invalid", str(problem))
        record = Record(target, partition, received_at, key, payload, headers)
        if not payload:
            return self._refuse(record, "payload-empty", "the payload has no bytes")
        # A header costs more in a record than in MQTT: names grow by a prefix, lengths are coded anew.
        size = len(payload) + 2 * len(topic) + 4 * len(message.properties) + _OVERHEAD
        if size > self.largest:
            return self.too_large(record)
        return record

    def lower(self, largest: int) -> None:
        """Kafka takes less than was said: records that were made before have to be looked at by `fit`."""
        self.largest = min(self.largest, largest)
        self.lowered = True

    def fit(self, record: Record) -> Record:
        """The record, or what stands for it where Kafka does not take it."""
        size = len(record.value) + sum(len(name) + len(value) for name, value in record.headers) + _OVERHEAD
        return record if size <= self.largest else self.too_large(record)

    def too_large(self, record: Record) -> Record:
        """The dead letter of a record that Kafka does not take; a dead letter is cut once more."""
        if record.code is not None:
            return record._replace(value=record.value[: self.largest // 2])
        reason = f"the message makes a record of more than {self.largest} bytes"
        return self._refuse(record, "payload-too-large", reason)

    def _refuse(self, record: Record, code: str, reason: str) -> Record:
        topic = dict(record.headers)["mqtt-topic"]
        return self._dead_letter(topic, record.value, record.timestamp, code, reason, record.key)

    def _dead_letter(
        self, topic: bytes, value: bytes, received_at: int, code: str, reason: str, key: bytes | None = None
    ) -> Record:
        whole, topic = topic, topic[:_LONGEST_HEADER]
        headers: list[Header] = [
            ("code", code.encode()),
            ("reason", reason.encode("utf-8", "replace")),
            ("stage", b"uplink"),
            ("source-topic", topic.decode(errors="replace").encode()),
            ("original-mqtt-topic", topic),
            ("original-received-at", format_time(received_at).encode()),
        ]
        kept = min(KEPT_BYTES, self.largest // 2)
        if len(value) > kept:
            headers.append(("truncated-from-bytes", str(len(value)).encode()))
            value = value[:kept]
        return Record(
            DEAD_LETTERS,
            partition_of(key or whole, self._partitions),
            received_at,
            key,
            value,
            headers,
            code,
        )
