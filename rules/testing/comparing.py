"""Two lists of outcomes compared as an author means it: fields that are left out are not, 135 is 135.0."""

import math

from rules.documents import quote
from rules.testing.sorts import Fields

MISSING = object()
"""What an outcome does not have."""


def aligned(wanted: list[Fields], found: list[Fields]) -> list[tuple[Fields | None, Fields | None]]:
    """Pair what was wanted with what came, in order, leaving out as little as can be.

    The longest common subsequence; what stands between two pairs of it is paired one by one.
    """
    rows, columns = len(wanted), len(found)
    longest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in reversed(range(rows)):
        for column in reversed(range(columns)):
            longest[row][column] = (
                longest[row + 1][column + 1] + 1
                if _meets(wanted[row], found[column])
                else max(longest[row + 1][column], longest[row][column + 1])
            )
    pairs: list[tuple[Fields | None, Fields | None]] = []
    row = column = 0
    wants: list[Fields] = []
    haves: list[Fields] = []

    def between() -> None:
        for place in range(max(len(wants), len(haves))):
            want = wants[place] if place < len(wants) else None
            have = haves[place] if place < len(haves) else None
            pairs.append((want, have))
        wants.clear()
        haves.clear()

    while row < rows or column < columns:
        if row < rows and column < columns and _meets(wanted[row], found[column]):
            between()
            pairs.append((wanted[row], found[column]))
            row, column = row + 1, column + 1
        elif column == columns or (row < rows and longest[row + 1][column] >= longest[row][column + 1]):
            wants.append(wanted[row])
            row += 1
        else:
            haves.append(found[column])
            column += 1
    between()
    return pairs


def _meets(wanted: Fields, found: Fields) -> bool:
    return all(agrees(key, value, found.get(key, MISSING)) for key, value in wanted.items())


def agrees(key: str, wanted: object, found: object) -> bool:
    """Of labels, annotations and a window's values only those are compared that the author names."""
    if key in ("labels", "annotations", "values") and isinstance(wanted, dict) and isinstance(found, dict):
        found = {name: text for name, text in found.items() if name in wanted}
    return equal(wanted, found)


def equal(wanted: object, found: object) -> bool:
    """Equal as an author means it: 135 is 135.0, and rounding in the ninth digit is none."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    if isinstance(wanted, int) and isinstance(found, int):
        return wanted == found
    if isinstance(wanted, int | float) and isinstance(found, int | float):
        return math.isclose(wanted, found, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(equal(wanted[key], found[key]) for key in wanted)
    if isinstance(wanted, list | tuple) and isinstance(found, list | tuple):
        return len(wanted) == len(found) and all(map(equal, wanted, found))
    return wanted == found


def shown(value: object) -> str:
    """A value as it stands in YAML."""
    if isinstance(value, str):
        return value if value.replace("-", "").isalnum() else quote(value, 200)
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    return quote(value, 200)
