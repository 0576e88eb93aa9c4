"""The shapes of fences: areas, corridors, circles. What is on the edge is inside.

Edges are straight in longitude and latitude, as GeoJSON says (RFC 7946, 3.1.1); widths and radii are metres
on the ellipsoid. A shape over the date line goes on beyond 180 degrees inside; its boxes do not.
"""

import hashlib
import math
from typing import NamedTuple, Protocol

import shapely

from rules.geometry.earth import (
    LEAST_METRES_OF_LATITUDE,
    METRES_OF_LONGITUDE,
    Segments,
    distance_m,
    nearest_place,
)

Line = list[tuple[float, float]]
"""(longitude, latitude) in degrees, as in GeoJSON; neighbours are less than 180 degrees apart."""


class Box(NamedTuple):
    """Degrees; never over the date line."""

    west: float
    south: float
    east: float
    north: float


class Path(NamedTuple):
    """From one place to another, the short way. Degrees."""

    latitude: float
    longitude: float
    to_latitude: float
    to_longitude: float

    @property
    def east_by(self) -> float:
        """Degrees of longitude that it goes east; negative for west."""
        return (self.to_longitude - self.longitude + 180.0) % 360.0 - 180.0


class Shape(Protocol):
    """Where a fence is."""

    @property
    def boxes(self) -> tuple[Box, ...]:
        """One box around all of it, or two that meet at the date line."""

    @property
    def digest(self) -> bytes:
        """The same for the same shape."""

    def covers(self, latitude: float, longitude: float) -> bool:
        """Whether a place is inside."""

    def covers_box(self, box: Box) -> bool:
        """Whether certainly all of a small box is inside; false where it is not easily told."""

    def distance_m(self, latitude: float, longitude: float) -> float:
        """Metres to the nearest place inside; 0 from inside."""

    def is_met(self, path: Path) -> bool:
        """Whether a path has a place inside."""


def is_beyond(shape: Shape, latitude: float, longitude: float, metres: float) -> bool:
    """Whether a place is farther away than so many metres. Most are outside a box that says so already."""
    if all(_is_beyond_box(box, latitude, longitude, metres) for box in shape.boxes):
        return True
    return shape.distance_m(latitude, longitude) > metres


def _is_beyond_box(box: Box, latitude: float, longitude: float, metres: float) -> bool:
    north = max(box.south - latitude, latitude - box.north)
    if north * LEAST_METRES_OF_LATITUDE > metres:
        return True
    east = min((box.west - longitude) % 360.0, (longitude - box.east) % 360.0)
    if box.west <= longitude <= box.east or east <= 0.0:
        return False
    farthest = max(abs(latitude), abs(box.south), abs(box.north))
    cosine = math.cos(math.radians(min(farthest, 90.0)))
    return min(east, 20.0) * METRES_OF_LONGITUDE * 0.99 * cosine > metres


class Circle:
    """All places at most so many metres from one."""

    __slots__ = ("_latitude", "_longitude", "_radius", "boxes", "digest")

    def __init__(self, latitude: float, longitude: float, radius_meters: float) -> None:
        self._latitude, self._longitude, self._radius = latitude, longitude, radius_meters
        self.boxes = _widened([(longitude, latitude)], radius_meters)
        self.digest = _digest("circle", latitude, longitude, radius_meters)

    def covers(self, latitude: float, longitude: float) -> bool:
        return distance_m(self._latitude, self._longitude, latitude, longitude) <= self._radius

    def covers_box(self, box: Box) -> bool:
        corners = ((south, west) for south in (box.south, box.north) for west in (box.west, box.east))
        farthest = max(distance_m(self._latitude, self._longitude, *corner) for corner in corners)
        return farthest < self._radius * 0.999

    def distance_m(self, latitude: float, longitude: float) -> float:
        return max(0.0, distance_m(self._latitude, self._longitude, latitude, longitude) - self._radius)

    def is_met(self, path: Path) -> bool:
        segment = _segment_of(path)
        return self.covers(*nearest_place(self._latitude, self._longitude, segment))


class Corridor:
    """All places at most half the width from a line."""

    __slots__ = ("_half", "_line", "_string", "boxes", "digest", "segments")

    def __init__(self, line: Line, width_meters: float) -> None:
        line = _from_the_west(line)
        self._line = line
        self._half = width_meters / 2
        self._string: shapely.LineString | None = None
        self.segments = Segments.along(line)
        self.boxes = _widened(line, self._half)
        self.digest = _digest("corridor", line, width_meters)

    def covers(self, latitude: float, longitude: float) -> bool:
        return self._from_line(latitude, longitude) <= self._half

    def covers_box(self, box: Box) -> bool:  # noqa: ARG002
        return False

    def distance_m(self, latitude: float, longitude: float) -> float:
        return max(0.0, self._from_line(latitude, longitude) - self._half)

    def is_met(self, path: Path) -> bool:
        if self.covers(path.latitude, path.longitude) or self.covers(path.to_latitude, path.to_longitude):
            return True
        if self._string is None:
            self._string = shapely.LineString(self._line)
        if _is_crossed(self._string, path):
            return True
        segment = _segment_of(path)
        return any(
            distance_m(latitude, longitude, *nearest_place(latitude, longitude, segment)) <= self._half
            for longitude, latitude in self._line
        )

    def _from_line(self, latitude: float, longitude: float) -> float:
        return distance_m(latitude, longitude, *nearest_place(latitude, longitude, self.segments))


