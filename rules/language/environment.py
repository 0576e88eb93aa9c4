"""Text in, `Compiled` or every problem out, never a traceback: conditions against what a catalog declares.

The order: bound the text; parse; name what nobody declared; promote integer literals; let the official
checker judge; bound the steps; write the source. Places in problems are always those of the author's text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rules.language import complaints
from rules.language.backend import Emitter, Refused, single_comparison
from rules.language.cost import STEP_LIMIT, steps
from rules.language.declarations import STRING, Type
from rules.language.frontend import FrontEnd
from rules.language.literals import promote
from rules.language.names import name_problem, undeclared
from rules.language.problems import Problem
from rules.language.reads import Read, Reads, Symbols
from rules.language.total import total_source
from rules.language.tree import TooDeep, Tree, read
from rules.language.values import UNKNOWN, EvaluationError, UnknownValue

TEXT_LIMIT: Final = 8_000
"""Longest expression, in characters."""
VEHICLE_ID: Final = "vehicle.id"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition or value, ready to run.

    `source` is a Python expression over the locals that `reads` names, the names of `constants`, and
    builtins. If it does not raise, its value is CEL's (a value that `is UNKNOWN` counts as unknown); if it
    raises anything, `evaluate` has the answer.
    """

    text: str
    source: str
    reads: tuple[Read, ...]
    constants: Mapping[str, object]
    type: Type
    evaluate: Callable[[Sequence[object]], object] = field(compare=False)
    """Arguments in the order of `reads`. Raises UnknownValue or EvaluationError."""
    age_limits: tuple[tuple[str, int], ...]
    """(signal, milliseconds) for each constant that an `age(signal)` is compared with."""
    comparison: tuple[str, str] | None
    """(signal, operator) if one signal's value is compared with a constant, seen from the signal."""


class Environment:
    """The names that expressions may use.

    `variables` are signals by their canonical names, `aliases` other names of them, `locals` values that are
    not signals, such as `value` in a template. `vehicle.id` is always there. Locals in `source` are named
    once for an environment, constants too: sources of one environment can stand in one function.
    Names that CEL cannot have are left out: `name_problem` says which and why.
    """

    def __init__(
        self,
        variables: Mapping[str, Type],
        aliases: Mapping[str, str] | None = None,
        locals: Mapping[str, Type] | None = None,
    ) -> None:
        aliases = aliases or {}
        inner = {VEHICLE_ID: STRING, **(locals or {})}
        signals = {name: name for name in variables} | dict(aliases)
        signals = {name: signal for name, signal in signals.items() if name_problem(name) is None}
        self._types = {name: variables[signal] for name, signal in signals.items()} | inner
        self._symbols = Symbols(signals, {name: name for name in inner})
        self._front_end = FrontEnd(self._types)

    def compile(self, text: str, expect: Type | None = None) -> Compiled | list[Problem]:
        """Compile `text`, whose result must be of type `expect` if one is given."""
        if len(text) > TEXT_LIMIT:
            message = f"the expression has {len(text)} characters, more than {TEXT_LIMIT}"
            return [Problem("TT107", message, "split the rule into several", 1, 1)]
        try:
            return self._compile(text, expect)
        except TooDeep:
            return [
                Problem("TT107", "the expression is nested too deeply", "split the rule into several", 1, 1)
            ]

    def _compile(self, text: str, expect: Type | None) -> Compiled | list[Problem]:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return [Problem("TT102", "a lone surrogate is not a character", None, *_place(text, error.start))]
        parsed = self._front_end.parse(text)
        if isinstance(parsed, list):
            return complaints.syntax(text, parsed)
        tree = read(parsed)
        unknown = [
            complaints.undeclared(name, self._types, *_place(text, offset))
            for name, offset in undeclared(tree, self._types)
        ]
        if unknown:
            return unknown
        promoted = promote(text, tree, self._types)
        checked = self._front_end.check(promoted.text)
        if isinstance(checked, list):
            return [
                complaints.mismatch(
                    complaint,
                    text,
                    self._types,
                    *_place(text, promoted.origin(_offset(promoted.text, complaint.line, complaint.column))),
                )
                for complaint in checked
            ]
        tree = read(checked)

        def place(node_id: int) -> tuple[int, int]:
            return _place(text, promoted.origin(tree.offsets.get(node_id, 0)))

        type_ = tree.types.get(tree.root.id, Type("dyn"))
        if expect is not None and type_ != expect:
            return [complaints.wrong_result(type_, expect, *place(tree.root.id))]
        if (count := steps(tree.root)) > STEP_LIMIT:
            message = f"the expression may take {count} steps, more than {STEP_LIMIT}"
            return [Problem("TT107", message, "loop over shorter lists", *place(tree.root.id))]
        try:
            return self._finish(text, tree, type_)
        except Refused as refused:
            return [Problem(refused.code, refused.message, refused.hint, *place(refused.node.id))]

    def _finish(self, text: str, tree: Tree, type_: Type) -> Compiled:
        reads = Reads(self._symbols)
        source = Emitter(tree, reads, exact=False).source(tree.root)
        comparison = single_comparison(tree.root)
        if comparison is not None:
            found = self._symbols.read("value", comparison[0])
            comparison = (found.signal, comparison[1]) if found and found.kind == "value" else None
        return Compiled(
            text=text,
            source=source,
            reads=reads.reads,
            constants=reads.constants,
            type=type_,
            evaluate=_Exact(tree, self._symbols, reads.reads),
            age_limits=reads.limits,
            comparison=comparison,
        )


class _Exact:
    """The exact evaluator, written when it is first asked: most conditions never need it."""

    __slots__ = ("_function", "_reads", "_symbols", "_tree")

    def __init__(self, tree: Tree, symbols: Symbols, reads: tuple[Read, ...]) -> None:
        self._tree, self._symbols, self._reads = tree, symbols, reads
        self._function: Callable[..., object] | None = None

    def __call__(self, arguments: Sequence[object]) -> object:
        try:
            if self._function is None:
                self._function = self._build()
            value = self._function(*arguments)
        except (UnknownValue, EvaluationError):
            raise
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            # Arguments that are not what the catalog declared: a fault of the caller's data, not of the rule.
            raise EvaluationError(f"{type(error).__name__}: {error}") from error
        if value is UNKNOWN:
            raise UnknownValue
        return value

    def _build(self) -> Callable[..., object]:
        reads = Reads(self._symbols)
        source = total_source(self._tree, reads)
        if source is None:
            source = Emitter(self._tree, reads, exact=True).source(self._tree.root)
        names = ", ".join(read.name for read in self._reads)
        function: Callable[..., object] = eval(f"lambda {names}: {source}", dict(reads.constants))
        return function


def _place(text: str, offset: int) -> tuple[int, int]:
    """Return the 1-based line and column of an offset."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _offset(text: str, line: int, column: int) -> int:
    """Return the offset of a 1-based line and column."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1
