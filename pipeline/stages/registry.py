"""The record on vehicle.registry: what a fleet's people know of a vehicle that it does not say itself.

`{"labels": {"model": "ET5"}, "attributes": {"speedLimit": 90}}`, keyed by vehicle id. Each record replaces
the one before it; a null value takes the vehicle out of the registry.
"""

from typing import Any

import msgspec

from rules.engine import Registration, registration


class _Record(msgspec.Struct, rename="camel"):
    """Keys that are not named here are let pass."""

    labels: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    vehicle_id: str | None = None


_decoder = msgspec.json.Decoder(_Record)


def decode_registration(value: bytes, vehicle_id: str, at: int) -> Registration:
    """One record, written `at` in milliseconds.

    Raises msgspec.DecodeError where the value is none of ours, RegistrationError where a label or an
    attribute is wrong, ValueError where it is about another vehicle.
    """
    try:
        record = _decoder.decode(value)
    except RecursionError:
        raise msgspec.DecodeError("nested too deep") from None
    if record.vehicle_id is not None and record.vehicle_id != vehicle_id:
        raise ValueError(f"the record is about {record.vehicle_id[:100]!r}, and its key is another vehicle's")
    return registration(record.labels, record.attributes, at=at)
