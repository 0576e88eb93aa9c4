"""The back end: a checked tree becomes the source of one Python expression, twice.

The strict one is what runs for each event: Python's own operators wherever they mean the same, `s_0 > 120.0`
for `speed > 120`. It may raise where CEL has a value (`a || true` with an unknown `a`; a division by zero),
but a value that it does return is CEL's. The exact one is asked when the strict one has raised: there an
error of one side of `&&` and `||` gives way to an answer of the other, and `/` is IEEE 754's.

A signal that is not known is the poison UNKNOWN, which raises on every use. Where a value is kept without
being looked at (in a list, as an argument of `dyn`) the code asks `f_known` for it.
"""

import difflib
import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from rules.language.constants import COMPARISONS, MIRRORED, PYTHON, folded, rows_of
from rules.language.declarations import (
    BOOL,
    BYTES,
    DOUBLE,
    DYN,
    INT,
    SIMPLE,
    STRING,
    Type,
)
from rules.language.functions import FUNCTIONS, OPERATORS, SUPPORT
from rules.language.history import FENCE_OVERLOADS
from rules.language.history import OVERLOADS as HISTORY
from rules.language.macros import Macro, recognise
from rules.language.reads import Reads
from rules.language.refusals import Refused
from rules.language.registry import MAPS
from rules.language.texts import pattern
from rules.language.tree import (
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    MessageNode,
    Node,
    Select,
    Tree,
    is_shared,
)
from rules.language.values import UNKNOWN, Duration, EvaluationError, TypeValue, Uint
from rules.language.windows import PARAMETERS as WINDOWS
from rules.language.windows import not_a_signal, signal_of, window_of

# How tightly Python binds, loosest first.
_TERNARY, _OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _UNARY, _ATOM = range(1, 10)

_ARITHMETIC: Final = {"_+_": ("+", _SUM), "_-_": ("-", _SUM), "_*_": ("*", _PRODUCT)}
_TEXT_METHODS: Final = {"startsWith": "startswith", "endsWith": "endswith"}
_SMALL: Final = 4  # up to so many constants, looking through a tuple beats hashing


class Code(NamedTuple):
    """Python source, how tightly it binds, and whether its value may be UNKNOWN without having raised."""

    text: str
    level: int = _ATOM
    open: bool = False


