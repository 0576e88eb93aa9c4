"""An upgrade goes stage by stage, stops at what does not come up, and finds its way back by itself."""

import time
from collections.abc import Callable

from tests.controlplane.client import wait_until
from tests.k8s.operator.operators import Pipeline

READERS_FIRST = ["downlink", "aggregations", "geofences", "alerts", "normalize", "uplink"]
Make = Callable[..., Pipeline]
NEW = "registry.example/telltale:2"
BAD = "registry.example/telltale:bad"
FEW = {name: {"enabled": False} for name in ("downlink", "geofences", "aggregations")}


def test_readers_are_upgraded_before_writers_and_each_is_up_before_the_next(pipeline: Make) -> None:
    made = pipeline(upgrade={"minReady": "1s", "progressDeadline": "30s"}).wait_up(1)
    generation = made.edit(image=NEW)
    order: list[str] = []
    until = time.monotonic() + 60
    while len(order) < len(READERS_FIRST):
        assert time.monotonic() < until, (order, made.status)
        deployments = {
            each["metadata"]["labels"]["app.kubernetes.io/component"]: each
            for each in made.resources("apps/v1", "deployments")
        }
        new = [name for name, image in made.images().items() if image == "2"]
        for name in sorted(set(new) - set(order), key=READERS_FIRST.index):
            for before in order:
                status = deployments[before]["status"]
                assert status["updatedReplicas"] == status["availableReplicas"] == 1, (name, before)
            order.append(name)
    assert order == READERS_FIRST
    made.wait_up(2)
    status = made.status
    assert status["observedGeneration"] == generation
    assert {stage["image"] for stage in status["stages"].values()} == {NEW}
    assert {stage["revision"] for stage in status["stages"].values()} == {2}
    reasons = [reason for _, reason, _ in made.events()]
    assert "Upgrading" in reasons


def test_workers_are_there_throughout_an_upgrade(pipeline: Make) -> None:
    made = pipeline(stages={**FEW, "alerts": {"replicas": 2}}).wait_up(1)
    made.edit(image=NEW)
    least = 2
    while not made.is_up(2):
        least = min(least, made.deployment("alerts")["status"].get("availableReplicas", 0))
    assert least == 2


