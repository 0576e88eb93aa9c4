"""The changelog is the only memory: state records and one marker, each beginning with its format's version.

    key     00 "marker"           value  01 + JSON {positions, topics, clock}
    key     01 + the logic's key  value  01 + the logic's value, or a tombstone

The marker is written in the transaction that writes the state, so the state is that of exactly the records
before its positions. A version that this program does not know stops it: state must not be guessed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pipeline.runtime.failures import StateUnusable

_MARKER: Final = b"\x00"
_STATE: Final = b"\x01"
_VERSION: Final = b"\x01"
MARKER_KEY: Final = _MARKER + b"marker"


class Marker(msgspec.Struct, frozen=True):
    """Where a partition stands: next position of each input, the inputs' topic ids, the partition's clock."""

    positions: dict[str, int]
    topics: dict[str, str]
    clock: bytes


def marker_record(marker: Marker) -> tuple[bytes, bytes]:
    """Key and value of the marker."""
    return MARKER_KEY, _VERSION + msgspec.json.encode(marker)


def state_record(key: bytes, value: bytes | None) -> tuple[bytes, bytes | None]:
    """Key and value of one piece of state; None deletes it."""
    return _STATE + key, None if value is None else _VERSION + value


def read_record(key: bytes, value: bytes | None) -> Marker | tuple[bytes, bytes | None]:
    """The marker, or a logic's key and value (None: deleted). StateUnusable if the format is not known."""
    if value is not None and value[:1] != _VERSION:
        raise StateUnusable(
            f"a changelog record has format {value[:1].hex() or 'none'}, this program knows {_VERSION.hex()}:"
            " run the version that wrote it, or a later one"
        )
    if key == MARKER_KEY and value is not None:
        try:
            return msgspec.json.decode(value[1:], type=Marker)
        except msgspec.MsgspecError as error:
            raise StateUnusable(f"the marker of a changelog cannot be read: {error}") from error
    if key[:1] == _STATE:
        return key[1:], None if value is None else value[1:]
    raise StateUnusable(f"a changelog record has the unknown kind {key[:1].hex() or 'none'}")
