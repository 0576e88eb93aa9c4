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
    """Turns messages into records. `largest` is the size that Kafka takes, and may be lowered."""

    def __init__(self, routes: Routes, partitions: int, largest: int) -> None:
        self._routes = routes
        self._partitions = partitions
        self.largest = largest
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
            return self._dead_letter(message, misfit.code, str(misfit))
        except MalformedProperties as problem:
            return self._dead_letter(message, "properties-invalid", str(problem))
        if not payload:
            return self._dead_letter(message, "payload-empty", "the payload has no bytes", key)
        # A header costs more in a record than in MQTT: names grow by a prefix, lengths are coded anew.
        size = len(payload) + 2 * len(topic) + 4 * len(message.properties) + _OVERHEAD
        if size > self.largest:
            reason = f"the message has {size} bytes as a record, more than {self.largest}"
            return self._dead_letter(message, "payload-too-large", reason, key)
        return Record(target, partition, received_at, key, payload, headers)

    def _dead_letter(self, message: Message, code: str, reason: str, key: bytes | None = None) -> Record:
        topic = message.topic[:_LONGEST_HEADER]
        headers: list[Header] = [
            ("code", code.encode()),
            ("reason", reason.encode("utf-8", "replace")),
            ("stage", b"uplink"),
            ("source-topic", topic.decode(errors="replace").encode()),
            ("original-mqtt-topic", topic),
            ("original-received-at", self._instant_text),
        ]
        kept = min(KEPT_BYTES, max(self.largest // 2, 0))
        value = message.payload
        if len(value) > kept:
            headers.append(("truncated-from-bytes", str(len(value)).encode()))
            value = value[:kept]
        return Record(
            DEAD_LETTERS,
            partition_of(key or topic, self._partitions),
            message.received_at,
            key,
            value,
            headers,
            code,
        )