class Area:
    """A polygon, or several; with holes, which are outside."""

    __slots__ = ("_east", "_geometry", "_is_prepared", "_rings", "_segments", "boxes", "digest")

    def __init__(self, polygons: list[list[Line]]) -> None:
        """Take closed rings, the outer one of each polygon first."""
        polygons = [_from_the_west_all(rings) for rings in polygons]
        made = [shapely.Polygon(rings[0], rings[1:]) for rings in polygons]
        self._geometry: shapely.Geometry = made[0]
        if len(made) > 1:
            together = shapely.MultiPolygon(made)
            self._geometry = together if together.is_valid else shapely.union_all(made)  # they may overlap
        self._rings = [ring for rings in polygons for ring in rings]
        self._segments: Segments | None = None
        self._is_prepared = False
        self._east = self._geometry.bounds[2]
        self.boxes = tuple(box for polygon in made for box in _boxes(*polygon.bounds))
        self.digest = _digest("area", polygons)

    def covers(self, latitude: float, longitude: float) -> bool:
        if not self._is_prepared:
            shapely.prepare(self._geometry)
            self._is_prepared = True
        if longitude >= 180.0:
            longitude -= 360.0
        if shapely.intersects_xy(self._geometry, longitude, latitude):
            return True
        beyond = longitude + 360.0
        return beyond <= self._east and bool(shapely.intersects_xy(self._geometry, beyond, latitude))

    def covers_box(self, box: Box) -> bool:
        return bool(shapely.covers(self._geometry, shapely.box(*box)))

    def distance_m(self, latitude: float, longitude: float) -> float:
        if self.covers(latitude, longitude):
            return 0.0
        if self._segments is None:
            self._segments = Segments.along(*self._rings)
        return distance_m(latitude, longitude, *nearest_place(latitude, longitude, self._segments))

    def is_met(self, path: Path) -> bool:
        return _is_crossed(self._geometry, path)


def _is_crossed(geometry: shapely.Geometry, path: Path) -> bool:
    """Whether a path meets a geometry that may go on beyond the date line."""
    west, _, east, _ = geometry.bounds
    for turn in (-360.0, 0.0, 360.0):
        start = path.longitude + turn
        end = start + path.east_by
        if max(start, end) < west or min(start, end) > east:
            continue
        line = shapely.LineString([(start, path.latitude), (end, path.to_latitude)])
        if shapely.intersects(geometry, line):
            return True
    return False


def _segment_of(path: Path) -> Segments:
    if path[:2] == path[2:]:  # a segment that goes nowhere is one all the same
        return Segments.along([(path.longitude, path.latitude), (path.longitude, path.latitude + 1e-12)])
    end = path.longitude + path.east_by
    return Segments.along([(path.longitude, path.latitude), (end, path.to_latitude)])


def _from_the_west(line: Line) -> Line:
    """The same line with its western end from -180 to 180 degrees."""
    turn = -360.0 * math.floor((min(longitude for longitude, _ in line) + 180.0) / 360.0)
    return [(longitude + turn, latitude) for longitude, latitude in line] if turn else line


def _from_the_west_all(rings: list[Line]) -> list[Line]:
    """An outer ring with its western end from -180 to 180 degrees, and its holes moved along."""
    outer = _from_the_west(rings[0])
    turn = outer[0][0] - rings[0][0][0]
    return [outer, *([(longitude + turn, latitude) for longitude, latitude in ring] for ring in rings[1:])]


def _widened(line: Line, metres: float) -> tuple[Box, ...]:
    """Boxes around all places at most so far from a line; a bit larger than needed."""
    up = metres * 1.01 / LEAST_METRES_OF_LATITUDE
    south = min(latitude for _, latitude in line) - up
    north = max(latitude for _, latitude in line) + up
    cosine = math.cos(math.radians(min(max(abs(south), abs(north)), 89.0)))
    side = metres * 1.02 / (METRES_OF_LONGITUDE * cosine)
    west = min(longitude for longitude, _ in line) - side
    east = max(longitude for longitude, _ in line) + side
    return _boxes(west, south, east, north)


def _boxes(west: float, south: float, east: float, north: float) -> tuple[Box, ...]:
    """A box, cut at the date line. What reaches 180 degrees has -180 degrees, too: it is the same place."""
    if east - west >= 360.0:
        return (Box(-180.0, south, 180.0, north),)
    if west < -180.0:
        return Box(west + 360.0, south, 180.0, north), Box(-180.0, south, east, north)
    if east >= 180.0:
        return Box(west, south, 180.0, north), Box(-180.0, south, east - 360.0, north)
    return (Box(west, south, east, north),)


def _digest(*parts: object) -> bytes:
    return hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
