"""What the webhook answers: what is wrong is refused with all findings, what only leaves is let through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.resources.admission import NotAReview, Review, answer, read_review
from k8s.resources.documents import Place, asked_for, written
from k8s.resources.examining import context, examine
from k8s.resources.tenancy import Tenancy

TENANCY = Tenancy("shared")
SPEED = {"timestamp": {"path": "ts"}, "signals": {"Vehicle.Speed": {"path": "speed", "alias": "speed"}}}


def resource(kind: str, name: str, spec: Any, namespace: str = "shared", **metadata: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, **metadata}
    return {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def review(operation: str, new: Any, old: Any = None, **more: Any) -> dict[str, Any]:
    said = {
        "uid": "u1",
        "operation": operation,
        "namespace": "shared",
        "object": new,
        "oldObject": old,
        **more,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": said}


def judged(new: dict[str, Any], *beside: dict[str, Any], note: str | None = None) -> dict[str, Any]:
    """The response about a new resource beside others."""
    others = [asked_for(each, TENANCY, "test") for each in beside]
    documents = {each.place: each.canonical or "" for each in others}
    read = read_review(review("CREATE", new, namespace=new["metadata"]["namespace"]), TENANCY, "test")
    assert read.asked is not None
    asked = read.asked
    examined = examine(asked.place, asked.text, context(asked.place, documents))
    return answer(read, examined, note=note)["response"]


CATALOG = resource("SignalCatalog", "default", SPEED)


def test_a_right_rule_is_let_in():
    assert judged(resource("AlertRule", "fast", {"when": "speed > 100"}), CATALOG) == {
        "uid": "u1",
        "allowed": True,
    }


def test_what_is_let_in_is_noted_and_what_is_refused_is_not():
    assert judged(CATALOG, note="no Kafka")["warnings"] == ["no Kafka"]
    wrong = judged(resource("AlertRule", "fast", {"when": "speed >"}), CATALOG, note="no Kafka")
    assert (wrong["allowed"], "warnings" in wrong) == (False, False)
    unjudged = answer(Review("u1", None), None, unjudged="later", note="no Kafka")["response"]
    assert (unjudged["allowed"], unjudged["warnings"]) == (True, ["no Kafka", "later"])


def test_a_wrong_rule_is_refused_with_all_that_is_wrong_and_the_hints():
    spec = {"when": "sped > 100", "clearWhen": "speed < 'x'", "for": "5s"}
    response = judged(resource("AlertRule", "fast", spec), CATALOG)
    assert not response["allowed"]
    message = response["status"]["message"]
    assert "error[TT101] spec.when: undeclared signal 'sped'" in message
    assert "hint: did you mean 'speed'?" in message
    assert "spec.clearWhen" in message
    assert message.splitlines()[1].startswith("AlertRule/fast:")


@pytest.mark.parametrize(
    ("new", "code"),
    [
        pytest.param(resource("AlertRule", "a", {"when": 'inside("depot")'}), "TT210", id="a fence"),
        pytest.param(
            resource("GeofenceRule", "a", {"fences": {"names": ["depot"]}}), "TT210", id="a rule's fence"
        ),
        pytest.param(resource("Adaptation", "a", {"rule": "fast", "severity": "info"}), "TT240", id="a rule"),
    ],
)
def test_what_may_come_with_the_next_document_is_a_warning(new, code):
    response = judged(new, CATALOG)
    assert response["allowed"]
    assert response["warnings"][0].startswith(code)


def test_without_a_catalog_everything_waits_and_nothing_is_refused():
    assert judged(resource("AlertRule", "a", {"when": "whatever > 1"}))["allowed"]


def test_the_linter_warns():
    spec = {**SPEED, "signals": {"Vehicle.Speed": {"path": "speed", "alias": "speed", "max": 250}}}
    response = judged(
        resource("AlertRule", "a", {"when": "speed > 300"}), resource("SignalCatalog", "default", spec)
    )
    assert response["allowed"]
    assert any(each.startswith("TT320") for each in response["warnings"])


def test_a_change_that_breaks_what_names_it_is_let_in_with_a_warning_of_who_does():
    gone = resource("Definitions", "words", {"expressions": {"slow": "speed < 1"}})
    was = resource("Definitions", "words", {"expressions": {"brisk": "speed > 1"}})
    user = resource("AlertRule", "user", {"when": "brisk"})
    response = judged(gone, CATALOG, was, user)
    assert response["allowed"]
    assert "AlertRule/user would be wrong with this change" in response["warnings"][0]


def test_a_tenants_rule_is_judged_beside_its_own_and_everybodys():
    words = resource("Definitions", "words", {"expressions": {"brisk": "speed > 1"}}, "acme")
    rule = {"when": "brisk"}
    assert judged(resource("AlertRule", "a", rule, "acme"), CATALOG, words)["allowed"]
    assert not judged(resource("AlertRule", "a", rule, "umbra"), CATALOG, words)["allowed"]
    response = judged(resource("SignalCatalog", "mine", SPEED, "acme"), CATALOG)
    assert "TT217" in response["status"]["message"]


def test_only_what_a_document_may_name_stands_beside_it():
    rules = {Place("AlertRule", f"r{number}"): "{}" for number in range(5_000)}
    fence = written({"metadata": {"name": "f"}, "spec": {"geometry": {"coordinates": list(range(10_000))}}})
    chosen = context(Place("AlertRule", "new"), {**rules, Place("Geofence", "f"): fence})
    assert chosen.keys() == {Place("Geofence", "f")}
    assert len(chosen[Place("Geofence", "f")]) < 300


def test_what_leaves_or_changes_nothing_but_labels_of_others_is_let_through_however_wrong():
    wrong = resource("AlertRule", "a", {"when": "nothing"})
    marked = resource("AlertRule", "a", {"when": "nothing"}, annotations={"argocd.argoproj.io/x": "1"})
    going = resource("AlertRule", "a", {"when": "less"}, deletionTimestamp="2026-01-01T00:00:00Z")
    for said in (
        review("DELETE", None, wrong),
        review("UPDATE", marked, wrong),
        review("UPDATE", going, wrong),
        review("UPDATE", wrong, None, subResource="status"),
        review("CONNECT", wrong),
    ):
        assert read_review(said, TENANCY, "test").asked is None
    assert (
        read_review(review("UPDATE", wrong, marked | {"spec": {"when": "x"}}), TENANCY, "test").asked
        is not None
    )


def test_answers_stay_within_what_the_api_server_passes_on():
    spec = {
        "when": "speed > 1",
        "annotations": {f"a{number}": "{{ no" + "x" * 300 + " }}" for number in range(400)},
    }
    response = judged(resource("AlertRule", "fast", spec), CATALOG)
    assert len(response["status"]["message"]) < 60_000
    assert "and 350 more" in response["status"]["message"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_no_body_is_answered_with_a_traceback(body):
    with pytest.raises(NotAReview):
        read_review(body, TENANCY, "test")


@given(
    st.sampled_from(["AlertRule", "Geofence", "Definitions", "SignalCatalog", "Nothing"]), JSON, JSON, JSON
)
def test_no_object_is_answered_with_a_traceback(kind, spec, labels, annotations):
    new = resource(kind, "a", spec, labels=labels, annotations=annotations)
    try:
        read = read_review(review("CREATE", new), TENANCY, "test")
    except NotAReview:
        return
    assert read.asked is not None
    asked = read.asked
    if not asked.findings:
        catalog = asked_for(CATALOG, TENANCY, "test")
        beside = context(asked.place, {catalog.place: catalog.canonical or ""})
        json.dumps(answer(read, examine(asked.place, asked.text, beside)))
