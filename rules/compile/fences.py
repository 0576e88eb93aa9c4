"""The fences of a set, and what is suspicious about them when they are seen together."""

from collections.abc import Iterator, Mapping

from rules.documents import Diagnostic, Geofence, Loaded, Placed, SignalCatalog
from rules.geometry import Shape

_BESIDE = 5.0
"""Degrees between fences that belong together."""
_AWAY = 20.0


def fences_of(loaded: Loaded) -> dict[str, Shape]:
    """The shapes of a set by the names of their fences; those with errors are left out."""
    shapes = ((placed.document.metadata.name, placed.document.shape) for placed in loaded.geofences)
    return {name: shape for name, shape in shapes if shape is not None}


def positionless(catalog: Placed[SignalCatalog], fences: Mapping[str, Shape]) -> Iterator[Diagnostic]:
    """Warn where there are fences, and a catalog that does not say where vehicles are."""
    if fences and catalog.document.spec.position is None and "TT211" not in catalog.document.metadata.meant:
        message = "no position is read, so no vehicle is ever inside one of the fences of this set"
        hint = "position: {latitude: pos.lat, longitude: pos.lon, accuracy: pos.acc}"
        yield catalog.diagnostic("TT211", ("spec",), message, hint=hint, severity="warning")


def far_fences(loaded: Loaded) -> Iterator[Diagnostic]:
    """Warn of a fence that is far from all others, and beside them with its two numbers swapped."""
    corners = []
    for placed in loaded.geofences:
        shape = placed.document.shape
        if shape is not None:
            corners.append((placed, shape.boxes[0].south, shape.boxes[0].west))
    if len(corners) < 3:
        return
    latitudes = sorted(latitude for _, latitude, _ in corners)
    longitudes = sorted(longitude for _, _, longitude in corners)
    middle = latitudes[len(corners) // 2], longitudes[len(corners) // 2]
    for placed, latitude, longitude in corners:
        is_away = _apart(middle, (latitude, longitude)) > _AWAY
        if is_away and _apart(middle, (longitude, latitude)) < _BESIDE:
            yield from _swapped(placed, latitude, longitude)


def _apart(one: tuple[float, float], other: tuple[float, float]) -> float:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1]))


def _swapped(placed: Placed[Geofence], latitude: float, longitude: float) -> Iterator[Diagnostic]:
    if "TT212" in placed.document.metadata.meant:
        return
    message = (
        f"this fence is near latitude {latitude:.1f}, longitude {longitude:.1f}, far from all others; "
        "with the two swapped it would be beside them"
    )
    hint = "GeoJSON has the longitude first"
    yield placed.diagnostic("TT212", ("spec",), message, hint=hint, severity="warning")
