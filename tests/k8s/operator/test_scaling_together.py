"""One number for all stages that say none of their own: written by kubectl, an autoscaler, or an edit."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.controlplane.client import ApiFailure, wait_until
from tests.controlplane.cluster import Cluster, ToolFailure
from tests.k8s.operator.operators import Pipeline

Make = Callable[..., Pipeline]
NEW = "registry.example/telltale:2"
BAD = "registry.example/telltale:bad"
TOGETHER = ("normalize", "alerts", "aggregations")
STAGES = {
    "downlink": {"enabled": False},
    "uplink": {"replicas": 2},
    "geofences": {"autoscaling": {"minReplicas": 1, "maxReplicas": 2}},
}
FEW = {name: {"enabled": False} for name in ("downlink", "geofences", "aggregations", "uplink")}


def replicas(made: Pipeline, *stages: str) -> list[int]:
    return [made.deployment(stage)["spec"]["replicas"] for stage in stages or TOGETHER]


def scale(made: Pipeline, count: int, *words: str) -> None:
    what = f"rulepipeline/{made.name}"
    made.cluster.kubectl("scale", "-n", made.namespace, what, f"--replicas={count}", *words)


def told(made: Pipeline) -> dict[str, Any]:
    """The scale subresource, as an autoscaler reads it."""
    return made.client.get(f"{made.path}/scale")


def test_one_number_scales_all_stages_that_say_none(pipeline: Make) -> None:
    made = pipeline(stages=STAGES, replicas=2).wait_up()
    others = ("uplink", "geofences")
    assert replicas(made, *TOGETHER, *others) == [2, 2, 2, 2, 1]
    scale(made, 3)
    wait_until(lambda: told(made)["status"]["replicas"] == 3, saying="there are three")
    made.wait_up(1)
    assert replicas(made, *TOGETHER, *others) == [3, 3, 3, 2, 1]
    assert told(made)["spec"]["replicas"] == 3
    with pytest.raises(ToolFailure, match="more replicas than partitions: they would have nothing to do"):
        scale(made, 9)
    # kubectl waits until every stage has so many, also on the way down.
    scale(made, 1, "--timeout=60s")
    assert [made.deployment(stage)["status"]["replicas"] for stage in TOGETHER] == [1, 1, 1]
    made.wait_up(1)


def test_the_selector_finds_as_many_pods_as_there_are_replicas(pipeline: Make) -> None:
    """An autoscaler multiplies what it measures of a pod by the pods that it finds."""
    made = pipeline(stages=STAGES, replicas=2).wait_up()
    said = told(made)["status"]
    pods = made.client.list(made.path_of("v1", "pods"), labelSelector=said["selector"])
    assert len(pods) == said["replicas"] == 2
    assert {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in pods} == {"alerts"}


def test_a_number_makes_no_revision_and_the_way_back_to_one_leaves_it(pipeline: Make) -> None:
    made = pipeline(stages=STAGES, replicas=2).wait_up(1)
    made.edit(image=NEW)
    made.wait_up(2)
    scale(made, 4)
    made.edit(rollbackTo=1)
    made.wait_up(1)
    assert set(made.images().values()) == {"1"}
    assert replicas(made) == [4, 4, 4]


def test_without_the_number_each_stage_keeps_what_it_has_and_a_person_scales_it(pipeline: Make) -> None:
    made = pipeline(stages=FEW, replicas=3).wait_up()
    seen: set[int] = set()
    made.edit(replicas=None)

    def is_given_free() -> bool:
        seen.update(replicas(made, "alerts", "normalize"))
        return not any(owns_replicas(made, stage) for stage in ("alerts", "normalize"))

    wait_until(is_given_free, every=0.02)
    made.wait_up()
    seen.update(replicas(made, "alerts", "normalize"))
    assert seen == {3}, "it never fell to the one that Kubernetes gives by default"
    made.cluster.kubectl("scale", "-n", made.namespace, f"deployment/{made.name}-alerts", "--replicas=5")
    wait_until(lambda: made.status["stages"]["alerts"]["ready"] == 5)
    made.wait_up()
    assert replicas(made, "alerts", "normalize") == [5, 3]
    assert made.status["replicas"] == 3, "the fewest, where nobody says how many there should be"
    with pytest.raises(ApiFailure, match="does not exist"):  # an autoscaler has to be given one
        told(made)
    scale(made, 2)
    made.wait_up()
    assert replicas(made, "alerts", "normalize") == [2, 2]


def owns_replicas(made: Pipeline, stage: str) -> bool:
    return any(
        each["manager"] == "telltale-operator" and "f:replicas" in each["fieldsV1"].get("f:spec", {})
        for each in made.deployment(stage)["metadata"]["managedFields"]
    )


def test_zero_stops_the_stages_and_is_told(pipeline: Make) -> None:
    made = pipeline(stages={**FEW, "uplink": {"replicas": 1}}, replicas=1).wait_up()
    scale(made, 0, "--timeout=60s")
    made.wait_up()
    assert {name: each["state"] for name, each in made.status["stages"].items()} == {
        "uplink": "Running",
        "normalize": "ScaledToZero",
        "alerts": "ScaledToZero",
        **dict.fromkeys(("downlink", "geofences", "aggregations"), "Disabled"),
    }
    ready = made.condition("Ready")
    assert (ready["reason"], ready["message"]) == (
        "AllStagesReady",
        "3 of 3 stages, of which normalize, alerts are scaled to zero",
    )
    made.edit(stages={"uplink": {"enabled": False}})
    made.wait_up()
    assert made.condition("Ready")["reason"] == "ScaledToZero"
    # An upgrade of what has no workers has nothing to compare, and is there when it is scaled up again.
    made.edit(image=NEW, stages={"alerts": {"canary": {"for": "1h"}}})
    made.wait_up()
    scale(made, 2)
    made.wait_up()
    assert (replicas(made, "alerts", "normalize"), made.images()["alerts"]) == ([2, 2], "2")


def test_an_invalid_edit_does_not_scale_either(pipeline: Make) -> None:
    made = pipeline(stages=FEW, replicas=2).wait_up()
    made.edit(replicas=4, settings={"TELLTALE_PREFIX": "other."})
    assert "the spec has no effect" in made.wait_for("Degraded", "InvalidSpec")["message"]
    # What is put right meanwhile is put right as it was.
    made.client.delete(made.path_of("apps/v1", "deployments", f"{made.name}-alerts"))
    wait_until(lambda: made.client.find(made.path_of("apps/v1", "deployments", f"{made.name}-alerts")))
    wait_until(lambda: made.condition("Ready").get("status") == "True")
    assert replicas(made, "alerts", "normalize") == [2, 2]
    # Nor does one that only the API server refuses.
    refused = {"affinity": {"nodeAffinity": {"required": "yes"}}}
    made.edit(settings=None, stages={"alerts": refused})
    wait_until(lambda: "nodeAffinity" in made.condition("Degraded").get("message", ""))
    time.sleep(1)
    assert replicas(made, "alerts", "normalize") == [2, 2]
    made.edit(stages={"alerts": {"affinity": None}})
    made.wait_up()
    assert replicas(made, "alerts", "normalize") == [4, 4]


def test_scaling_is_no_edit_that_tries_a_failed_upgrade_again(pipeline: Make) -> None:
    made = pipeline(stages=FEW, replicas=1, topics={"manage": "None"}).wait_up(1)
    made.edit(image=BAD)
    made.wait_for("Degraded", "RolledBack")
    made.wait_up(1)
    scale(made, 3)
    until = time.monotonic() + 3
    while time.monotonic() < until or not made.is_up(1):
        assert set(made.images().values()) == {"1"}
    assert replicas(made, "alerts", "normalize") == [3, 3]
    assert made.condition("Degraded")["reason"] == "RolledBack"
    # A person's edit is one, though the content is as it was.
    made.edit(paused=True)
    made.wait_for("Progressing", "Paused")
    made.edit(paused=False)
    wait_until(lambda: "bad" in made.images().values(), saying="it is tried again")


@pytest.fixture
def memory(control_plane: Cluster) -> Iterator[Callable[[Pipeline, str], bool]]:
    """What a metrics server would answer, kept as resources: how much memory each pod of a pipeline uses."""
    name = "pods.metrics.k8s.io"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    control_plane.apply(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, a test"}},
            "spec": {
                "group": "metrics.k8s.io",
                "scope": "Namespaced",
                "names": {"kind": "PodMetrics", "plural": "pods", "singular": "pod"},
                "versions": [
                    {
                        "name": "v1beta1",
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": schema},
                    }
                ],
            },
        }
    )
    control_plane.kubectl("wait", "--for=condition=Established", f"crd/{name}")

    def say(made: Pipeline, used: str) -> bool:
        for pod in made.resources("v1", "pods"):
            it = pod["metadata"]["name"]
            said = {
                "apiVersion": "metrics.k8s.io/v1beta1",
                "kind": "PodMetrics",
                "metadata": {"name": it, "labels": pod["metadata"]["labels"]},
                "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "window": "1s",
                "containers": [
                    {"name": each["name"], "usage": {"memory": used}} for each in pod["spec"]["containers"]
                ],
            }
            try:
                made.client.apply(made.path_of("metrics.k8s.io/v1beta1", "pods", it), said)
            except ApiFailure:  # a kind that is new asks for a moment
                return False
        return True

    yield say
    control_plane.client.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")


def test_the_autoscaler_of_kubernetes_scales_a_pipeline(
    pipeline: Make, memory: Callable[[Pipeline, str], bool]
) -> None:
    """Beside that of a stage: Kubernetes lets no pod be counted by two."""
    stages = {**STAGES, "geofences": {"enabled": False}, "uplink": {"autoscaling": {"maxReplicas": 2}}}
    made = pipeline(stages=stages, replicas=2).wait_up()
    wait_until(lambda: memory(made, "384Mi"), saying="metrics can be written")
    path = made.path_of("autoscaling/v2", "horizontalpodautoscalers")
    usage = {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}
    target = {"apiVersion": "telltale.dev/v1alpha1", "kind": "RulePipeline", "name": made.name}
    said = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": made.name},
        "spec": {
            "scaleTargetRef": target,
            "minReplicas": 1,
            "maxReplicas": 8,
            "metrics": [{"type": "Resource", "resource": usage}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }
    made.client.create(path, said)

    def wait_for(count: int) -> None:
        try:
            wait_until(lambda: scaled(count), within=90, saying=f"there are {count}")
        except AssertionError as failure:
            found = made.client.get(f"{path}/{made.name}")
            raise AssertionError(f"{failure}\n{json.dumps(found.get('status'), indent=1)}") from None

    def scaled(count: int) -> bool:
        found = made.client.get(f"{path}/{made.name}").get("status", {})
        return (found.get("currentReplicas"), found.get("desiredReplicas")) == (count, count)

    # Three quarters of 512Mi on two workers are a half on three.
    wait_for(3)
    made.wait_up()
    assert replicas(made) == [3, 3, 3]
    assert memory(made, "80Mi")
    wait_for(1)
    made.wait_up()
    assert replicas(made) == [1, 1, 1]