def test_a_bad_image_stops_the_upgrade_is_reported_and_rolled_back(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up(1)
    made.edit(stages={"alerts": {"image": BAD}, "uplink": {"image": NEW}})
    told = made.wait_for("Degraded", "ImagePullBackOff")
    assert "alerts" in told["message"]
    assert made.condition("Ready")["status"] == "True"
    # It stops at the first stage: the others never had the bad image.
    assert made.images() == {"alerts": "bad", "normalize": "1", "uplink": "1"}
    degraded = made.wait_for("Degraded", "RolledBack")
    assert "revision 2, alerts: ProgressDeadlineExceeded" in degraded["message"]
    wait_until(lambda: set(made.images().values()) == {"1"}, saying="all stages have the old image")
    made.wait_up(1)
    assert made.status["failed"]["revision"] == 2
    assert "alerts" in made.wait_for_event("ProgressDeadlineExceeded")
    assert made.condition("Ready")["status"] == "True"

    # It is not tried again by itself, and a later good edit gets out of it.
    time.sleep(1)
    assert set(made.images().values()) == {"1"}
    made.edit(stages={"alerts": {"image": NEW}, "normalize": {"image": NEW}})
    made.wait_up(3)
    assert made.condition("Degraded")["status"] == "False"
    assert "failed" not in made.status
    assert set(made.images().values()) == {"2"}


def test_a_bad_image_at_first_is_reported_and_mended_by_an_edit(pipeline: Make) -> None:
    made = pipeline(image=BAD, topics={"manage": "None"}, stages=FEW)
    assert "ImagePullBackOff" in made.wait_for("Degraded", "ImagePullBackOff")["message"]
    assert made.condition("Ready")["status"] == "False"
    made.edit(image=NEW)
    made.wait_up()
    assert made.condition("Degraded")["status"] == "False"


def test_a_crash_loop_is_reported_with_its_pod(pipeline: Make) -> None:
    stages = {**FEW, "alerts": {"podLabels": {"telltale.dev/simulate": "crash-loop"}}}
    made = pipeline(stages=stages)
    told = made.wait_for("Degraded", "CrashLoopBackOff")
    assert f"alerts: {made.name}-alerts-" in told["message"]
    assert "alerts 0 of 1 (CrashLoopBackOff)" in made.wait_for("Ready", "StagesNotReady")["message"]
    assert made.status["readyStages"] == "2/3"
    made.edit(stages={"alerts": {"podLabels": None}})
    made.wait_up()


def test_an_image_that_cannot_make_the_topics_never_reaches_a_stage(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up(1)
    made.edit(image=BAD)
    degraded = made.wait_for("Degraded", "RolledBack")
    assert "revision 2, topics: TopicsFailed" in degraded["message"]
    assert "ImagePullBackOff" in degraded["message"]
    made.wait_up(1)
    assert {stage["revision"] for stage in made.status["stages"].values() if "revision" in stage} == {1}


def test_an_edit_in_the_middle_of_an_upgrade_takes_its_place(pipeline: Make) -> None:
    made = pipeline(stages=FEW, upgrade={"progressDeadline": "60s", "minReady": "0s"}).wait_up(1)
    made.edit(stages={"alerts": {"image": BAD}, "uplink": {"image": BAD}})
    wait_until(lambda: made.images()["alerts"] == "bad")
    made.edit(stages={"alerts": {"image": NEW}, "uplink": None})
    made.wait_up(3)
    assert made.images() == {"alerts": "2", "normalize": "1", "uplink": "1"}


def test_revisions_are_kept_and_returned_to(pipeline: Make) -> None:
    made = pipeline(stages=FEW, revisionHistoryLimit=2).wait_up(1)
    for image in ("2", "3", "4"):
        made.edit(image=f"registry.example/telltale:{image}")
        made.wait_up(int(image))

    def kept() -> set[int]:
        return {each["revision"] for each in made.resources("apps/v1", "controllerrevisions")}

    # A revision that is superfluous goes after the one that makes it so is told to be up.
    wait_until(lambda: kept() == {2, 3, 4}, saying="two are kept beside the one in use")

    made.edit(rollbackTo=2)
    made.wait_up(2)
    assert set(made.images().values()) == {"2"}
    made.edit(rollbackTo=1)
    told = made.wait_for("Degraded", "InvalidSpec")
    assert "spec.rollbackTo: there is no revision 1 (there are: 2, 3, 4)" in told["message"]
    assert set(made.images().values()) == {"2"}
    made.edit(rollbackTo=None)
    made.wait_up(4)
    assert set(made.images().values()) == {"4"}
    # The same content is the same revision again.
    made.edit(image="registry.example/telltale:3")
    made.wait_up(3)


def test_an_invalid_edit_is_told_and_what_runs_stays(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up(1)
    made.edit(image=NEW, settings={"TELLTALE_PREFIX": "other."})
    told = made.wait_for("Degraded", "InvalidSpec")
    assert "spec.settings.TELLTALE_PREFIX: the operator sets this itself" in told["message"]
    assert "TELLTALE_PREFIX" in made.wait_for_event("InvalidSpec")
    assert set(made.images().values()) == {"1"}
    assert made.condition("Ready")["status"] == "True"
    assert told["observedGeneration"] == 2
    # Drift is put right all the same.
    made.client.delete(made.path_of("v1", "services", f"{made.name}-alerts"))
    wait_until(lambda: made.client.find(made.path_of("v1", "services", f"{made.name}-alerts")))
    made.edit(settings=None)
    made.wait_up(2)
    assert made.condition("Degraded")["status"] == "False"


def test_what_the_api_server_refuses_is_told_before_anything_is_changed(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up(1)
    made.edit(image=NEW, stages={"uplink": {"affinity": {"nodeAffinity": {"required": "yes"}}}})
    told = made.wait_for("Degraded", "InvalidSpec")
    assert "nodeAffinity" in told["message"]
    assert set(made.images().values()) == {"1"}
    made.edit(stages={"uplink": {"affinity": None}})
    made.wait_up(2)


def test_a_paused_pipeline_is_left_alone(pipeline: Make) -> None:
    made = pipeline(stages=FEW).wait_up(1)
    made.edit(paused=True)
    made.wait_for("Progressing", "Paused")
    made.edit(image=NEW)
    service = made.path_of("v1", "services", f"{made.name}-alerts")
    made.client.delete(service)
    time.sleep(1.5)
    assert set(made.images().values()) == {"1"}
    assert made.client.find(service) is None
    made.edit(paused=False)
    made.wait_up(2)
    assert set(made.images().values()) == {"2"}
    assert made.client.find(service) is not None
