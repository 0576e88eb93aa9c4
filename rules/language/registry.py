"""What the registry says of a vehicle, as conditions name it: `vehicle.labels.model`.

A label is a string. An attribute is a double, a bool or a string, and which of them a condition means follows
from what it does with it: `speed > vehicle.attributes.limit` means a double. An attribute of another type is
unknown, as one that the vehicle lacks is.

In a tree that is checked, a label or attribute is a name like a signal's: the key under which the vehicle's
registration answers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from rules.language.declarations import BOOL, DOUBLE, DYN, STRING, Type, map_of
from rules.language.names import dotted
from rules.language.tree import (
    Call,
    Comprehension,
    Ident,
    ListNode,
    Literal,
    MapNode,
    Node,
    Select,
    Tree,
    children,
)

LABELS: Final = "vehicle.labels"
ATTRIBUTES: Final = "vehicle.attributes"
MAPS: Final[Mapping[str, Type]] = {LABELS: map_of(STRING, STRING), ATTRIBUTES: map_of(STRING, DYN)}
_DEPTH: Final = 3


def is_fact(name: str) -> bool:
    """Whether a name, or a key, is one label or attribute; a dotted name may go on behind it."""
    return name.startswith((f"{LABELS}.", f"{ATTRIBUTES}."))


def is_whole_fact(name: str) -> bool:
    """Whether a dotted name is a label or attribute and no more."""
    return is_fact(name) and name.count(".") == _DEPTH - 1


def type_of_label(name: str) -> Type | None:
    """The type of a label; None for an attribute, which may have several."""
    return STRING if name.startswith(LABELS) else None


def fact_key(fact: str, type_: Type) -> str:
    """Under which a vehicle's registration answers: only a value of this type, of any type for dyn."""
    if type_of_label(fact) or type_ not in (BOOL, DOUBLE, STRING):
        return fact
    return f"{fact} as {type_}"


def names_in(node: Node) -> Iterator[str]:
    """Every dotted name in a tree without types, and each part of it from the front."""
    name = dotted(node)
    if name is not None:
        parts = name.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        return
    for child in children(node):
        yield from names_in(child)


def tested_in(node: Node) -> Iterator[str]:
    """Every label and attribute that a tree without types asks for with `has`."""
    if isinstance(node, Select) and node.test_only:
        name = f"{dotted(node.operand)}.{node.field}"
        if is_whole_fact(name):
            yield name
    for child in children(node):
        yield from tested_in(child)


def with_keys(tree: Tree, facts: Mapping[str, Type]) -> Tree:
    """A checked tree with a key in each place of a label or attribute, which are meant as `facts` says."""
    types = dict(tree.types)

    def keyed(node: Node) -> Node:
        match node:
            case Ident(name=name) if is_whole_fact(name):
                pass
            case Select(operand=Ident(name=holder), field=field, test_only=False) if holder in MAPS:
                name = f"{holder}.{field}"
            case Call(function="_[_]", args=(Ident(name=holder), Literal(value=str(key)))) if holder in MAPS:
                name = f"{holder}.{key}"
            case Select(operand=operand):
                return replace(node, operand=keyed(operand))
            case Call(args=args):
                return replace(node, args=tuple(map(keyed, args)))
            case ListNode(elements=elements):
                return replace(node, elements=tuple(map(keyed, elements)))
            case MapNode(entries=entries):
                return replace(node, entries=tuple((keyed(key), keyed(value)) for key, value in entries))
            case Comprehension():
                return replace(
                    node,
                    range=keyed(node.range),
                    start=keyed(node.start),
                    condition=keyed(node.condition),
                    step=keyed(node.step),
                    result=keyed(node.result),
                )
            case _:
                return node
        type_ = type_of_label(name) or facts.get(name, DYN)
        types[node.id] = type_
        return Ident(node.id, fact_key(name, type_))

    return replace(tree, root=keyed(tree.root), types=types)
