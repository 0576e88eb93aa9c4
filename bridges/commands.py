"""A command: the record that asks for it, the MQTT message that carries it, the record of what became of it.

    {"id", "vehicleId", "name", "payload", "expiresAt", "cause": {...}}      on vehicle.commands
    vehicles/{vehicle_id}/commands/{name}, payload as JSON                   on MQTT: correlation data = id,
        response topic, message expiry, user properties id, expires-at and cause-…
    {"id", "vehicleId", "name", "state", "at", "reason"}                     on vehicle.command-deliveries

Everything here is a function of its arguments; the clock is the caller's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from bridges.properties import GREATEST_TEXT_BYTES, MalformedProperties, MessageProperties, encode_properties
from bridges.topics import Template, unfit
from pipeline.process import format_time, parse_time, partition_of

_LONGEST_NAME = 200
_CAPITAL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class State(StrEnum):
    """What became of a command."""

    PUBLISHED = "published"
    EXPIRED = "expired"
    UNDELIVERABLE = "undeliverable"


class InvalidCommand(ValueError):
    """A record that is no usable command; `code` is stable, the text a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be sent; `expires_at` in ms."""

    id: str
    vehicle_id: str
    name: str
    expires_at: int
    topic: str
    payload: bytes
    content_type: bytes
    response_topic: str
    user: tuple[tuple[str, bytes], ...]

    def properties(self, now: int) -> MessageProperties:
        """Those of the MQTT message, sent at `now` (ms). The broker counts whole seconds: never too long."""
        return MessageProperties(
            content_type=self.content_type,
            user=self.user,
            expiry_s=max(1, (self.expires_at - now) // 1000),
            response_topic=self.response_topic.encode(),
            correlation=self.id.encode(),
        )

    @property
    def packet_bytes(self) -> int:
        """What its PUBLISH packet takes at most."""
        return len(self.payload) + len(self.topic.encode()) + len(encode_properties(self.properties(0))) + 16


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where commands go, and what they may be."""

    command_topic: Template
    response_topic: Template
    partitions: int
    largest: int


def read_command(key: bytes | None, value: bytes | None, partition: int, addresses: Addresses) -> Command:
    """Read a record of vehicle.commands. Raises InvalidCommand."""
    document = _document(value)
    identity = _text(document, "id", GREATEST_TEXT_BYTES)
    vehicle_id = _text(document, "vehicleId", GREATEST_TEXT_BYTES)
    name = _text(document, "name", _LONGEST_NAME)
    if key != vehicle_id.encode():
        raise _invalid("vehicleId is not the record's key")
    if (right := partition_of(key, addresses.partitions)) != partition:
        raise InvalidCommand(
            "wrong-partition", f"the vehicle belongs to partition {right}, the record is on {partition}"
        )
    try:
        expires_at = parse_time(_text(document, "expiresAt", 64))
        expires_text = format_time(expires_at)
    except ValueError as error:
        raise _invalid(f"expiresAt: {error}") from None
    if "payload" not in document:
        raise _invalid("payload is missing")
    payload = orjson.dumps(document["payload"])
    if len(payload) > addresses.largest:
        raise InvalidCommand(
            "payload-too-large", f"the payload has {len(payload)} bytes, more than {addresses.largest}"
        )
    values = {"vehicle_id": vehicle_id, "name": name}
    if "tenant" in addresses.command_topic.names or "tenant" in addresses.response_topic.names:
        values["tenant"], _, values["vehicle_id"] = vehicle_id.partition("/")
    for placeholder, level in values.items():
        if reason := unfit(level):
            raise _invalid(f"{placeholder.replace('_', ' ')} {reason}")
    command = Command(
        id=identity,
        vehicle_id=vehicle_id,
        name=name,
        expires_at=expires_at,
        topic=addresses.command_topic.fill(values),
        payload=payload,
        content_type=b"application/json",
        response_topic=addresses.response_topic.fill(values),
        user=(
            ("id", identity.encode()),
            ("expires-at", expires_text.encode()),
            *_cause(document.get("cause")),
        ),
    )
    try:
        encode_properties(command.properties(0))
    except MalformedProperties as error:
        raise _invalid(str(error)) from None
    return command


def _document(value: bytes | None) -> Mapping[str, Any]:
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError as error:
        raise _invalid(f"it is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _invalid("it is not a JSON object")
    return document


def _text(document: Mapping[str, Any], name: str, longest: int) -> str:
    text = document.get(name)
    if not isinstance(text, str) or not text:
        raise _invalid(f"{name} is missing or no text")
    if len(text.encode()) > longest or "\0" in text:
        raise _invalid(f"{name} is longer than {longest} bytes or holds a zero character")
    return text


def _cause(cause: object) -> list[tuple[str, bytes]]:
    """`alertId` of the cause as the user property `cause-alert-id`; what is no single value is left out."""
    if not isinstance(cause, dict):
        return []
    return [
        (f"cause-{_CAPITAL.sub('-', name).lower()}", str(value).encode())
        for name, value in cause.items()
        if isinstance(value, str | int | float) and "\0" not in name + str(value)
    ]


def _invalid(reason: str) -> InvalidCommand:
    return InvalidCommand("command-invalid", reason)


def delivery(command: Command, state: State, at: int, reason: str | None) -> bytes:
    """The record of what became of a command, known at `at` (ms)."""
    return orjson.dumps(
        {
            "id": command.id,
            "vehicleId": command.vehicle_id,
            "name": command.name,
            "state": state.value,
            "at": format_time(at),
            "reason": reason,
        }
    )
