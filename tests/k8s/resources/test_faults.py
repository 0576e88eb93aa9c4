"""The API server goes and comes back, Kafka is late, objects are hostile: nothing is lost or held up."""

import contextlib
import time
from pathlib import Path
from typing import Any

import pytest

from bridges.embedded import EmbeddedKafka
from tests.controlplane.client import ApiFailure, wait_until
from tests.controlplane.cluster import Cluster
from tests.e2e.topics import create_topics
from tests.k8s.resources.conftest import Rules, install

pytestmark = [pytest.mark.integration, pytest.mark.faults]

LONG_LEASE = {
    "TELLTALE_OPERATOR_LEASE_DURATION": "60s",
    "TELLTALE_OPERATOR_RENEW_DEADLINE": "50s",
    "TELLTALE_OPERATOR_RETRY_PERIOD": "1s",
}
NESTED: Any = "deep"
for _ in range(60):
    NESTED = [NESTED]
HOSTILE = {
    "empty": ("AlertRule", {}),
    "long": ("AlertRule", {"when": "speed > 1 || " * 3_000 + "true"}),
    "wide": ("AlertRule", {"when": "[" + ", ".join(["speed"] * 2_000) + "].all(a, [1.0].all(b, a > b))"}),
    "nested": ("AlertRule", {"when": "(" * 3_900 + "true" + ")" * 3_900}),
    "signs": (
        "AlertRule",
        {"when": "speed > 1", "annotations": {"summary": "\u202e{{ '\\u0000' }}\ufffe" * 50}},
    ),
    "payload": (
        "AlertRule",
        {"when": "speed > 1", "actions": [{"command": {"name": "a", "payload": {"a": NESTED}}}]},
    ),
    "bomb": (
        "Definitions",
        {"expressions": {f"b{n}": f"b{n + 1} || b{n + 1}" for n in range(60)} | {"b60": "speed > 1"}},
    ),
    "circle": ("Definitions", {"expressions": {"a": "b", "b": "a"}}),
    "area": (
        "Geofence",
        {"geometry": {"type": "Polygon", "coordinates": [[[n % 180, n % 89] for n in range(20_000)]]}},
    ),
    "nowhere": ("Geofence", {"geometry": {"type": "Polygon", "coordinates": {"a": [None, True]}}}),
    "many": ("Definitions", {"lists": {"long": [f"v{n}" for n in range(50_000)]}}),
}


def test_hostile_objects_are_refused_or_told_of_and_hold_up_nobody(rules: Rules) -> None:
    rules.catalog()
    with rules.operator() as operator:
        let_in = []
        for name, (kind, spec) in HOSTILE.items():
            with contextlib.suppress(ApiFailure):
                rules.apply(kind, name, spec)
                let_in.append((kind, name))
        rules.apply("AlertRule", "fast", {"when": "speed > 100"})
        rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")
        assert {"long", "nested", "bomb", "circle"} <= {name for _, name in let_in}
        for kind, name in let_in:
            wait_until(lambda kind=kind, name=name: rules.status(kind, name).get("conditions"), within=60)
        for kind, name in (("AlertRule", "long"), ("AlertRule", "nested"), ("Definitions", "circle")):
            assert rules.condition("Accepted", kind, name) == ("False", "Invalid")
        assert operator.lives


def test_the_api_server_is_killed_and_stopped_and_kafka_comes_late(tmp_path: Path) -> None:
    with Cluster.started() as cluster, EmbeddedKafka() as kafka:
        install(cluster)
        cluster.client.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": {"name": "fleet"}})
        rules = Rules(cluster, kafka.bootstrap, "faults.", ["fleet"], tmp_path)
        rules.catalog()
        rules.apply("AlertRule", "fast", {"when": "speed > 100"})
        with rules.operator(**LONG_LEASE) as operator:
            # There is no topic yet: nothing can be written, and the status says why.
            rules.wait_condition("Accepted", "Unknown", "Waiting", "AlertRule", "fast")
            create_topics(rules.settings)
            rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")

            cluster.restart()
            rules.apply("AlertRule", "fast", {"when": "speed > 90"})
            rules.apply("AlertRule", "slow", {"when": "speed < 5"})
            rules.wait_documents(
                lambda it: "AlertRule/slow" in it and it["AlertRule/fast"]["spec"] == {"when": "speed > 90"}
            )
            with cluster.paused():
                time.sleep(3)
            rules.delete("AlertRule", "slow")
            rules.wait_documents(lambda it: "AlertRule/slow" not in it)
            rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")
            assert operator.lives


def test_kafka_is_killed_under_the_operator_and_comes_back(
    rule_kinds: Cluster, namespace: str, tmp_path: Path
) -> None:
    with EmbeddedKafka() as kafka:
        rules = Rules(rule_kinds, kafka.bootstrap, "killed.", [namespace], tmp_path)
        create_topics(rules.settings)
        rules.catalog()
        rules.apply("AlertRule", "fast", {"when": "speed > 100"})
        with rules.operator() as operator:
            rules.wait_condition("Accepted", "True", "Valid", "AlertRule", "fast")
            head = rules.head().revision

            kafka.kill()
            rules.apply("AlertRule", "fast", {"when": "speed > 90"})
            rules.apply("AlertRule", "slow", {"when": "speed < 5"})
            for name in ("fast", "slow"):
                status = rules.wait_condition("Accepted", "Unknown", "Waiting", "AlertRule", name)
                assert "Kafka" in status["conditions"][0]["message"]
            # What has not changed says what it said: it runs on.
            assert rules.condition("Accepted", "SignalCatalog", "default") == ("True", "Valid")
            said = len(operator.log.read_text().splitlines())
            time.sleep(10)
            lines = operator.log.read_text().splitlines()[said:]
            assert all(line.startswith("{") for line in lines)
            assert len(lines) < 100, "it waits, and does not say so hundreds of times"

            kafka.restart()
            for name in ("fast", "slow"):
                rules.wait_condition("Accepted", "True", "Valid", "AlertRule", name)
            documents = rules.documents()
            assert documents["AlertRule/fast"]["spec"] == {"when": "speed > 90"}
            assert "AlertRule/slow" in documents
            assert rules.head().revision == head + 1, "what was written meanwhile is one change"
            assert operator.lives
