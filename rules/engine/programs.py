"""Which rules a signal concerns, and the code for the shapes of messages met so far.

Vehicles to which the same rules apply share a program. A shape gets generated code once it has been met a few
times, a piece at each further meeting, so that no single message waits long; rarer shapes go the plain way,
and messages of ever new shapes cost no compiling. When there is too much code, all of it is dropped, and it
takes longer until new code is written.
"""

import hashlib
from collections.abc import Collection, Hashable, Mapping, Sequence
from functools import reduce
from operator import or_

from rules.engine.expressions import Expression
from rules.engine.index import Sorted, ValueIndex
from rules.engine.masks import bits
from rules.engine.memory import Layout, Look, Memory, layout_of
from rules.engine.readers import Readers
from rules.engine.ruleset import Absence, Compiled, Pattern, Rule, RuleSet
from rules.engine.running import RunningAbsence, RunningRule, RunningSequence
from rules.engine.schedules import Timetable
from rules.engine.shapes import Doubts, Run, Shape, shape_run, soonest_of

_PIECE = 200
"""Conditions in one generated function: about 20 ms of compiling."""
_MOST_CONDITIONS = 50_000
"""Conditions in all generated code: some 100 MB."""
_MOST_SHAPES = 10_000
_MOST_MASKS = 64
"""Of windows that samples leave together, before each is judged by itself."""


class Program:
    """The rules that apply to some vehicles. Masks have a bit for each rule of the set.

    `enabled` has the bits of the sequences above those of the rules, and those of the silences above these.
    """

    __slots__ = (
        "absences",
        "age_readers",
        "age_readers_beside",
        "ears",
        "enabled",
        "fact_readers",
        "fact_readers_beside",
        "index",
        "programs",
        "readers",
        "readers_beside",
        "rules",
        "runs_by_mask",
        "scheduled",
        "sequence_readers",
        "shapes",
        "window_readers",
        "window_readers_beside",
    )

    def __init__(self, programs: "Programs", enabled: int) -> None:
        self.programs = programs
        self.rules = programs.rules
        self.enabled = enabled
        self.scheduled = programs.timetable.mask & enabled
        """The rules with a schedule."""
        self.shapes: dict[tuple[str, ...], Shape] = {}
        """The shapes whose code is complete."""
        self.runs_by_mask: dict[int, Run] = {}
        """The code that judges some rules without a message."""
        readers = programs.readers.among(enabled, enabled >> len(programs.rules))
        self.readers = readers.by_slot
        self.readers_beside = readers.by_slot_beside
        self.age_readers = readers.by_age
        self.age_readers_beside = readers.by_age_beside
        self.fact_readers = readers.by_fact
        self.fact_readers_beside = readers.by_fact_beside
        self.window_readers = readers.by_window
        self.window_readers_beside = readers.by_window_beside
        self.sequence_readers = readers.sequences
        self.index = ValueIndex(self.rules, programs.sorts, enabled, self.readers)

        first = len(programs.rules) + len(programs.sequences)
        self.absences = tuple(it for it in programs.absences if enabled >> first + it.index & 1)
        shortest: dict[int, int] = {}
        for absence in self.absences:
            duration = absence.rule.duration_ms
            shortest[absence.ear] = min(duration, shortest.get(absence.ear, duration))
        self.ears = tuple(shortest.items())
        """The ears that rules for these vehicles use, each with the shortest silence that it is used for."""

    def hears(self, names: Collection[str]) -> tuple[int, ...]:
        """The ears that a message with these signals concerns."""
        wanted = self.programs.ears
        return tuple(ear for ear, _ in self.ears if not wanted[ear] or not wanted[ear].isdisjoint(names))

    def readers_of(self, windows: Sequence[tuple[int, int]]) -> Sequence[int]:
        """The rules whose condition reads some of these windows, in masks for which there may be code."""
        masks = [self.window_readers.get(window, 0) for window in windows]
        if len(masks) == 1:
            return masks
        together = reduce(or_, masks)
        if together in self.runs_by_mask or len(self.runs_by_mask) < _MOST_MASKS:
            return (together,)
        return masks

    def run_of(self, mask: int) -> Run | None:
        """The code that judges the rules of a mask where time passes; None while rarely asked for."""
        run = self.runs_by_mask.get(mask)
        if run is None:
            run = self.programs.code(self, (), mask)
            if run is not None:
                self.runs_by_mask[mask] = run
        return run

    def runs(self, sequence: RunningSequence) -> bool:
        """Whether a sequence is for these vehicles."""
        return bool(self.enabled >> len(self.rules) + sequence.index & 1)

    def shape_of(self, names: tuple[str, ...]) -> Shape:
        """The shape of a message that `shapes` does not hold; it does when enough such messages have come."""
        layout = self.programs.layout
        places = tuple(layout.slots.get(name, -1) for name in names)
        carried = frozenset(slot for slot in places if slot >= 0)
        mask = beside = concerned = 0
        for slot in carried:
            mask |= self.readers[slot]
            beside |= self.readers_beside[slot]
            concerned |= self.sequence_readers.get(slot, 0)
        index = self.index
        run = self.programs.code(self, names, mask & index.others)
        shape = Shape(
            run=run,
            slots=carried,
            places=places,
            mask=mask,
            others=mask & index.others,
            guarded=mask & index.guarded,
            watched=tuple(slot for slot in places if slot in index.bounds),
            beside=beside,
            soonest=soonest_of(carried, layout),
            sequences=bits(concerned),
            ears=self.hears(names) if self.ears else (),
        )
        if run is not None:
            self.shapes[names] = shape
        return shape


