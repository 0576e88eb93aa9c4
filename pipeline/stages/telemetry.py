"""The record on vehicle.telemetry: written by `normalize`, read by every rule stage.

A record without a key is a tick: no vehicle said anything, but time went on and an uplink was there. A record
without a value makes the vehicle forgotten; its header says why.
"""

from collections.abc import Mapping

import msgspec
import orjson

from pipeline.stages.payloads import Position, Reading
from rules.instants import format_instant, parse_instant

CAUSE = "cause"
"""Header of a record without a value."""
UNSEEN = b"unseen"
"""Nobody asked: nothing was heard of the vehicle for `vehicleTtl`. What the registry says of it stays."""


class Fix(msgspec.Struct, gc=False):
    """A position: degrees (WGS 84), accuracy in metres."""

    latitude: float
    longitude: float
    accuracy: float | None = None

    @property
    def place(self) -> tuple[float, ...]:
        """As the engine takes it."""
        if self.accuracy is None:
            return self.latitude, self.longitude
        return self.latitude, self.longitude, self.accuracy


class Telemetry(msgspec.Struct, rename="camel"):
    """One message of one vehicle, all values checked. Keys that are not named here are let pass."""

    vehicle_id: str
    ts: str
    received_at: str
    signals: dict[str, float | bool | str]
    sequence: int | None = None
    position: Fix | None = None

    @property
    def instant(self) -> int:
        """`ts` in milliseconds since the epoch. Raises ValueError."""
        return parse_instant(self.ts)


_decoder = msgspec.json.Decoder(Telemetry)


def encode_telemetry(vehicle_id: str, reading: Reading, received_at: int) -> bytes:
    """The JSON of one record."""
    record: dict[str, object] = {
        "vehicleId": vehicle_id,
        "ts": format_instant(reading.instant),
        "receivedAt": format_instant(received_at),
        "sequence": reading.sequence,
        "signals": reading.signals,
    }
    if reading.position is not None:
        record["position"] = _fix(reading.position)
    return orjson.dumps(record)


def decode_telemetry(value: bytes) -> Telemetry:
    """One record. Raises msgspec.DecodeError where the value is none of ours."""
    try:
        return _decoder.decode(value)
    except RecursionError:
        raise msgspec.DecodeError("nested too deep") from None


def _fix(position: Position) -> Mapping[str, float]:
    fix = {"latitude": position.latitude, "longitude": position.longitude}
    if position.accuracy is not None:
        fix["accuracy"] = position.accuracy
    return fix
