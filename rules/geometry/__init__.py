"""Places on earth: shapes of fences, what is inside of them, how far away they are, and finding them fast.

Pure geometry, on WGS 84. Nothing here knows documents, rules or time.
"""

from rules.geometry.earth import distance_m, is_place
from rules.geometry.index import ShapeIndex
from rules.geometry.reading import MOST_METERS, Fault, read_circle, read_corridor, read_geometry
from rules.geometry.shapes import Area, Circle, Corridor, Shape

__all__ = [
    "MOST_METERS",
    "Area",
    "Circle",
    "Corridor",
    "Fault",
    "Shape",
    "ShapeIndex",
    "distance_m",
    "is_place",
    "read_circle",
    "read_corridor",
    "read_geometry",
]
