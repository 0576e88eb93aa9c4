"""One expression over a vehicle's memory: the fast code first, the exact one where that raises.

The fast code equals the exact one wherever it returns (a law of the language package), so an exception only
means "ask again, exactly": unknown signals absorbed by `||`, errors, and everything that is rare.
"""

import ast
from collections.abc import Callable, Mapping, Sequence

from rules.engine.literals import Decision, decision_of
from rules.engine.memory import FACT, Layout, Look, Memory
from rules.engine.needs import needed
from rules.engine.ruleset import Compiled, Read, Template
from rules.language.values import UNKNOWN, UnknownValue
from rules.language.windows import Window

_LOCALS = {"vehicle.id": "vehicle.id", "value": "alert.value"}

Place = tuple[str | Window, int]
"""A kind of read or a window, and the slot of the signal; -1 where there is none."""


def places_of(reads: Sequence[Read], layout: Layout) -> tuple[Place, ...]:
    """Where each read finds its value: what `Look.get` takes."""
    return tuple(_place_of(read, layout) for read in reads)


def _place_of(read: Read, layout: Layout) -> Place:
    if read.kind != "local":
        return read.window or read.kind, layout.slots[read.signal]
    return (_LOCALS[read.signal], -1) if read.signal in _LOCALS else (read.signal, FACT)


class Expression:
    """A compiled expression, tied to the layout of a memory."""

    __slots__ = (
        "_evaluate",
        "_fast",
        "_needs",
        "_needs_facts",
        "_over_values",
        "ages",
        "compiled",
        "facts",
        "places",
        "slot",
        "slots",
        "slots_of_locals",
        "windows",
    )

    def __init__(self, compiled: Compiled, layout: Layout) -> None:
        self.compiled = compiled
        self.places = places_of(compiled.reads, layout)
        self.slots = frozenset(slot for _, slot in self.places if slot >= 0)
        self.facts = frozenset(key for key, slot in self.places if slot == FACT and isinstance(key, str))
        """What it reads of the registry."""
        self.slot: int | None = None
        """Of the signal whose value is the whole expression, as most alerts' value is."""
        if (
            len(self.places) == 1
            and self.places[0][0] == "value"
            and compiled.source == compiled.reads[0].name
        ):
            self.slot = self.places[0][1]
        self.windows = frozenset(
            (slot, kind.duration_ms) for kind, slot in self.places if isinstance(kind, Window)
        )
        """(slot, milliseconds) of each window that it reads."""
        self.ages = frozenset((layout.slots[signal], limit) for signal, limit in compiled.age_limits)
        self._evaluate = compiled.evaluate
        self._fast: Callable[..., object] | None = None
        self._needs: frozenset[int] | None = None
        self._needs_facts: Mapping[str, str] | None = None
        self.slots_of_locals: Mapping[str, int] = {
            read.name: slot
            for read, (kind, slot) in zip(compiled.reads, self.places, strict=True)
            if kind == "value"
        }
        """Of the locals that hold a last known value."""
        self._over_values: Callable[[Sequence[object]], object] | None = None

    @property
    def decision(self) -> Decision:
        """What decides the expression as a condition: worked out anew at each call."""
        fixed = [
            read.name
            for read, (kind, _) in zip(self.compiled.reads, self.places, strict=True)
            if kind == "vehicle.id"
        ]
        return decision_of(self.compiled.source, self.compiled.constants, self.slots_of_locals, fixed)

    @property
    def was_judged(self) -> bool:
        """Whether it was ever asked for, other than by the code of a message's shape."""
        return self._over_values is not None or self._fast is not None

    @property
    def over_values(self) -> Callable[[Sequence[object]], object]:
        """The fast code as a function of a memory's values. Raises KeyError if it reads anything else."""
        if self._over_values is None:
            self._over_values = _function_over_values(self.compiled, self.slots_of_locals)
        return self._over_values

    @property
    def needs(self) -> frozenset[int]:
        """The slots of signals without whose values the expression is not true."""
        if self._needs is None:
            names = needed(self.compiled.source)
            pairs = zip(self.places, self.compiled.reads, strict=True)
            self._needs = frozenset(
                slot for (kind, slot), read in pairs if kind == "value" and read.name in names
            )
        return self._needs

    @property
    def needs_facts(self) -> Mapping[str, str]:
        """What the registry must say if the expression is to be true: local to key."""
        if self._needs_facts is None:
            names = needed(self.compiled.source) if self.facts else ()
            self._needs_facts = {
                read.name: read.signal
                for read in self.compiled.reads
                if read.kind == "local" and read.signal in self.facts and read.name in names
            }
        return self._needs_facts

    def lacks(self, memory: Memory, carried: frozenset[int] = frozenset()) -> bool:
        """Whether something is unknown without which the expression is not true; `carried` is known."""
        values, facts = memory.values, memory.facts
        return any(values[slot] is UNKNOWN for slot in self.needs - carried) or any(
            key not in facts for key in self.needs_facts.values()
        )

    def value(self, look: Look) -> object:
        """The value at an instant, UNKNOWN where it is unknown. Raises what the language calls an error."""
        arguments = [look.get(kind, slot) for kind, slot in self.places]
        fast = self._fast
        if fast is None:
            fast = self._fast = fast_function(self.compiled)
        try:
            return fast(*arguments)
        except Exception:
            try:
                return self._evaluate(arguments)
            except UnknownValue:
                return UNKNOWN

    def truth(self, look: Look) -> bool | None:
        """The truth at an instant, None where it is unknown. Raises what the language calls an error."""
        return truth_of(self.value(look))


def truth_of(value: object) -> bool | None:
    """A condition's value as truth. Raises TypeError for what is neither."""
    if value is True or value is False:
        return value is True
    if value is UNKNOWN:
        return None
    raise TypeError(f"a condition gave {type(value).__name__}, not a bool")


def fast_function(compiled: Compiled) -> Callable[..., object]:
    """The fast code of one expression as a function of its reads."""
    parameters = ", ".join(read.name for read in compiled.reads)
    function: Callable[..., object] = eval(
        f"lambda {parameters}: ({compiled.source})", dict(compiled.constants)
    )
    return function


def _reads_more(_: Sequence[object]) -> object:
    raise KeyError("it reads more than values")


def _function_over_values(
    compiled: Compiled, slots: Mapping[str, int]
) -> Callable[[Sequence[object]], object]:
    names = {read.name for read in compiled.reads}
    if names > slots.keys():
        return _reads_more

    class Renamer(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id not in names:
                return node
            values = ast.Name("_values", ast.Load())
            return ast.Subscript(values, ast.Constant(slots[node.id]), ast.Load())

    tree = ast.parse(f"lambda _values: ({compiled.source})", mode="eval")
    code = compile(ast.fix_missing_locations(Renamer().visit(tree)), "<condition>", "eval")
    function: Callable[[Sequence[object]], object] = eval(code, dict(compiled.constants))
    return function


class Text:
    """A text or a JSON value with holes, tied to the layout of a memory."""

    __slots__ = ("_places", "_template")

    def __init__(self, template: Template, layout: Layout) -> None:
        self._template = template
        self._places = places_of(template.reads, layout)

    def render(self, look: Look) -> object:
        """The text at an instant. Raises what the language calls an error."""
        return self._template.render([look.get(kind, slot) for kind, slot in self._places])
