"""What conditions say about fences, told as signals: each position is a sample of `inside("depot-1")`.

So everything that holds for signals holds for them: a condition that reads one is evaluated when a message
carries a position, a late position is taken where it is newer than the last one, and before the first one
they are unknown. Any fold whose layout has such names passes its events through here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from rules.engine.events import Event, Position
from rules.geometry import Shape, ShapeIndex, is_place

_READ: Final = re.compile(r'(inside|distance)\("(.*)"\)\Z')


def is_inside(signal: str) -> bool:
    """Whether it is no signal, but says whether the vehicle is in a fence."""
    return signal.startswith("inside(")


def position_of(event: Event) -> Position | None:
    """Where the vehicle says that it is; None where it says nothing, or (0, 0)."""
    position = event.position
    return position if position is not None and is_place(position[0], position[1]) else None


class Places:
    """The functions of fences that the rules of a set read: `names` are those of their layout."""

    def __init__(self, fences: Mapping[str, Shape], names: Iterable[str]) -> None:
        reads = [(name, found) for name in names if (found := _READ.match(name)) and found[2] in fences]
        inside = [(name, fences[found[2]]) for name, found in reads if found[1] == "inside"]
        self._distances = [(name, fences[found[2]]) for name, found in reads if found[1] == "distance"]
        self._names = [name for name, _ in inside]
        self._outside = dict.fromkeys(self._names, False)
        self._index = ShapeIndex([shape for _, shape in inside])
        self.is_empty = not reads
        """Whether no rule reads any."""

    def told_by(self, event: Event) -> Event:
        """The event, with what its position says of fences among its signals."""
        position = position_of(event)
        if position is None:
            return event
        latitude, longitude = position[0], position[1]
        told: dict[str, object] = {**event.signals, **self._outside}
        for index in self._index.covering(latitude, longitude):
            told[self._names[index]] = True
        for name, shape in self._distances:
            told[name] = shape.distance_m(latitude, longitude)
        return replace(event, signals=told)
