"""The documents that all resources ask for together, and those that cannot be among them.

Pure. A place has one document: where two resources ask for one (namespaces that are no tenants), the older
resource has it, and where somebody else has written it, he has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from k8s.resources.documents import Asked, Key, Place, origin_of
from rules import Diagnostic


@dataclass(slots=True)
class Demand:
    """What is asked for, by place."""

    texts: dict[Place, str] = field(default_factory=dict)
    """Of right shape, as the log would have them."""
    keys: dict[Place, Key] = field(default_factory=dict)
    """Whose place it is."""
    wrong: dict[Key, tuple[Diagnostic, ...]] = field(default_factory=dict)
    """Resources that ask for what cannot be, and why."""
    malformed: set[Place] = field(default_factory=set)
    """Places whose resource is there, and wrong by itself: the version before stays."""

    def refuse(self, place: Place, why: tuple[Diagnostic, ...]) -> None:
        """A document that is right by itself is wrong for another reason."""
        if self.texts.pop(place, None) is not None:
            self.wrong[self.keys[place]] = why
            self.malformed.add(place)


def demand(asked: Iterable[Asked], foreign: Mapping[Place, str]) -> Demand:
    """Sort out who has which place; `foreign` documents are others', each with who wrote it."""
    found = Demand()
    for each in sorted(asked, key=lambda it: (it.created, it.uid, it.key)):
        taken = _taken(each, found, foreign)
        if taken is not None:
            found.wrong[each.key] = (taken,)
            continue
        found.keys[each.place] = each.key
        if each.canonical is None:
            found.wrong[each.key] = each.findings
            found.malformed.add(each.place)
        else:
            found.texts[each.place] = each.canonical
    return found


def others(texts: Mapping[Place, str], origin: str) -> set[Place]:
    """Documents of a set that do not carry our mark."""
    return {place for place, text in texts.items() if origin_of(text) != origin}


def _taken(each: Asked, found: Demand, foreign: Mapping[Place, str]) -> Diagnostic | None:
    if each.place in foreign:
        message = f"{each.place.name} was applied by {foreign[each.place]}, and not by a resource"
        hint = f"`telltale rules delete {each.place}` gives the name to this resource"
        return _finding(each.place, message, hint)
    first = found.keys.get(each.place)
    return None if first is None else taken_by(first, each)


def taken_by(first: Key, each: Asked) -> Diagnostic:
    """Why a resource cannot have its name: another one has it."""
    message = f"another {first.kind} asks for this name, in the namespace {first.namespace}"
    return _finding(each.place, message, "the older one has it; rename this one")


def _finding(place: Place, message: str, hint: str) -> Diagnostic:
    return Diagnostic("TT201", "error", str(place), 1, 1, "metadata.name", message, hint)
