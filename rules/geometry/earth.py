"""Distances on the ellipsoid WGS 84.

Up to 100 km a distance is the straight chord through the ellipsoid, bent to an arc of the mean radius: within
2 cm of the geodesic, at the poles and over the date line too, for a tenth of its cost. Beyond, it is the
geodesic itself (Karney's algorithm, geographiclib: exact to nanometres).
"""

import math
from typing import Final, NamedTuple

import numpy as np
from geographiclib.geodesic import Geodesic
from numpy.typing import NDArray

_A: Final = 6_378_137.0
_E2: Final = (2 - 1 / 298.257223563) / 298.257223563
_MEAN_RADIUS: Final = 6_371_008.8
_LONGEST_CHORD: Final = 100_000.0
_RADIAN: Final = math.pi / 180

LEAST_METRES_OF_LATITUDE: Final = 110_574.0
"""Metres of a degree of latitude, where they are fewest: at the equator."""
METRES_OF_LONGITUDE: Final = 111_319.0
"""Metres of a degree of longitude at the equator; times the cosine of the latitude they are a bit more."""

Array = NDArray[np.float64]


def is_place(latitude: float, longitude: float) -> bool:
    """Whether a vehicle can be there; receivers without a fix say (0, 0)."""
    return (
        -90.0 <= latitude <= 90.0
        and -180.0 <= longitude <= 180.0
        and not (latitude == 0.0 and longitude == 0.0)
    )


def distance_m(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Metres between two places, in degrees."""
    x, y, z = _in_space(latitude, longitude)
    to_x, to_y, to_z = _in_space(to_latitude, to_longitude)
    chord = math.sqrt((x - to_x) ** 2 + (y - to_y) ** 2 + (z - to_z) ** 2)
    if chord <= _LONGEST_CHORD:
        return 2 * _MEAN_RADIUS * math.asin(chord / (2 * _MEAN_RADIUS))
    found = Geodesic.WGS84.Inverse(latitude, longitude, to_latitude, to_longitude, Geodesic.DISTANCE)
    return float(found["s12"])


def _in_space(latitude: float, longitude: float) -> tuple[float, float, float]:
    """Metres from the centre of the earth, along its axes."""
    phi, theta = latitude * _RADIAN, longitude * _RADIAN
    sine, cosine = math.sin(phi), math.cos(phi)
    normal = _A / math.sqrt(1 - _E2 * sine * sine)
    across = normal * cosine
    return across * math.cos(theta), across * math.sin(theta), normal * (1 - _E2) * sine


_FEW: Final = 24
"""Up to so many segments a loop beats arrays."""


class Segments(NamedTuple):
    """Straight lines in degrees, as GeoJSON means them: their starts, and how far they go."""

    west: Array
    south: Array
    east_by: Array
    north_by: Array
    few: tuple[tuple[float, float, float, float], ...]
    """The same in rows, if there are few of them."""

    @classmethod
    def along(cls, *lines: list[tuple[float, float]]) -> "Segments":
        """The segments of some lines of (longitude, latitude), without those that go nowhere."""
        starts = np.array([place for line in lines for place in line[:-1]], dtype=np.float64)
        ends = np.array([place for line in lines for place in line[1:]], dtype=np.float64)
        steps = ends - starts
        goes = np.any(steps != 0, axis=1)
        columns = np.hstack((starts[goes], steps[goes])).T
        rows = tuple((w, s, e, n) for w, s, e, n in columns.T.tolist())
        return cls(columns[0], columns[1], columns[2], columns[3], rows if len(rows) <= _FEW else ())


def nearest_place(latitude: float, longitude: float, segments: Segments) -> tuple[float, float]:
    """The place (latitude, longitude) on some segments that is nearest.

    Each segment is looked at in a plane that is true half-way between here and its nearest place, found in
    two rounds. Within 100 km, what is chosen is at most a ten-thousandth farther away than the nearest place.
    """
    if segments.few:
        return _nearest_of_few(latitude, longitude, segments.few)
    x, y, dx, dy, _ = segments
    x = x - longitude
    middle = x + dx / 2
    if middle.max() > 180.0 or middle.min() < -180.0:
        x = x - 360.0 * np.round(middle / 360.0)
    y = y - latitude
    share = np.zeros_like(x)
    for _ in range(2):
        phi = (latitude + (y + share * dy) / 2) * _RADIAN
        shrink = 1 - _E2 * np.sin(phi) ** 2
        squeeze = (np.cos(phi) * shrink / (1 - _E2)) ** 2  # of a degree of longitude, against one of latitude
        share = np.clip(-(x * dx * squeeze + y * dy) / (dx * dx * squeeze + dy * dy), 0.0, 1.0)
    x, y = x + share * dx, y + share * dy
    chosen = int(np.argmin((x * x * squeeze + y * y) / shrink**3))
    return latitude + float(y[chosen]), longitude + float(x[chosen])


def _nearest_of_few(
    latitude: float, longitude: float, segments: tuple[tuple[float, float, float, float], ...]
) -> tuple[float, float]:
    """The same, one segment after the other."""
    nearest, least = (0.0, 0.0), math.inf
    for west, south, dx, dy in segments:
        x, y = west - longitude, south - latitude
        if not -180.0 <= x + dx / 2 <= 180.0:
            x -= 360.0 * round((x + dx / 2) / 360.0)
        share = 0.0
        for _ in range(2):
            phi = (latitude + (y + share * dy) / 2) * _RADIAN
            shrink = 1 - _E2 * math.sin(phi) ** 2
            squeeze = (math.cos(phi) * shrink / (1 - _E2)) ** 2
            share = -(x * dx * squeeze + y * dy) / (dx * dx * squeeze + dy * dy)
            share = 0.0 if share < 0.0 else 1.0 if share > 1.0 else share
        x, y = x + share * dx, y + share * dy
        gap = (x * x * squeeze + y * y) / shrink**3
        if gap < least:
            nearest, least = (latitude + y, longitude + x), gap
    return nearest
