"""The syntax tree that the front end serialises, read into plain nodes.

cel-expr-python hands out its tree as google.protobuf.Any around cel.expr.ParsedExpr or CheckedExpr, but
ships no classes to read them. The messages are declared here, with the field numbers of cel.expr's
syntax.proto and checked.proto, which are an interface and do not change. The pool is our own, so that a
program that also loads the generated classes sees no clash.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from rules.language.declarations import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    Type,
    list_of,
    map_of,
    type_of,
)
from rules.language.values import Uint

# message -> its fields as "name number type"; a trailing * repeats, a leading | is a member of its oneof.
_MESSAGES: Final = {
    "Any": "type_url 1 string, value 2 bytes",
    "ParsedExpr": "expr 2 Expr, source_info 3 SourceInfo",
    "CheckedExpr": "references 2 ReferenceEntry*, types 3 TypeEntry*, expr 4 Expr, source_info 5 SourceInfo",
    "SourceInfo": "positions 4 PositionEntry*",
    "PositionEntry": "key 1 int64, value 2 int32",
    "ReferenceEntry": "key 1 int64, value 2 Reference",
    "TypeEntry": "key 1 int64, value 2 Type",
    "Reference": "name 1 string, overloads 3 string*",
    "Expr": (
        "id 2 int64, |constant 3 Constant, |ident 4 Ident, |select 5 Select, |call 6 Call, |list 7 List, "
        "|struct 8 Struct, |comprehension 9 Comprehension"
    ),
    "Constant": (
        "|null 1 int32, |bool 2 bool, |int 3 int64, |uint 4 uint64, |double 5 double, |string 6 string, "
        "|bytes 7 bytes"
    ),
    "Ident": "name 1 string",
    "Select": "operand 1 Expr, field 2 string, test_only 3 bool",
    "Call": "target 1 Expr, function 2 string, args 3 Expr*",
    "List": "elements 1 Expr*",
    "Struct": "name 1 string, entries 2 Entry*",
    "Entry": "id 1 int64, field_key 2 string, map_key 3 Expr, value 4 Expr",
    "Comprehension": (
        "iter_var 1 string, iter_var2 8 string, iter_range 2 Expr, accu_var 3 string, accu_init 4 Expr, "
        "loop_condition 5 Expr, loop_step 6 Expr, result 7 Expr"
    ),
    "Empty": "",
    "Type": (
        "|dyn 1 Empty, |null 2 int32, |primitive 3 int32, |wrapper 4 int32, |well_known 5 int32, "
        "|list 6 ListType, |map 7 MapType, |message 9 string, |parameter 10 string, |type 11 Type"
    ),
    "ListType": "element 1 Type",
    "MapType": "key 1 Type, value 2 Type",
}
_PRIMITIVES: Final = {1: BOOL, 2: INT, 3: UINT, 4: DOUBLE, 5: STRING, 6: BYTES}
_WELL_KNOWN: Final = {2: TIMESTAMP, 3: DURATION}


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: bool, int, Uint, float, str, bytes or None."""

    id: int
    value: object


@dataclass(frozen=True, slots=True)
class Ident:
    """A name."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`, or `has(operand.field)` with `test_only`. Dotted names arrive as these too."""

    id: int
    operand: "Node"
    field: str
    test_only: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function or operator; the receiver of a method is the first of `args`."""

    id: int
    function: str
    args: tuple["Node", ...]
    member: bool


@dataclass(frozen=True, slots=True)
class ListNode:
    """`[a, b]`."""

    id: int
    elements: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class MapNode:
    """`{a: b}`."""

    id: int
    entries: tuple[tuple["Node", "Node"], ...]


@dataclass(frozen=True, slots=True)
class MessageNode:
    """`Name{field: value}`: read so that it can be refused with its place."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Comprehension:
    """What a macro (`all`, `exists`, `map`…) has become."""

    id: int
    variable: str
    second: str
    range: "Node"
    accumulator: str
    start: "Node"
    condition: "Node"
    step: "Node"
    result: "Node"


Node = Literal | Ident | Select | Call | ListNode | MapNode | MessageNode | Comprehension


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree, and by its nodes' ids: offsets in code points and, if it is checked, types and names."""

    root: Node
    offsets: Mapping[int, int]
    types: Mapping[int, Type] = field(default_factory=dict)
    names: Mapping[int, str] = field(default_factory=dict)
    within: Mapping[int, str] = field(default_factory=dict)
    """For nodes that a definition brought: in which one, as findings say it."""


class TooDeep(Exception):
    """The tree is nested more deeply than it can be read."""


