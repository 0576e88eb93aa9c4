"""Resources become rules: what is applied runs, what is edited changes, what is deleted goes."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.store import RulesLog, propose
from rules import Source, parse
from tests.conftest import KafkaAddress
from tests.e2e.topics import create_topics
from tests.k8s.resources.conftest import Rules

pytestmark = pytest.mark.integration


def write_as(rules: Rules, author: str, documents: dict[str, Any]) -> None:
    """What `telltale rules apply` and `rollback` do: these documents are the next revision."""

    async def write() -> None:
        async with RulesLog(rules.settings) as log:
            loaded = parse(Source(name, json.dumps(each)) for name, each in documents.items())
            revisions = await log.read()
            change = propose(
                revisions, loaded, author=author, message="by hand", at="2026-01-01T00:00:00.000Z"
            )
            await log.write(change)

    asyncio.run(write())


def alert(name: str, when: str) -> dict[str, Any]:
    """As a person writes it."""
    head = {"apiVersion": "telltale.dev/v1alpha1", "kind": "AlertRule", "metadata": {"name": name}}
    return {f"AlertRule/{name}": {**head, "spec": {"when": when}}}


def test_what_is_applied_edited_and_deleted_is_on_telltale_rules(rules: Rules) -> None:
    with rules.operator() as operator:
        rules.catalog()
        rules.apply("AlertRule", "fast", {"when": "speed > 100"}, labels={"team": "safety"})
        found = rules.wait_documents(lambda it: "AlertRule/fast" in it)
        assert found["AlertRule/fast"]["spec"] == {"when": "speed > 100"}
        assert found["AlertRule/fast"]["metadata"]["labels"] == {"team": "safety"}
        status = rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")
        assert status["revision"] == rules.head().revision
        assert (status["workers"], status["firing"], status["errors"]) == ("0/0", 0, [])
        assert rules.condition("Ready", "AlertRule", "fast") == ("Unknown", "NoWorkers")
        assert rules.head().author == "operator"

        rules.apply("AlertRule", "fast", {"when": "speed > 90"}, labels={"team": "safety"})
        rules.wait_documents(lambda it: it["AlertRule/fast"]["spec"] == {"when": "speed > 90"})
        assert rules.head().message == "~ AlertRule/fast"
        wrong = {"when": "sped > 80 && speed >> 1", "severity": "warning"}
        rules.apply("AlertRule", "fast", wrong)
        rules.apply("AlertRule", "slow", {"when": "speed < 5"})
        status = rules.wait_condition("Accepted", "False", "Invalid", "AlertRule", "fast")
        assert rules.condition("Ready", "AlertRule", "fast") == ("False", "OlderVersionRuns")
        (error,) = status["errors"]
        place = (error["code"], error["path"], error["line"], error["column"])
        assert place == ("TT102", "spec.when", 12, 32)
        found = rules.wait_documents(lambda it: "AlertRule/slow" in it)
        assert found["AlertRule/fast"]["spec"] == {"when": "speed > 90"}

        rules.delete("AlertRule", "fast")
        rules.wait_documents(lambda it: "AlertRule/fast" not in it)
        assert rules.head().message == "- AlertRule/fast"
        assert operator.lives


def test_what_was_deleted_while_no_operator_ran_goes_when_one_runs_and_others_documents_stay(
    rules: Rules,
) -> None:
    with rules.operator() as operator:
        rules.catalog()
        for name in ("fast", "slow", "gone"):
            rules.apply("AlertRule", name, {"when": "speed > 1"})
        rules.wait_documents(lambda it: {"AlertRule/fast", "AlertRule/slow", "AlertRule/gone"} <= it.keys())
        operator.end()
        rules.delete("AlertRule", "gone")
        write_as(rules, "alice", rules.documents() | alert("hers", "speed > 2"))
        rules.apply("AlertRule", "hers", {"when": "speed > 3"})
        operator.start()
        found = rules.wait_documents(lambda it: "AlertRule/gone" not in it)
        assert found.keys() == {"SignalCatalog/default", "AlertRule/fast", "AlertRule/slow", "AlertRule/hers"}
        assert found["AlertRule/hers"]["spec"] == {"when": "speed > 2"}
        status = rules.wait_condition("Accepted", "False", "NameTaken", "AlertRule", "hers")
        assert "alice" in status["errors"][0]["message"]


def test_somebody_elses_roll_back_stands_until_a_resource_changes(rules: Rules) -> None:
    with rules.operator() as operator:
        rules.catalog()
        rules.apply("AlertRule", "fast", {"when": "speed > 100"})
        before = rules.wait_documents(lambda it: "AlertRule/fast" in it)
        rules.apply("AlertRule", "fast", {"when": "speed > 1"})
        rules.wait_documents(lambda it: it["AlertRule/fast"]["spec"] == {"when": "speed > 1"})
        write_as(rules, "bob", before)
        rules.wait_condition("Ready", "False", "Overridden", "AlertRule", "fast")
        operator.end()
        operator.start()
        rules.apply("AlertRule", "bad", {"when": "nothing"})
        rules.wait_condition("Accepted", "False", "Invalid", "AlertRule", "bad")
        assert rules.documents() == before
        rules.apply("AlertRule", "slow", {"when": "speed < 5"})
        found = rules.wait_documents(lambda it: "AlertRule/slow" in it)
        assert found["AlertRule/fast"]["spec"] == {"when": "speed > 1"}


def test_an_operator_killed_between_a_revision_and_its_statuses_is_made_up_for(rules: Rules) -> None:
    rules.catalog()
    rules.apply("AlertRule", "fast", {"when": "speed > 100"})
    with rules.operator(dies=True):
        rules.wait_documents(lambda it: "AlertRule/fast" in it)
        first = rules.head().revision
    assert rules.status("AlertRule", "fast") == {}
    with rules.operator():
        status = rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")
        assert status["revision"] == first
        assert rules.head().revision == first


def test_a_rollout_that_comes_with_the_first_rules_begins_once_they_run(rules: Rules) -> None:
    rules.catalog()
    rules.apply("Rollout", "rollout", {"percent": 10})
    rules.apply("AlertRule", "fast", {"when": "speed > 100"})
    with rules.operator():
        rules.wait_documents(lambda it: "Rollout/rollout" in it)
        rules.wait_condition("Accepted", "True", "Valid", "Rollout", "rollout")
        assert (rules.head().revision, rules.head().stable) == (2, 1)


def test_a_rule_whose_topic_cannot_be_made_holds_up_no_other(
    rules: Rules, kafka: KafkaAddress, tmp_path: Path
) -> None:
    prefix = f"{rules.settings.prefix}{'long-' * 15}."
    far = Rules(rules.cluster, kafka.bootstrap, prefix, rules.namespaces, tmp_path)
    create_topics(far.settings)
    far.catalog()
    for name, topic in (("right", "calls"), ("wrong", "x" * 200)):
        far.apply("AlertRule", name, {"when": "speed > 100", "actions": [{"publish": {"topic": topic}}]})
    with far.operator():
        status = far.wait_condition("Accepted", "False", "Invalid", "AlertRule", "wrong")
        assert status["errors"][0]["path"] == "spec.actions"
        assert far.documents().keys() == {"SignalCatalog/default", "AlertRule/right"}


def test_a_thousand_rules_at_once_are_few_revisions(rules: Rules) -> None:
    with rules.operator(TELLTALE_RESOURCES_STATUS_RATE="1000") as operator:
        operator.wait_said("Leading")
        rules.catalog()
        head = {"apiVersion": "telltale.dev/v1alpha1", "kind": "AlertRule"}
        documents = [
            {**head, "metadata": {"name": f"r{number}"}, "spec": {"when": f"speed > {number}"}}
            for number in range(1_000)
        ]
        began = time.monotonic()
        for document in documents:
            rules.cluster.client.create(rules.path("AlertRule"), document)
        created = time.monotonic() - began
        rules.wait_documents(lambda it: len(it) == 1_001, within=120)
        assert rules.head().revision <= created / 2 + 3
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "r999")
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "r0")
