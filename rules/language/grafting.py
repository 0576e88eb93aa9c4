"""Trees grow into one: a definition's tree takes the place of the name that stands for it.

Hygiene comes from the trees, not from the letters. Every variable of a macro gets a name that nobody can
write, so `[90, 110].exists(speed, fast)` leaves the `speed` inside `fast` the signal; an argument is put in
as a whole, so `twice(1 + 2)` is twice 3. The types were judged before, at the definition and at the use, each
for itself; here nothing is judged but the size, which grows by doubling when definitions use definitions.
"""

from collections.abc import Mapping
from typing import Final

from rules.language.declarations import BOOL, Type
from rules.language.named import Budget, Named
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
    is_shared,
    walk,
)

NODE_LIMIT: Final = 5_000
"""Nodes of one expression with its names written out, as many as an author could write; a list is one."""
HEIGHT_LIMIT: Final = 48
CERTAIN: Final = "@certain"
"""A function that no author can call: true where its argument is known to be true, false anywhere else."""

_Scope = Mapping[str, str | Node]
"""Variables of macros and their new names, parameters and their arguments."""


class TooLarge(Exception):
    """The tree would be larger than is worth running; `offset` says in which use."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset


class Broken(Exception):
    """The tree uses a definition that is wrong itself."""


def uses_names(tree: Tree, named: Mapping[str, Named]) -> bool:
    """Say whether anything is to be grafted into the checked `tree`."""
    return any(_is_use(node, named) for node in walk(tree.root))


def _is_use(node: Node, named: Mapping[str, Named]) -> bool:
    match node:
        case Ident(name=name):
            return name in named or name.startswith(".")
        case Call(function=function, member=False):
            return function in named
    return False


class Grafting:
    """One tree in the making, with ids of its own."""

    def __init__(self, named: Mapping[str, Named], used: set[str] | None = None) -> None:
        """`used` takes the names whose trees have grown in."""
        self._named = named
        self._used = used
        self._types: dict[int, Type] = {}
        self._offsets: dict[int, int] = {}
        self._within: dict[int, str] = {}
        self._heights: dict[int, int] = {}
        self._sizes: dict[int, int] = {}
        self.brought: list[Ident] = []
        """Names that came with definitions."""

    def tree(self, root: Node) -> Tree:
        """Return what has grown, from `root` on."""
        return Tree(root, self._offsets, self._types, within=self._within)

    def grow(self, tree: Tree) -> Node:
        """Take in a checked tree, with everything that its names stand for. Raises TooLarge and Broken."""
        return _Growth(self, tree).node(tree.root, {})

    def call(self, function: str, *arguments: Node, type_: Type = BOOL) -> Node:
        """Return a new call of an operator or function."""
        return self.keep(Call(self.fresh(), function, arguments, False), type_)

    def listed(self, elements: tuple[Node, ...], type_: Type) -> Node:
        """Return a new list."""
        return self.keep(ListNode(self.fresh(), elements), type_)

    def literal(self, value: object, type_: Type) -> Node:
        """Return a new constant."""
        return self.keep(Literal(self.fresh(), value), type_)

    def fresh(self) -> int:
        """Return an id that is free."""
        return len(self._heights) + 1

    def keep(self, node: Node, type_: Type | None, *, offset: int = 0, within: str = "") -> Node:
        """Note what is known of a new node. Raises TooLarge."""
        parts = () if is_shared(node) else children(node)
        height = 1 + max((self._heights[part.id] for part in parts), default=0)
        size = 1 + sum(self._sizes[part.id] for part in parts)  # an argument counts wherever it stands
        if height > HEIGHT_LIMIT or size > NODE_LIMIT:
            raise TooLarge(offset)
        self._heights[node.id] = height
        self._sizes[node.id] = size
        self._offsets[node.id] = offset
        if type_ is not None:
            self._types[node.id] = type_
        if within:
            self._within[node.id] = within
            if isinstance(node, Ident):
                self.brought.append(node)
        return node

    def spend(self, budget: Budget | None, nodes: int, offset: int) -> None:
        """Note what a definition has brought. Raises TooLarge."""
        if budget is not None:
            budget.left -= nodes
            if budget.left <= 0:
                raise TooLarge(offset)

    def meaning(self, name: str) -> Named | None:
        """Return what a name stands for. Raises Broken."""
        found = self._named.get(name)
        if found is not None and found.tree is None:
            raise Broken
        if found is not None and self._used is not None:
            self._used.add(name)
        return found


class _Growth:
    """One checked tree on its way in; `use` is where its name stands, for a definition's tree."""

    def __init__(self, grafting: Grafting, tree: Tree, use: int | None = None, within: str = "") -> None:
        self._grafting = grafting
        self._tree = tree
        self._use = use
        self._within = within

    def node(self, node: Node, scope: _Scope) -> Node:
        match node:
            case Ident(name=name):
                return self._ident(node, name, scope)
            case Call(function=function, args=args):
                arguments = tuple(self.node(argument, scope) for argument in args)
                meaning = None if node.member else self._grafting.meaning(function)
                if meaning is not None:
                    names = [parameter for parameter, _ in meaning.parameters or ()]
                    return self._inner(node, meaning, dict(zip(names, arguments, strict=True)))
                return self._new(node, Call(self._grafting.fresh(), function, arguments, node.member))
            case Select(operand=operand, field=field, test_only=test_only):
                inner = self.node(operand, scope)
                return self._new(node, Select(self._grafting.fresh(), inner, field, test_only))
            case ListNode(elements=elements):
                if not is_shared(node):
                    elements = tuple(self.node(element, scope) for element in elements)
                return self._new(node, ListNode(self._grafting.fresh(), elements))
            case MapNode(entries=entries):
                pairs = tuple((self.node(key, scope), self.node(value, scope)) for key, value in entries)
                return self._new(node, MapNode(self._grafting.fresh(), pairs))
            case Comprehension():
                return self._comprehension(node, scope)
            case Literal(value=value):
                return self._new(node, Literal(self._grafting.fresh(), value))
        return self._new(node, node)

    def _ident(self, node: Node, name: str, scope: _Scope) -> Node:
        known = scope.get(name)
        if isinstance(known, str):
            return self._new(node, Ident(self._grafting.fresh(), known))
        if known is not None:
            return known
        name = name.removeprefix(".")  # nothing can hide it any more
        meaning = self._grafting.meaning(name)
        if meaning is not None:
            return self._inner(node, meaning, {})
        return self._new(node, Ident(self._grafting.fresh(), name))

    def _inner(self, node: Node, meaning: Named, scope: _Scope) -> Node:
        assert meaning.tree is not None
        growth = _Growth(self._grafting, meaning.tree, self._offset(node), f", in {meaning.described}")
        self._grafting.spend(meaning.budget, 0, self._offset(node))
        before = self._grafting.fresh()
        grown = growth.node(meaning.tree.root, scope)
        self._grafting.spend(meaning.budget, self._grafting.fresh() - before, self._offset(node))
        return grown

    def _comprehension(self, node: Comprehension, scope: _Scope) -> Node:
        range_ = self.node(node.range, scope)
        number = self._grafting.fresh()
        names = {name: f"{name}@{number}" for name in (node.variable, node.second, node.accumulator) if name}
        inner = {**scope, **names}
        parts = [self.node(part, inner) for part in (node.start, node.condition, node.step, node.result)]
        return self._new(
            node,
            Comprehension(
                self._grafting.fresh(),
                names[node.variable],
                names.get(node.second, ""),
                range_,
                names[node.accumulator],
                *parts,
            ),
        )

    def _offset(self, node: Node) -> int:
        return self._tree.offsets.get(node.id, 0) if self._use is None else self._use

    def _new(self, old: Node, new: Node) -> Node:
        within = self._within + self._tree.within.get(old.id, "")
        return self._grafting.keep(new, self._tree.types.get(old.id), offset=self._offset(old), within=within)
