"""Why a condition is what it is at one instant: each of its comparisons, with the values that it reads."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rules.compile.parts import Vocabulary
from rules.engine.expressions import Expression
from rules.engine.memory import NEVER, Layout, Look
from rules.engine.ruleset import Compiled as Condition
from rules.engine.ruleset import Read
from rules.language import BOOL, UNKNOWN, Compiled
from rules.language.atoms import atoms


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression read. `sampled_at` is the signal's last sample, None where there was none."""

    written: str
    value: object
    """None where it was unknown."""
    sampled_at: int | None
    note: str = ""
    """Why it was unknown, as far as that can be told."""


@dataclass(frozen=True, slots=True)
class Part:
    """A comparison inside a condition. `truth` is None where it was unknown."""

    text: str
    truth: bool | None
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """A condition of a rule at one instant."""

    field: str
    """Where it stands: `when`, `clearWhen`, `steps[0].when`."""
    text: str
    truth: bool | None
    parts: tuple[Part, ...]


class Judge:
    """The conditions of one rule, each with the comparisons that it is made of."""

    def __init__(self, vocabulary: Vocabulary, conditions: Mapping[str, Condition], layout: Layout) -> None:
        environment = vocabulary.environment()
        self._layout = layout
        self._conditions: list[tuple[str, Expression, list[tuple[str, Expression]]]] = []
        for place, condition in conditions.items():
            parts = []
            for atom in atoms(condition.text):
                compiled = environment.compile(atom.text, BOOL)
                if isinstance(compiled, Compiled) and all(_is_there(it, layout) for it in compiled.reads):
                    parts.append((" ".join(atom.text.split()), Expression(compiled, layout)))
            if not parts:  # such as a selector, whose names are others
                parts = [(" ".join(condition.text.split()), Expression(condition, layout))]
            self._conditions.append((place, Expression(condition, layout), parts))

    def judge(self, look: Look) -> tuple[Judgement, ...]:
        """All conditions at the instant of `look`."""
        return tuple(
            Judgement(
                place,
                " ".join(condition.compiled.text.split()),
                _truth(condition, look),
                tuple(
                    Part(text, _truth(part, look), tuple(self._values(part, look))) for text, part in parts
                ),
            )
            for place, condition, parts in self._conditions
        )

    def _values(self, part: Expression, look: Look) -> Iterator[Value]:
        for read, (kind, slot) in zip(part.compiled.reads, part.places, strict=True):
            value = look.get(kind, slot)
            sampled = look.memory.times[slot] if slot >= 0 else NEVER
            note = ""
            if value is UNKNOWN:
                value = None
                note = _why_unknown(look, slot, sampled, self._layout)
            yield Value(_written(read), value, None if sampled == NEVER else sampled, note)


def _is_there(read: Read, layout: Layout) -> bool:
    return read.kind == "local" or read.signal in layout.slots


def _truth(expression: Expression, look: Look) -> bool | None:
    try:
        return expression.truth(look)
    except Exception:
        return None  # an error counts as unknown, in the engine too


def _why_unknown(look: Look, slot: int, sampled: int, layout: Layout) -> str:
    if slot < 0:
        return "the registry does not say"
    if sampled == NEVER:
        return "never seen"
    if look.memory.values[slot] is UNKNOWN or look.at >= sampled + layout.stale_after[slot]:
        return "stale"
    return "too few samples"


def _written(read: Read) -> str:
    """As an author writes it."""
    window = read.window
    if window is not None:
        seconds = window.duration_ms / 1000
        middle = f", {window.percent:g}" if window.function == "percentile" else ""
        return f'{window.function}({read.signal}{middle}, duration("{seconds:g}s"))'
    return read.signal if read.kind in ("value", "local") else f"{read.kind}({read.signal})"
