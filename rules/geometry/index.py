"""Which of many shapes a place is in, at a cost that hardly depends on how many there are.

The earth is cut into cells of a hundredth of a degree. What there is in a cell is asked of an R-tree once;
from then on a place is one look into a table, and an exact test for each shape whose edge may be in its cell.
Most cells have none.
"""

import math
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import shapely

from rules.geometry.shapes import Box, Path, Shape

_CELLS: Final = 100
"""Cells in a degree."""
_ROW: Final = 1 << 17
_MOST_CELLS: Final = 200_000
"""Cells that are remembered: some 50 MB. More than that, and all are asked for anew."""


class _Candidate(NamedTuple):
    number: int
    shape: Shape
    box: Box
    """Around all of it; of all longitudes for one over the date line."""


class _Cell(NamedTuple):
    within: tuple[int, ...]
    """The shapes that cover all of the cell."""
    partly: tuple[_Candidate, ...]
    """The shapes that may cover some of it."""


_NOTHING: Final = _Cell((), ())
_MOST_ON_A_PATH: Final = 9
"""Cells that are looked into one by one for a path; for more, the tree is asked."""


class ShapeIndex:
    """Shapes by their place in a sequence."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        self._shapes = tuple(shapes)
        boxes = [(index, box) for index, shape in enumerate(self._shapes) for box in shape.boxes]
        self._owners = np.array([index for index, _ in boxes], dtype=np.int64)
        corners = np.array([box for _, box in boxes], dtype=np.float64).reshape(-1, 4)
        self._tree = shapely.STRtree(shapely.box(*corners.T))
        self._cells: dict[int, _Cell] = {}

    def covering(self, latitude: float, longitude: float) -> Sequence[int]:
        """The shapes that a place is in, ascending."""
        if longitude >= 180.0:
            longitude -= 360.0
        row, column = math.floor(latitude * _CELLS), math.floor(longitude * _CELLS)
        key = row * _ROW + column
        cell = self._cells.get(key) or self._new_cell(key, row, column)
        if not cell.partly:
            return cell.within
        found = [
            index
            for index, shape, (west, south, east, north) in cell.partly
            if south <= latitude <= north and west <= longitude <= east and shape.covers(latitude, longitude)
        ]
        if not cell.within:
            return found
        return sorted((*found, *cell.within))

    def met(self, path: Path, without: Collection[int] = ()) -> Sequence[int]:
        """The shapes that have a place on a path, ascending; `without` those of which it is known."""
        row, column = math.floor(path.latitude * _CELLS), math.floor(path.longitude * _CELLS)
        if self._cells.get(row * _ROW + column) is _NOTHING and (row, column) == (
            math.floor(path.to_latitude * _CELLS),
            math.floor(path.to_longitude * _CELLS),
        ):
            return ()  # most steps of most vehicles
        south, north = sorted((path.latitude, path.to_latitude))
        west, east = sorted((path.longitude, path.longitude + path.east_by))
        box = Box(west, south, east, north)
        if west >= -180.0 and east < 180.0:
            found = self._near(box)
        else:
            found = set(self._meeting(box))
            if west < -180.0:
                found.update(self._meeting(Box(west + 360.0, south, 180.0, north)))
            if east >= 180.0:
                found.update(self._meeting(Box(-180.0, south, east - 360.0, north)))
        return [index for index in sorted(found) if index not in without and self._shapes[index].is_met(path)]

    def _near(self, box: Box) -> set[int]:
        """The shapes whose boxes meet a box that is not over the date line."""
        first, last = math.floor(box.south * _CELLS), math.floor(box.north * _CELLS)
        left, right = math.floor(box.west * _CELLS), math.floor(box.east * _CELLS)
        if (last - first + 1) * (right - left + 1) > _MOST_ON_A_PATH:
            return set(self._meeting(box))
        found: set[int] = set()
        for row in range(first, last + 1):
            for column in range(left, right + 1):
                key = row * _ROW + column
                cell = self._cells.get(key) or self._new_cell(key, row, column)
                found.update(cell.within)
                for index, _, (west, south, east, north) in cell.partly:
                    if west <= box.east and box.west <= east and south <= box.north and box.south <= north:
                        found.add(index)
        return found

    def _meeting(self, box: Box) -> Sequence[int]:
        """The shapes whose boxes meet a box."""
        owners: Sequence[int] = self._owners[self._tree.query(shapely.box(*box))].tolist()
        return owners

    def _new_cell(self, key: int, row: int, column: int) -> _Cell:
        if len(self._cells) >= _MOST_CELLS:
            self._cells.clear()
        # A bit larger than the cell: a place on the line between two is counted to one of them only.
        box = Box(column / _CELLS - 1e-9, row / _CELLS - 1e-9, (column + 1) / _CELLS, (row + 1) / _CELLS)
        near = sorted(set(self._meeting(box)))
        cell = _NOTHING
        if near:
            within = tuple(index for index in near if self._shapes[index].covers_box(box))
            rest = [(index, self._shapes[index]) for index in near if index not in within]
            cell = _Cell(within, tuple(_Candidate(number, shape, _around(shape)) for number, shape in rest))
        self._cells[key] = cell
        return cell


def _around(shape: Shape) -> Box:
    """One box around a shape, with a little room for what rounding does to the edges."""
    boxes = shape.boxes
    west = -180.0 if len(boxes) > 1 else boxes[0].west - 1e-9
    east = 180.0 if len(boxes) > 1 else boxes[0].east + 1e-9
    south, north = min(box.south for box in boxes), max(box.north for box in boxes)
    return Box(west, south - 1e-9, east, north + 1e-9)
