"""Text in, `Compiled` or every problem out, never a traceback: conditions against what a catalog declares.

The order: bound the text; parse; name what nobody declared; promote integer literals; let the official
checker judge; write out the names that authors have defined; bound the steps; write the source. Places in
problems are always those of the author's text.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Final, TypeVar

from rules.language import complaints
from rules.language.backend import Emitter
from rules.language.constants import single_comparison
from rules.language.cost import STEP_LIMIT, steps
from rules.language.declarations import DYN, NULL, SIMPLE, STRING, Type
from rules.language.frontend import FrontEnd
from rules.language.grafting import Broken, Grafting, TooLarge, uses_names
from rules.language.literals import promote
from rules.language.named import Budget, Named, mentioned
from rules.language.names import TYPE_NAMES, name_problem, undeclared
from rules.language.problems import Problem, shortened
from rules.language.reads import Read, Reads, Symbols
from rules.language.refusals import Refused
from rules.language.registry import MAPS, is_fact, names_in, tested_in, with_keys
from rules.language.total import total_source
from rules.language.tree import Ident, Node, TooDeep, Tree, children, read, walk
from rules.language.values import UNKNOWN, EvaluationError, UnknownValue

TEXT_LIMIT: Final = 8_000
"""Longest expression, in characters."""
VEHICLE_ID: Final = "vehicle.id"

_T = TypeVar("_T")


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


Grow = Callable[[Grafting, Node], Node]
"""What is added to a condition's tree by its rule: takes its root, returns the new one."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A tree with types, every name in it written out; `place` leads from its nodes to the author's text."""

    tree: Tree
    type: Type
    place: Callable[[int], tuple[int, int]]


class Environment:
    """The names that expressions may use.

    `variables` are signals by their canonical names, `aliases` other names of them, `locals` values that are
    not signals, such as `value` in a template, `named` what authors have defined, `fences` the names that
    `inside` and `distance` take. `vehicle.id` is always there, and so are `vehicle.labels` and
    `vehicle.attributes`, of which a condition reads one by one. Locals in `source` are named once for an
    environment, constants too: sources of one environment, and of those that `naming` makes of it, can stand
    in one function.
    Names that CEL cannot have are left out: `name_problem` says which and why.
    """

    def __init__(
        self,
        variables: Mapping[str, Type],
        aliases: Mapping[str, str] | None = None,
        locals: Mapping[str, Type] | None = None,
        named: Iterable[Named] = (),
        fences: Collection[str] = (),
        words: Mapping[str, Type] | None = None,
    ) -> None:
        """`words` may be added by `naming`: declared here once, they cost no further checker there."""
        aliases = aliases or {}
        inner = {VEHICLE_ID: STRING, **(locals or {})}
        signals = {name: name for name in variables} | dict(aliases)
        signals = {name: signal for name, signal in signals.items() if name_problem(name) is None}
        self._own = {name: variables[signal] for name, signal in signals.items()} | inner | dict(MAPS)
        self._symbols = Symbols(signals, {name: name for name in inner}, fences)
        self._used: set[str] | None = None
        self._words = words or {}
        self._name({each.name: each for each in named})

    def _name(self, named: Mapping[str, Named]) -> None:
        self._named = {name: each for name, each in named.items() if name not in self._own}
        words = {name: each.type for name, each in self._named.items() if each.parameters is None}
        self._functions = {
            name: (tuple(type_ for _, type_ in each.parameters), each.type)
            for name, each in self._named.items()
            if each.parameters is not None
        }
        self._types = {**self._own, **words}
        self._front_end = FrontEnd({**self._words, **self._types}, self._functions)

    def naming(self, named: Iterable[Named], used: set[str] | None = None) -> "Environment":
        """Return an environment that has these names, too; the later one of two has the word.

        What expressions use of all its names is added to `used`.
        """
        other = copy(self)
        other._used = used
        other._name(self._named | {each.name: each for each in named})
        return other

    def seeing(self, fences: Mapping[str, str]) -> "Environment":
        """Return an environment that knows these names of fences, each with its full one, and no others.

        Its sources can stand in one function with those of this one.
        """
        other = copy(self)
        other._symbols = self._symbols.seeing(fences)
        return other

    def define(
        self,
        name: str,
        text: str,
        parameters: Mapping[str, Type] | None = None,
        place: str = "",
        *,
        expect: Type | None = None,
        budget: Budget | None = None,
    ) -> Named | list[Problem]:
        """Check what `name` is to stand for; `parameters`, if any, are names of `text` alone.

        `budget` is what all uses of it, and of others with the same one, may bring into expressions.
        """
        inner = self if parameters is None else self._with_locals(parameters)
        checked = inner._guarded(text, lambda: inner._check(text, expect, None))
        if isinstance(checked, list):
            return checked
        if not _is_declarable(checked.type):
            message = f"a name cannot stand for a value of type {checked.type}"
            return [Problem("TT104", message, "name a condition, a number or a text", 1, 1)]
        if parameters is None:
            finished = self._finished(text, checked)
            if isinstance(finished, list):
                return finished
        types = None if parameters is None else tuple(parameters.items())
        return Named(name, checked.type, checked.tree, types, place, budget)

    def _with_locals(self, names: Mapping[str, Type]) -> "Environment":
        other = copy(self)
        other._own = {**self._own, **names}
        other._name(self._named)
        return other

    def mentions(self, text: str) -> frozenset[str]:
        """Return the words and functions that `text` uses; none of a text that cannot be read."""
        try:
            parsed = self._front_end.parse(text) if len(text) <= TEXT_LIMIT else []
            return frozenset() if isinstance(parsed, list) else mentioned(read(parsed))
        except (TooDeep, UnicodeEncodeError):
            return frozenset()

    def compile(
        self, text: str, expect: Type | None = None, *, grow: Grow | None = None
    ) -> Compiled | list[Problem]:
        """Compile `text`, whose result must be of type `expect` if one is given.

        No problem at all and no result: a definition that the text uses has problems of its own.
        """
        return self._guarded(text, lambda: self._compile(text, expect, grow))

    def checked(self, text: str) -> Checked | list[Problem]:
        """Check `text` and write its names out, for those who want to look at its tree."""
        return self._guarded(text, lambda: self._check(text, None, None))

    def _guarded(self, text: str, work: Callable[[], _T | list[Problem]]) -> _T | list[Problem]:
        if len(text) > TEXT_LIMIT:
            message = f"the expression has {len(text)} characters, more than {TEXT_LIMIT}"
            return [Problem("TT107", message, "split the rule into several", 1, 1)]
        try:
            found = work()
        except TooDeep:
            return [
                Problem("TT107", "the expression is nested too deeply", "split the rule into several", 1, 1)
            ]
        return [shortened(problem) for problem in found] if isinstance(found, list) else found

    def _compile(self, text: str, expect: Type | None, grow: Grow | None) -> Compiled | list[Problem]:
        checked = self._check(text, expect, grow)
        return checked if isinstance(checked, list) else self._finished(text, checked)

    def _check(self, text: str, expect: Type | None, grow: Grow | None) -> Checked | list[Problem]:
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return [Problem("TT102", "a lone surrogate is not a character", None, *_place(text, error.start))]
        parsed = self._front_end.parse(text)
        if isinstance(parsed, list):
            return complaints.syntax(text, parsed)
        tree = read(parsed)
        unknown = [
            complaints.undeclared(name, self._types, *_place(text, offset), self._functions)
            for name, offset in undeclared(tree, self._types)
        ]
        if unknown:
            return unknown
        promoted = promote(text, tree, self._types, defined=self._functions, expect=expect)
        checked = self._checker(tree, promoted.facts).check(promoted.text)
        if isinstance(checked, list):
            return [
                complaints.mismatch(
                    complaint,
                    text,
                    self._types,
                    *_place(text, promoted.origin(_offset(promoted.text, complaint.line, complaint.column))),
                    self._functions,
                )
                for complaint in checked
            ]
        tree = with_keys(read(checked), promoted.facts)

        def place(offset: int) -> tuple[int, int]:
            return _place(text, promoted.origin(offset))

        type_ = tree.types.get(tree.root.id, Type("dyn"))
        unsure = type_ == DYN and (promoted.facts or self._is_broken(tree))
        if expect is not None and type_ != expect and not unsure:
            return [complaints.wrong_result(type_, expect, *place(tree.offsets.get(tree.root.id, 0)))]
        if grow is not None or uses_names(tree, self._named):
            try:
                grafting = Grafting(self._named, self._used)
                root = grafting.grow(tree)
                tree = grafting.tree(root if grow is None else grow(grafting, root))
            except Broken:
                return []
            except TooLarge as large:
                message = "the expression is too large once the names in it are written out"
                return [Problem("TT107", message, "use fewer names in it", *place(large.offset))]
            foreign = next(filter(self._is_foreign, grafting.brought), None)
            if foreign is not None:
                within = tree.within.get(foreign.id, "")
                message = f"'{foreign.name}' cannot be used here{within}"
                return [Problem("TT101", message, None, *place(tree.offsets.get(foreign.id, 0)))]
        return Checked(tree, type_, lambda node_id: place(tree.offsets.get(node_id, 0)))

    def _checker(self, tree: Tree, facts: Mapping[str, Type]) -> FrontEnd:
        """Return the front end that knows the types of `facts`: of few names, since it serves few texts.

        What `has` asks for it must not know, as it would take has(a.b) for the value of `a.b`.
        """
        if not facts:
            return self._front_end
        named = set(names_in(tree.root))
        known = {name: type_ for name, type_ in self._types.items() if name in named} | dict(facts)
        for name in tested_in(tree.root):
            known.pop(name, None)
        return FrontEnd(known | dict(MAPS), self._functions)

    def _is_broken(self, tree: Tree) -> bool:
        """Whether a definition that `tree` uses is wrong: its type is not known then."""
        try:
            Grafting(self._named).grow(tree)
        except Broken:
            return True
        except TooLarge:
            pass
        return False

    def _is_foreign(self, node: Ident) -> bool:
        """Whether a name that a definition brought means nothing here, a signal in a selector say."""
        name = node.name
        is_variable = "@" in name or is_fact(name) or name in TYPE_NAMES
        return not is_variable and name not in self._own

    def _finished(self, text: str, checked: Checked) -> Compiled | list[Problem]:
        tree, place = checked.tree, checked.place
        if (count := steps(tree.root)) > STEP_LIMIT:
            message = f"the expression may take {count} steps, more than {STEP_LIMIT}"
            return [Problem("TT107", message, "loop over shorter lists", *place(tree.root.id))]
        try:
            return self._finish(text, tree, checked.type)
        except Refused as refused:
            message = refused.message + _within(tree, refused.node)
            return [Problem(refused.code, message, refused.hint, *place(refused.node.id))]

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


def _within(tree: Tree, node: Node) -> str:
    """In which definition a node stands, or the call that it is an argument of."""
    callers = (parent for parent in walk(tree.root) if node in children(parent))
    return next((found for each in (node, *callers) if (found := tree.within.get(each.id))), "")


def _is_declarable(type_: Type) -> bool:
    """Whether a name can be declared with this type."""
    known = type_ in SIMPLE or type_ in (DYN, NULL) or type_.name in ("list", "map")
    return known and all(map(_is_declarable, type_.parameters))


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
