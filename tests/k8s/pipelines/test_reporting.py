"""What the scale subresource says of a pipeline, from where its Deployments stand."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8s.pipelines.checks import problems_of, read_shape
from k8s.pipelines.deployments import Standing
from k8s.pipelines.desired import Capabilities, Revised, stage_manifests
from k8s.pipelines.names import STABLE
from k8s.pipelines.reporting import Report, status_of
from k8s.pipelines.revisions import Revision, content_of, scaled
from k8s.pipelines.rollout import Course
from k8s.pipelines.spec import RulePipelineSpec
from k8s.pipelines.stages import STAGES
from k8s.pipelines.status import RulePipelineStatus
from k8s.pipelines.target import Target
from tests.k8s.pipelines.specs import OWNER, spec, specs

FOLLOWING = {"uplink": {"replicas": 2}, "downlink": {"autoscaling": {"maxReplicas": 3}}}
"""Leaves normalize, alerts, geofences and aggregations."""


def reported(read: RulePipelineSpec, **pods: int) -> RulePipelineStatus:
    """The status where stages have so many pods, none of them ready."""
    revision = Revision("r", 1, read)
    standings = {
        (stage, STABLE): Standing(
            template="",
            revision="r",
            wanted=count,
            pods=count,
            ready=0,
            updated=0,
            image="",
            rolled_out=False,
            stuck=None,
        )
        for stage, count in pods.items()
    }
    report = Report(
        name="cars",
        generation=1,
        target=Target(revision, revision),
        course=Course(),
        standings=standings,
        revisions={"r": revision},
    )
    return status_of(report, RulePipelineStatus(), "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("said", "pods", "told"),
    [
        pytest.param(3, (1, 3, 3, 3), 1, id="the-last-comes"),
        pytest.param(1, (3, 1, 1, 1), 3, id="the-last-goes"),
        pytest.param(3, (3, 3, 3, 4), 4, id="one-is-rolled-out"),
        pytest.param(0, (0, 0, 2, 0), 2, id="zero-is-not-reached"),
        pytest.param(0, (0, 0, 0, 0), 0, id="zero"),
        pytest.param(2, (2, 2, 2, 2), 2, id="done-and-none-is-ready"),
        pytest.param(None, (4, 2, 3, 3), 2, id="the-fewest-where-nobody-says-how-many"),
    ],
)
def test_there_are_as_many_as_is_said_only_when_every_stage_has_them(
    said: int | None, pods: tuple[int, ...], told: int
) -> None:
    read = spec(stages=FOLLOWING, replicas=said)
    four = dict(zip(("normalize", "alerts", "geofences", "aggregations"), pods, strict=True))
    assert reported(read, **four, uplink=7, downlink=8).replicas == told


def test_a_stage_that_is_not_there_yet_has_no_pods() -> None:
    assert reported(spec(stages=FOLLOWING, replicas=2), normalize=2, geofences=2, alerts=2).replicas == 0


def test_where_no_stage_follows_nothing_is_scaled_and_nothing_found() -> None:
    status = reported(spec(stages={name: {"replicas": 2} for name in STAGES}, replicas=3))
    assert (status.replicas, status.selector) == (0, "")


@given(specs)
def test_the_selector_finds_the_pods_of_one_stage_that_follows(said: dict[str, Any]) -> None:
    read, _ = read_shape(said)
    assert read is not None
    selector = reported(read).selector
    if not read.scaled_together:
        assert selector == ""
        return
    wanted = dict(each.split("=") for each in selector.split(","))
    found = []
    for stage in STAGES:
        for made in stage_manifests(OWNER, Revised("r", read), stage, Capabilities()).values():
            if made["kind"] == "Deployment":
                labels = made["spec"]["template"]["metadata"]["labels"]
                if wanted.items() <= labels.items():
                    found.append(stage)
    assert len(found) == 1
    assert found[0] in read.scaled_together


@given(specs, st.none() | st.integers(0, 12))
def test_a_number_changes_the_replicas_of_stages_that_follow_and_nothing_else(
    said: dict[str, Any], count: int | None
) -> None:
    read, _ = read_shape(said)
    assert read is not None
    (after,) = (each.spec for each in scaled({"r": Revision("r", 1, read)}, count).values())
    assert content_of(after) == content_of(read), "it is the same revision"
    for stage in read.stages.enabled:
        one, other = (
            _without_replicas(stage_manifests(OWNER, Revised("r", it), stage, Capabilities()))
            for it in (read, after)
        )
        assert one[0] == other[0]
        if stage in read.scaled_together:
            assert other[1] == count
        else:
            assert one[1] == other[1]


def _without_replicas(made: Any) -> tuple[Any, int | None]:
    """The manifests but the Deployment's number and the hash of what was applied; and that number."""
    number = None
    rest = {}
    for reference, manifest in made.items():
        body = {key: value for key, value in manifest.items() if key != "metadata"}
        if manifest["kind"] == "Deployment":
            number = manifest["spec"].get("replicas")
            body["spec"] = {key: value for key, value in manifest["spec"].items() if key != "replicas"}
        rest[reference] = body
    return rest, number


@given(specs)
def test_a_valid_spec_never_asks_for_more_workers_than_partitions(said: dict[str, Any]) -> None:
    read, _ = read_shape(said)
    assert read is not None
    if problems_of(read):
        return
    for stage in read.scaled_together:
        canary = read.stages.of(stage).canary
        if read.replicas is not None and stage != "uplink":
            assert read.replicas + (canary.replicas if canary else 0) <= read.partitions
