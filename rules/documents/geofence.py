"""Geofence: a place with a name and labels; what conditions and geofence rules refer to.

Coordinates are GeoJSON's (RFC 7946): longitude first. docs/geofences.md says what is accepted and how exactly
distances are computed.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, JsonValue

from rules.documents.closed import Closed, Document, Finding, Many, exactly_one, told
from rules.documents.diagnostics import Path, quote
from rules.geometry import MOST_METERS, Fault, Shape, read_circle, read_corridor, read_geometry

GEOMETRIES = ("Polygon", "MultiPolygon")
Metres = Annotated[float, told(exclusiveMinimum=0, maximum=MOST_METERS)]


class Circle(Closed):
    """All places at most `radiusMeters` away."""

    latitude: Annotated[float, told(minimum=-90, maximum=90)]
    """Of the middle, in degrees."""
    longitude: Annotated[float, told(minimum=-360, maximum=360)]
    """Of the middle, in degrees."""
    radius_meters: Metres
    """How far from the middle."""

    elsewhere: ClassVar = {
        "lat": "latitude",
        "lon": "longitude",
        "lng": "longitude",
        "radius": "radiusMeters",
    }


class Corridor(Closed):
    """All places at most half of `widthMeters` from a line of positions."""

    line: JsonValue
    """Positions, each [longitude, latitude]."""
    width_meters: Metres
    """From one side to the other."""

    elsewhere: ClassVar = {"width": "widthMeters", "coordinates": "line", "path": "line"}


class Geometry(Closed):
    """A GeoJSON geometry; its bounding box is not looked at."""

    type: Annotated[str, told(enum=list(GEOMETRIES))]
    """Of GeoJSON."""
    coordinates: JsonValue = None
    """As in GeoJSON: longitude first."""
    bbox: Many[float] | None = None
    """As in GeoJSON; not looked at."""


class GeofenceSpec(Closed):
    """See docs/geofences.md, which describes each field."""

    model_config = ConfigDict(json_schema_extra=exactly_one("geometry", "circle", "corridor"))

    geometry: Geometry | None = None
    """A polygon or several, as in GeoJSON."""
    circle: Circle | None = None
    """A circle."""
    corridor: Corridor | None = None
    """A line with a width."""

    elsewhere: ClassVar = {"polygon": "geometry", "geojson": "geometry", "geoJson": "geometry"}


class Geofence(Document):
    """One fence."""

    kind: Literal["Geofence"] = "Geofence"
    spec: GeofenceSpec

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the shape."""
        yield from self._read[1]

    @property
    def shape(self) -> Shape | None:
        """The shape; None where a finding is an error."""
        return self._read[0]

    @cached_property
    def _read(self) -> tuple[Shape | None, tuple[Finding, ...]]:
        spec = self.spec
        given = [name for name in ("geometry", "circle", "corridor") if getattr(spec, name) is not None]
        if len(given) != 1:
            what = " and ".join(given) if given else "none of them"
            message = f"a fence has exactly one of geometry, circle and corridor, this one has {what}"
            hint = "circle: {latitude: 31.23, longitude: 121.47, radiusMeters: 200}"
            return None, (Finding("TT060", ("spec",), message, hint),)
        path: Path = ("spec", *given)
        if spec.geometry is not None:
            return _read_geometry(spec.geometry, path)
        found: Shape | list[Fault] = []
        if spec.circle is not None:
            circle = spec.circle
            found = read_circle(circle.latitude, circle.longitude, circle.radius_meters)
        elif spec.corridor is not None:
            found = read_corridor(spec.corridor.line, spec.corridor.width_meters)
        if isinstance(found, list):
            return None, tuple(_finding(fault, path) for fault in found)
        return found, ()


def _read_geometry(geometry: Geometry, path: Path) -> tuple[Shape | None, tuple[Finding, ...]]:
    if geometry.type not in GEOMETRIES:
        message = f"{quote(geometry.type)} is not one of {', '.join(GEOMETRIES)}"
        hints = {
            "FeatureCollection": "save it as a file of its own, NAME.geojson: each feature becomes a fence",
            "Feature": "write what stands under its geometry",
            "Point": "write circle: {latitude: …, longitude: …, radiusMeters: …}",
            "LineString": "write corridor: {line: [[longitude, latitude], …], widthMeters: …}",
        }
        return None, (Finding("TT061", (*path, "type"), message, hints.get(geometry.type)),)
    area, faults = read_geometry(geometry.type, geometry.coordinates)
    return area, tuple(_finding(fault, path) for fault in faults)


def _finding(fault: Fault, path: Path) -> Finding:
    severity: Literal["error", "warning"] = "error" if fault.is_error else "warning"
    return Finding(fault.code, (*path, *fault.where), fault.message, fault.hint, severity)
