"""What is inside, how far away, and what a path meets: held to plain computations that take their time."""

import math
import random
from itertools import pairwise

import pytest
from geographiclib.geodesic import Geodesic
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.geometry import Area, Circle, Corridor, Shape, ShapeIndex, distance_m, read_geometry
from rules.geometry.earth import Segments, nearest_place
from rules.geometry.shapes import Path, is_beyond

SEEDS = st.integers(0, 2**40)


def geodesic_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(Geodesic.WGS84.Inverse(*one, *other, Geodesic.DISTANCE)["s12"])


def wrapped(longitude: float) -> float:
    return longitude if -180.0 <= longitude <= 180.0 else (longitude + 180.0) % 360.0 - 180.0


def moved(latitude: float, longitude: float, north_m: float, east_m: float) -> tuple[float, float]:
    """About so far away: (latitude, longitude)."""
    up = latitude + north_m / 111_000
    return up, wrapped(longitude + east_m / (111_320 * math.cos(math.radians(latitude))))


CENTRES = st.sampled_from(
    [
        (31.23, 121.47),
        (0.0, 0.0),
        (52.5, 13.4),
        (-33.9, 151.2),
        (69.6, 18.9),
        (16.8, 179.999),
        (-17.0, -180.0),
    ]
)


def star(
    choice: random.Random, latitude: float, longitude: float, size_m: float
) -> list[tuple[float, float]]:
    """A closed ring of (longitude, latitude) around a place, going on beyond 180 degrees."""
    corners = choice.randint(3, 12)
    ring = []
    for number in range(corners):
        angle = 2 * math.pi * number / corners
        reach = size_m * choice.uniform(0.2, 1.0)
        north, east = reach * math.sin(angle), reach * math.cos(angle)
        degrees = east / (111_320 * math.cos(math.radians(latitude)))
        ring.append((longitude + degrees, latitude + north / 111_000))
    return [*ring, ring[0]]


def inside_by_crossings(rings: list[list[tuple[float, float]]], latitude: float, longitude: float) -> bool:
    """Even-odd rule, by a ray to the east."""
    crossings = 0
    for ring in rings:
        for (x1, y1), (x2, y2) in pairwise(ring):
            if (y1 > latitude) != (y2 > latitude):
                crossings += longitude < x1 + (latitude - y1) * (x2 - x1) / (y2 - y1)
    return crossings % 2 == 1


def shape_near(seed: int, centre: tuple[float, float]) -> tuple[Shape, float]:
    """A shape, and its size."""
    choice = random.Random(seed)
    latitude, longitude = centre
    size = choice.choice([30.0, 300.0, 5_000.0])
    match choice.choice(["area", "circle", "corridor"]):
        case "area":
            return Area([[star(choice, latitude, longitude, size)]]), size
        case "circle":
            return Circle(latitude, longitude, size), size
        case _:
            line = star(choice, latitude, longitude, size)[: choice.randint(2, 4)]
            return Corridor(line, size / choice.choice([2, 5, 20])), size


def place_near(choice: random.Random, centre: tuple[float, float], size: float) -> tuple[float, float]:
    reach = size * choice.choice([0.5, 1.1, 3.0])
    return moved(*centre, choice.uniform(-reach, reach), choice.uniform(-reach, reach))


# -- distances ---------------------------------------------------------------------------------------------


@settings(max_examples=500)
@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-1, 1), st.floats(-2, 2), st.floats(0.0001, 1))
def test_a_distance_is_the_geodesic_within_two_centimetres(
    latitude: float, longitude: float, north: float, east: float, scale: float
) -> None:
    other = max(-90.0, min(90.0, latitude + north * scale)), wrapped(longitude + east * scale)
    true = geodesic_m((latitude, longitude), other)
    assert distance_m(latitude, longitude, *other) == pytest.approx(true, abs=0.02, rel=1e-12)


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(-90, 90), st.floats(-180, 180))
def test_a_long_distance_is_the_geodesic(south: float, west: float, north: float, east: float) -> None:
    true = geodesic_m((south, west), (north, east))
    assert distance_m(south, west, north, east) == pytest.approx(true, abs=0.02)


