"""Random definitions and expressions that use them, each with what one would write by hand without them.

By hand means: brackets around everything that is put in, and a name of its own for every variable.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Tree = tuple[Any, ...]
SIGNALS = ("speed", "pressure")


@dataclass
class Definition:
    name: str
    parameters: tuple[str, ...]
    body: Tree


@dataclass
class Writer:
    """Makes trees; `author` writes them with names, `by_hand` without."""

    seed: int
    definitions: dict[str, Definition] = field(default_factory=dict)
    lists: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._choice = random.Random(self.seed)
        self._variables = 0
        for index in range(self._choice.randint(0, 2)):
            self.lists[f"some_{index}"] = [
                self._choice.randint(0, 9) for _ in range(self._choice.choice([0, 2, 7]))
            ]
        for index in range(self._choice.randint(1, 5)):
            parameters = tuple(self._choice.sample(["x", "y", "z"], self._choice.choice([0, 0, 1, 2])))
            body = self.condition(3, parameters)
            self.definitions[f"named_{index}"] = Definition(f"named_{index}", parameters, body)

    def condition(self, depth: int, scope: tuple[str, ...] = ()) -> Tree:
        kinds = ["compare", "compare", "history", "in"]
        kinds += ["and", "or", "not", "exists", "use", "use", "use"] if depth else []
        match self._choice.choice(kinds):
            case "and" | "or" as kind:
                return kind, self.condition(depth - 1, scope), self.condition(depth - 1, scope)
            case "not":
                return "not", self.condition(depth - 1, scope)
            case "exists":
                # Names of signals, parameters and definitions, all of which the variable hides.
                variable = self._choice.choice([*SIGNALS, "x", "y", *self.definitions])
                over = self.number(1, scope), self.number(1, scope)
                return "exists", variable, over, self.condition(depth - 1, (*scope, variable))
            case "use" if usable := [name for name in self.definitions if name not in scope]:
                name = self._choice.choice(usable)
                arguments = [self.number(2, scope) for _ in self.definitions[name].parameters]
                return "use", name, *arguments
            case "in" if usable := [name for name in self.lists if name not in scope]:
                return "in", self.number(1, scope), self._choice.choice(usable)
            case "history" if usable := [name for name in SIGNALS if name not in scope]:
                return "history", self._choice.choice(["prev", "delta"]), self._choice.choice(usable)
        return (
            "compare",
            self._choice.choice(["<", "<=", ">", ">=", "==", "!="]),
            self.number(2, scope),
            self.number(1, scope),
        )

    def number(self, depth: int, scope: tuple[str, ...]) -> Tree:
        kind = self._choice.choice(["constant", "name", "name", "sum"] if depth else ["constant", "name"])
        match kind:
            case "sum":
                return (
                    "sum",
                    self.number(depth - 1, scope),
                    self._choice.choice("+-*"),
                    self.number(depth - 1, scope),
                )
            case "name":
                return "name", self._choice.choice([*SIGNALS, *scope, *scope])
        return "constant", self._choice.randint(0, 9)

    def author(self, tree: Tree) -> str:
        match tree:
            case "use", name, *arguments:
                return f"{name}({', '.join(map(self.author, arguments))})" if arguments else name
            case "in", element, name:
                return f"{self.author(element)} in {name}"
            case "exists", variable, over, body:
                return f"[{', '.join(map(self.author, over))}].exists({variable}, {self.author(body)})"
            case "name", name:
                return name
        return self._same(tree, self.author)

    def by_hand(self, tree: Tree, scope: Mapping[str, str] | None = None) -> str:
        scope = scope or {}
        match tree:
            case "use", name, *arguments:
                definition = self.definitions[name]
                written = [self.by_hand(argument, scope) for argument in arguments]
                inner = dict(zip(definition.parameters, written, strict=True))
                return f"({self.by_hand(definition.body, inner)})"
            case "in", element, name:
                return f"({self.by_hand(element, scope)} in [{', '.join(map(str, self.lists[name]))}])"
            case "exists", variable, over, body:
                self._variables += 1
                fresh = f"v{self._variables}"
                items = ", ".join(self.by_hand(item, scope) for item in over)
                return f"[{items}].exists({fresh}, {self.by_hand(body, {**scope, variable: fresh})})"
            case "name", name:
                return scope.get(name, name)
        return self._same(tree, lambda inner: self.by_hand(inner, scope))

    def _same(self, tree: Tree, write: Any) -> str:
        match tree:
            case "and", left, right:
                return f"({write(left)} && {write(right)})"
            case "or", left, right:
                return f"({write(left)} || {write(right)})"
            case "not", operand:
                return f"!({write(operand)})"
            case "compare", operator, left, right:
                return f"({write(left)} {operator} {write(right)})"
            case "sum", left, operator, right:
                return f"({write(left)} {operator} {write(right)})"
            case "history", function, signal:
                return f"({function}({signal}) > 3)"
            case "constant", value:
                return str(value)
        raise AssertionError(tree)

    def spec(self) -> dict[str, Any]:
        """The definitions as a document's spec."""
        expressions: dict[str, Any] = {}
        for each in self.definitions.values():
            body = self.author(each.body)
            parameters = [{"name": name, "type": "double"} for name in each.parameters]
            expressions[each.name] = {"parameters": parameters, "is": body} if parameters else body
        return {"expressions": expressions, "lists": self.lists}
