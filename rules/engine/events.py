"""What a vehicle said at one instant of its own clock.

Numbers are floats (normalize saw to it): the generated code computes with them as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Position = tuple[float, ...]
"""Latitude and longitude in degrees (WGS 84), and the accuracy in metres where it is known."""


@dataclass(slots=True)
class Event:
    """One message: event time and receivedAt, in milliseconds since the epoch, and its signals."""

    ts: int
    received_at: int
    signals: Mapping[str, object]
    position: Position | None = None
