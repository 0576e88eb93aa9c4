"""Conditions that compare one value with a constant, in order: what a value does not reach costs nothing.

Of `speed > 100`, `speed > 120` and `speed > 140` none is true unless the first is. So one comparison settles
all of them for most messages, and a search in the ordered limits settles many at once where it does not.
Most rules of a fleet are such comparisons, and most of them are false.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from typing import NamedTuple

from rules.engine.expressions import Expression

_BARE = re.compile(r"(\w+) (<=?|>=?) (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\Z")
_SEARCHED = 8
"""With more limits than this a search beats one comparison after the other."""


class Threshold(NamedTuple):
    """The comparison that is a whole condition."""

    local: str
    operator: str
    limit: float


def threshold_of(expression: Expression) -> Threshold | None:
    """The comparison, if the source is nothing else; None for any other condition."""
    found = _BARE.match(expression.compiled.source)
    if found is None or len(expression.places) != 1:
        return None
    return Threshold(found[1], found[2], float(found[3]))


class Group(NamedTuple):
    """Conditions that compare one local by one operator, in the order in which their limits are reached."""

    local: str
    operator: str
    members: tuple[tuple[float, int], ...]
    """(limit, index of the rule), the easiest to reach first."""


def groups_of(conditions: Mapping[int, Expression]) -> tuple[list[Group], dict[int, Expression]]:
    """The thresholds among the conditions, ordered; and the other conditions."""
    limits: dict[tuple[str, str], list[tuple[float, int]]] = {}
    others = {}
    for index, expression in conditions.items():
        threshold = threshold_of(expression)
        if threshold is None:
            others[index] = expression
        else:
            limits.setdefault(threshold[:2], []).append((threshold.limit, index))
    groups = [
        Group(local, operator, tuple(sorted(members, reverse=operator[0] == "<")))
        for (local, operator), members in limits.items()
    ]
    return groups, others


def group_code(group: Group, lowest: int, space: dict[str, object]) -> list[str]:
    """Python that sets the bits of a group in `_m`, counted from `lowest`; indented by two."""
    masks: dict[float, int] = {}
    for limit, index in group.members:
        masks[limit] = masks.get(limit, 0) | 1 << index - lowest
    compare = f"{group.local} {group.operator} "
    (first, mask), *others = masks.items()
    lines = [f"  if {compare}{first!r}:"]
    if len(masks) <= _SEARCHED:
        lines.append(f"   _m |= {mask:#x}")
        lines += [f"   if {compare}{limit!r}: _m |= {mask:#x}" for limit, mask in others]
        return lines
    name = f"{group.local}{_NAMES[group.operator]}"
    limits, reached, search = _table(group.operator, masks)
    space |= {f"_limits_{name}": limits, f"_reached_{name}": reached, f"_search_{name}": search}
    lines.append(f"   _m |= _reached_{name}[_search_{name}(_limits_{name}, {group.local})]")
    return lines


_NAMES = {">": "_above", ">=": "_from", "<": "_below", "<=": "_to"}


def _table(
    operator: str, masks: Mapping[float, int]
) -> tuple[list[float], list[int], Callable[[list[float], float], int]]:
    """Limits, ascending; the bits that hold for each place among them; and the search for the place."""
    limits = sorted(masks)
    reached = [0]
    in_order = limits if operator[0] == ">" else limits[::-1]
    for limit in in_order:
        reached.append(reached[-1] | masks[limit])
    if operator[0] == "<":
        reached.reverse()
    search = bisect_left if operator in (">", "<=") else bisect_right
    return limits, reached, search
