"""The constants that one signal is compared with, in order: which comparisons turn between two of its values.

Values that no comparison tells apart share a place. For numbers the places are the constants and the gaps
between them, in order, so a step from one place to another passes a run of comparisons, found by bisection,
however many there are on either side. Texts and truths have a place for each constant, and one for all else.

A place is shared by all vehicles: the state of a vehicle refers to it, and grows with its signals only.
"""

import math
from bisect import bisect_left
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from rules.engine.literals import Literal

Claim = tuple[int, Literal]
"""The index of a rule, and a literal of its condition."""


Place = tuple[Any, Any, Any, int]
"""Where a value stands: (low, high, where, opened).

Every number strictly between `low` and `high` stands there, too; for texts and truths both are the value
itself. `opened` has a bit for each guarded rule whose guard holds there. A plain tuple, because generated
code looks into one for each signal of a message.
"""

NOT_A_NUMBER: Final = -1
NONE: Final = 2**62
"""After every place of a number."""
_ELSEWHERE: Final = object()
NOWHERE: Final[Place] = (math.nan, math.nan, None, 0)
"""Of a signal that is unknown."""
ODD: Final = object()
"""`where` of a value that is not of the signal's type."""


class Bounds(Protocol):
    """The constants of one signal."""

    @property
    def is_ordered(self) -> bool:
        """Whether its places are intervals of numbers."""

    def place(self, value: object) -> Place:
        """The place of a value. Raises TypeError for one of another type."""

    def between(self, old: Any, new: Any) -> Sequence[int] | None:
        """The settled rules of which a literal turns; None where that needs a look at what holds anew."""

    def guarded(self, where: Any) -> Sequence[int]:
        """The settled rules with a guard that holds at a place."""


class _Claims:
    """Literals by where they hold."""

    def __init__(self, claims: Iterable[tuple[int, Any, Literal]]) -> None:
        """Take (rule, gate or places, literal); a gate is the greatest place below which `>` is false."""
        rising: list[tuple[int, int]] = []
        falling: list[tuple[int, int]] = []
        self._at: dict[Hashable, list[int]] = {}
        self._but_at: list[tuple[int, frozenset[Hashable]]] = []
        self._of_no_number: list[int] = []
        for rule, found, literal in claims:
            if literal.operator != "in":
                (rising if (literal.operator[0] == ">") != literal.is_negated else falling).append(
                    (found, rule)
                )
            elif literal.is_negated:
                self._but_at.append((rule, found))
            else:
                for place in found:
                    self._at.setdefault(place, []).append(rule)
            if literal.is_negated:
                self._of_no_number.append(rule)
        rising.sort()
        falling.sort()
        self._rising, self._rising_rules = [it[0] for it in rising], [it[1] for it in rising]
        self._falling, self._falling_rules = [it[0] for it in falling], [it[1] for it in falling]
        self.empty_above, self.empty_to = NOT_A_NUMBER, NOT_A_NUMBER
        """Between these places of numbers, the second one included, nothing holds."""
        if not self._at and not self._but_at:
            self.empty_above = self._falling[-1] if falling else NOT_A_NUMBER
            self.empty_to = self._rising[0] if rising else NONE

    def holding(self, where: Any) -> list[int]:
        """The rules with a literal that holds at a place."""
        if where is None or where is ODD:
            return []
        if where == NOT_A_NUMBER:
            return self._of_no_number
        found = list(self._at.get(where, ()))
        if self._rising:
            found += self._rising_rules[: bisect_left(self._rising, where)]
        if self._falling:
            found += self._falling_rules[bisect_left(self._falling, where) :]
        if self._but_at:
            found += [rule for rule, places in self._but_at if where not in places]
        return found


@dataclass(slots=True)
class Claimed:
    """What rules claim about one signal."""

    literals: list[Claim] = field(default_factory=list)
    """Of settled rules."""
    guards: list[Claim] = field(default_factory=list)
    """Those of them that guard."""
    openings: list[Claim] = field(default_factory=list)
    """The guards of the other rules."""

    def bounds(self) -> Bounds:
        """The constants in order. All are of one type."""
        kinds = {literal.kind for _, literal in (*self.literals, *self.guards, *self.openings)}
        (kind,) = kinds
        return _Numbers(self) if kind is float else _Words(self, kind)