@settings(max_examples=60, deadline=None)
@given(SEEDS, CENTRES)
def test_the_distance_to_a_shape_is_that_to_the_nearest_of_many_places_on_its_edge(
    seed: int, centre: tuple[float, float]
) -> None:
    choice = random.Random(seed)
    size = choice.choice([100.0, 3_000.0, 30_000.0])
    ring = star(choice, *centre, size)
    area = Area([[ring]])
    place = place_near(choice, centre, size)
    found = area.distance_m(*place)
    steps = 200
    edge = [
        (y1 + (y2 - y1) * step / steps, x1 + (x2 - x1) * step / steps)
        for (x1, y1), (x2, y2) in pairwise(ring)
        for step in range(steps)
    ]
    if area.covers(*place):
        assert found == 0.0
        return
    least = min(distance_m(*place, *spot) for spot in edge)
    spacing = max(distance_m(*one, *other) for one, other in pairwise(edge))
    assert least - spacing <= found <= least * 1.0001 + 0.001


@settings(max_examples=200)
@given(SEEDS, CENTRES)
def test_a_loop_over_few_sides_and_arrays_of_many_find_the_same_place(
    seed: int, centre: tuple[float, float]
) -> None:
    choice = random.Random(seed)
    few = Segments.along(star(choice, *centre, choice.choice([100.0, 20_000.0])))
    assert few.few
    latitude, longitude = place_near(choice, centre, 50_000.0)
    one = nearest_place(latitude, longitude, few)
    other = nearest_place(latitude, longitude, few._replace(few=()))
    away = distance_m(latitude, longitude, *one)
    assert away == pytest.approx(distance_m(latitude, longitude, *other), rel=1e-9, abs=1e-6)


# -- inside ------------------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(SEEDS, CENTRES)
def test_an_area_covers_what_an_odd_number_of_crossings_says(seed: int, centre: tuple[float, float]) -> None:
    choice = random.Random(seed)
    outer = star(choice, *centre, 1000.0)
    hole = [(x * 0.3 + centre[1] * 0.7, y * 0.3 + centre[0] * 0.7) for x, y in outer]
    rings = [outer, hole] if choice.random() < 0.5 else [outer]
    area = Area([rings])
    for _ in range(10):
        latitude, longitude = place_near(choice, centre, 1000.0)
        near = min((longitude + turn for turn in (-360, 0, 360)), key=lambda east: abs(east - centre[1]))
        assert area.covers(latitude, longitude) == inside_by_crossings(rings, latitude, near)


@settings(max_examples=200)
@given(SEEDS, CENTRES)
def test_the_distance_is_nothing_exactly_where_a_place_is_inside(
    seed: int, centre: tuple[float, float]
) -> None:
    shape, size = shape_near(seed, centre)
    place = place_near(random.Random(seed), centre, size)
    assert (shape.distance_m(*place) == 0.0) == shape.covers(*place)


@settings(max_examples=300)
@given(SEEDS, CENTRES, st.floats(0, 20_000))
def test_a_box_never_says_more_than_the_distance(
    seed: int, centre: tuple[float, float], metres: float
) -> None:
    shape, size = shape_near(seed, centre)
    place = place_near(random.Random(seed), centre, size * 4)
    assert is_beyond(shape, *place, metres) == (shape.distance_m(*place) > metres)


@settings(max_examples=100)
@given(SEEDS, CENTRES)
def test_corners_are_inside(seed: int, centre: tuple[float, float]) -> None:
    area = Area([[star(random.Random(seed), *centre, 500.0)]])
    index = ShapeIndex([area])
    for longitude, latitude in star(random.Random(seed), *centre, 500.0):
        if -180.0 <= longitude < 180.0:
            assert area.covers(latitude, longitude)
            assert list(index.covering(latitude, longitude)) == [0]


