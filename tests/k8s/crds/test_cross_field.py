"""What fields say together is judged in the cluster, in words, as the command line judges it with a code."""

import json
import uuid

import pytest

from k8s.crds.cross_field import CROSS_FIELD
from k8s.kinds import RULE_PIPELINE
from k8s.pipelines.checks import read_spec
from rules.documents import Source, parse
from tests.controlplane.client import ApiFailure
from tests.controlplane.cluster import Cluster
from tests.k8s.crds.conftest import Try
from tests.k8s.crds.test_every_field import documents_of

PUBLISH = {"publish": {"topic": "t"}}
TWICE = [{**PUBLISH, "command": {"name": "c"}}]
ALERT = {"when": "speed > 1"}
FENCES = {"fences": {"names": ["depot"]}}
COUNT = {"aggregates": {"samples": "count()"}}
CATALOG = {"timestamp": {"path": "ts"}}
WRONG = [
    pytest.param("Action", "AlertRule", {**ALERT, "actions": [{}]}, "TT027", id="no-action"),
    pytest.param("Action", "AlertRule", {**ALERT, "actions": TWICE}, "TT027", id="two-actions"),
    pytest.param(
        "FenceAction", "GeofenceRule", {**FENCES, "actions": TWICE}, "TT027", id="two-fence-actions"
    ),
    pytest.param(
        "ActionsChange",
        "Adaptation",
        {"rule": "r", "actions": {"append": [], "replace": []}},
        "TT093",
        id="both",
    ),
    pytest.param(
        "Window",
        "AggregationRule",
        {**COUNT, "window": {"tumbling": "1h", "sliding": "1h"}},
        "TT070",
        id="two",
    ),
    pytest.param("Window", "AggregationRule", {**COUNT, "window": {}}, "TT070", id="no-window"),
    pytest.param("Window", "AggregationRule", {**COUNT, "window": {"hopping": "1h"}}, "TT070", id="no-every"),
    pytest.param(
        "Window",
        "AggregationRule",
        {**COUNT, "window": {"session": "1h", "every": "5m"}},
        "TT070",
        id="every",
    ),
    pytest.param(
        "Window",
        "AggregationRule",
        {**COUNT, "window": {"session": "1h", "timeZone": "UTC"}},
        "TT070",
        id="zone",
    ),
    pytest.param("GeofenceSpec", "Geofence", {}, "TT060", id="no-shape"),
    pytest.param(
        "GeofenceSpec",
        "Geofence",
        {
            "circle": {"latitude": 1, "longitude": 1, "radiusMeters": 9},
            "corridor": {"line": [[1, 1], [2, 2]], "widthMeters": 5},
        },
        "TT060",
        id="two-shapes",
    ),
    pytest.param("FenceSelector", "GeofenceRule", {"fences": {}}, "TT068", id="no-fences"),
    pytest.param(
        "FenceSelector", "GeofenceRule", {"fences": {"names": [], "matchLabels": {}}}, "TT068", id="empty"
    ),
    pytest.param("GeofenceRuleSpec", "GeofenceRule", {**FENCES, "dwell": "5m"}, "TT069", id="dwell-untold"),
    pytest.param(
        "GeofenceRuleSpec", "GeofenceRule", {**FENCES, "events": ["dwell"]}, "TT069", id="dwell-when"
    ),
    pytest.param(
        "Signal", "SignalCatalog", {**CATALOG, "signals": {"a": {"min": 2, "max": 1}}}, "TT030", id="range"
    ),
    pytest.param(
        "Signal",
        "SignalCatalog",
        {**CATALOG, "signals": {"a": {"type": "string", "min": 2}}},
        "TT030",
        id="text",
    ),
]


@pytest.mark.parametrize(("model", "kind", "spec", "code"), WRONG)
def test_what_does_not_go_together_is_refused_in_words(model, kind, spec, code, attempt: Try):
    document = {
        "apiVersion": "telltale.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "wrong"},
        "spec": spec,
    }
    said = attempt(document)
    assert said is not None
    assert any(rule.message in said for rule in CROSS_FIELD[model]), said
    assert code in {each.code for each in parse([Source("it.yaml", json.dumps(document))]).errors}


def test_every_rule_has_a_document_that_breaks_it():
    assert {each.values[0] for each in WRONG} == CROSS_FIELD.keys()


def test_an_alert_rule_has_a_when_or_an_absent_for(attempt: Try):
    rule = {"apiVersion": "telltale.dev/v1alpha1", "kind": "AlertRule", "metadata": {"name": "r"}}
    both = {"when": True, "absentFor": {"duration": "1m"}}
    assert "spec" in (attempt({**rule, "spec": {}}) or "")
    assert "spec" in (attempt({**rule, "spec": both}) or "")
    assert attempt({**rule, "spec": {"when": True}}) is None


