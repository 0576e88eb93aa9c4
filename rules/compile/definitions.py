"""The definitions of a rule set, checked, in the order in which they use each other.

Each is checked once, where it stands; a use of one that is wrong is not reported again. What uses itself,
directly or in a circle, is refused: there is nothing that it could mean.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rules.compile.parts import Part, Path, Vocabulary
from rules.documents import Definitions, NamedExpression, Placed, quote
from rules.language import (
    BOOL,
    DOUBLE,
    DURATION,
    STRING,
    Budget,
    Environment,
    Named,
    Type,
    broken,
    constant_list,
    definition_problem,
)

TYPES: Mapping[str, Type] = {"double": DOUBLE, "boolean": BOOL, "string": STRING, "duration": DURATION}
"""A parameter's type as the language names it."""


_SHOWN = 6
"""Members of a circle that a finding names."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One name, and where it is defined."""

    name: str
    part: Part
    path: Path
    text: str | None
    """None for a list."""
    parameters: Mapping[str, Type] | None

    @property
    def place(self) -> str:
        return self.part.placed.place(self.path)


def named(vocabulary: Vocabulary, documents: Sequence[Placed[Definitions]]) -> dict[str, Named]:
    """Return what each name stands for; what is wrong is noted in the vocabulary."""
    entries: dict[str, _Entry] = {}
    for entry in (each for placed in documents for each in _entries(Part(vocabulary, placed))):
        earlier = entries.setdefault(entry.name, entry)
        if earlier is not entry:
            hint = f"the first one is at {earlier.place}"
            entry.part.find("TT246", entry.path, f"{quote(entry.name)} is defined twice", hint=hint)
    entries = {name: entry for name, entry in entries.items() if _can_be_named(vocabulary, entry)}
    found = {name: _list(entry) for name, entry in entries.items() if entry.text is None}
    environment = vocabulary.environment()
    budget = Budget()
    uses = {
        name: environment.mentions(entry.text) & entries.keys() - (entry.parameters or {}).keys()
        for name, entry in entries.items()
        if entry.text is not None
    }
    while uses:
        ready = [name for name, used in uses.items() if used <= found.keys()]
        if not ready:
            ready = _refuse_circles(entries, uses)
            found |= {name: _broken(entries[name]) for name in ready}
        else:
            inner = environment.naming(found.values())
            found |= {name: _expression(inner, entries[name], budget) for name in ready}
        for name in ready:
            del uses[name]
    return found


def _entries(part: Part) -> Iterator[_Entry]:
    spec = part.placed.document.spec
    for name, each in spec.expressions.items():
        path: Path = ("spec", "expressions", name)
        if isinstance(each, NamedExpression):
            types = {it.name: TYPES[it.type] for it in each.parameters} or None
            yield _Entry(name, part, (*path, "is"), each.is_, types)
        else:
            yield _Entry(name, part, path, each, None)
    for name in spec.lists:
        yield _Entry(name, part, ("spec", "lists", name), None, None)


def _can_be_named(vocabulary: Vocabulary, entry: _Entry) -> bool:
    problems = [(entry.name, entry.path[:3])]
    if entry.parameters is not None:
        path = (*entry.path[:3], "parameters")
        problems += [(name, (*path, index, "name")) for index, name in enumerate(entry.parameters)]
    is_right = True
    for name, path in problems:
        problem = definition_problem(name) or vocabulary.clash(name)
        if problem is not None:
            is_key = len(path) == 3
            entry.part.find("TT090", path, problem, hint="take another word", of_key=is_key)
            is_right = False
    return is_right


def _list(entry: _Entry) -> Named:
    return constant_list(entry.name, entry.part.placed.document.spec.lists[entry.name], entry.place)


def _broken(entry: _Entry) -> Named:
    parameters = None if entry.parameters is None else list(entry.parameters)
    return broken(entry.name, parameters, entry.place)


def _expression(environment: Environment, entry: _Entry, budget: Budget) -> Named:
    assert entry.text is not None
    defined = environment.define(entry.name, entry.text, entry.parameters, entry.place, budget=budget)
    if isinstance(defined, Named):
        return defined
    entry.part.find_problems(defined, entry.path)
    return _broken(entry)


def _refuse_circles(entries: Mapping[str, _Entry], uses: Mapping[str, frozenset[str]]) -> list[str]:
    """Refuse circles among definitions of which none can be checked first; return their members."""
    refused: list[str] = []
    seen: set[str] = set()
    for start in sorted(uses):
        way: list[str] = []
        name = start
        while name not in seen:
            seen.add(name)
            way.append(name)
            name = min(uses[name] & uses.keys(), default=name)
        if name in way:
            circle = way[way.index(name) :]
            refused += circle
            shown = circle if len(circle) <= _SHOWN else [*circle[: _SHOWN - 1], "…"]
            written = " uses ".join(each if each == "…" else quote(each) for each in (*shown, circle[0]))
            for each in circle:
                message = f"a definition in a circle: {written}"
                entries[each].part.find("TT245", entries[each].path, message, hint="write one of them out")
    return refused
