"""The rules of an installation, live: every revision that was applied, on one compacted topic."""

from pipeline.store.automatic import roll_back_rollout
from pipeline.store.changes import KEPT, Change, merged, promote, propose, revert
from pipeline.store.log import Conflict, RulesLog
from pipeline.store.revisions import Entry, Manifest, Revisions, StoreDamaged

__all__ = [
    "KEPT",
    "Change",
    "Conflict",
    "Entry",
    "Manifest",
    "Revisions",
    "RulesLog",
    "StoreDamaged",
    "merged",
    "promote",
    "propose",
    "revert",
    "roll_back_rollout",
]
