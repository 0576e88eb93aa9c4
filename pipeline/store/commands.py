"""`telltale rules apply|get|history|rollback|promote|delete`: what they do."""

from __future__ import annotations

import asyncio
import difflib
import getpass
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.process.failures import ConfigurationError
from pipeline.process.settings import ProcessSettings, load_settings
from pipeline.store.changes import Change, merged, promote, propose, revert
from pipeline.store.log import Conflict, RulesLog
from pipeline.store.publishing import create_missing, topics_of
from pipeline.store.revisions import ROLLOUT, Revisions
from pipeline.store.telling import (
    change_lines,
    change_told,
    manifest_line,
    manifest_told,
    role_text,
    text_difference,
)
from rules import Loaded, RuleSet, Source, compile_rules, load, parse
from rules.documents import API_VERSION
from rules.instants import format_instant

_OF_A_SET = frozenset(("TT202", "TT203", "TT240"))
Propose = Callable[[Revisions], tuple[Change, Loaded]]


def apply_files(
    paths: Sequence[Path],
    config: Path | None,
    *,
    prune: bool,
    percent: float | None,
    salt: str | None,
    dry_run: bool,
    message: str,
    expect: int | None,
    as_json: bool,
) -> int:
    """Make the documents the next revision, beside those that run or (`prune`) instead of them.

    `percent` makes a candidate of them, whatever they say; without paths it changes the share.
    """
    if percent is None and (not paths or salt is not None):
        raise ConfigurationError("name files or directories" if not paths else "--salt needs --percent")
    if prune and not paths:
        raise ConfigurationError("--prune needs files or directories: what is to stay?")
    new = load(paths) if paths else Loaded()
    # What documents need that are not among the files may be among those that run.
    alone = [each.format() for each in new.errors if prune or each.code not in _OF_A_SET]
    if alone:
        raise ConfigurationError("the rules are wrong: nothing was written", alone)

    def change(revisions: Revisions) -> tuple[Change, Loaded]:
        running = [] if prune or not revisions.head else revisions.sources(revisions.head)
        if new.rollout is not None:
            running = [source for source in running if not _is_rollout(source)]
        sources = merged(new, running)
        if percent is not None:
            sources = _with_rollout(sources, revisions, percent, salt)
        loaded = parse(sources)
        _compiled(loaded)
        return propose(revisions, loaded, author=_author(), message=message, at=_now()), loaded

    return asyncio.run(_change(config, change, dry_run=dry_run, expect=expect, as_json=as_json))


def delete_documents(
    names: Sequence[str], config: Path | None, *, dry_run: bool, message: str, as_json: bool
) -> int:
    """Take documents out: `overspeed`, or `Geofence/depot-1` where the name alone is not clear."""

    def change(revisions: Revisions) -> tuple[Change, Loaded]:
        running = revisions.sources(revisions.head) if revisions.head else []
        gone = {place for name in names for place in _places(name, [it.name for it in running])}
        if any(place.startswith(f"{ROLLOUT}/") for place in gone):
            raise ConfigurationError(
                "a rollout is not deleted: `telltale rules promote` gives all vehicles the candidate,"
                " `telltale rules rollback` the rules before it"
            )
        loaded = parse([source for source in running if source.name not in gone])
        _compiled(loaded)
        return propose(revisions, loaded, author=_author(), message=message, at=_now()), loaded

    return asyncio.run(_change(config, change, dry_run=dry_run, expect=None, as_json=as_json))


def roll_back(config: Path | None, *, to: int | None, dry_run: bool, message: str, as_json: bool) -> int:
    """Make an earlier revision's documents the next revision; by default those before the head's."""

    def change(revisions: Revisions) -> tuple[Change, Loaded]:
        target = to
        if target is None:
            target = revisions.previous()
        if target not in revisions.manifests:
            kept = ", ".join(map(str, sorted(revisions.manifests))) or "none"
            raise ConfigurationError(f"there is no revision {target} to go back to; kept: {kept}")
        text = message or f"back to revision {target}"
        return revert(revisions, target, author=_author(), message=text, at=_now()), revisions.loaded(target)

    return asyncio.run(_change(config, change, dry_run=dry_run, expect=None, as_json=as_json))


def promote_candidate(config: Path | None, *, dry_run: bool, message: str, as_json: bool) -> int:
    """Give the candidate's documents to all vehicles. Raises ConfigurationError where no rollout runs."""

    def change(revisions: Revisions) -> tuple[Change, Loaded]:
        made = promote(revisions, author=_author(), message=message, at=_now())
        return made, revisions.loaded(revisions.head)

    return asyncio.run(_change(config, change, dry_run=dry_run, expect=None, as_json=as_json))


