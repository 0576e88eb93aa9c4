"""`telltale rules apply|get|history|rollback|delete`: what they do, and what they print."""

from __future__ import annotations

import asyncio
import difflib
import getpass
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline.process.failures import ConfigurationError
from pipeline.process.settings import ProcessSettings, load_settings
from pipeline.store.log import Conflict, RulesLog
from pipeline.store.publishing import create_missing, topics_of
from pipeline.store.revisions import Change, Entry, Manifest, Revisions, merged, propose, revert
from rules import Loaded, RuleSet, Source, compile_rules, load, parse
from rules.instants import format_instant

_OF_A_SET = frozenset(("TT202", "TT203", "TT240"))
Propose = Callable[[Revisions], tuple[Change, Loaded]]


def apply_files(
    paths: Sequence[Path],
    config: Path | None,
    *,
    prune: bool,
    dry_run: bool,
    message: str,
    expect: int | None,
    as_json: bool,
) -> int:
    """Make the documents the next revision, beside those that run or (`prune`) instead of them."""
    new = load(paths)
    # What documents need that are not among the files may be among those that run.
    alone = [each.format() for each in new.errors if prune or each.code not in _OF_A_SET]
    if alone:
        raise ConfigurationError("the rules are wrong: nothing was written", alone)

    def change(revisions: Revisions) -> tuple[Change, Loaded]:
        running = [] if prune or not revisions.head else revisions.sources(revisions.head)
        loaded = parse(merged(new, running))
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
        loaded = parse([source for source in running if source.name not in gone])
        _compiled(loaded)
        return propose(revisions, loaded, author=_author(), message=message, at=_now()), loaded

    return asyncio.run(_change(config, change, dry_run=dry_run, expect=None, as_json=as_json))


def roll_back(config: Path | None, *, to: int | None, dry_run: bool, message: str, as_json: bool) -> int:
    """Make an earlier revision's documents the next revision; by default those before the head's."""

    def change(revisions: Revisions) -> tuple[Change, Loaded]:
        target = to
        if target is None:
            target = revisions.manifest(revisions.head).parent if revisions.head else 0
        if target not in revisions.manifests:
            kept = ", ".join(map(str, sorted(revisions.manifests))) or "none"
            raise ConfigurationError(f"there is no revision {target} to go back to; kept: {kept}")
        text = message or f"back to revision {target}"
        return revert(revisions, target, author=_author(), message=text, at=_now()), revisions.loaded(target)

    return asyncio.run(_change(config, change, dry_run=dry_run, expect=None, as_json=as_json))


def show_history(config: Path | None, *, as_json: bool) -> int:
    """Print all revisions that are kept, the newest first."""
    revisions = asyncio.run(_read(config))
    for manifest in sorted(revisions.manifests.values(), key=lambda it: -it.revision):
        if as_json:
            print(json.dumps(_manifest(manifest), ensure_ascii=False))
        else:
            mark = "*" if manifest.revision == revisions.head else " "
            rules = f"{len(manifest.documents)} documents"
            print(
                f"{mark} {manifest.revision:>4}  {manifest.at}  {manifest.author:<16}  {rules:<14}"
                f"  {manifest.message}"
            )
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
        for line in _text_difference(revisions.sources(against), sources, against, number):
            print(line)
        return 0
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
    print(json.dumps(_told(proposed, dry_run=dry_run)) if as_json else "\n".join(_lines(proposed, dry_run)))
    return 0


async def _read(config: Path | None) -> Revisions:
    async with RulesLog(load_settings(ProcessSettings, config)) as log:
        return await log.read()


def _lines(change: Change, dry_run: bool) -> Iterator[str]:
    if change.is_empty:
        yield f"revision {change.manifest.parent} is the same: nothing was written"
        return
    yield from (f"+ {entry.kind} {entry.name}" for entry in change.added)
    yield from (f"- {entry.kind} {entry.name}" for entry in change.removed)
    for _, entry in change.edited:
        anew = " (its state begins anew)" if entry.name in change.restarted else ""
        yield f"~ {entry.kind} {entry.name}{anew}"
    number = change.manifest.revision
    yield f"would be revision {number}" if dry_run else f"revision {number}"


def _told(change: Change, *, dry_run: bool) -> dict[str, object]:
    def names(entries: Sequence[Entry]) -> list[str]:
        return [f"{entry.kind}/{entry.name}" for entry in entries]

    return {
        "revision": change.manifest.parent if change.is_empty else change.manifest.revision,
        "written": not (change.is_empty or dry_run),
        "added": names(change.added),
        "removed": names(change.removed),
        "edited": names([after for _, after in change.edited]),
        "restarted": list(change.restarted),
    }


def _manifest(manifest: Manifest) -> dict[str, object]:
    return {
        "revision": manifest.revision,
        "parent": manifest.parent,
        "author": manifest.author,
        "message": manifest.message,
        "at": manifest.at,
        "documents": [f"{entry.kind}/{entry.name}" for entry in manifest.documents],
    }


def _text_difference(before: Sequence[Source], after: Sequence[Source], old: int, new: int) -> Iterator[str]:
    texts = {source.name: source.text for source in before}
    later = {source.name: source.text for source in after}
    for name in sorted(texts.keys() | later.keys()):
        yield from difflib.unified_diff(
            texts.get(name, "").splitlines(),
            later.get(name, "").splitlines(),
            f"{name} (revision {old})",
            f"{name} (revision {new})",
            lineterm="",
        )


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