class _Numbers:
    """The places of numbers: constant k stands at 2k + 1, the gap below it at 2k."""

    is_ordered = True

    def __init__(self, claimed: Claimed) -> None:
        claims = (claimed.literals, claimed.guards, claimed.openings)
        every = {constant for some in claims for _, literal in some for constant in literal.constants}
        self._constants: list[Any] = sorted(every)
        flips = sorted((gate, rule) for rule, it in claimed.literals for gate in self._gates(it))
        self._gates_of_flips = [gate for gate, _ in flips]
        self._flips = [rule for _, rule in flips]
        self._guards = _Claims((rule, self._found(it), it) for rule, it in claimed.guards)
        self._openings = _Claims((rule, self._found(it), it) for rule, it in claimed.openings)
        self._places: dict[int, Place] = {}

    def place(self, value: Any) -> Place:
        if value != value:
            where = NOT_A_NUMBER
        else:
            index = bisect_left(self._constants, value)
            is_constant = index < len(self._constants) and self._constants[index] == value
            where = 2 * index + is_constant
        place = self._places.get(where)
        if place is None:
            place = self._places[where] = self._made(where)
        return place

    def between(self, old: Any, new: Any) -> Sequence[int] | None:
        if type(old) is not int or type(new) is not int or old < 0 or new < 0:
            return None
        if old > new:
            old, new = new, old
        gates = self._gates_of_flips
        return self._flips[bisect_left(gates, old) : bisect_left(gates, new)]

    def guarded(self, where: Any) -> Sequence[int]:
        guards = self._guards
        if type(where) is int and guards.empty_above < where <= guards.empty_to:
            return ()
        return guards.holding(where)

    def _made(self, where: int) -> Place:
        low = high = math.nan
        index, is_constant = divmod(where, 2)
        if where == NOT_A_NUMBER:
            pass
        elif is_constant:
            constant = self._constants[index]
            if abs(constant) < 2**52:  # beyond, an integer could lie between two doubles
                low, high = math.nextafter(constant, -math.inf), math.nextafter(constant, math.inf)
        else:
            low = self._constants[index - 1] if index else -math.inf
            high = self._constants[index] if index < len(self._constants) else math.inf
        return low, high, where, _mask(self._openings.holding(where))

    def _gates(self, literal: Literal) -> list[int]:
        """Between which places the literal turns: gate g lies between g and g + 1."""
        if literal.operator != "in":
            return [self._found(literal)]
        return [gate for place in self._found(literal) for gate in (place - 1, place)]

    def _found(self, literal: Literal) -> Any:
        places = [2 * bisect_left(self._constants, constant) + 1 for constant in literal.constants]
        match literal.operator:
            case "in":
                return frozenset(places)
            case ">" | "<=":
                return places[0]
        return places[0] - 1


class _Words:
    """The places of texts, or of true and false."""

    is_ordered = False

    def __init__(self, claimed: Claimed, kind: type) -> None:
        self._kind = kind
        self._flips: dict[object, list[int]] = {}
        for rule, literal in claimed.literals:
            for constant in literal.constants:
                self._flips.setdefault(constant, []).append(rule)
        self._guards = _Claims((rule, frozenset(it.constants), it) for rule, it in claimed.guards)
        self._openings = _Claims((rule, frozenset(it.constants), it) for rule, it in claimed.openings)
        every = (*claimed.literals, *claimed.guards, *claimed.openings)
        self._places: dict[object, Place] = {
            constant: (constant, constant, constant, _mask(self._openings.holding(constant)))
            for _, literal in every
            for constant in literal.constants
        }
        self._opened_elsewhere = _mask(self._openings.holding(_ELSEWHERE))

    def place(self, value: Any) -> Place:
        if type(value) is not self._kind:
            raise TypeError(f"{type(value).__name__}, not {self._kind.__name__}")
        place = self._places.get(value)
        return (value, value, _ELSEWHERE, self._opened_elsewhere) if place is None else place

    def between(self, old: Any, new: Any) -> Sequence[int] | None:
        if old is None or new is None or old is ODD or new is ODD:
            return None
        return [*self._flips.get(old, ()), *self._flips.get(new, ())] if old != new else ()

    def guarded(self, where: Any) -> list[int]:
        return self._guards.holding(where)


def _mask(rules: Iterable[int]) -> int:
    mask = 0
    for rule in rules:
        mask |= 1 << rule
    return mask