class Emitter:
    """Writes one expression; strict, or exact."""

    def __init__(self, tree: Tree, reads: Reads, *, exact: bool) -> None:
        self._types = tree.types
        self._names = tree.names
        self._reads = reads
        self._exact = exact
        self._scope: Mapping[str, str] = {}
        self._depth = 0
        """Macros around what is being written."""

    def source(self, node: Node) -> str:
        """Return the source for the whole expression `node`."""
        return self._emit(node).text

    # Pieces.

    def _type(self, node: Node) -> Type:
        return self._types.get(node.id, DYN)

    def _at(self, node: Node, level: int) -> str:
        """Return source that can stand where at least `level` is needed, and that looks at its value."""
        code = self._emit(node)
        return code.text if code.level >= level else f"({code.text})"

    def _known(self, node: Node) -> str:
        """Return source, as an argument, whose value is certainly known."""
        return self._settled(node).text

    def _settled(self, node: Node) -> Code:
        code = self._emit(node)
        return Code(self._call("f_known", code.text)) if code.open else code

    def _condition(self, node: Node, level: int) -> Code:
        code = self._emit(node)
        if self._type(node) != BOOL:
            return Code(self._call("f_boolean", code.text))
        return code if code.level >= level else Code(f"({code.text})", open=code.open)

    def _call(self, name: str, *arguments: str) -> str:
        self._reads.use(name, SUPPORT[name])
        return f"{name}({', '.join(arguments)})"

    def _emit(self, node: Node) -> Code:
        match node:
            case Literal(value=value):
                return self._literal(value)
            case Ident():
                return self._ident(node)
            case Select(operand=Ident(name=name), field=field) if name in MAPS:
                return self._registered(name, field)
            case Select(operand=operand, field=field, test_only=test_only):
                return Code(
                    self._call("f_has" if test_only else "f_index", self._known(operand), repr(field))
                )
            case ListNode(elements=elements):
                return Code(f"[{', '.join(map(self._known, elements))}]")
            case MapNode(entries=entries):
                pairs = (f"({self._known(key)}, {self._known(value)})" for key, value in entries)
                return Code(self._call("f_map", f"[{', '.join(pairs)}]"))
            case Comprehension():
                return self._macro(node)
            case MessageNode(name=name):
                raise Refused("TT106", f"{name}{{…}}: messages are not available", None, node)
            case Call():
                return self._operation(node)
        raise AssertionError(node)

    def _literal(self, value: object) -> Code:
        if isinstance(value, float) and not math.isfinite(value):
            return Code(self._reads.constant(value))
        if isinstance(value, Uint):
            return Code(self._reads.constant(value))
        negative = isinstance(value, int | float) and math.copysign(1, value) < 0
        return Code(repr(value), _UNARY if negative else _ATOM)

    def _ident(self, node: Ident) -> Code:
        if node.name in self._scope:
            return Code(self._scope[node.name])
        if node.name in MAPS:
            hint = f'name one of them: {node.name}.name, or {node.name}["a-name"]'
            raise Refused("TT115", f"{node.name} is no value by itself", hint, node)
        name = self._reads.read("value", node.name)
        if name is None:
            type_ = self._type(node)
            inner = type_.parameters[0] if type_.name == "type" and type_.parameters else type_
            return Code(self._reads.constant(TypeValue(_RUNTIME_NAMES.get(inner.name, inner.name))))
        return self._reading(name)

    def _registered(self, name: str, key: str) -> Code:
        """Whether the vehicle has a label or attribute: never unknown."""
        local = self._reads.read("value", f"{name}.{key}")
        self._reads.use("f_unknown", UNKNOWN)
        return Code(f"{local} is not f_unknown", _COMPARE)

    def _reading(self, name: str) -> Code:
        return Code(self._call("f_known", name)) if self._exact else Code(name, open=True)

    # Operators.

    def _operation(self, node: Call) -> Code:
        name, args = node.function, node.args
        if name in ("_&&_", "_||_"):
            return self._junction(node)
        if name in COMPARISONS:
            return self._comparison(node)
        if name in HISTORY:
            return self._history(node)
        if name in FENCE_OVERLOADS:
            return self._fence(node)
        if name in WINDOWS:
            return self._window(node)
        if name in _ARITHMETIC or name in ("_/_", "_%_", "-_"):
            return self._arithmetic(node)
        match name, args:
            case "_?_:_", (condition, yes, no):
                asked = self._condition(condition, _OR).text
                first, second = self._emit(yes), self._emit(no)
                left = first.text if first.level > _TERNARY else f"({first.text})"
                text = f"{left} if {asked} else {second.text}"
                return Code(text, _TERNARY, first.open or second.open)
            case "@certain", (operand,):
                return self._certain(operand)
            case "!_", (operand,):
                return Code(f"not {self._condition(operand, _NOT).text}", _NOT)
            case "@in", (Literal(value=str(key)), Ident(name=registered)) if registered in MAPS:
                return self._registered(registered, key)
            case "@in", (element, container):
                return self._membership(element, container)
            case "_[_]", (container, index):
                return Code(self._call("f_index", self._known(container), self._known(index)))
        if name not in FUNCTIONS:
            raise Refused("TT105", f"the function {name!r} is not available", None, node)
        return self._function(node)

    def _certain(self, operand: Node) -> Code:
        """What is unknown is settled inside, so both codes are the exact one."""
        is_exact, self._exact = self._exact, True
        try:
            return Code(self._call("f_certain", f"lambda: {self._emit(operand).text}"))
        finally:
            self._exact = is_exact

    def _junction(self, node: Call) -> Code:
        terms = list(_flatten(node, node.function))
        conjunction = node.function == "_&&_"
        if self._exact:
            texts = [f"lambda: {self._emit(term).text}" for term in terms]
            return Code(self._call("f_and" if conjunction else "f_or", *texts))
        level = _AND if conjunction else _OR
        codes = [self._condition(term, level) for term in terms]
        joined = (" and " if conjunction else " or ").join(code.text for code in codes)
        return Code(joined, level, codes[-1].open)

    def _comparison(self, node: Call) -> Code:
        left, right = node.args
        operator = COMPARISONS[node.function]
        if (age := self._age(node)) is not None:
            return age
        if self._type(left) == self._type(right) and self._type(left) in SIMPLE:
            return Code(f"{self._at(left, _SUM)} {operator} {self._at(right, _SUM)}", _COMPARE)
        arguments = self._known(left), self._known(right)
        if operator == "!=":
            return Code(f"not {self._call('f_equal', *arguments)}", _NOT)
        return Code(self._call(OPERATORS[node.function][0], *arguments))

    def _membership(self, element: Node, container: Node) -> Code:
        type_ = self._type(element)
        match container:
            case ListNode(elements=elements) if (
                len(elements) > _SMALL
                and type_ in SIMPLE
                and is_shared(container)
                and self._type(container) == Type("list", (type_,))
            ):
                return Code(f"{self._at(element, _SUM)} in {self._reads.shared(elements)}", _COMPARE)
            case ListNode(elements=elements) if elements and type_ in SIMPLE:
                values = [item.value for item in elements if isinstance(item, Literal)]
                if len(values) == len(elements) and self._type(container) == Type("list", (type_,)):
                    if len(values) > _SMALL:
                        return Code(
                            f"{self._at(element, _SUM)} in {self._reads.constant(frozenset(values))}",
                            _COMPARE,
                        )
                    listed = ", ".join(self._literal(value).text for value in values)
                    listed += "," if len(values) == 1 else ""
                    return Code(f"{self._at(element, _SUM)} in ({listed})", _COMPARE)
            case ListNode(elements=elements) if isinstance(element, ListNode) and elements:
                rows = rows_of(elements, [PYTHON.get(self._type(part)) for part in element.elements])
                if rows is not None:
                    row = "".join(f"{self._known(part)}, " for part in element.elements)
                    return Code(f"({row}) in {self._reads.constant(rows)}", _COMPARE)
        return Code(self._call("f_in", self._known(element), self._known(container)))

    def _arithmetic(self, node: Call) -> Code:
        name, args = node.function, node.args
        types = {self._type(argument) for argument in args}
        value = folded(node)
        if value is not None:
            return self._literal(value)
        if types == {DOUBLE}:
            if name == "-_":
                return Code(f"-{self._at(args[0], _UNARY)}", _UNARY)
            operator, level = _ARITHMETIC.get(name, ("/", _PRODUCT))
            divisor = args[-1]
            exact = not self._exact or (isinstance(divisor, Literal) and divisor.value != 0)
            if name != "_/_" or exact:
                left, right = self._at(args[0], level), self._at(args[1], level + 1)
                return Code(f"{left} {operator} {right}", level)
        if types == {INT} and name in _ARITHMETIC:
            operator, level = _ARITHMETIC[name]
            left, right = self._at(args[0], level), self._at(args[1], level + 1)
            return Code(self._call("f_int64", f"{left} {operator} {right}"))
        if types in ({STRING}, {BYTES}):
            return Code(self._call("f_concatenate", *map(self._known, args)))
        return Code(self._call(OPERATORS[name][0], *map(self._known, args)))

    # Functions.

    def _function(self, node: Call) -> Code:
        name, args = node.function, node.args
        types = [self._type(argument) for argument in args]
        match name, args:
            case "matches", (text, Literal(value=str(expression))):
                try:
                    compiled = self._reads.constant(pattern(expression))
                except EvaluationError as error:
                    raise Refused("TT110", str(error), None, args[1]) from None
                if types[0] == STRING:
                    return Code(f"{compiled}.search({self._emit(text).text}) is not None", _COMPARE)
            case ("duration" | "timestamp", (Literal(value=str(text)),)):
                try:
                    return Code(self._reads.constant(FUNCTIONS[name][1](text)))
                except EvaluationError as error:
                    raise Refused("TT110", str(error), None, node) from None
            case ("startsWith" | "endsWith", (text, part)) if types == [STRING, STRING]:
                return Code(f"{self._at(text, _ATOM)}.{_TEXT_METHODS[name]}({self._emit(part).text})")
            case "contains", (text, part) if types == [STRING, STRING]:
                return Code(f"{self._at(part, _SUM)} in {self._at(text, _SUM)}", _COMPARE)
            case "size", (value,) if types[0] in (STRING, BYTES) or types[0].name in ("list", "map"):
                return Code(f"len({self._emit(value).text})")
        if name == "dyn":
            return self._settled(args[0])
        return Code(self._call(FUNCTIONS[name][0], *map(self._known, args)))

    def _macro(self, node: Comprehension) -> Code:
        macro = recognise(node)
        if macro is None:
            raise Refused("TT106", "this comprehension is not available", None, node)
        code = self._settled(macro.range)
        items = code.text if code.level > _TERNARY else f"({code.text})"
        if self._type(macro.range).name != "list":
            items = self._call("f_items", items)
        outer = self._scope
        # Counted, not named after the scope's size: a variable that hides another one does not enlarge it.
        variable = f"x_{self._depth}"
        self._scope = {**outer, macro.variable: variable}
        self._depth += 1
        try:
            return self._loop(macro, items, variable)
        finally:
            self._scope = outer
            self._depth -= 1

    def _loop(self, macro: Macro, items: str, variable: str) -> Code:
        if macro.name in ("all", "exists") and macro.condition is not None:
            if self._exact:
                return Code(
                    self._call(
                        f"f_{macro.name}", items, f"lambda {variable}: {self._emit(macro.condition).text}"
                    )
                )
            condition = self._condition(macro.condition, _TERNARY).text
            return Code(f"{'all' if macro.name == 'all' else 'any'}({condition} for {variable} in {items})")
        clause = f"for {variable} in {items}"
        if macro.condition is not None:
            clause += f" if {self._condition(macro.condition, _OR).text}"
        if macro.element is None:
            return Code(f"sum(1 {clause}) == 1", _COMPARE)
        return Code(f"[{self._known(macro.element)} {clause}]")

    # History.

    def _history(self, node: Call) -> Code:
        argument = node.args[0]
        name = None
        if isinstance(argument, Ident) and argument.name not in self._scope:
            name = self._reads.read(node.function, argument.name)
        if name is None:
            raise Refused(
                "TT108",
                f"{node.function}() takes the name of a signal",
                f"write {node.function}(Vehicle.Speed), and combine the results outside of it",
                argument,
            )
        if node.function == "age":
            raise Refused(
                "TT109",
                "age() can only be compared with a constant duration",
                f'write age({name_of(argument)}) > duration("5m")',
                node,
            )
        return self._reading(name)

    # Places.

    def _fence(self, node: Call) -> Code:
        match node.args:
            case (Literal(value=str(fence)),) if fence in self._reads.fences:
                return self._reading(self._reads.fence(node.function, fence))
            case (Literal(value=str(fence)) as argument,):
                near = difflib.get_close_matches(fence, self._reads.fences, n=1, cutoff=0.6)
                hint = f"did you mean '{near[0]}'?" if near else "load its Geofence with the rules"
                raise Refused("TT210", f"undeclared fence '{fence}'", hint, argument)
        hint = f'write {node.function}("depot-1")'
        message = f"{node.function}() takes the name of a fence, as a text"
        raise Refused("TT108", message, hint, node.args[0])

    def _window(self, node: Call) -> Code:
        signal = signal_of(node)
        name = None
        if signal not in self._scope:
            name = self._reads.window(signal, window_of(node))
        if name is None:
            raise not_a_signal(node)
        return self._reading(name)

    def _age(self, node: Call) -> Code | None:
        """`age(s) > duration("5m")`: the local holds milliseconds, so the constant is milliseconds too."""
        left, right = node.args
        operator = COMPARISONS[node.function]
        if _is_age(right):
            left, right, operator = right, left, MIRRORED[operator]
        match left, right:
            case (
                Call(function="age", args=(Ident(name=signal),)),
                Call(function="duration", args=(Literal(value=str(text)),) as inner),
            ) if signal not in self._scope and (name := self._reads.read("age", signal)):
                try:
                    limit: Duration = FUNCTIONS["duration"][1](text)
                except EvaluationError as error:
                    raise Refused("TT110", str(error), None, inner[0]) from None
                milliseconds, rest = divmod(limit.nanoseconds, 1_000_000)
                if rest:
                    raise Refused("TT109", f"{text} is not a whole number of milliseconds", None, inner[0])
                self._reads.limit(signal, milliseconds)
                return Code(f"{self._reading(name).text} {operator} {milliseconds}", _COMPARE)
        return None


_RUNTIME_NAMES: Final = {"duration": "google.protobuf.Duration", "timestamp": "google.protobuf.Timestamp"}


def _is_age(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "age"


def name_of(node: Node) -> str:
    """Return how a message calls `node`."""
    return node.name if isinstance(node, Ident) else "signal"


def _flatten(node: Node, function: str) -> "list[Node]":
    if isinstance(node, Call) and node.function == function:
        return [term for argument in node.args for term in _flatten(argument, function)]
    return [node]
