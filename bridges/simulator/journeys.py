"""A journey is the endless list of what one vehicle does on the network, in order of time.

It samples at every interval. Without coverage the samples wait in the unit; when the coverage is
back they are uploaded oldest first, as fast as the unit can, and new ones wait behind them. Pure:
the caller owns the clock and the connection, and a test is a list.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from bridges.simulator.characters import Character, Trouble
from bridges.simulator.payloads import Telematics, encode
from bridges.simulator.vehicles import Vehicle

UNDER_WAY_S = 180
"""So long a vehicle has been driving when its journey begins."""

OFFLINE_INTERVAL_S = 10.0
"""A unit without coverage saves memory: it samples that seldom, unless its interval is longer."""

UPLOADS_PER_S = 200
"""So many saved samples a unit uploads in a second."""

STAMMER_EVERY = 7
GARBLE_EVERY = 11
NO_CLOCK_EVERY = 13


class Kind(Enum):
    """What a publication is, which the counters tell apart."""

    LIVE = "live"
    LATE = "late"
    DUPLICATE = "duplicate"
    GARBLED = "garbled"
    TIMELESS = "timeless"


@dataclass(frozen=True, slots=True)
class Publication:
    """A payload that the vehicle publishes at `at` (ms), sampled at `sampled` (ms)."""

    at: int
    vehicle_id: str
    sampled: int
    payload: bytes
    kind: Kind


@dataclass(frozen=True, slots=True)
class Coverage:
    """The vehicle loses its connection or has it again."""

    at: int
    vehicle_id: str
    online: bool


Happening = Publication | Coverage


def journey(
    vehicle_id: str, character: Character, *, number: int, seed: int, start_ms: int, interval_ms: int
) -> Iterator[Happening]:
    """Yield what the vehicle does from `start_ms` on, for ever; `number` and `seed` make it itself."""
    vehicle = Vehicle(number, character, seed=seed)
    unit = Telematics(vehicle)
    at_s = min(0.0, character.earliest_s)
    for second in range(-UNDER_WAY_S, 0):
        vehicle.step(at_s + second, 1.0)
    saved: deque[Publication] = deque()
    online = False
    interval_s = interval_ms / 1000
    while True:
        step_s = max(interval_s, OFFLINE_INTERVAL_S) if at_s < -interval_s else interval_s
        was_rebooting = Trouble.REBOOT in vehicle.troubles
        _step(vehicle, at_s, step_s)
        if Trouble.REBOOT in vehicle.troubles and not was_rebooting:
            unit.restart()
        now_ms = start_ms + round(at_s * 1000)
        at_s += step_s
        covered = Trouble.NO_COVERAGE not in vehicle.troubles
        if now_ms < start_ms and covered:
            continue  # nobody was there to hear it
        saved.extend(_samples(vehicle, unit, vehicle_id, now_ms))
        if covered and not online:
            yield Coverage(now_ms, vehicle_id, online=True)
        at_ms = now_ms
        if covered or online:
            for publication in _upload(saved, now_ms, interval_ms):
                at_ms = publication.at
                yield publication
        if online and not covered:
            # Out of reach in the moment after sending: whether the broker has it nobody knows.
            yield Coverage(at_ms, vehicle_id, online=False)
        online = covered


def _upload(saved: deque[Publication], now_ms: int, interval_ms: int) -> Iterator[Publication]:
    """Yield what can be uploaded until the next sample."""
    for number in range(max(1, UPLOADS_PER_S * interval_ms // 1000)):
        if not saved:
            return
        sample = saved.popleft()
        late = sample.kind is Kind.LIVE and sample.sampled < now_ms
        yield Publication(
            at=now_ms + number * 1000 // UPLOADS_PER_S,
            vehicle_id=sample.vehicle_id,
            sampled=sample.sampled,
            payload=sample.payload,
            kind=Kind.LATE if late else sample.kind,
        )


def _step(vehicle: Vehicle, at_s: float, step_s: float) -> None:
    """Steps of at most a second: driving and heat are right only with short ones."""
    parts = max(1, round(step_s))
    for part in range(parts, 0, -1):
        vehicle.step(at_s - (part - 1) * step_s / parts, step_s / parts)


def _samples(vehicle: Vehicle, unit: Telematics, vehicle_id: str, now_ms: int) -> list[Publication]:
    """The message of this instant, and whatever the unit's own trouble makes of it."""
    document = unit.message(now_ms)
    sequence = unit.sequence
    payload = encode(document)
    samples = [Publication(now_ms, vehicle_id, now_ms, payload, Kind.LIVE)]
    troubles = vehicle.troubles
    if Trouble.STAMMER in troubles and sequence % STAMMER_EVERY == 0:
        samples.append(Publication(now_ms, vehicle_id, now_ms, payload, Kind.DUPLICATE))
    if Trouble.GARBLE in troubles and sequence % GARBLE_EVERY == 0:
        return [Publication(now_ms, vehicle_id, now_ms, payload[: len(payload) // 2], Kind.GARBLED)]
    if Trouble.NO_CLOCK in troubles and sequence % NO_CLOCK_EVERY == 0:
        del document["ts"]
        return [Publication(now_ms, vehicle_id, now_ms, encode(document), Kind.TIMELESS)]
    return samples
