"""From what an author wrote to a shape, or to everything that is wrong with it, each with its place.

Coordinates are GeoJSON's: longitude first. Repaired without a word: winding (it has no meaning here), a
longitude beyond 180 degrees, a jump over the date line. Repaired with a warning: a ring that is not closed.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import shapely

from rules.geometry.shapes import Area, Circle, Corridor, Line

FARTHEST_NORTH: Final = 85.0
"""And south. Nobody drives beyond, and planes near a pole are not true."""
MOST_POSITIONS: Final = 10_000
"""In one fence."""
WIDEST: Final = 180.0
"""Degrees of longitude from end to end."""
MOST_METERS: Final = 1_000_000.0
"""A circle's radius, a corridor's width."""

_NUMBERS: Final = (float, int)

Where = tuple[str | int, ...]


class Fault(NamedTuple):
    """Something wrong with a shape; `where` is the way to it from what was read."""

    code: str
    where: Where
    message: str
    hint: str | None = None
    is_error: bool = True


def read_circle(latitude: float, longitude: float, radius_meters: float) -> Circle | list[Fault]:
    """A circle, or what is wrong with it."""
    faults = _place_faults(longitude, latitude, ("longitude",), ("latitude",))
    faults += _size_faults(radius_meters, ("radiusMeters",), "radius")
    if not faults and abs(latitude) + radius_meters / 110_574 > FARTHEST_NORTH:
        faults.append(_too_far(("radiusMeters",)))
    return faults or Circle(latitude, longitude, radius_meters)


def read_corridor(line: object, width_meters: float) -> Corridor | list[Fault]:
    """A corridor along a line of GeoJSON positions, or what is wrong with it."""
    faults = _size_faults(width_meters, ("widthMeters",), "width")
    positions = _positions(line, ("line",), faults)
    if not faults and len(set(positions)) < 2:
        message = "a line has at least two positions, and they differ"
        faults.append(Fault("TT063", ("line",), message, "[[121.47, 31.23], [121.48, 31.24]]"))
    _judge_size([positions], ("line",), faults)
    return faults or Corridor(positions, width_meters)


def read_geometry(kind: str, coordinates: object) -> tuple[Area | None, list[Fault]]:
    """The area of a GeoJSON Polygon or MultiPolygon, None after an error; and what is wrong with it."""
    faults: list[Fault] = []
    where: Where = ("coordinates",)
    polygons = [coordinates] if kind == "Polygon" else coordinates
    if not isinstance(polygons, Sequence) or isinstance(polygons, str) or not polygons:
        return None, [Fault("TT063", where, "a MultiPolygon has at least one polygon")]
    read = []
    for number, polygon in enumerate(polygons):
        read.append(_polygon(polygon, where if kind == "Polygon" else (*where, number), faults))
    _judge_size([ring for rings in read for ring in rings], where, faults)
    if any(fault.is_error for fault in faults):
        return None, faults
    return Area(read), faults


def _polygon(polygon: object, where: Where, faults: list[Fault]) -> list[Line]:
    if not isinstance(polygon, Sequence) or isinstance(polygon, str) or not polygon:
        hint = "[[[121.0, 31.0], [121.1, 31.0], [121.1, 31.1], [121.0, 31.0]]]"
        faults.append(Fault("TT063", where, "a polygon has at least one ring, a list of positions", hint))
        return []
    before = len(faults)
    rings = [_ring(ring, (*where, number), faults) for number, ring in enumerate(polygon)]
    if any(fault.is_error for fault in faults[before:]):
        return rings
    middle = _middle(rings[0])
    for number, ring in enumerate(rings[1:], 1):
        turn = 360.0 * round((middle - _middle(ring)) / 360.0)
        rings[number] = [(longitude + turn, latitude) for longitude, latitude in ring]
    for number, ring in enumerate(rings):
        if shapely.Polygon(ring).convex_hull.area == 0:
            hint = "longitudes more than 180 degrees apart are joined the short way, over the date line"
            faults.append(Fault("TT064", (*where, number), "this ring encloses nothing", hint))
            return rings
    whole = shapely.Polygon(rings[0], rings[1:])
    if not whole.is_valid:
        faults.append(_crossing(shapely.is_valid_reason(whole), rings, where))
    return rings


def _ring(ring: object, where: Where, faults: list[Fault]) -> Line:
    before = len(faults)
    positions = _positions(ring, where, faults)
    if len(faults) > before:
        return positions
    is_open = len(positions) > 0 and positions[0] != positions[-1]
    if len(set(positions)) < 3:
        message = f"a ring has at least three corners, this one has {len(set(positions))}"
        faults.append(Fault("TT063", where, message, "the last position is the first one once more"))
    elif (
        is_open and (positions[-1][0] - positions[0][0]) % 360.0 == 0 and positions[-1][1] == positions[0][1]
    ):
        message = "this ring goes around a pole"
        faults.append(Fault("TT065", where, message, "cut it: no side is longer than 180 degrees"))
    elif is_open:
        longitude, latitude = positions[0]
        message = "a ring ends with its first position; this one is closed for you"
        hint = f"add [{longitude}, {latitude}] at its end"
        faults.append(Fault("TT066", where, message, hint, is_error=False))
        positions = [*positions, positions[0]]
    return positions


def _positions(line: object, where: Where, faults: list[Fault]) -> Line:
    """The positions of a line, with neighbours less than 180 degrees apart."""
    if not isinstance(line, Sequence) or isinstance(line, str):
        faults.append(Fault("TT063", where, "expected a list of positions", "[[121.47, 31.23], …]"))
        return []
    positions: Line = []
    turn = 0.0
    for number, position in enumerate(line):
        found = _plain_position(position) or _position(position, (*where, number), faults)
        if found is None:  # one is enough: they are all swapped, or all in another system
            return positions
        longitude, latitude = found
        if positions and not -180.0 <= longitude + turn - positions[-1][0] <= 180.0:
            turn -= 360.0 * round((longitude + turn - positions[-1][0]) / 360.0)
        positions.append((longitude + turn, latitude))
    return positions


def _plain_position(position: Any) -> tuple[float, float] | None:
    """A position without a fault, as nearly all are; None for one that has to be looked at."""
    if type(position) is not list or len(position) < 2:
        return None
    longitude, latitude = position[0], position[1]
    if type(longitude) not in _NUMBERS or type(latitude) not in _NUMBERS:
        return None
    if not (-360.0 <= longitude <= 360.0 and -FARTHEST_NORTH <= latitude <= FARTHEST_NORTH):
        return None
    return float(longitude), float(latitude)


def _position(position: object, where: Where, faults: list[Fault]) -> tuple[float, float] | None:
    match position:
        case [int() | float() as longitude, int() | float() as latitude, *_] if not (
            isinstance(longitude, bool) or isinstance(latitude, bool)
        ):
            found = _place_faults(float(longitude), float(latitude), (*where, 0), (*where, 1))
            faults += found
            return None if found else (float(longitude), float(latitude))
    message = "a position is a list of two numbers: longitude, latitude"
    faults.append(Fault("TT062", where, message, "[121.47, 31.23]"))
    return None


def _place_faults(longitude: float, latitude: float, of_longitude: Where, of_latitude: Where) -> list[Fault]:
    if not math.isfinite(longitude) or not math.isfinite(latitude):
        return [Fault("TT062", of_latitude, "a position has finite numbers")]
    if abs(latitude) > 90:
        message = f"{latitude:g} is no latitude"
        is_swapped = abs(longitude) <= 90 and abs(latitude) <= 180
        hint = "latitude and longitude are swapped: GeoJSON has the longitude first" if is_swapped else None
        return [Fault("TT062", of_latitude, message, hint or "latitudes go from -90 to 90")]
    if abs(longitude) > 360:
        hint = "from -180 to 180, over the date line also beyond"
        return [Fault("TT062", of_longitude, f"{longitude:g} is no longitude", hint)]
    if abs(latitude) > FARTHEST_NORTH:
        return [_too_far(of_latitude)]
    return []


def _too_far(where: Where) -> Fault:
    message = f"a fence lies between {FARTHEST_NORTH:g} degrees south and north"
    return Fault("TT065", where, message, "cut off what is nearer to the pole")


def _size_faults(meters: float, where: Where, what: str) -> list[Fault]:
    if 0 < meters <= MOST_METERS:
        return []
    message = f"a {what} is more than 0 m and at most {MOST_METERS / 1000:,.0f} km"
    return [Fault("TT065", where, message, "metres, without a unit: 200")]


def _judge_size(lines: list[Line], where: Where, faults: list[Fault]) -> None:
    positions = [position for line in lines for position in line]
    if len(positions) > MOST_POSITIONS:
        message = f"a fence has at most {MOST_POSITIONS:,} positions, this one has {len(positions):,}"
        faults.append(Fault("TT065", where, message, "simplify it, or split it into several fences"))
    for line in lines:
        if line and not faults and max(line)[0] - min(line)[0] >= WIDEST:
            message = f"a fence spans less than {WIDEST:g} degrees of longitude"
            faults.append(Fault("TT065", where, message, "split it into several fences with one label"))
            return


def _crossing(reason: str, rings: list[Line], where: Where) -> Fault:
    """A finding of GEOS, such as `Self-intersection[1 2]`, at the nearest side of the rings."""
    words, _, place = reason.partition("[")
    words = words.strip().lower() or reason
    message = f"this polygon is not valid: {words}"
    try:
        longitude, latitude = (float(part) for part in place.rstrip("]").split())
    except ValueError:
        return Fault("TT064", where, message)
    spot = shapely.Point(longitude, latitude)
    nearest: tuple[float, int, int] | None = None
    for number, ring in enumerate(rings):
        sides = shapely.linestrings([ring[index : index + 2] for index in range(len(ring) - 1)])
        gaps = shapely.distance(sides, spot)
        side = int(gaps.argmin())
        if nearest is None or float(gaps[side]) < nearest[0]:
            nearest = float(gaps[side]), number, side
    assert nearest is not None
    longitude = (longitude + 180.0) % 360.0 - 180.0
    message += f" at [{longitude:g}, {latitude:g}]"
    hint = "draw it so that no side crosses another, and holes lie inside"
    return Fault("TT064", (*where, nearest[1], nearest[2]), message, hint)


def _middle(line: Line) -> float:
    """The longitude half-way between its ends."""
    return (max(line)[0] + min(line)[0]) / 2
