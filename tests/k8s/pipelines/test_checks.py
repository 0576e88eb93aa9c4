"""Whatever stands in a RulePipeline, it is read or its problems are told; what is read becomes manifests."""

import json
from typing import Any

import pytest
from hypothesis import given

from k8s.kinds import FOREIGN
from k8s.pipelines.checks import problems_of, read_shape, read_spec
from k8s.pipelines.desired import Capabilities, Revised, shared_manifests, stage_manifests
from k8s.pipelines.environment import variables
from k8s.pipelines.stages import STAGES
from tests.k8s.pipelines.specs import OWNER, broken, spec, specs, written

EVERYTHING = Capabilities(frozenset(kind.resource for kind in FOREIGN))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        pytest.param({"image": 1}, "spec.image: expected a text, found 1", id="an-image-that-is-a-number"),
        pytest.param({"imagePolicy": "x"}, "spec.imagePolicy: unknown field", id="an-unknown-field"),
        pytest.param({"kafka": {}}, "spec.kafka: 'bootstrap' is missing", id="no-kafka"),
        pytest.param(
            {"kafka": {"bootstrap": "k:99999"}}, "spec.kafka.bootstrap: 99999 is not a port", id="no-port"
        ),
        pytest.param(
            {"kafka": {"bootstrap": "k:1", "securityProtocol": "SASL_SSL"}},
            "spec.kafka.sasl: SASL_SSL needs",
            id="sasl",
        ),
        pytest.param(
            {"kafka": {"bootstrap": "k:1", "tls": {}}}, "spec.kafka.tls: PLAINTEXT is not", id="no-tls"
        ),
        pytest.param({"mqtt": None}, "spec.mqtt: needed by uplink and downlink", id="no-mqtt"),
        pytest.param({"mqtt": {"url": "m"}}, "this is called 'host' here", id="a-word-from-elsewhere"),
        pytest.param(
            {"stages": {"alerts": {"replicas": 9}}},
            "spec.stages.alerts.replicas: 9 workers for 8",
            id="too-many",
        ),
        pytest.param({"replicas": 9}, "spec.replicas: 9 workers for 8", id="too-many-together"),
        pytest.param(
            {"replicas": 8, "stages": {"alerts": {"canary": {}}}},
            "spec.stages.alerts.canary.replicas: 8 workers and 1 of the canary",
            id="no-room-together",
        ),
        pytest.param(
            {"stages": {"alerts": {"replicas": 8, "canary": {}}}},
            "spec.stages.alerts.canary.replicas",
            id="no-room",
        ),
        pytest.param(
            {"stages": {"alerts": {"canary": {"for": "10"}}}},
            "spec.stages.alerts.canary.for: '10'",
            id="no-unit",
        ),
        pytest.param(
            {"settings": {"TELLTALE_KAFKA_BOOTSTRAP": "x"}}, "this is said by spec.kafka", id="said-twice"
        ),
        pytest.param(
            {"deletionPolicy": "Delete", "topics": {"manage": "None"}},
            "spec.deletionPolicy: topics",
            id="not-ours",
        ),
        pytest.param(
            {"stages": {name: {"enabled": False} for name in STAGES}}, "no stage is enabled", id="nothing"
        ),
    ],
)
def test_a_problem_is_told_with_its_path(said: dict[str, Any], told: str) -> None:
    _, problems = read_spec({"metadata": {"name": "cars"}, "spec": written(**said)})
    assert any(told in str(problem) for problem in problems), [str(problem) for problem in problems]


def test_a_name_leaves_room_for_the_names_that_are_made_of_it() -> None:
    _, problems = read_spec({"metadata": {"name": "x" * 41}, "spec": written()})
    assert [str(problem)[:13] for problem in problems] == ["metadata.name"]
    longest = max(STAGES, key=len)
    assert len(f"{'x' * 40}-{longest}-canary") <= 63


@given(broken())
def test_anything_is_a_spec_or_has_problems(said: Any) -> None:
    read, problems = read_shape(said)
    assert (read is None) == bool(problems)
    assert all(str(problem).startswith("spec") for problem in problems)
    if read is not None:
        assert all(str(problem).startswith("spec") for problem in problems_of(read))


@pytest.mark.parametrize("said", [None, [], "x", 1, {}], ids=repr)
def test_what_is_no_mapping_has_problems(said: Any) -> None:
    read, problems = read_spec({"metadata": {"name": "x"}, "spec": said})
    assert read is None
    assert problems


@given(specs)
def test_every_spec_without_problems_becomes_manifests(said: dict[str, Any]) -> None:
    read, problems = read_shape(said)
    assert read is not None, [str(problem) for problem in problems]
    if problems_of(read):
        return
    for capabilities in (Capabilities(), EVERYTHING):
        made = shared_manifests(OWNER, Revised("r", read), capabilities)
        for stage in STAGES:
            own = stage_manifests(OWNER, Revised("r", read), stage, capabilities)
            assert bool(own) == (stage in read.stages.enabled)
            assert not own.keys() & made.keys(), "each resource belongs to one"
            made |= own
        json.dumps(list(made.values()))
        assert all(len(reference.name) <= 63 for reference in made)
        assert all(manifest["metadata"]["namespace"] == OWNER.namespace for manifest in made.values())


@given(specs)
def test_what_is_applied_never_holds_more_than_one_scaler_of_a_stage(said: dict[str, Any]) -> None:
    read, _ = read_shape(said)
    assert read is not None
    for stage in read.stages.enabled:
        made = stage_manifests(OWNER, Revised("r", read), stage, EVERYTHING)
        scalers = [one for one in made.values() if one["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")]
        (deployment,) = [one for one in made.values() if one["kind"] == "Deployment"]
        assert len(scalers) + ("replicas" in deployment["spec"]) <= 1


def test_no_label_of_an_author_replaces_one_of_ours() -> None:
    read = spec(stages={"alerts": {"podLabels": {"app.kubernetes.io/instance": "other", "team": "x"}}})
    (deployment,) = [
        one
        for one in stage_manifests(OWNER, Revised("r", read), "alerts", Capabilities()).values()
        if one["kind"] == "Deployment"
    ]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/instance"] == OWNER.name
    assert labels["team"] == "x"


def test_settings_are_what_the_stages_read() -> None:
    from pipeline.process.registry import load_process
    from pipeline.process.settings import load_settings

    read = spec(
        prefix="fleet.",
        settings={"TELLTALE_LOG_LEVEL": "debug"},
        stages={"uplink": {"settings": {"TELLTALE_UPLINK_RECEIVE_MAXIMUM": 500}}},
    )
    for stage in STAGES:
        settings = load_settings(load_process(stage).settings, None, variables(read, stage))
        assert (settings.prefix, settings.partitions, settings.log_level) == ("fleet.", 8, "debug")
        assert settings.kafka.bootstrap == "k:9092"
        assert settings.drain_timeout_s == 30
        if stage == "uplink":
            assert settings.uplink.receive_maximum == 500
            assert settings.mqtt.host == "m"
