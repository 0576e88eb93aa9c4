"""Geofence rules by the accuracy that they ask for: each group has a last fix of its own."""

from collections.abc import Sequence

from rules.engine.events import Position
from rules.engine.ruleset import FenceRule


class Group:
    """The rules that ask for one accuracy, and which of them each fence concerns."""

    def __init__(self, accuracy: float | None, rules: Sequence[FenceRule], fences: Sequence[str]) -> None:
        self.accuracy = accuracy
        mine = [rule for rule in rules if rule.max_accuracy_meters == accuracy]
        self.rules = frozenset(rule.name for rule in mine)
        self.rules_of = _by_fence(mine, fences)
        crossing = [rule for rule in mine if "cross" in rule.events]
        self.crossed = _by_fence(crossing, fences) if crossing else ()
        """Empty if no rule asks for crossings."""

    def takes(self, position: Position) -> bool:
        """Whether a position is exact enough; one that does not say how exact it is counts as such."""
        return self.accuracy is None or len(position) < 3 or position[2] <= self.accuracy


def _by_fence(rules: Sequence[FenceRule], fences: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The names of the rules that each fence concerns."""
    names: dict[str, list[str]] = {fence: [] for fence in fences}
    for rule in rules:
        for fence in rule.fences:
            names[fence].append(rule.name)
    return tuple(tuple(names[fence]) for fence in fences)
