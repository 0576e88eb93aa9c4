"""A driver goes as fast as the limit and their temper allow, and never past the point of the next halt.

The speed that is safe before an obstacle is Krauss's (Microscopic Modeling of Traffic Flow,
DLR 1998): with steps as long as the reaction time it never overruns, however coarse the step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridges.simulator.roads import Route

ARRIVED_M = 2.0
"""A driver who is that close to the stop line stands on it."""

AFTER_A_FRIGHT_S = 3.0
"""How long somebody stands after an emergency stop."""


@dataclass(frozen=True, slots=True)
class Temper:
    """How somebody drives: the share of the limit that they drive at, and m/s² both ways."""

    of_limit: float = 0.97
    acceleration: float = 1.6
    braking: float = 2.0


CALM = Temper()


@dataclass(slots=True)
class Progress:
    """Where on its route a vehicle is, how fast (m/s), and how long it still stands."""

    leg: int = 0
    driven_m: float = 0.0
    speed: float = 0.0
    halt_left_s: float = 0.0
    emergency: float = 0.0
    """While above zero the driver stands on the brake: m/s², until the vehicle stands."""


def safe_speed(distance_m: float, end_speed: float, braking: float, step_s: float) -> float:
    """The greatest speed (m/s) from which `end_speed` can still be reached within the distance."""
    lost = braking * step_s
    return max(
        0.0, -lost + math.sqrt(lost * lost + end_speed * end_speed + 2 * braking * max(0.0, distance_m))
    )


def drive(route: Route, progress: Progress, temper: Temper, step_s: float) -> float:
    """Moves along the route for one step; returns the metres driven."""
    if progress.halt_left_s > 0.0:
        progress.halt_left_s = max(0.0, progress.halt_left_s - step_s)
        progress.speed = 0.0
        return 0.0
    if progress.emergency > 0.0:
        return _brake_to_a_halt(route, progress, step_s)
    leg = route.legs[progress.leg]
    following = route.legs[(progress.leg + 1) % len(route.legs)]
    left_m = leg.length_m - progress.driven_m
    if leg.halt_s > 0.0 and left_m <= ARRIVED_M:
        progress.speed = 0.0
        progress.halt_left_s = leg.halt_s
        _enter(route, progress, 0.0)
        return left_m
    wanted = leg.limit_kmh / 3.6 * temper.of_limit
    end_speed = 0.0 if leg.halt_s > 0.0 else following.limit_kmh / 3.6 * temper.of_limit
    wanted = min(wanted, safe_speed(left_m, end_speed, temper.braking, step_s))
    if wanted > progress.speed:
        speed = min(wanted, progress.speed + temper.acceleration * step_s)
    else:
        speed = max(wanted, progress.speed - temper.braking * step_s)
    if leg.halt_s > 0.0 and wanted < 0.5:
        speed = max(speed, 0.5)  # creeps up to the line, as people do
    moved_m = speed * step_s
    progress.speed = speed
    if moved_m < left_m:
        progress.driven_m += moved_m
    elif leg.halt_s > 0.0:
        moved_m = left_m
        progress.driven_m = leg.length_m
    else:
        _enter(route, progress, moved_m - left_m)
    return moved_m


def _brake_to_a_halt(route: Route, progress: Progress, step_s: float) -> float:
    before = progress.speed
    progress.speed = max(0.0, before - progress.emergency * step_s)
    if progress.speed == 0.0:
        progress.emergency = 0.0
        progress.halt_left_s = AFTER_A_FRIGHT_S
    moved_m = (before + progress.speed) / 2 * step_s
    left_m = route.legs[progress.leg].length_m - progress.driven_m
    if moved_m < left_m:
        progress.driven_m += moved_m
    else:
        _enter(route, progress, moved_m - left_m)
    return moved_m


def _enter(route: Route, progress: Progress, driven_m: float) -> None:
    progress.leg = (progress.leg + 1) % len(route.legs)
    progress.driven_m = driven_m
