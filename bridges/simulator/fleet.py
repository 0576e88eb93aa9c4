"""A fleet is many journeys in one order of time; the same seed and start give the same bytes."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from bridges.simulator.characters import Character, cast
from bridges.simulator.journeys import Happening, journey


def vehicle_ids(name: str, size: int) -> list[str]:
    """`vehicle-01` … `vehicle-50`: as many digits as the greatest number needs."""
    digits = len(str(size))
    return [f"{name}-{number + 1:0{digits}d}" for number in range(size)]


def characters_of(name: str, size: int) -> dict[str, Character]:
    """Which vehicle has which character: what a person needs to understand what they see."""
    return dict(zip(vehicle_ids(name, size), cast(size), strict=True))


def happenings(*, name: str, size: int, seed: int, start_ms: int, interval_ms: int) -> Iterator[Happening]:
    """Yield what all the vehicles do, for ever. Their samples are spread over the interval."""
    journeys = [
        journey(
            vehicle_id,
            character,
            number=number,
            seed=seed,
            start_ms=start_ms + interval_ms * number // size,
            interval_ms=interval_ms,
        )
        for number, (vehicle_id, character) in enumerate(characters_of(name, size).items())
    ]
    return heapq.merge(*journeys, key=lambda happening: happening.at)
