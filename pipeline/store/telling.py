"""What people and programs are told of revisions: a change, the history, the difference between two.

Nothing here does I/O; `commands` prints it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from pipeline.store.changes import Change
from pipeline.store.revisions import Entry, Manifest, Revisions
from rules import Source

NOTHING: Mapping[str, bytes] = MappingProxyType({})


def change_lines(change: Change, revisions: Revisions, *, dry_run: bool) -> Iterator[str]:
    """A change for people, made out of `revisions`."""
    manifest = change.manifest
    if change.is_empty:
        yield f"revision {manifest.parent} is the same: nothing was written"
        return
    yield from (f"+ {entry.kind} {entry.name}" for entry in change.added)
    yield from (f"- {entry.kind} {entry.name}" for entry in change.removed)
    for _, entry in change.edited:
        anew = " (its state begins anew)" if entry.name in change.restarted else ""
        yield f"~ {entry.kind} {entry.name}{anew}"
    role = role_text(manifest, revisions, change.documents)
    number = f"would be revision {manifest.revision}" if dry_run else f"revision {manifest.revision}"
    yield f"{number}: {role}" if role else number


def change_told(change: Change, revisions: Revisions, *, dry_run: bool) -> dict[str, object]:
    """A change for programs."""

    def names(entries: Sequence[Entry]) -> list[str]:
        return [f"{entry.kind}/{entry.name}" for entry in entries]

    runs = change.manifest
    if change.is_empty:
        runs = revisions.manifests.get(runs.parent, runs)
    return {
        "revision": runs.revision,
        "written": not (change.is_empty or dry_run),
        "added": names(change.added),
        "removed": names(change.removed),
        "edited": names([after for _, after in change.edited]),
        "restarted": list(change.restarted),
        **_rollout_told(runs, revisions, change.documents),
    }


def manifest_line(manifest: Manifest, revisions: Revisions) -> str:
    """A revision of the history for people; * is the one that is to run."""
    mark = "*" if manifest.revision == revisions.head else " "
    rules = f"{len(manifest.documents)} documents"
    words = [role_text(manifest, revisions), manifest.message]
    what = "; ".join(filter(None, words))
    return f"{mark} {manifest.revision:>4}  {manifest.at}  {manifest.author:<16}  {rules:<14}  {what}"


def manifest_told(manifest: Manifest, revisions: Revisions) -> dict[str, object]:
    """A revision of the history for programs."""
    return {
        "revision": manifest.revision,
        "parent": manifest.parent,
        "author": manifest.author,
        "message": manifest.message,
        "at": manifest.at,
        "documents": [f"{entry.kind}/{entry.name}" for entry in manifest.documents],
        **_rollout_told(manifest, revisions),
    }


def role_text(manifest: Manifest, revisions: Revisions, new: Mapping[str, bytes] = NOTHING) -> str:
    """`candidate for 10 % of the vehicles beside 7`, `8 is promoted`, `8 is taken back`, or nothing."""
    match revisions.role(manifest):
        case "candidate":
            percent = revisions.percent(manifest, new)
            share = "a share" if percent is None else f"{percent:.4g} %"
            return f"candidate for {share} of the vehicles, beside revision {manifest.stable}"
        case "promoted":
            return f"revision {manifest.parent} is promoted"
        case "rolledBack":
            return f"revision {manifest.parent} is taken back"
        case _:
            return ""


def text_difference(before: Sequence[Source], after: Sequence[Source], old: int, new: int) -> Iterator[str]:
    """What differs between the documents of two revisions, as `diff -u` writes it."""
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


def _rollout_told(
    manifest: Manifest, revisions: Revisions, new: Mapping[str, bytes] = NOTHING
) -> dict[str, object]:
    return {
        "role": revisions.role(manifest),
        "stable": manifest.stable or None,
        "percent": revisions.percent(manifest, new),
    }
