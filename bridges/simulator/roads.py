"""A route is a closed loop of straight legs, each with its speed limit and, at its end, perhaps a halt.

A vehicle can drive such a loop for as long as the fleet runs, and its position is always a
function of the distance driven: positions, speeds and the odometer can never disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

METRES_PER_DEGREE = 111_320.0
"""Length of one degree of latitude; enough for loops of some tens of kilometres."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One straight piece of road. Metres, km/h, seconds; `x_m` and `y_m` point east and north."""

    x_m: float
    y_m: float
    length_m: float
    east: float
    north: float
    limit_kmh: float
    halt_s: float


@dataclass(frozen=True, slots=True)
class Route:
    """A loop of legs around an origin (latitude, longitude in degrees)."""

    latitude: float
    longitude: float
    legs: tuple[Leg, ...]

    @property
    def length_m(self) -> float:
        """The length of the whole loop."""
        return sum(leg.length_m for leg in self.legs)

    def position(self, leg_index: int, driven_m: float) -> tuple[float, float]:
        """Latitude and longitude after `driven_m` metres on the given leg."""
        leg = self.legs[leg_index]
        x_m = leg.x_m + leg.east * driven_m
        y_m = leg.y_m + leg.north * driven_m
        latitude = self.latitude + y_m / METRES_PER_DEGREE
        longitude = self.longitude + x_m / (METRES_PER_DEGREE * math.cos(math.radians(self.latitude)))
        return latitude, longitude


@dataclass(frozen=True, slots=True)
class Terrain:
    """What kind of road a loop is made of: its size, its limits, and how often one has to halt."""

    radius_m: float
    corners: int
    limits_kmh: tuple[float, ...]
    halt_chance: float
    halt_s: tuple[float, float]


CITY = Terrain(600.0, 12, (30.0, 50.0, 50.0, 60.0), 0.5, (4.0, 20.0))
SUBURB = Terrain(2_500.0, 14, (50.0, 60.0, 70.0, 80.0), 0.3, (4.0, 15.0))
YARD = Terrain(100.0, 8, (20.0, 30.0), 0.3, (2.0, 6.0))
MOTORWAY = Terrain(16_000.0, 12, (100.0, 120.0, 120.0), 0.0, (0.0, 0.0))


def loop(terrain: Terrain, random: Random, *, latitude: float, longitude: float) -> Route:
    """A loop through corners on a dented circle, so that it closes exactly and never crosses itself."""
    corners: list[tuple[float, float]] = []
    for number in range(terrain.corners):
        angle = 2 * math.pi * (number + 0.6 * random.random()) / terrain.corners
        radius_m = terrain.radius_m * (0.7 + 0.6 * random.random())
        corners.append((radius_m * math.cos(angle), radius_m * math.sin(angle)))
    legs: list[Leg] = []
    for number, (x_m, y_m) in enumerate(corners):
        next_x_m, next_y_m = corners[(number + 1) % len(corners)]
        length_m = math.hypot(next_x_m - x_m, next_y_m - y_m)
        halts = random.random() < terrain.halt_chance
        halt_s = round(random.uniform(*terrain.halt_s), 1) if halts else 0.0
        legs.append(
            Leg(
                x_m=x_m,
                y_m=y_m,
                length_m=length_m,
                east=(next_x_m - x_m) / length_m,
                north=(next_y_m - y_m) / length_m,
                limit_kmh=random.choice(terrain.limits_kmh),
                halt_s=halt_s,
            )
        )
    return Route(latitude, longitude, tuple(legs))