class Programs:
    """All programs of an engine, one for each set of rules that applies to some vehicle, and their code."""

    def __init__(self, rules: RuleSet, familiar_after: int, *, is_indexed: bool = True) -> None:
        ordered = sorted(rules.rules, key=lambda rule: rule.name)
        self.layout: Layout = layout_of(rules)
        self.rules = tuple(RunningRule(index, rule, self.layout) for index, rule in enumerate(ordered))
        self.timetable = Timetable([rule.schedule for rule in ordered])
        patterns = sorted(rules.sequences, key=lambda pattern: pattern.name)
        self.sequences = tuple(
            RunningSequence(index, pattern, self.layout) for index, pattern in enumerate(patterns)
        )
        self.sorts = Sorted(self.rules, is_indexed=is_indexed)
        self.readers = Readers.of(self.rules, self.sequences, len(self.layout.names))
        silences = sorted(rules.absences, key=lambda absence: absence.name)
        self.ears = tuple(dict.fromkeys(absence.signals for absence in silences))
        """What rules about silence listen for: signals, or (empty) any message."""
        self.ear_marks = tuple(_mark(signals) for signals in self.ears)
        self.absences = tuple(
            RunningAbsence(index, absence, self.ears.index(absence.signals), self.layout)
            for index, absence in enumerate(silences)
        )
        self.known: dict[str, RunningRule | RunningSequence | RunningAbsence] = {
            **{it.part + it.rule.name: it for it in self.rules},
            **{it.part + it.pattern.name: it for it in self.sequences},
            **{it.part + it.rule.name: it for it in self.absences},
        }
        """By the name of the part of a vehicle's state that is theirs."""
        self.doubts = Doubts(set(), [])
        selectable: list[Rule | Pattern | Absence] = [*ordered, *patterns, *silences]
        selectors: dict[Hashable, tuple[int, Compiled]] = {}
        for index, rule in enumerate(selectable):
            if rule.vehicles is not None:
                mask, _ = selectors.get(key := _meaning(rule.vehicles), (0, None))
                selectors[key] = mask | 1 << index, rule.vehicles
        self._selectors = [(mask, Expression(text, self.layout)) for mask, text in selectors.values()]
        """The rules of each selector: many have the same one."""
        self._for_all = (1 << len(selectable)) - 1 - sum(mask for mask, _ in self._selectors)
        self._programs: dict[int, Program] = {}
        self._familiar_after = familiar_after
        self._met: dict[tuple[int, tuple[str, ...], int], int] = {}
        self._pieces: dict[tuple[int, tuple[str, ...], int], list[Run]] = {}
        self._conditions = 0

    def for_vehicle(self, vehicle_id: str, facts: Mapping[str, object]) -> Program:
        """The program of one vehicle. A selector without a value selects nothing."""
        enabled = self._for_all
        if self._selectors:
            memory = Memory.empty(self.layout)
            memory.facts = facts
            look = Look(memory, vehicle_id, 0)
            for mask, selector in self._selectors:
                try:
                    if selector.truth(look):
                        enabled |= mask
                except Exception:
                    continue
        program = self._programs.get(enabled)
        if program is None:
            program = self._programs[enabled] = Program(self, enabled)
        return program

    @property
    def everything(self) -> int:
        """The bits of all that may be selected: rules, sequences, silences."""
        return (1 << len(self.rules) + len(self.sequences) + len(self.absences)) - 1

    def bits_of(self, names: Collection[str]) -> int:
        """The bits of the rules, sequences and silences of these names."""
        every = [running.rule.name for running in self.rules]
        every += [running.pattern.name for running in self.sequences]
        every += [running.rule.name for running in self.absences]
        found = bytearray(len(every) // 8 + 1)
        for place, name in enumerate(every):
            if name in names:
                found[place >> 3] |= 1 << (place & 7)
        return int.from_bytes(found, "little")

    def code(self, program: Program, names: tuple[str, ...], mask: int) -> Run | None:
        """The code of a shape, None while it is not complete. Each call may write one piece of it."""
        key = program.enabled, names, mask
        if len(self._met) >= _MOST_SHAPES:
            self._met.clear()
        met = self._met[key] = self._met.get(key, 0) + 1
        if met <= self._familiar_after:
            return None
        indexes = self._in_pieces(mask)
        pieces = self._pieces.setdefault(key, [])
        chosen = {index: self.rules[index].when for index in indexes[len(pieces)]}
        self._make_room(len(chosen))
        bounds = program.index.bounds
        pieces.append(shape_run(names, self.layout, chosen, self.doubts, bounds=bounds, is_first=not pieces))
        if len(pieces) < len(indexes):
            return None
        self._pieces.pop(key, None)
        return pieces[0] if len(pieces) == 1 else _joined(pieces)

    @staticmethod
    def _in_pieces(mask: int) -> list[list[int]]:
        """The rules of a mask, in portions that are compiled at once."""
        indexes = bits(mask)
        return [indexes[begin : begin + _PIECE] for begin in range(0, len(indexes), _PIECE)] or [[]]

    def _make_room(self, conditions: int) -> None:
        self._conditions += conditions + 10
        if self._conditions > _MOST_CONDITIONS:
            for program in self._programs.values():
                program.shapes.clear()
                program.runs_by_mask.clear()
            self._pieces.clear()
            self._met.clear()
            self._conditions = conditions + 10
            self._familiar_after = self._familiar_after * 4 + 4


def _meaning(compiled: Compiled) -> Hashable:
    """Equal for expressions that say the same; a text alone may stand for different definitions."""
    constants = [(name, repr(value)) for name, value in compiled.constants.items()]
    return compiled.source, tuple(compiled.reads), tuple(sorted(constants))


def _mark(signals: Collection[str]) -> int:
    """The 64 bits that stand for an ear in a snapshot: the same whatever rules use it."""
    return int.from_bytes(hashlib.blake2b("\n".join(sorted(signals)).encode(), digest_size=8).digest())


def _joined(pieces: Sequence[Run]) -> Run:
    """One function of several, each of which judges its own rules."""

    def run(memory: Memory, fresh: Collection[object], ts: int, vehicle_id: str) -> int:
        holding = 0
        for piece in pieces:
            holding |= piece(memory, fresh, ts, vehicle_id)
        return holding

    return run
