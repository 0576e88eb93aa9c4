"""What a status says, from resources, the log and the workers: no cluster, no Kafka."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.api import Change, Listed
from k8s.crds.rule_status import RuleStatus
from k8s.kinds import rule_kind
from k8s.resources.documents import Key, asked_for
from k8s.resources.index import Index, quiet
from k8s.resources.planning import AUTHOR, Plan, plan
from k8s.resources.statuses import Fleet, patch_of, status_of
from k8s.resources.tenancy import Tenancy
from pipeline.store import Revisions
from pipeline.store.statuses import ALIVE_S, Failing, Worker, Workers

TENANCY = Tenancy("shared")
AT = "2026-01-01T00:00:00.000Z"
ALERT_RULE = rule_kind("AlertRule", "alertrules")
SPEED = {"timestamp": {"path": "ts"}, "signals": {"Vehicle.Speed": {"path": "speed", "alias": "speed"}}}


def resource(kind: str, name: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    said = {"name": name, "namespace": "shared", "uid": name, "generation": 3, **metadata}
    return {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": said, "spec": spec}


def rule(name: str, when: str = "speed > 1") -> dict[str, Any]:
    return resource("AlertRule", name, {"when": when})


CATALOG = resource("SignalCatalog", "default", SPEED)


class Cluster:
    """Resources and a log, and what the operator makes of them."""

    def __init__(self) -> None:
        self.revisions = Revisions()

    def plan(self, *resources: dict[str, Any]) -> Plan:
        """Plan, and write what is planned."""
        asked = [asked_for(each, TENANCY, "test") for each in resources]
        made = plan(self.revisions, asked, origin="test", at=AT)
        if made.change is not None:
            for key, value in made.change.records(self.revisions):
                self.revisions.take(key, value)
            again = plan(self.revisions, asked, origin="test", at=AT)
            assert again.change is None
            return again
        return made

    def roll_back(self, author: str) -> None:
        """As somebody else does it."""
        head = self.revisions.manifest(self.revisions.head)
        number = head.revision + 1
        before = self.revisions.manifest(head.parent)
        manifest = msgspec.structs.replace(before, revision=number, parent=head.revision, author=author)
        self.revisions.take(f"revision/{number}".encode(), msgspec.json.encode(manifest))
        self.revisions.take(b"head", json.dumps({"revision": number}).encode())


def said(made: Plan, name: str, *workers: Worker, kind: str = "AlertRule") -> dict[str, Any]:
    """The status as the CRD's schema has it."""
    status = status_of(made.asked[Key(kind, "shared", name)], made, Fleet(workers))
    assert status is not None
    patch = patch_of({}, status, AT)
    assert patch is not None
    RuleStatus.model_validate(patch, by_alias=True, by_name=False)
    return patch


