"""The rules of an installation, live: every revision that was applied, on one compacted topic."""

from pipeline.store.log import Conflict, RulesLog
from pipeline.store.revisions import Change, Entry, Manifest, Revisions, StoreDamaged, propose, revert

__all__ = [
    "Change",
    "Conflict",
    "Entry",
    "Manifest",
    "Revisions",
    "RulesLog",
    "StoreDamaged",
    "propose",
    "revert",
]