def test_what_names_the_topics_of_a_pipeline_does_not_change(cluster: Cluster, namespace: str):
    pipeline = next(each for each in documents_of("RulePipeline") if each["metadata"]["name"] == "scaled")
    pipeline = {**pipeline, "metadata": {"name": f"p{uuid.uuid4().hex[:8]}"}}
    made = cluster.client.create(RULE_PIPELINE.path(namespace), pipeline)
    assert made["spec"]["partitions"] == 64
    assert made["spec"]["topics"]["manage"] == "Job"
    assert made["spec"]["stages"]["alerts"]["resources"]["requests"] == {"cpu": "250m", "memory": "512Mi"}
    place = RULE_PIPELINE.path(namespace, pipeline["metadata"]["name"])
    for field, value in (("prefix", "other."), ("partitions", 32)):
        with pytest.raises(ApiFailure, match=f"spec.{field}: .*fixed at creation"):
            cluster.client.patch(place, {"spec": {field: value}})
    cluster.client.patch(place, {"spec": {"paused": True}})


@pytest.mark.parametrize(
    ("said", "stage", "is_right"),
    [
        pytest.param({"replicas": 64}, {}, True, id="a-worker-for-each-partition"),
        pytest.param({"replicas": 65}, {}, False, id="more"),
        pytest.param({"replicas": 0}, {"canary": {}}, True, id="none"),
        pytest.param({"replicas": 63}, {"canary": {}}, True, id="room-for-a-canary"),
        pytest.param({"replicas": 64}, {"canary": {}}, False, id="no-room-for-a-canary"),
        pytest.param({"replicas": 60}, {"canary": {"replicas": 5}}, False, id="no-room-for-five"),
        pytest.param({"replicas": 64}, {"canary": {}, "enabled": False}, True, id="a-stage-that-is-off"),
        pytest.param({"replicas": 64}, {"canary": {}, "replicas": 9}, True, id="a-stage-with-its-own"),
        pytest.param(
            {"replicas": 64}, {"canary": {}, "autoscaling": {"maxReplicas": 9}}, True, id="its-own-autoscaler"
        ),
        pytest.param({}, {"canary": {"replicas": 64}}, True, id="no-number"),
    ],
)
def test_the_workers_of_a_pipeline_have_partitions(said, stage, is_right, attempt: Try):
    pipeline = next(each for each in documents_of("RulePipeline") if each["metadata"]["name"] == "scaled")
    spec = {**pipeline["spec"], **said}
    document = {**pipeline, "spec": {**spec, "stages": {**spec.get("stages", {}), "geofences": stage}}}
    refused = attempt(document)
    _, problems = read_spec(document)
    if is_right:
        assert (refused, problems) == (None, ())
    else:
        assert "spec.replicas: " in (refused or "")
        assert "more replicas than partitions" in (refused or "")
        assert len(problems) == 1


def test_a_rule_comes_back_as_it_was_written(cluster: Cluster, namespace: str):
    (rule,) = [each for each in documents_of("AlertRule") if each["metadata"]["name"] == "every-field"]
    place = f"/apis/telltale.dev/v1alpha1/namespaces/{namespace}/alertrules"
    cluster.client.create(place, rule)
    assert cluster.client.get(f"{place}/every-field")["spec"] == rule["spec"]


def test_kubectl_shows_what_a_status_says(cluster: Cluster, namespace: str):
    (rule,) = [each for each in documents_of("AlertRule") if each["metadata"]["name"] == "silent"]
    place = f"/apis/telltale.dev/v1alpha1/namespaces/{namespace}/alertrules"
    cluster.client.create(place, rule)
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Runs",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    status = {"revision": 7, "workers": "3/3", "firing": 2, "conditions": [ready]}
    cluster.client.patch(f"{place}/silent/status", {"status": status})
    told = cluster.kubectl("get", "alr", "silent", "--namespace", namespace)
    assert [line.split()[:5] for line in told.splitlines()] == [
        ["NAME", "REVISION", "WORKERS", "FIRING", "READY"],
        ["silent", "7", "3/3", "2", "True"],
    ]
    assert "silent" in cluster.kubectl("get", "telltale", "--namespace", namespace)


@pytest.mark.parametrize(
    ("kind", "name", "is_right"),
    [
        ("Geofence", "depot", True),
        ("Geofence", "acme.depot", True),
        ("Geofence", "a.b.c", False),
        ("Geofence", "d" * 64, False),
        ("RulePipeline", "fleet", True),
        ("RulePipeline", "acme.fleet", False),
        ("RulePipeline", "f" * 41, False),
    ],
)
def test_a_name_is_one_that_its_documents_can_have(kind, name, is_right, attempt: Try):
    document = documents_of(kind)[0]
    said = attempt({**document, "metadata": {**document["metadata"], "name": name}})
    assert said is None if is_right else "metadata.name" in (said or "")
