"""Which rules read what: worked out once for a set, and cut down to the rules that are for some vehicles."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from rules.engine.running import RunningRule, RunningSequence

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class Readers:
    """Masks with a bit for each rule of the set, or each sequence."""

    by_slot: list[int]
    """Slot to the rules whose condition reads it."""
    by_slot_beside: list[int]
    """Slot to the rules of which something else reads it: value, clear condition, ladder."""
    by_age: dict[tuple[int, int], int]
    """(slot, age) to the rules whose condition turns at it."""
    by_age_beside: dict[tuple[int, int], int]
    by_fact: dict[str, int]
    """What the registry says to the rules whose condition reads it."""
    by_fact_beside: dict[str, int]
    by_window: dict[tuple[int, int], int]
    """(slot, duration) to the rules whose condition reads a window of it."""
    by_window_beside: dict[tuple[int, int], int]
    sequences: dict[int, int]
    """Slot to the sequences of which a step reads it: a bit for each sequence of the set."""

    @classmethod
    def of(cls, rules: Iterable[RunningRule], sequences: Iterable[RunningSequence], slots: int) -> "Readers":
        """The readers of a whole set."""
        found = cls([0] * slots, [0] * slots, {}, {}, {}, {}, {}, {}, {})
        for rule in rules:
            bit = 1 << rule.index
            for slot in rule.when.slots:
                found.by_slot[slot] |= bit
            for slot in rule.slots_beside:
                found.by_slot_beside[slot] |= bit
            _add(found.by_age, rule.when.ages, bit)
            _add(found.by_age_beside, rule.ages_beside, bit)
            _add(found.by_fact, rule.when.facts, bit)
            _add(found.by_fact_beside, rule.facts_beside, bit)
            _add(found.by_window, rule.when.windows, bit)
            _add(found.by_window_beside, rule.windows_beside, bit)
        for sequence in sequences:
            _add(found.sequences, sequence.slots, 1 << sequence.index)
        return found

    def among(self, rules: int, sequences: int) -> "Readers":
        """Those of some rules and sequences."""
        return Readers(
            [mask & rules for mask in self.by_slot],
            [mask & rules for mask in self.by_slot_beside],
            _cut(self.by_age, rules),
            _cut(self.by_age_beside, rules),
            _cut(self.by_fact, rules),
            _cut(self.by_fact_beside, rules),
            _cut(self.by_window, rules),
            _cut(self.by_window_beside, rules),
            _cut(self.sequences, sequences),
        )


def _add(readers: dict[K, int], keys: Iterable[K], bit: int) -> None:
    for key in keys:
        readers[key] = readers.get(key, 0) | bit


def _cut(readers: dict[K, int], mask: int) -> dict[K, int]:
    return {key: found & mask for key, found in readers.items() if found & mask}
