"""Which of the documents that are asked for can run together: as many as possible, the same ones every time.

What runs goes on running. A change that is wrong is held back, and the version before it stays; a change that
makes wrong what runs (a signal, a fence or a definition that goes, while a rule still names it) is held back,
too, until nobody needs what it takes away. So one bad document never holds up others, and no order in which
resources come makes a difference.

Judged with the compiler that the workers have, on the whole set: what is accepted here runs there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from k8s.resources.documents import Place
from rules import Diagnostic, Loaded, RuleSet, Source, compile_rules, parse

Texts = Mapping[Place, str]
Findings = dict[Place, tuple[Diagnostic, ...]]
Parse = Callable[[Iterable[Source]], Loaded]

_MOST_ROUNDS = 8
"""After so many rounds of holding back what is wrong, its tenants are held back as a whole."""
_MOST_AGAIN = 20
"""Culprits of which each is tried a second time."""
_TOO_MANY = "TT249"
_WINDOW = re.compile(r"\b(avg|min|max|sum|count|stddev|percentile|increase)\s*\(")


@dataclass(slots=True)
class Judged:
    """A set that runs, and what is not in it as it was asked for."""

    texts: dict[Place, str]
    loaded: Loaded = field(default_factory=Loaded)
    held: Findings = field(default_factory=dict)
    """Changes that are held back, and why: of a document that is no more, too."""
    warnings: Findings = field(default_factory=dict)
    blocked: Findings = field(default_factory=dict)
    """Documents of others that are wrong: nothing can be written beside them."""
    lacks_catalog: bool = False
    """Nothing runs without a SignalCatalog, and none is there."""

    @property
    def is_clean(self) -> bool:
        """Whether the texts are right, one and all."""
        return not (self.blocked or self.lacks_catalog)


def judge(
    running: Texts,
    asked: Texts,
    foreign: Iterable[Place] = (),
    *,
    before: Judged | None = None,
    parse: Parse = parse,
) -> Judged:
    """Find the set to run, from the one that runs and the one that is asked for.

    Both hold `foreign` documents, which nobody here may change. Texts are compared: where nothing has changed
    they are equal. `before` is what was judged last: of a set that is nearly the same the rest is not
    compiled again.
    """
    check = Check(parse, before)
    kept, wanted, others = dict(running), dict(asked), frozenset(foreign)
    if not any(place.kind == "SignalCatalog" for place in (*kept, *wanted)):
        return Judged(wanted, lacks_catalog=True)
    held: Findings = {}
    if not any(place.kind == "SignalCatalog" for place in wanted):
        for place in (each for each in kept if each.kind == "SignalCatalog"):
            wanted[place] = kept[place]
            held[place] = (_about(place, "TT203", "nothing runs without a catalog: the last one stays"),)
    while True:
        judged, victims = _settle(kept, wanted, check)
        if not victims:
            judged.held |= held
            return judged
        culprits = _culprits(kept, judged.texts, victims, check)
        held |= culprits
        for place in culprits:
            _put_back(wanted, kept, place)
        if not culprits:  # nothing has changed that could explain it: another version of ours refuses it
            blocked = {place: victims[place] for place in victims if place in others}
            if blocked:
                judged.blocked, judged.held = blocked, judged.held | held | victims
                return judged
            held |= victims
            for place in victims:
                kept.pop(place, None)
                wanted.pop(place, None)


@dataclass(frozen=True, slots=True)
class Check:
    """Takes a set as the workers would: its documents, what is wrong with each, and what is suspicious."""

    parse: Parse = parse
    before: Judged | None = None

    def __call__(self, texts: Texts) -> tuple[Loaded, Findings, Findings]:
        loaded = self.parse(Source(str(place), text) for place, text in texts.items())
        sure = _sure(texts, self.before)
        part = loaded
        if sure:
            running = (each for each in loaded.running if Place.of(each.file) not in sure)
            part = replace(loaded, running=tuple(running))
        found = compile_rules(part)
        findings = found.warnings if isinstance(found, RuleSet) else found
        errors = [each for each in findings if each.severity == "error"]
        told = [each for each in errors if each.code != _TOO_MANY] or errors
        warnings = _by_place(each for each in findings if each.severity == "warning")
        if self.before is not None:
            warnings |= {place: its for place, its in self.before.warnings.items() if place in sure}
        return loaded, _by_place(told), warnings


def _sure(texts: Texts, before: Judged | None) -> set[Place]:
    """Rules that are right since they were: all that has changed is other rules.

    A rule does not depend on others, but that together they have windows over so many signals, and that those
    of one name have one mode.
    """
    if before is None:
        return set()
    changed = list(_changes(texts, before.texts))
    if any(not place.kind.endswith("Rule") or _WINDOW.search(texts.get(place, "")) for place in changed):
        return set()
    names = {place.name for place in changed}
    return {place for place in texts if place.kind.endswith("Rule") and place.name not in names}


def _settle(running: Texts, asked: Texts, check: Check) -> tuple[Judged, Findings]:
    """Hold back changes that are wrong until none is; what is still wrong then has not changed itself."""
    judged = Judged(dict(asked))
    texts = judged.texts
    rounds = 0
    while True:
        judged.loaded, errors, judged.warnings = check(texts)
        wrong = {place: found for place, found in errors.items() if _is_changed(texts, running, place)}
        if not wrong:
            return judged, errors
        judged.held |= wrong
        rounds += 1
        if rounds > _MOST_ROUNDS:
            wrong |= _beside(texts, running, wrong, judged.held)
        for place in wrong:
            _put_back(texts, running, place)


def _beside(texts: Texts, running: Texts, wrong: Findings, held: Findings) -> Findings:
    """Every other change of the tenants whose documents do not come to an end of being wrong."""
    tenants = {_tenant(place) for place in wrong}
    why = next(iter(wrong.values()))[0]
    message = f"other documents of this namespace are wrong together with it: {why.file}: {why.message}"
    for place in _changes(texts, running):
        if _tenant(place) in tenants and place not in wrong:
            held[place] = (_about(place, why.code, message),)
    return {place: held[place] for place in held if _tenant(place) in tenants}


def _culprits(running: Texts, texts: Texts, victims: Findings, check: Check) -> Findings:
    """The changes without which the victims are right; nothing if they would be wrong anyway."""
    suspects = sorted(_changes(texts, running), key=lambda place: _rank(place, goes=place not in texts))
    innocent = dict(texts)
    for place in suspects:
        _put_back(innocent, running, place)
    if not suspects or check(innocent)[1].keys() & victims.keys():
        return {}
    found: Findings = {}
    now = innocent

    def admit(group: list[Place]) -> None:
        nonlocal now
        tried = dict(now)
        for place in group:
            _put_back(tried, texts, place)
        errors = check(tried)[1]
        if not errors:
            now = tried
        elif len(group) == 1:
            found[group[0]] = _needed(group[0], errors)
        else:
            middle = len(group) // 2
            admit(group[:middle])
            admit(group[middle:])

    if len(suspects) == 1:
        return {suspects[0]: _needed(suspects[0], victims)}
    admit(suspects)
    while (again := list(found)) and len(again) <= _MOST_AGAIN:  # what came later may have made room for them
        found.clear()
        for place in again:
            admit([place])
        if len(found) == len(again):
            break
    return found


def _needed(place: Place, victims: Findings) -> tuple[Diagnostic, ...]:
    """Why a change is held back that is right by itself."""
    return tuple(
        _about(place, each.code, f"{each.file} would be wrong with this change: {each.message}", each.hint)
        for found in victims.values()
        for each in found[:1]
    )


def _rank(place: Place, *, goes: bool) -> tuple[int, Place]:
    """What others name comes before them and goes after them: so each is admitted when it can be."""
    order = ("SignalCatalog", "CommandType", "Definitions", "Geofence")
    rank = order.index(place.kind) if place.kind in order else len(order)
    return (2 * len(order) + 1 - rank if goes else rank, place)


def _changes(texts: Texts, running: Texts) -> Iterator[Place]:
    return (place for place in {**running, **texts} if _is_changed(texts, running, place))


def _is_changed(texts: Texts, running: Texts, place: Place) -> bool:
    return texts.get(place) != running.get(place)


def _put_back(texts: dict[Place, str], running: Texts, place: Place) -> None:
    before = running.get(place)
    if before is None:
        texts.pop(place, None)
    else:
        texts[place] = before


def _by_place(findings: Iterable[Diagnostic]) -> Findings:
    found: dict[Place, list[Diagnostic]] = {}
    for each in findings:
        found.setdefault(Place.of(each.file), []).append(each)
    return {place: tuple(each) for place, each in found.items()}


def _about(place: Place, code: str, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(code, "error", str(place), 1, 1, "", message, hint)


def _tenant(place: Place) -> str:
    return place.name.rpartition(".")[0]