def conditions(status: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {it["type"]: (it["status"], it["reason"]) for it in status["conditions"]}


def worker(name: str, revision: int, **more: Any) -> Worker:
    return Worker("alerts", name, revision, AT, **more)


def test_workers_of_the_rules_own_stage_are_counted_by_the_revision_with_which_it_began():
    cluster = Cluster()
    cluster.plan(CATALOG, rule("fast"))
    made = cluster.plan(CATALOG, rule("fast"), rule("slow"))
    fence = Worker("geofences", "g", 0, AT)
    status = said(made, "fast", worker("a", 1, firing={"fast": 2}), worker("b", 2, firing={"fast": 3}), fence)
    assert (status["revision"], status["workers"], status["firing"]) == (1, "2/2", 5)
    assert conditions(status) == {"Accepted": ("True", "Valid"), "Ready": ("True", "Running")}
    status = said(made, "slow", worker("a", 1), worker("b", 2))
    assert (status["revision"], status["workers"], status["firing"]) == (2, "1/2", 0)
    assert conditions(status)["Ready"] == ("False", "RollingOut")
    assert said(made, "default", worker("a", 1), fence, kind="SignalCatalog")["workers"] == "1/2"


@pytest.mark.parametrize(
    ("workers", "ready"),
    [
        pytest.param([], ("Unknown", "NoWorkers"), id="none"),
        pytest.param([worker("a", 0, error="too new")], ("False", "Refused"), id="one refuses"),
        pytest.param(
            [worker("a", 1, failing=(Failing("fast", 9, "x"),))], ("False", "Failing"), id="it fails"
        ),
        pytest.param(
            [worker("a", 1, failing=(Failing("slow", 9, "x"),))], ("True", "Running"), id="another fails"
        ),
    ],
)
def test_ready_says_what_workers_say(workers, ready):
    assert conditions(said(Cluster().plan(CATALOG, rule("fast")), "fast", *workers))["Ready"] == ready


def test_a_wrong_edit_says_where_and_that_the_older_version_runs():
    cluster = Cluster()
    cluster.plan(CATALOG, rule("fast"))
    status = said(cluster.plan(CATALOG, rule("fast", "sped > 1")), "fast", worker("a", 1))
    assert conditions(status) == {"Accepted": ("False", "Invalid"), "Ready": ("False", "OlderVersionRuns")}
    assert (status["revision"], status["workers"], status["errors"][0]["path"]) == (1, "1/1", "spec.when")
    status = said(cluster.plan(CATALOG, rule("new", "sped > 1"), rule("fast")), "new")
    assert conditions(status) == {"Accepted": ("False", "Invalid"), "Ready": ("False", "NotAccepted")}


def test_a_change_that_breaks_others_is_held_back_and_says_whom():
    cluster = Cluster()
    cluster.plan(CATALOG, rule("fast"))
    other = resource("SignalCatalog", "default", {**SPEED, "signals": {"Vehicle.Belt": {"path": "belt"}}})
    status = said(cluster.plan(other, rule("fast")), "default", kind="SignalCatalog")
    assert conditions(status)["Accepted"] == ("False", "HeldBack")
    assert "AlertRule/fast would be wrong" in status["errors"][0]["message"]


def test_without_a_catalog_all_wait():
    status = said(Cluster().plan(rule("fast")), "fast")
    assert conditions(status) == {"Accepted": ("Unknown", "Waiting"), "Ready": ("Unknown", "Waiting")}


def test_a_roll_back_of_somebody_else_stands_until_a_resource_changes():
    cluster = Cluster()
    cluster.plan(CATALOG, rule("fast"))
    cluster.plan(CATALOG, rule("fast", "speed > 2"))
    cluster.roll_back("bob")
    made = cluster.plan(CATALOG, rule("fast", "speed > 2"))
    assert cluster.revisions.head == 3
    status = said(made, "fast", worker("a", 3))
    assert conditions(status) == {"Accepted": ("True", "Valid"), "Ready": ("False", "Overridden")}
    made = cluster.plan(CATALOG, rule("fast", "speed > 2"), rule("slow"))
    assert (cluster.revisions.head, cluster.revisions.manifest(4).author) == (4, AUTHOR)
    assert conditions(said(made, "fast", worker("a", 4)))["Ready"] == ("True", "Running")


def test_a_status_that_says_the_same_is_no_patch_and_keeps_its_times():
    made = Cluster().plan(CATALOG, rule("fast"))
    first = said(made, "fast")
    status = status_of(made.asked[Key("AlertRule", "shared", "fast")], made, Fleet([]))
    assert status is not None
    assert patch_of(first, status, "2027-01-01T00:00:00Z") is None
    running = status_of(made.asked[Key("AlertRule", "shared", "fast")], made, Fleet([worker("a", 1)]))
    assert running is not None
    patch = patch_of(first, running, "2027-01-01T00:00:00Z")
    assert patch is not None
    times = {it["type"]: it["lastTransitionTime"] for it in patch["conditions"]}
    assert times == {"Accepted": AT, "Ready": "2027-01-01T00:00:00Z"}


def test_an_index_is_whole_when_every_kind_was_listed_and_forgets_what_a_later_list_lacks():
    async def run() -> None:
        index = Index(TENANCY, "test")
        assert not index.is_whole

        class Api:
            async def follow(self, kind: Any, namespace: Any) -> Any:
                yield Listed([rule("a"), rule("b")], "1")
                yield Change("MODIFIED", {**rule("a"), "status": {"revision": 1}})
                version = index.version
                yield Change("MODIFIED", rule("a", "speed > 2"))
                assert index.version == version + 1
                yield Listed([rule("b")], "2")
                yield Change("DELETED", rule("b"))

        await index.follow(Api(), [ALERT_RULE])  # type: ignore[arg-type]
        assert index.is_whole
        assert not index.asked

    asyncio.run(run())


def test_changes_are_gathered_until_it_is_quiet_and_not_for_ever():
    async def run() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        changed.set()
        began = loop.time()
        await quiet(changed, quiet_s=0.05, longest_s=5)
        once = loop.time() - began

        async def restless() -> None:
            while True:
                changed.set()
                await asyncio.sleep(0.01)

        task = asyncio.create_task(restless())
        began = loop.time()
        await quiet(changed, quiet_s=0.05, longest_s=0.3)
        task.cancel()
        return once, loop.time() - began

    once, longest = asyncio.run(run())
    assert 0.04 < once < 2
    assert 0.25 < longest < 4


def test_a_worker_that_is_silent_for_long_or_says_null_is_gone():
    workers = Workers()
    record = {"stage": "alerts", "worker": "a", "revision": 3, "at": AT, "firing": {"fast": 1}, "new": "key"}
    assert workers.take(b"alerts/a", json.dumps(record).encode())
    assert not workers.take(b"alerts/a", json.dumps(record | {"at": "2026-01-01T00:00:30.000Z"}).encode())
    now = 1_767_225_630_000
    assert [it.revision for it in workers.alive(now + int(ALIVE_S * 1_000))] == [3]
    assert workers.alive(now + int(ALIVE_S * 1_000) + 1) == []
    assert not workers.take(b"alerts/a", None)
    assert workers.take(b"alerts/a", json.dumps(record).encode())
    assert workers.take(b"alerts/a", None)
    assert workers.alive(now) == []


@given(st.lists(st.tuples(st.none() | st.binary(max_size=5), st.none() | st.binary(max_size=50))))
def test_rubbish_on_the_topic_of_statuses_says_nothing(records):
    workers = Workers()
    for key, value in records:
        workers.take(key, value)
    assert workers.alive(0) == []
