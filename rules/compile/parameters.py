"""The words that one rule brings with it: its parameters, each a constant in the rule that runs."""

from collections.abc import Iterable
from typing import Any

from rules.compile.definitions import TYPES
from rules.compile.parts import Part, Vocabulary
from rules.documents import Adaptable, Parameter, Placed, parameter_in, parse_duration, quote
from rules.language import Named, Type, constant, constant_duration, definition_problem


def with_parameters(vocabulary: Vocabulary, placed: Placed[Any]) -> Vocabulary:
    """Return what the expressions of one rule may name: its tenant's vocabulary, and its own parameters."""
    vocabulary = vocabulary.tenants.get(placed.document.metadata.tenant, vocabulary)
    spec = placed.document.spec
    if not isinstance(spec, Adaptable) or not spec.parameters:
        return vocabulary
    part = Part(vocabulary, placed)
    named: dict[str, Named] = {}
    for name, parameter in spec.parameters.items():
        path = ("spec", "parameters", name)
        problem = definition_problem(name) or vocabulary.clash(name)
        if problem is None and name in vocabulary.named:
            problem = f"{quote(name)} is defined at {vocabulary.named[name].place}"
        if problem is not None:
            part.find("TT090", path, problem, hint="take another word", of_key=True)
        if parameter.problem(parameter.default) is None:
            named[name] = _constant(name, parameter, placed.place((*path, "default")))
        else:
            named[name] = Named(name, TYPES[parameter.type], None)
    return vocabulary.with_words(named)


def words_of(rules: Iterable[Placed[Any]]) -> dict[str, Type]:
    """Return the parameters of all rules, those that are of one type wherever they are declared."""
    types: dict[str, set[Type]] = {}
    for placed in rules:
        spec = getattr(placed.document, "spec", None)
        if isinstance(spec, Adaptable):
            for name, parameter in spec.parameters.items():
                types.setdefault(name, set()).add(TYPES[parameter.type])
    return {
        name: next(iter(its)) for name, its in types.items() if len(its) == 1 and not definition_problem(name)
    }


def note_unused(vocabulary: Vocabulary, placed: Placed[Any]) -> None:
    """Find the parameters that nothing in a rule has used; `vocabulary` is the rule's own."""
    spec = placed.document.spec
    parameters = spec.parameters if isinstance(spec, Adaptable) else {}
    if not parameters or any(spec.adaptable_findings()):
        return
    used = vocabulary.used | _holes(placed.root.plain())
    for name in [each for each in parameters if each not in used]:
        Part(vocabulary, placed).find(
            "TT247",
            ("spec", "parameters", name),
            f"nothing in this rule uses its parameter {quote(name)}",
            hint="write its name in an expression, or as a duration: '{{ " + name + " }}'",
            severity="warning",
            of_key=True,
        )


def _constant(name: str, parameter: Parameter, place: str) -> Named:
    value = parameter.default
    if parameter.type == "duration":
        return constant_duration(name, parse_duration(str(value)), place)
    return constant(name, value, place)


def _holes(value: object) -> set[str]:
    """Names of parameters that stand alone, as a duration does."""
    match value:
        case str():
            name = parameter_in(value)
            return set() if name is None else {name}
        case dict():
            return set().union(*map(_holes, value.values()))
        case list():
            return set().union(*map(_holes, value))
    return set()