def read(serialised: bytes) -> Tree:
    """Read a serialised ParsedExpr or CheckedExpr. Raises TooDeep."""
    messages = _messages()
    envelope = messages["Any"].FromString(serialised)
    checked = envelope.type_url.endswith("CheckedExpr")
    try:
        tree = messages["CheckedExpr" if checked else "ParsedExpr"].FromString(envelope.value)
    except message.DecodeError:
        # protobuf reads 100 levels of messages, which is some 45 of expressions.
        raise TooDeep from None
    offsets = {entry.key: entry.value for entry in tree.source_info.positions}
    if not checked:
        return Tree(_node(tree.expr), offsets)
    types = {entry.key: _type(entry.value) for entry in tree.types}
    names = {entry.key: entry.value.name for entry in tree.references if entry.value.name}
    return Tree(_node(tree.expr), offsets, types, names)


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and everything below it, parents first."""
    yield node
    for child in children(node):
        yield from walk(child)


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below `node`."""
    match node:
        case Select(operand=operand):
            return (operand,)
        case Call(args=args):
            return args
        case ListNode(elements=elements):
            return elements
        case MapNode(entries=entries):
            return tuple(part for entry in entries for part in entry)
        case Comprehension():
            return (node.range, node.start, node.condition, node.step, node.result)
    return ()


def is_shared(node: Node) -> bool:
    """Say whether it is a named list or the rows of an exception, which are not copied, however long.

    Its elements have no ids of their own.
    """
    return isinstance(node, ListNode) and bool(node.elements) and node.elements[0].id == 0


def _node(expr: Any) -> Node:
    kind = expr.WhichOneof("one")
    match kind:
        case "constant":
            return Literal(expr.id, _constant(expr.constant))
        case "ident":
            return Ident(expr.id, expr.ident.name)
        case "select":
            select = expr.select
            return Select(expr.id, _node(select.operand), select.field, select.test_only)
        case "call":
            call = expr.call
            member = call.HasField("target")
            args = [_node(argument) for argument in call.args]
            return Call(
                expr.id, call.function, tuple([_node(call.target), *args] if member else args), member
            )
        case "list":
            return ListNode(expr.id, tuple(_node(element) for element in expr.list.elements))
        case "struct" if expr.struct.name:
            return MessageNode(expr.id, expr.struct.name)
        case "struct":
            entries = expr.struct.entries
            return MapNode(expr.id, tuple((_node(entry.map_key), _node(entry.value)) for entry in entries))
        case "comprehension":
            loop = expr.comprehension
            return Comprehension(
                expr.id,
                loop.iter_var,
                loop.iter_var2,
                _node(loop.iter_range),
                loop.accu_var,
                _node(loop.accu_init),
                _node(loop.loop_condition),
                _node(loop.loop_step),
                _node(loop.result),
            )
    raise AssertionError(f"an expression of kind {kind}")


def _constant(constant: Any) -> object:
    kind = constant.WhichOneof("one")
    if kind == "null":
        return None
    value = getattr(constant, kind)
    return Uint(value) if kind == "uint" else value


def _type(type_: Any) -> Type:
    match type_.WhichOneof("one"):
        case "null":
            return NULL
        case "primitive":
            return _PRIMITIVES.get(type_.primitive, DYN)
        case "wrapper":
            return DYN  # a primitive or null
        case "well_known":
            return _WELL_KNOWN.get(type_.well_known, DYN)
        case "list":
            return list_of(_type(type_.list.element))
        case "map":
            return map_of(_type(type_.map.key), _type(type_.map.value))
        case "message":
            return Type(type_.message)
        case "type":
            return type_of(_type(type_.type))
    return DYN


@cache
def _messages() -> dict[str, Any]:
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="telltale/cel.proto", package="telltale", syntax="proto2")
    for name, fields in _MESSAGES.items():
        declared = file.message_type.add(name=name)
        for text in filter(None, fields.split(", ")):
            label, number, type_name = text.split(" ")
            entry = declared.field.add(name=label.lstrip("|"), number=int(number))
            entry.label = kinds.LABEL_REPEATED if type_name.endswith("*") else kinds.LABEL_OPTIONAL
            type_name = type_name.rstrip("*")
            if type_name in _MESSAGES:
                entry.type, entry.type_name = kinds.TYPE_MESSAGE, f".telltale.{type_name}"
            else:
                entry.type = kinds.Type.Value(f"TYPE_{type_name.upper()}")
            if label.startswith("|"):
                if not declared.oneof_decl:
                    declared.oneof_decl.add(name="one")
                entry.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"telltale.{name}"))
        for name in _MESSAGES
    }
