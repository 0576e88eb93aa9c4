"""How many workers a stage has is said by the pipeline, by a person, or by an autoscaler: never by two."""

import time
from collections.abc import Callable

from tests.controlplane.client import wait_until
from tests.k8s.foreign import ARE_HERE, manifest
from tests.k8s.operator.operators import Pipeline

Make = Callable[..., Pipeline]
FEW = {name: {"enabled": False} for name in ("downlink", "geofences", "aggregations", "uplink")}


def replicas(made: Pipeline, stage: str = "alerts") -> int:
    return int(made.deployment(stage)["spec"]["replicas"])


def test_the_pipeline_scales_a_stage_up_and_down_without_a_roll_out(pipeline: Make) -> None:
    made = pipeline(stages={**FEW, "alerts": {"replicas": 1}}).wait_up()
    first = {pod["metadata"]["uid"] for pod in made.resources("v1", "pods")}
    made.edit(stages={"alerts": {"replicas": 3}})
    made.wait_up()
    assert made.status["stages"]["alerts"]["ready"] == 3
    assert first <= {pod["metadata"]["uid"] for pod in made.resources("v1", "pods")}
    made.edit(stages={"alerts": {"replicas": 0}})
    made.wait_up()
    assert made.status["stages"]["alerts"]["state"] == "ScaledToZero"


def test_a_person_scales_what_the_pipeline_leaves_open(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up()
    assert replicas(made) == 1
    made.cluster.kubectl("scale", "-n", made.namespace, f"deployment/{made.name}-alerts", "--replicas=4")
    wait_until(lambda: made.status["stages"]["alerts"]["ready"] == 4)
    # An edit of something else leaves it so.
    made.edit(image="registry.example/telltale:2")
    made.wait_up(2)
    assert replicas(made) == 4
    assert made.images()["alerts"] == "2"


def test_an_autoscaler_takes_over_where_the_pipeline_was(pipeline: Make) -> None:
    made = pipeline(stages={**FEW, "alerts": {"replicas": 4}}).wait_up()
    seen: set[int] = set()
    made.edit(stages={"alerts": {"replicas": None, "autoscaling": {"minReplicas": 2, "maxReplicas": 6}}})

    def autoscaled() -> bool:
        seen.add(replicas(made))
        return bool(
            made.resources("keda.sh/v1alpha1", "scaledobjects")
            or made.resources("autoscaling/v2", "horizontalpodautoscalers")
        )

    wait_until(autoscaled, every=0.02)
    made.wait_up()
    seen.add(replicas(made))
    assert seen == {4}, "the number of workers did not fall on the way"
    # What the autoscaler says holds: it writes the scale as kubectl does.
    made.cluster.kubectl("scale", "-n", made.namespace, f"deployment/{made.name}-alerts", "--replicas=6")
    time.sleep(1)
    assert replicas(made) == 6
    made.edit(stages={"alerts": {"autoscaling": None, "replicas": 2}})
    made.wait_up()
    assert replicas(made) == 2
    assert not made.resources("keda.sh/v1alpha1", "scaledobjects")
    assert not made.resources("autoscaling/v2", "horizontalpodautoscalers")


def test_partitions_bound_the_workers(pipeline: Make) -> None:
    made = pipeline(stages={**FEW, "alerts": {"replicas": 8}}).wait_up()
    made.edit(stages={"alerts": {"replicas": 9}})
    told = made.wait_for("Degraded", "InvalidSpec")
    assert "spec.stages.alerts.replicas: 9 workers for 8 partitions" in told["message"]
    assert "9 workers" in made.wait_for_event("InvalidSpec")
    assert replicas(made) == 8


def test_a_stage_that_is_switched_off_is_taken_away(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up()
    made.edit(stages={"alerts": {"enabled": False}})
    made.wait_up()
    assert made.status["stages"]["alerts"]["state"] == "Disabled"
    assert made.status["readyStages"] == "1/1"
    for group, plural in (
        ("apps/v1", "deployments"),
        ("v1", "services"),
        ("policy/v1", "poddisruptionbudgets"),
    ):
        wait_until(
            lambda group=group, plural=plural: len(made.resources(group, plural)) == 1,
            saying=f"one of {plural}",
        )


def test_kinds_of_other_projects_are_used_as_soon_as_they_are_there(pipeline: Make) -> None:
    """Their CRDs are test data of the machine; where they are not, an HPA is what a stage gets."""
    made = pipeline(
        stages={**FEW, "alerts": {"autoscaling": {"maxReplicas": 6}}},
        kafka={
            "bootstrap": "kafka:9093",
            "securityProtocol": "SASL_SSL",
            "sasl": {"username": "telltale", "passwordSecret": {"name": "user", "key": "password"}},
        },
        topics={"manage": "Strimzi", "strimzi": {"cluster": "kafka"}},
    )
    if not ARE_HERE:
        made.wait_up()
        assert len(made.resources("autoscaling/v2", "horizontalpodautoscalers")) == 1
        return
    for name in (
        "scaledobjects",
        "triggerauthentications",
        "servicemonitors",
        "prometheusrules",
        "kafkatopics",
    ):
        made.cluster.kubectl("apply", "--server-side", "-f", manifest(name))
    both: list[bool] = []

    def replaced() -> bool:
        theirs = bool(made.resources("keda.sh/v1alpha1", "scaledobjects"))
        both.append(theirs and bool(made.resources("autoscaling/v2", "horizontalpodautoscalers")))
        return theirs

    wait_until(replaced, within=40, every=0.02)
    assert not any(both), "KEDA refuses a stage that has an HPA"
    # The rules are what is applied last.
    wait_until(lambda: made.resources("monitoring.coreos.com/v1", "prometheusrules"))
    (scaled,) = made.resources("keda.sh/v1alpha1", "scaledobjects")
    trigger = scaled["spec"]["triggers"][0]
    assert trigger["metadata"]["consumerGroup"] == f"{made.name}.telltale.alerts"
    assert trigger["metadata"]["sasl"] == "scram_sha512"
    assert not made.resources("autoscaling/v2", "horizontalpodautoscalers")
    (authentication,) = made.resources("keda.sh/v1alpha1", "triggerauthentications")
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]
    assert len(made.resources("monitoring.coreos.com/v1", "servicemonitors")) == 2
    (rules,) = made.resources("monitoring.coreos.com/v1", "prometheusrules")
    assert rules["spec"]["groups"][0]["rules"]
    topics = made.resources("kafka.strimzi.io/v1", "kafkatopics")
    assert {each["spec"]["topicName"] for each in topics} >= {f"{made.name}.vehicle.raw"}
    # Topics are kept: nothing that deletes the installation owns them.
    assert all("ownerReferences" not in each["metadata"] for each in topics)
