import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.simulator.driving import Progress, Temper, drive, safe_speed
from bridges.simulator.roads import CITY, METRES_PER_DEGREE, MOTORWAY, SUBURB, loop

TERRAINS = st.sampled_from([CITY, SUBURB, MOTORWAY])


@given(TERRAINS, st.integers(0, 10_000))
@settings(max_examples=50)
def test_a_route_closes(terrain, seed):
    route = loop(terrain, Random(seed), latitude=31.0, longitude=121.0)
    for leg, following in zip(route.legs, (*route.legs[1:], route.legs[0]), strict=True):
        assert math.isclose(leg.x_m + leg.east * leg.length_m, following.x_m, abs_tol=1e-6)
        assert math.isclose(leg.y_m + leg.north * leg.length_m, following.y_m, abs_tol=1e-6)
        assert math.isclose(leg.east**2 + leg.north**2, 1.0)


@given(TERRAINS, st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 1.0]))
@settings(max_examples=40)
def test_a_calm_driver_halts_at_every_halt_and_keeps_the_limits(terrain, seed, step_s):
    route = loop(terrain, Random(seed), latitude=31.0, longitude=121.0)
    temper = Temper()
    progress = Progress()
    before, passed = 0.0, False
    for _ in range(600):
        leg_before = progress.leg
        drive(route, progress, temper, step_s)
        if progress.leg != leg_before and route.legs[leg_before].halt_s > 0.0:
            assert progress.speed == 0.0, "drove past a halt"
        assert progress.speed <= max(leg.limit_kmh for leg in route.legs) / 3.6
        assert progress.speed - before <= temper.acceleration * step_s + 1e-9
        if progress.halt_left_s == 0.0:
            assert progress.driven_m <= route.legs[progress.leg].length_m
        # The last metre to the line is a stop from walking pace, whatever the step.
        assert before - progress.speed <= max(temper.braking * step_s, 3.0) + 1e-9
        before = progress.speed
        passed = passed or progress.speed > 5.0
    assert passed, "never got going"


@given(TERRAINS, st.integers(0, 10_000))
@settings(max_examples=30)
def test_the_position_moves_as_far_as_the_speed_says(terrain, seed):
    route = loop(terrain, Random(seed), latitude=31.0, longitude=121.0)
    progress = Progress()
    for _ in range(300):
        leg, place = progress.leg, route.position(progress.leg, progress.driven_m)
        moved_m = drive(route, progress, Temper(), 1.0)
        latitude, longitude = route.position(progress.leg, progress.driven_m)
        north_m = (latitude - place[0]) * METRES_PER_DEGREE
        east_m = (longitude - place[1]) * METRES_PER_DEGREE * math.cos(math.radians(31.0))
        if progress.leg == leg:
            assert math.hypot(north_m, east_m) == pytest.approx(moved_m, abs=0.01)
        else:
            assert math.hypot(north_m, east_m) <= moved_m + 0.01, (
                "a corner is no longer than the way around it"
            )


def test_the_safe_speed_leaves_room_to_stop():
    for distance_m in (0.0, 1.0, 10.0, 100.0, 1000.0):
        speed = safe_speed(distance_m, 0.0, 2.0, 1.0)
        assert speed * 1.0 + speed**2 / (2 * 2.0) <= distance_m + 1e-9


def test_an_emergency_stop_ends_standing():
    route = loop(MOTORWAY, Random(1), latitude=31.0, longitude=121.0)
    progress = Progress(speed=30.0, emergency=8.0)
    speeds = []
    while progress.emergency > 0.0:
        drive(route, progress, Temper(), 1.0)
        speeds.append(progress.speed)
    assert speeds == [22.0, 14.0, 6.0, 0.0]
    assert progress.halt_left_s > 0.0
