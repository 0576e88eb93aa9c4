"""Records of `vehicle.aggregate-partials`: what a source has of a group, and where its clock stands.

The stage `aggregations` alone writes and reads them. A partial goes to the partition of its group's key, a
clock, which has no key, to every partition.
"""

from typing import Any

import msgspec

from rules.engine import Partial

TOPIC = "vehicle.aggregate-partials"
_FORMAT = b"\x01"
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Clock(msgspec.Struct, frozen=True):
    """A source's clock, and the greatest receivedAt of its partition. Milliseconds."""

    source: int
    clock: int
    received_at: int


def encode_clock(clock: Clock) -> bytes:
    """The value of a clock's record."""
    return _FORMAT + _encode(("clock", clock.source, clock.received_at, clock.clock))


def encode_partial(source: int, received_at: int, partial: Partial) -> bytes:
    """The value of a partial's record."""
    content = (partial.rule, partial.digest, partial.group, partial.pane, partial.kept)
    return _FORMAT + _encode(("partial", source, received_at, *content))


def decode(value: bytes) -> Clock | tuple[int, int, Partial]:
    """A clock; or source, receivedAt and partial. Raises ValueError where the value is none of ours."""
    if value[:1] != _FORMAT:
        raise ValueError(f"a partial in format {value[:1].hex() or 'none'}, known is {_FORMAT.hex()}")
    try:
        kind, source, received_at, *content = _decode(memoryview(value)[1:])
        return _read(kind, int(source), int(received_at), content)
    except (msgspec.DecodeError, TypeError, ValueError) as error:
        raise ValueError(f"not a partial: {error}") from error


def _read(
    kind: object, source: int, received_at: int, content: list[Any]
) -> Clock | tuple[int, int, Partial]:
    match kind, content:
        case "clock", [int(clock)]:
            return Clock(source, clock, received_at)
        case "partial", [str(rule), bytes(digest), str(group), int(pane), list(kept)]:
            return source, received_at, Partial(rule, digest, group, pane, kept)
    raise ValueError(f"{kind!r} with {len(content)} entries")
