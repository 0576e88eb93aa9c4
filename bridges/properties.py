"""MQTT 5 properties of a message, between their bytes and their values; what cannot be read is named.

A vehicle writes its properties and we must not choke on them: an unreadable property makes one dead letter,
while a client library that closes the connection over it would be sent the same message for ever. It is also
the hot path of the uplink: properties are read only where there are any.

Source: MQTT Version 5.0, OASIS Standard, sections 1.5 (data types), 2.2.2 (properties) and 3.3.2.3 (PUBLISH).
"""

from __future__ import annotations

from dataclasses import dataclass

PAYLOAD_FORMAT = 0x01
MESSAGE_EXPIRY = 0x02
CONTENT_TYPE = 0x03
RESPONSE_TOPIC = 0x08
CORRELATION_DATA = 0x09
SUBSCRIPTION_IDENTIFIER = 0x0B
TOPIC_ALIAS = 0x23
USER_PROPERTY = 0x26

GREATEST_EXPIRY_S = 0xFFFFFFFF
GREATEST_TEXT_BYTES = 0xFFFF


class MalformedProperties(ValueError):
    """The property bytes of a message do not follow the standard; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class MessageProperties:
    """What the bridges keep of a PUBLISH packet's properties; texts stay bytes, as they came."""

    content_type: bytes | None = None
    user: tuple[tuple[str, bytes], ...] = ()
    expiry_s: int | None = None
    response_topic: bytes | None = None
    correlation: bytes | None = None


NONE = MessageProperties()


def read_length(data: bytes, position: int) -> tuple[int, int]:
    """A variable byte integer and the position behind it. Raises MalformedProperties."""
    value = shift = 0
    for _ in range(4):
        if position >= len(data):
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise MalformedProperties("a variable byte integer does not end")


def _read_block(data: bytes, position: int) -> tuple[bytes, int]:
    """Text or binary data behind its two bytes of length."""
    start = position + 2
    end = start + int.from_bytes(data[position:start], "big")
    if end > len(data) or start > len(data):
        raise MalformedProperties("a text or binary value is cut off")
    return data[start:end], end


def decode_properties(data: bytes) -> MessageProperties:
    """Read the property bytes of a PUBLISH packet, without their length. Raises MalformedProperties."""
    if not data:
        return NONE
    content_type = response_topic = correlation = expiry_s = None
    user: list[tuple[str, bytes]] = []
    position = 0
    while position < len(data):
        identifier = data[position]
        position += 1
        if identifier == USER_PROPERTY:
            name, position = _read_block(data, position)
            value, position = _read_block(data, position)
            user.append((_text(name), value))
        elif identifier == CONTENT_TYPE:
            content_type, position = _read_block(data, position)
        elif identifier == RESPONSE_TOPIC:
            response_topic, position = _read_block(data, position)
        elif identifier == CORRELATION_DATA:
            correlation, position = _read_block(data, position)
        elif identifier == MESSAGE_EXPIRY:
            if position + 4 > len(data):
                raise MalformedProperties("the message expiry is cut off")
            expiry_s = int.from_bytes(data[position : position + 4], "big")
            position += 4
        elif identifier == SUBSCRIPTION_IDENTIFIER:
            _, position = read_length(data, position)
        elif identifier == PAYLOAD_FORMAT:
            position += 1
        elif identifier == TOPIC_ALIAS:
            position += 2
        else:
            raise MalformedProperties(f"a message has no property {identifier:#04x}")
    if position > len(data):
        raise MalformedProperties("the last property is cut off")
    return MessageProperties(content_type, tuple(user), expiry_s, response_topic, correlation)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MalformedProperties("the name of a user property is not UTF-8") from None


def encode_properties(properties: MessageProperties) -> bytes:
    """The bytes of a PUBLISH packet's properties, with their length in front.

    Raises MalformedProperties where a text is longer than MQTT can carry.
    """
    parts = bytearray()
    if properties.expiry_s is not None:
        parts.append(MESSAGE_EXPIRY)
        parts += min(properties.expiry_s, GREATEST_EXPIRY_S).to_bytes(4, "big")
    for identifier, value in (
        (CONTENT_TYPE, properties.content_type),
        (RESPONSE_TOPIC, properties.response_topic),
        (CORRELATION_DATA, properties.correlation),
    ):
        if value is not None:
            parts.append(identifier)
            parts += _block(value)
    for name, text in properties.user:
        parts.append(USER_PROPERTY)
        parts += _block(name.encode()) + _block(text)
    return encode_length(len(parts)) + bytes(parts)


def encode_length(value: int) -> bytes:
    """A variable byte integer."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _block(value: bytes) -> bytes:
    if len(value) > GREATEST_TEXT_BYTES:
        raise MalformedProperties(f"a value of {len(value)} bytes is longer than MQTT can carry")
    return len(value).to_bytes(2, "big") + value
