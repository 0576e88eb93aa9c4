"""What we say is looked for in what is there; what others add, and how the server writes it, is nothing."""

import copy
from typing import Any

import pytest
from hypothesis import given

from k8s.pipelines.checks import read_shape
from k8s.pipelines.comparison import contains, is_as_wanted
from k8s.pipelines.desired import Capabilities, Revised, stage_manifests
from k8s.pipelines.plan import Apply, Delete, plan
from tests.k8s.pipelines.specs import OWNER, spec, specs


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({}, {"a": 1}, False),
        ({}, {"a": 0, "b": "", "c": False, "d": [], "e": {}}, True),
        ("1", "1000m", True),
        ("1Gi", "1024Mi", True),
        ("1Gi", "1G", False),
        ([1, 2], [1], False),
        ([{"name": "x", "image": "i"}, {"name": "side"}], [{"name": "x"}], True),
        ([{"name": "side"}], [{"name": "x"}], False),
        ([{"port": 1, "protocol": "TCP"}], [{"port": 1}], True),
        ([{"port": 1}, {"port": 2}], [{"port": 1}], False),
        ("x", {"a": 1}, False),
        ({"a": 1}, [1], False),
    ],
    ids=str,
)
def test_contains(found: Any, wanted: Any, same: bool) -> None:
    assert contains(found, wanted) is same


@given(specs)
def test_what_was_applied_is_as_wanted_and_any_change_of_it_is_not(said: dict[str, Any]) -> None:
    read, _ = read_shape(said)
    assert read is not None
    desired = stage_manifests(OWNER, Revised("r", read), "alerts", Capabilities())
    found = copy.deepcopy(desired)
    for resource in found.values():
        resource["metadata"] |= {"uid": "u", "resourceVersion": "7"}
        resource["status"] = {"anything": True}
    assert list(plan(OWNER, desired, found)) == []
    for reference, resource in found.items():
        assert is_as_wanted(desired[reference], resource)
        resource["metadata"]["labels"]["app.kubernetes.io/component"] = "other"
        assert not is_as_wanted(desired[reference], resource)


def test_a_field_that_is_no_longer_said_is_taken_back() -> None:
    before = stage_manifests(
        OWNER, Revised("r", spec(stages={"alerts": {"nodeSelector": {"a": "b"}}})), "alerts", Capabilities()
    )
    after = stage_manifests(OWNER, Revised("r", spec()), "alerts", Capabilities())
    changed = [change.ref.resource for change in plan(OWNER, after, before) if isinstance(change, Apply)]
    assert changed == ["deployments.apps"]


def test_only_what_is_owned_is_deleted() -> None:
    found = stage_manifests(OWNER, Revised("r", spec()), "alerts", Capabilities())
    for number, resource in enumerate(found.values()):
        resource["metadata"]["uid"] = str(number)
        if number % 2:
            resource["metadata"]["ownerReferences"][0]["uid"] = "an-earlier-one-of-this-name"
    deleted = {change.ref for change in plan(OWNER, {}, found) if isinstance(change, Delete)}
    assert deleted == {
        reference
        for reference, resource in found.items()
        if resource["metadata"]["ownerReferences"][0]["uid"] == OWNER.uid
    }
    assert 0 < len(deleted) < len(found)
    assert list(plan(OWNER, {}, found, untouched={"alerts"})) == []