# -- paths -------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(SEEDS, CENTRES)
def test_a_path_meets_a_shape_where_it_has_a_place_inside(seed: int, centre: tuple[float, float]) -> None:
    choice = random.Random(seed)
    shape, size = shape_near(seed, centre)
    path = Path(*place_near(choice, centre, size), *place_near(choice, centre, size))
    steps = 400
    places = [
        (
            path.latitude + (path.to_latitude - path.latitude) * step / steps,
            wrapped(path.longitude + path.east_by * step / steps),
        )
        for step in range(steps + 1)
    ]
    spacing = distance_m(*places[0], *places[1])
    if any(shape.covers(*place) for place in places):
        assert shape.is_met(path)
    elif shape.is_met(path):  # it only touches, between two of the places
        assert min(shape.distance_m(*place) for place in places) <= spacing


# -- the index ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(SEEDS, CENTRES)
def test_the_index_finds_what_looking_at_every_shape_finds(seed: int, centre: tuple[float, float]) -> None:
    choice = random.Random(seed)
    shapes = [shape_near(choice.randrange(2**40), place_near(choice, centre, 5_000.0))[0] for _ in range(20)]
    index = ShapeIndex(shapes)
    before = None
    for _ in range(20):
        place = place_near(choice, centre, 6_000.0)
        expected = [number for number, shape in enumerate(shapes) if shape.covers(*place)]
        assert list(index.covering(*place)) == expected
        if before is not None:
            path = Path(*before, *place)
            met = [number for number, shape in enumerate(shapes) if shape.is_met(path)]
            assert list(index.met(path)) == met
        before = place


def test_an_index_of_nothing_finds_nothing() -> None:
    assert list(ShapeIndex([]).covering(31.0, 121.0)) == []
    assert list(ShapeIndex([]).met(Path(31.0, 121.0, 31.1, 121.0))) == []


@pytest.mark.parametrize(
    "coordinates",
    [
        pytest.param([[[[179, -1], [-179, -1], [-179, 1], [179, 1], [179, -1]]]], id="short-way"),
        pytest.param([[[[179, -1], [181, -1], [181, 1], [179, 1], [179, -1]]]], id="beyond-180"),
        pytest.param([[[[-181, -1], [-179, -1], [-179, 1], [-181, 1], [-181, -1]]]], id="beyond-minus-180"),
        pytest.param(
            [
                [[[179, -1], [180, -1], [180, 1], [179, 1], [179, -1]]],
                [[[-180, -1], [-179, -1], [-179, 1], [-180, 1], [-180, -1]]],
            ],
            id="cut-as-rfc-7946-says",
        ),
        pytest.param([[[[-179, -1], [179, -1], [179, 1], [-179, 1], [-179, -1]]]], id="other-winding"),
    ],
)
def test_the_date_line_is_written_in_many_ways_and_is_one_place(coordinates: object) -> None:
    area, faults = read_geometry("MultiPolygon", coordinates)
    assert (area is not None, faults) == (True, [])
    assert area is not None
    index = ShapeIndex([area])
    for longitude in (179.0, 179.5, 180.0, -180.0, -179.5, -179.0):
        assert area.covers(0.5, longitude), longitude
        assert list(index.covering(0.5, longitude)) == [0], longitude
    for longitude in (178.9, -178.9, 0.0, 90.0):
        assert not area.covers(0.5, longitude)
        assert list(index.covering(0.5, longitude)) == []
    assert area.distance_m(0.5, 178.9) == pytest.approx(area.distance_m(0.5, -178.9))
    assert list(index.met(Path(0.5, 178.5, 0.5, -178.5))) == [0]
    assert list(index.met(Path(0.5, -178.5, 0.5, 178.5))) == [0]
    assert list(index.met(Path(0.5, -178.5, 0.5, -177.5))) == []
