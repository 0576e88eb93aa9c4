"""What only a catalog can know: the labels and attributes that vehicles have, and the commands they obey.

A catalog that declares none of them says nothing about them, and nothing is warned of.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from rules.compile.parts import Path
from rules.documents import SignalCatalog, quote
from rules.documents.signal_catalog import PayloadKey, VehicleFacts
from rules.language.registry import ATTRIBUTES, LABELS, is_fact
from rules.language.tree import Ident, walk
from rules.lint.expressions import Expression, Linted, conditions


def lint_names(linted: Linted, catalog: SignalCatalog) -> None:
    """Note labels, attributes, commands and payloads that the catalog does not know."""
    spec = catalog.spec
    if spec.vehicle is not None:
        for condition in conditions(linted):
            _facts(condition, spec.vehicle)
    if spec.commands is None:
        return
    for index, action in enumerate(getattr(linted.placed.document.spec, "actions", ())):
        command = action.command
        if command is None:
            continue
        path: Path = ("spec", "actions", index, "command")
        known = spec.commands.get(command.name)
        if command.name in linted.vocabulary.commands:
            continue  # held to its CommandType
        if known is None:
            message = f"no command of the catalog is called {quote(command.name)}"
            linted.find("TT325", (*path, "name"), message, _near(command.name, spec.commands))
        else:
            _payload(linted, path, dict(command.payload), known.payload)


def _facts(condition: Expression, facts: VehicleFacts) -> None:
    for node in walk(condition.root):
        if not isinstance(node, Ident) or not is_fact(node.name):
            continue
        fact = node.name.partition(" as ")[0]
        kind, known = (
            (LABELS, set(facts.labels)) if fact.startswith(LABELS) else (ATTRIBUTES, set(facts.attributes))
        )
        name = fact.removeprefix(f"{kind}.")
        if name not in known:
            what = "label" if kind == LABELS else "attribute"
            message = f"no {what} of the catalog is called {quote(name)}"
            condition.find("TT327", node, message, _near(name, known))


def _payload(linted: Linted, path: Path, payload: Mapping[str, Any], known: Mapping[str, PayloadKey]) -> None:
    for name, value in payload.items():
        place = (*path, "payload", name)
        key = known.get(name)
        if key is None:
            linted.find("TT326", place, f"the command has no {quote(name)}", _near(name, known))
        elif not (isinstance(value, str) and "{{" in value):
            problem = _misfit(key, value)
            if problem is not None:
                linted.find("TT326", place, problem)
    for name, key in known.items():
        if key.required and name not in payload:
            linted.find("TT326", path, f"the command needs {quote(name)}")


def _misfit(key: PayloadKey, value: object) -> str | None:
    """Why a constant does not fit; None if it does."""
    types = {
        "number": (int, float),
        "bool": (bool,),
        "string": (str,),
        "list": (list, tuple),
        "object": (dict,),
    }
    if not isinstance(value, types[key.type]) or (key.type == "number" and isinstance(value, bool)):
        return f"a {key.type} is expected"
    if isinstance(value, int | float) and key.type == "number":
        if key.min is not None and value < key.min:
            return f"at least {key.min:g} is expected"
        if key.max is not None and value > key.max:
            return f"at most {key.max:g} is expected"
    return None


def _near(name: str, known: Iterable[str]) -> str | None:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {quote(near[0])}?"
    return f"there are: {', '.join(names)}" if names else None
