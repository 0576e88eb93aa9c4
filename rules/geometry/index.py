"""Which of many shapes a place is in, at a cost that hardly depends on how many there are.

The earth is cut into cells of a hundredth of a degree. What there is in a cell is asked of an R-tree once;
from then on a place is one look into a table, and an exact test for each shape whose edge may be in its cell.
Most cells have none.
"""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import shapely

from rules.geometry.shapes import Box, Path, Shape

_CELLS: Final = 100
"""Cells in a degree."""
_ROW: Final = 1 << 17
_MOST_CELLS: Final = 200_000
"""Cells that are remembered: some 50 MB. More than that, and all are asked for anew."""


class _Cell(NamedTuple):
    within: tuple[int, ...]
    """The shapes that cover all of the cell."""
    partly: tuple[tuple[int, Shape], ...]
    """The shapes that may cover some of it."""


_NOTHING: Final = _Cell((), ())


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
        found = [index for index, shape in cell.partly if shape.covers(latitude, longitude)]
        if not cell.within:
            return found
        return sorted((*found, *cell.within))

    def met(self, path: Path) -> Sequence[int]:
        """The shapes that have a place on a path, ascending."""
        south, north = sorted((path.latitude, path.to_latitude))
        west, east = sorted((path.longitude, path.longitude + path.east_by))
        found = set(self._meeting(Box(west, south, east, north)))
        if west < -180.0:
            found.update(self._meeting(Box(west + 360.0, south, 180.0, north)))
        if east >= 180.0:
            found.update(self._meeting(Box(-180.0, south, east - 360.0, north)))
        return [index for index in sorted(found) if self._shapes[index].is_met(path)]

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
            rest = tuple((index, self._shapes[index]) for index in near if index not in within)
            cell = _Cell(within, rest)
        self._cells[key] = cell
        return cell
