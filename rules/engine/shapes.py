"""Generated code: one Python function for each shape of message, which takes it in and judges its rules.

A fleet's messages have few shapes (the tuple of their signals' names). Knowing the shape, a function can hold
all the message's values in locals, store them, and evaluate every condition that reads one of them without a
call; what it returns is one integer, a bit for each rule whose condition is true. An exception in a condition
leads to the exact evaluation of that one.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from rules.engine.bounds import Bounds
from rules.engine.expressions import Expression, truth_of
from rules.engine.memory import FACT, FOREVER, HISTORY, NEVER, Layout, Memory
from rules.engine.rings import NO_SAMPLES
from rules.engine.windows import FUNCTIONS, code
from rules.language.values import UNKNOWN, UnknownValue
from rules.language.windows import Window

Run = Callable[[Memory, Collection[object], int, str], int]


@dataclass(slots=True)
class Doubts:
    """Which conditions were neither true nor false in the message at hand: unknown ones and errors."""

    unknown: set[int]
    errors: list[tuple[int, Exception]]
    skipped: int = 0
    """Conditions that cannot be true without a signal that is unknown: not evaluated, unknown or false."""
    moved: list[int] = field(default_factory=list)
    """The slots whose values have left their places."""
    judged: int = 0
    """The conditions that were judged because the index named them."""
    holding: int = 0
    """Those of them that are true."""

    def clear(self) -> None:
        """The message is dealt with."""
        self.unknown.clear()
        self.skipped = self.judged = self.holding = 0

    def forget(self, rules: int) -> None:
        """These rules do not apply now: there is nothing to doubt, they are false."""
        self.unknown = {index for index in self.unknown if not rules >> index & 1}
        self.errors = [doubt for doubt in self.errors if not rules >> doubt[0] & 1]
        self.skipped &= ~rules

    def judge(self, index: int, expression: Expression, arguments: Sequence[object]) -> bool:
        """Evaluate exactly. True only if the condition is; doubts are noted."""
        try:
            truth = truth_of(expression.compiled.evaluate(arguments))
        except UnknownValue:
            truth = None
        except Exception as error:
            self.errors.append((index, error))
            truth = None
        if truth is None:
            self.unknown.add(index)
        return truth is True


@dataclass(frozen=True, slots=True)
class Shape:
    """What is known of all messages of one shape. Masks have a bit for each rule."""

    run: Run | None
    """None until the shape has been seen often enough."""
    slots: frozenset[int]
    places: tuple[int, ...]
    """For each name of the message its slot, or -1."""
    mask: int
    """Rules whose condition reads a signal of the message."""
    others: int
    """Those of them that are judged whatever the message says, by `run`."""
    guarded: int
    """Those of them that are judged while their guard holds or their alert is under way."""
    watched: tuple[int, ...]
    """The slots of the message whose values have places."""
    beside: int
    """Rules of which something else does: value, clear condition, ladder."""
    soonest: int
    """How long after the message its first signal turns stale or reaches an age."""
    sequences: Sequence[int] = ()
    """The sequences of which a step reads a signal of the message."""
    ears: Sequence[int] = ()
    """What rules about silence listen for and the message has."""


def shape_run(
    names: Sequence[str],
    layout: Layout,
    conditions: dict[int, Expression],
    doubts: Doubts,
    *,
    bounds: Mapping[int, Bounds] | None = None,
    is_first: bool = True,
) -> Run:
    """Generate the function for messages that carry exactly these signals, in this order.

    Of several functions for one shape the first takes the message in, and notes which of the values that have
    `bounds` left their places; the others find the message in the memory.
    """
    slots = [layout.slots.get(name, -1) for name in names]
    carried = [slot for slot in slots if slot >= 0]
    wanted = {
        place: read.name
        for expression in conditions.values()
        for place, read in zip(expression.places, expression.compiled.reads, strict=True)
    }
    space: dict[str, object] = {
        "UNKNOWN": UNKNOWN,
        "NEVER": NEVER,
        "_doubts": doubts,
        "_judge": doubts.judge,
    }
    for expression in conditions.values():
        space.update(expression.compiled.constants)
    lines = ["def run(_memory, _fresh, _ts, _vehicle_id):", " _v = _memory.values", " _t = _memory.times"]
    values = {slot: wanted.get(("value", slot), f"_x{slot}") for slot in carried}
    if slots:
        targets = "".join(f"{values.get(slot, '_')}, " for slot in slots)
        lines.append(f" ({targets}) = _fresh")
    if is_first:
        for slot in carried:
            if slot in layout.with_history:
                lines.append(f" _memory.previous[{slot}] = _v[{slot}]")
                lines.append(f" _memory.previous_times[{slot}] = _t[{slot}]")
        for row in _rows(carried):
            said = "".join(f"{values[slot]}, " for slot in row)
            lines.append(f" _v[{row[0]}:{row[-1] + 1}] = ({said})")
            lines.append(f" _t[{row[0]}:{row[-1] + 1}] = [_ts] * {len(row)}")
        kept = [slot for slot in carried if slot in layout.kept]
        lines += [f" _memory.rings[{slot}].take(_ts, {values[slot]})" for slot in kept]
        watched = [slot for slot in carried if slot in (bounds or {})]
        if watched:
            space["_moved"] = doubts.moved
            lines += _watch(watched, bounds or {}, values)
    for (kind, slot), name in wanted.items():
        read = _read(kind, slot, values)
        if read != name:
            lines.append(f" {name} = {read}")
    lowest = min(conditions, default=0)  # bits count from here: wide integers are slow to write and to read
    lines.append(" _m = 0")
    needing: dict[tuple[str, ...], list[int]] = {}
    for index, expression in conditions.items():
        signals = [f"_v[{slot}]" for slot in sorted(expression.needs.difference(values))]
        needing.setdefault((*signals, *sorted(expression.needs_facts)), []).append(index)
    for needs, indexes in needing.items():
        known = " and ".join(f"{it} is not UNKNOWN" for it in needs)
        lines.append(f" if {known or True}:")
        for index in indexes:
            space[f"_e{index}"] = expression = conditions[index]
            arguments = "".join(f"{read.name}, " for read in expression.compiled.reads)
            lines += [
                "  try:",
                f"   if {expression.compiled.source}: _m |= {1 << index - lowest:#x}",
                "  except Exception:",
                f"   if _judge({index}, _e{index}, ({arguments})): _m |= {1 << index - lowest:#x}",
            ]
        if needs:
            skipped = sum(1 << index for index in indexes)
            lines.append(f" else: _doubts.skipped |= {skipped:#x}")
    lines.append(f" return _m << {lowest}" if lowest else " return _m")
    space.update({f"_{kind}": function for kind, function in HISTORY.items()})
    space["_no_samples"] = NO_SAMPLES
    space.update({f"_w_{name}": function for name, function in FUNCTIONS.items()})
    exec(compile("\n".join(lines), f"<messages of {len(names)} signals>", "exec"), space)
    run: Run = space["run"]  # type: ignore[assignment]
    return run


def _watch(watched: Sequence[int], bounds: Mapping[int, Bounds], values: Mapping[int, str]) -> list[str]:
    """Python that notes which values left their places; what is compared with something odd is noted, too."""
    lines = [" _p = _memory.places", " try:"]
    for slot in watched:
        said = values[slot]
        if bounds[slot].is_ordered:
            lines.append(f"  _g = _p[{slot}]")
            lines.append(f"  if not _g[0] < {said} < _g[1]: _moved.append({slot})")
        else:
            lines.append(f"  if {said} != _p[{slot}][0]: _moved.append({slot})")
    return [*lines, " except Exception:", f"  _moved[:] = {list(watched)}"]


def _rows(slots: Sequence[int]) -> list[list[int]]:
    """Neighbours, ascending: they are stored together."""
    rows: list[list[int]] = []
    for slot in sorted(slots):
        if rows and rows[-1][-1] == slot - 1:
            rows[-1].append(slot)
        else:
            rows.append([slot])
    return rows


def soonest_of(slots: Collection[int], layout: Layout) -> int:
    """How long after its samples the first of these signals has a timer due."""
    return min((layout.soonest[slot] for slot in slots), default=FOREVER)


def _read(kind: str | Window, slot: int, values: dict[int, str]) -> str:
    """The Python of one read, in a function that has stored the message's `values` (slot to local)."""
    if isinstance(kind, Window):
        return code(kind, f"_memory.rings.get({slot}, _no_samples)", "_ts")
    if slot == FACT:
        return f"_memory.facts.get({kind!r}, UNKNOWN)"
    match kind:
        case "value":
            return values.get(slot, f"_v[{slot}]")
        case "vehicle.id":
            return "_vehicle_id"
        case "age":
            return f"UNKNOWN if _t[{slot}] == NEVER else _ts - _t[{slot}]"
        case "changed" if slot not in values:
            return "False"
    history = f"_{kind}(_v[{slot}], _memory.previous[{slot}], _t[{slot}], _memory.previous_times[{slot}])"
    return history if slot in values else f"UNKNOWN if _v[{slot}] is UNKNOWN else {history}"
