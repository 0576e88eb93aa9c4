"""A RulePipeline that is deleted takes its workers with it, and its topics only where it is told to."""

from collections.abc import Callable

from tests.controlplane.client import wait_until
from tests.k8s.operator.operators import Pipeline

Make = Callable[..., Pipeline]
FEW = {name: {"enabled": False} for name in ("downlink", "geofences", "aggregations", "uplink")}
OWNED = (
    ("apps/v1", "deployments"),
    ("apps/v1", "controllerrevisions"),
    ("batch/v1", "jobs"),
    ("v1", "services"),
    ("v1", "configmaps"),
    ("v1", "serviceaccounts"),
    ("networking.k8s.io/v1", "networkpolicies"),
)


def left_over(made: Pipeline) -> list[str]:
    return [plural for group, plural in OWNED if made.resources(group, plural)]


def test_topics_are_kept_and_all_else_goes(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up()
    made.delete()
    wait_until(lambda: not made.exists, saying="the pipeline is gone")
    wait_until(lambda: not left_over(made), saying="everything is gone")


def test_topics_are_deleted_by_a_job_when_no_worker_is_left(pipeline: Make) -> None:
    made = pipeline(stages=FEW, deletionPolicy="Delete").wait_up()
    made.delete()
    seen: dict[str, list[str]] = {}

    def gone() -> bool:
        for job in made.resources("batch/v1", "jobs"):
            command = job["spec"]["template"]["spec"]["containers"][0]["command"]
            if command[-1] == "--yes":
                seen.setdefault("command", command)
                workers = [
                    pod["metadata"]["name"]
                    for pod in made.resources("v1", "pods")
                    if pod["metadata"]["labels"]["app.kubernetes.io/component"] != "topics"
                ]
                seen.setdefault("workers", workers)
        return not made.exists

    wait_until(gone, every=0.02, saying="the pipeline is gone")
    assert seen["command"] == ["telltale", "topics", "delete", "--yes"]
    assert seen["workers"] == []
    wait_until(lambda: not left_over(made), saying="everything is gone")


def test_topics_that_cannot_be_deleted_hold_the_pipeline_until_they_are_to_be_kept(pipeline: Make) -> None:
    stages = {**FEW, "alerts": {"image": "x:1"}, "normalize": {"image": "x:1"}}
    made = pipeline(stages=stages, topics={"manage": "Job"}, deletionPolicy="Delete").wait_up()
    made.edit(image="x:bad")
    made.wait_for("Degraded", "RolledBack")
    made.delete()
    path = made.path_of("batch/v1", "jobs")
    job = wait_until(
        lambda: next(
            (
                each["metadata"]["name"]
                for each in made.client.list(path)
                if each["metadata"]["name"].startswith(f"{made.name}-topics-delete")
            ),
            None,
        )
    )
    # The pods of the Job cannot start; the Job is told to give up, as it would after ten minutes.
    made.client.patch(f"{path}/{job}", {"spec": {"activeDeadlineSeconds": 1}})
    assert "deletionPolicy: Keep leaves them" in made.wait_for_event("TopicsNotDeleted", within=40)
    assert made.condition("Ready")["reason"] == "Deleting"
    assert made.condition("Degraded")["reason"] == "TopicsNotDeleted"
    assert made.status["readyStages"] == "0/2"
    made.edit(deletionPolicy="Keep")
    wait_until(lambda: not made.exists, saying="the pipeline is gone")


def test_what_is_being_deleted_is_not_ready_and_says_what_it_waits_for(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up()
    (pod, *_) = made.resources("v1", "pods")
    path = made.path_of("v1", "pods", pod["metadata"]["name"])
    # A worker that does not end.
    made.client.patch(path, {"metadata": {"finalizers": ["example.com/held"]}})
    made.delete()
    stage = pod["metadata"]["labels"]["app.kubernetes.io/component"]
    ready = made.wait_for("Ready", "Deleting")
    assert ready["status"] == "False"
    wait_until(
        lambda: made.condition("Progressing")["message"] == f"waiting for the workers of {stage} to end"
    )
    assert made.status["stages"][stage]["state"] == "Deleting"
    made.client.patch(path, {"metadata": {"finalizers": []}})
    wait_until(lambda: not made.exists, saying="the pipeline is gone")


def test_a_pipeline_that_cannot_be_read_can_be_deleted(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up()
    made.edit(settings={"TELLTALE_PREFIX": "x"}, deletionPolicy="Delete", topics={"manage": "None"})
    made.wait_for("Degraded", "InvalidSpec")
    made.delete()
    wait_until(lambda: not made.exists, saying="the pipeline is gone")