def show_history(config: Path | None, *, as_json: bool) -> int:
    """Print all revisions that are kept, the newest first."""
    revisions = asyncio.run(_read(config))
    for manifest in sorted(revisions.manifests.values(), key=lambda it: -it.revision):
        if as_json:
            print(json.dumps(manifest_told(manifest, revisions), ensure_ascii=False))
        else:
            print(manifest_line(manifest, revisions))
    if not revisions.manifests and not as_json:
        print("nothing was applied yet: the stages run the files of their setting `rules`")
    return 0


def show_documents(
    names: Sequence[str], config: Path | None, *, revision: int | None, against: int | None, as_json: bool
) -> int:
    """Print documents of a revision, or what differs between two."""
    revisions = asyncio.run(_read(config))
    number = revisions.head if revision is None else revision
    if not number:
        raise ConfigurationError("nothing was applied yet")
    sources = revisions.sources(number)
    if against is not None:
        for line in text_difference(revisions.sources(against), sources, against, number):
            print(line)
        return 0
    role = role_text(revisions.manifest(number), revisions)
    if role:
        print(f"revision {number}: {role}", file=sys.stderr)  # stdout is documents alone
    places = [it.name for it in sources]
    wanted = {place for name in names for place in _places(name, places)} if names else set(places)
    shown = [source for source in sources if source.name in wanted]
    if as_json:
        print(json.dumps([json.loads(source.text) for source in shown], ensure_ascii=False))
    else:
        print("\n---\n".join(source.text for source in shown))
    return 0


async def _change(
    config: Path | None, change: Propose, *, dry_run: bool, expect: int | None, as_json: bool
) -> int:
    settings = load_settings(ProcessSettings, config)
    async with RulesLog(settings) as log:
        revisions = await log.read()
        if expect is not None and revisions.head != expect:
            raise Conflict(f"the rules are at revision {revisions.head}, not {expect}: nothing was written")
        proposed, loaded = change(revisions)
        if not proposed.is_empty and not dry_run:
            await create_missing(settings, topics_of(loaded))
            await log.write(proposed)
    if as_json:
        print(json.dumps(change_told(proposed, revisions, dry_run=dry_run)))
    else:
        print("\n".join(change_lines(proposed, revisions, dry_run=dry_run)))
    return 0


async def _read(config: Path | None) -> Revisions:
    async with RulesLog(load_settings(ProcessSettings, config)) as log:
        return await log.read()


def _is_rollout(source: Source) -> bool:
    return source.name.startswith(f"{ROLLOUT}/")


def _with_rollout(
    sources: Sequence[Source], revisions: Revisions, percent: float, salt: str | None
) -> list[Source]:
    """The documents with this share. What else a rollout said stays: another salt would move vehicles."""
    found = next(filter(_is_rollout, sources), None)
    if found is None and revisions.candidate:
        found = next(filter(_is_rollout, revisions.sources(revisions.candidate)), None)
    metadata: dict[str, object] = {"name": "rollout"}
    spec: dict[str, object] = {}
    if found is not None:
        document = json.loads(found.text)
        metadata, spec = document["metadata"], document["spec"]
    spec = spec | {"percent": percent} | ({} if salt is None else {"salt": salt})
    document = {"apiVersion": API_VERSION, "kind": ROLLOUT, "metadata": metadata, "spec": spec}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    rest = [source for source in sources if not _is_rollout(source)]
    return [*rest, Source(f"{ROLLOUT}/{metadata['name']}", text)]


def _places(name: str, places: Sequence[str]) -> list[str]:
    """The documents that a name means. Raises ConfigurationError where there is none, or more than one."""
    found = [place for place in places if place == name or place.partition("/")[2] == name]
    if len(found) == 1:
        return found
    if found:
        raise ConfigurationError(f"{name} may be {' or '.join(found)}: write one of them")
    near = difflib.get_close_matches(name, [*places, *(it.partition("/")[2] for it in places)], n=1)
    raise ConfigurationError(f"no document is called {name}" + (f"; did you mean {near[0]}?" if near else ""))


def _compiled(loaded: Loaded) -> RuleSet:
    found = compile_rules(loaded)
    if isinstance(found, RuleSet) and found.catalog is not None:
        return found
    if isinstance(found, RuleSet):
        raise ConfigurationError("the rules need a SignalCatalog: apply one with them")
    errors = [each.format() for each in found if each.severity == "error"]
    raise ConfigurationError("the rules are wrong: nothing was written", errors)


def _author() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _now() -> str:
    return format_instant(time.time_ns() // 1_000_000)
