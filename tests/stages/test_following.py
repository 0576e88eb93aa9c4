"""A worker that cannot load a revision keeps the last good one and says so; the next good one ends that."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pipeline.process import Context
from pipeline.stages.live import Follower
from pipeline.stages.rule_status import status
from pipeline.stages.settings import RuleStageSettings
from pipeline.stages.versions import NotYet
from pipeline.store import Revisions
from tests.stages.test_live import make
from tests.store.test_revisions import CATALOG, alert, apply, loaded


@pytest.fixture
def follower(tmp_path: Path) -> Follower:
    (tmp_path / "first.yaml").write_text(CATALOG)
    return Follower(Context("alerts", RuleStageSettings(rules=(tmp_path,))), make)


def settle(follower: Follower, revisions: Revisions) -> dict[str, Any]:
    """What the worker says then."""
    asyncio.run(follower._settle(revisions))
    return status(follower.versions, follower._refused)


def spoil(revisions: Revisions, name: str) -> None:
    """The document of the head is one that this version does not understand."""
    (entry,) = (it for it in revisions.manifest(revisions.head).documents if it.name == name)
    kept = revisions.documents[entry.hash]
    assert b"speed > " in kept
    revisions.take(f"document/{entry.hash}".encode(), kept.replace(b"speed > ", b"sprint > "))


def test_a_revision_that_is_refused_leaves_the_last_good_one_running(follower: Follower) -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast", "speed > 100")))
    said = settle(follower, revisions)
    assert (said["revision"], said["error"], said["rules"]) == (1, None, 1)

    apply(revisions, loaded(alert("fast", "speed > 90"), alert("slow", "speed < 5")))
    spoil(revisions, "fast")
    said = settle(follower, revisions)
    assert (said["revision"], said["rules"]) == (1, 1)
    assert "revision 2 is refused by this version" in str(said["error"])
    assert "undeclared signal 'sprint'" in str(said["error"])

    apply(revisions, loaded(alert("slow", "speed < 5")))
    said = settle(follower, revisions)
    assert (said["revision"], said["error"], said["rules"]) == (3, None, 1)


def test_state_of_a_revision_that_is_not_kept_goes_to_the_rules_that_run(follower: Follower) -> None:
    revisions = Revisions()
    for limit in range(1, 4):
        apply(revisions, loaded(alert("fast", f"speed > {limit}")))
    settle(follower, revisions)
    revisions.take(b"revision/2", None)
    with pytest.raises(NotYet, match="revision 2 of the rules is being read"):
        follower.versions.version(2)
    settle(follower, revisions)
    assert follower.versions.version(2).fold is follower.versions.current.fold


def test_so_does_state_of_a_revision_that_this_version_refuses(follower: Follower) -> None:
    revisions = Revisions()
    apply(revisions, loaded(alert("fast", "speed > 1")))
    spoil(revisions, "fast")
    apply(revisions, loaded(alert("fast", "speed > 2")))
    settle(follower, revisions)
    with pytest.raises(NotYet, match="revision 1 of the rules is being read"):
        follower.versions.version(1)
    settle(follower, revisions)
    assert follower.versions.version(1).fold is follower.versions.current.fold
