"""A canary is promoted or rolled back by itself, from what the workers' own metrics say.

The pods are real processes with real HTTP ports: stages that only count, as fast and as wrong as their image.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.controlplane.kubelet import ProcessKubelet
from tests.controlplane.pods import Image
from tests.k8s.operator.operators import Operator, Pipeline, install, space

Make = Callable[..., Pipeline]
PROGRAM = Path(__file__).parent / "program"
OTHERS = ("uplink", "normalize", "geofences", "aggregations", "downlink")
STABLE = "registry.example/telltale:stable"


def image(records: float = 2000.0, errors: float = 0.04, outcomes: float = 0.1) -> Image:
    environment = {"FAKE_RECORDS": records, "FAKE_ERRORS": errors, "FAKE_OUTCOMES": outcomes}
    return Image({key: str(value) for key, value in environment.items()}, PROGRAM)


IMAGES = {
    "stable": image(),
    "good": image(),
    "doubles": image(errors=0.08),
    "silent": image(outcomes=0.01),
    "idle": image(records=0.0),
}


@pytest.fixture(scope="module")
def place(control_plane: Cluster) -> Iterator[str]:
    """A namespace whose pods are processes."""
    install(control_plane)
    with (
        ProcessKubelet(
            control_plane, {f"registry.example/telltale:{tag}": it for tag, it in IMAGES.items()}
        ) as node,
        space(control_plane, node.annotations) as name,
    ):
        yield name
        wait_until(
            lambda: not control_plane.client.list(f"/api/v1/namespaces/{name}/pods"),
            within=60,
            saying="all pods have ended",
        )


def canary(**said: Any) -> dict[str, Any]:
    stages: dict[str, Any] = {name: {"enabled": False} for name in OTHERS}
    stages["alerts"] = {"canary": {"replicas": 1, "for": "2s", **said}, "topologySpread": []}
    return {"image": STABLE, "stages": stages, "upgrade": {"minReady": "0s", "progressDeadline": "20s"}}


def tracks(made: Pipeline) -> dict[str, str]:
    """The image of each track of the stage."""
    return {
        each["metadata"]["labels"]["telltale.dev/track"]: each["spec"]["template"]["spec"]["containers"][0][
            "image"
        ].rpartition(":")[2]
        for each in made.resources("apps/v1", "deployments")
    }


def seen_until(made: Pipeline, done: Callable[[], bool]) -> list[dict[str, str]]:
    """The images that the tracks had on the way."""
    seen: list[dict[str, str]] = []

    def look() -> bool:
        now = tracks(made)
        if not seen or seen[-1] != now:
            seen.append(now)
        return done()

    wait_until(look, within=60, every=0.05, saying=f"done; seen {seen}, {made.status}")
    return seen


def test_a_canary_goes_on_where_a_killed_operator_was(
    control_plane: Cluster, place: str, kubeconfig: Path, tmp_path: Path
) -> None:
    # The first test of the module: its operators lead before the module's own does.
    lease = {
        "TELLTALE_OPERATOR_LEASE_DURATION": "4s",
        "TELLTALE_OPERATOR_RENEW_DEADLINE": "3s",
        "TELLTALE_OPERATOR_RETRY_PERIOD": "200ms",
    }
    first = Operator(kubeconfig, place, tmp_path / "first.log", **lease)
    first.wait_for_lead()
    said = canary(**{"for": "6s"})
    made = Pipeline(control_plane, place, **said).create().wait_up(1)
    made.edit(image="registry.example/telltale:good")
    wait_until(lambda: made.status.get("canary", {}).get("startedAt"), saying="it is compared")
    began = made.status["canary"]["startedAt"]
    first.kill()
    second = Operator(kubeconfig, place, tmp_path / "second.log", **lease)
    try:
        second.wait_for_lead()
        made.wait_up(2)
        assert made.status["canary"]["startedAt"] == began
        assert made.status["canary"]["state"] == "Promoted"
    finally:
        made.delete()
        wait_until(lambda: not made.exists)
        second.stop()


def test_a_new_image_that_is_as_good_is_promoted(pipeline: Make) -> None:
    made = pipeline(**canary()).wait_up(1)
    wait_until(lambda: made.status["stages"]["alerts"].get("lag") == 7, saying="the lag is known")
    began = time.monotonic()
    made.edit(image="registry.example/telltale:good")
    seen = seen_until(made, lambda: made.is_up(2))
    assert time.monotonic() - began > 2.0
    assert {"stable": "stable", "canary": "good"} in seen
    assert seen[-1] == {"stable": "good"}
    assert {"stable": "good"} not in seen[:-1]
    assert made.status["canary"]["state"] == "Promoted"
    reasons = [reason for _, reason, _ in made.events()]
    assert "CanaryComparing" in reasons


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        pytest.param("doubles", "errors are", id="twice-the-errors"),
        pytest.param("silent", "outcomes for each record", id="a-tenth-of-the-outcomes"),
    ],
)
def test_a_new_image_that_is_worse_is_rolled_back_without_a_person(
    pipeline: Make, tag: str, why: str
) -> None:
    made = pipeline(**canary()).wait_up(1)
    made.edit(image=f"registry.example/telltale:{tag}")

    def rolled_back() -> bool:
        return bool(made.condition("Degraded").get("reason") == "RolledBack" and made.is_up(1))

    seen = seen_until(made, rolled_back)
    assert {"stable": "stable", "canary": tag} in seen
    assert all(each["stable"] == "stable" for each in seen), seen
    degraded = made.condition("Degraded")
    assert f"revision 2, alerts: CanaryFailed: {why}" in degraded["message"]
    assert why in made.wait_for_event("CanaryFailed")
    wait_until(lambda: tracks(made) == {"stable": "stable"}, saying="the canary is taken away")
    assert made.status["canary"]["state"] == "RolledBack"


def test_a_canary_that_saw_nothing_is_not_promoted(pipeline: Make) -> None:
    made = pipeline(**canary()).wait_up(1)
    made.edit(image="registry.example/telltale:idle")
    told = made.wait_for("Progressing", "CanaryWaitingForRecords")
    assert "0 records seen, 100 are needed" in told["message"]
    assert tracks(made) == {"stable": "stable", "canary": "idle"}
    made.edit(image=STABLE)
    made.wait_up(1)
    wait_until(lambda: tracks(made) == {"stable": "stable"}, saying="the canary is taken away")


def test_a_canary_that_does_not_come_up_is_rolled_back(pipeline: Make) -> None:
    said = canary()
    said["upgrade"]["progressDeadline"] = "4s"
    said["topics"] = {"manage": "None"}
    made = pipeline(**said).wait_up(1)
    made.edit(image="registry.example/telltale:bad-1")
    degraded = made.wait_for("Degraded", "RolledBack", within=60)
    assert "it does not come up" in degraded["message"]
    made.wait_up(1)
