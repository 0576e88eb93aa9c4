"""A RulePipeline becomes what it says, and stays so whatever others do to it."""

import json
from collections.abc import Callable
from typing import Any
from urllib.request import urlopen

from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.k8s.operator.operators import Operator, Pipeline

STAGES = {"uplink", "normalize", "alerts", "geofences", "aggregations", "downlink"}
Make = Callable[..., Pipeline]


def components(resources: list[dict[str, Any]]) -> set[str]:
    return {each["metadata"]["labels"]["app.kubernetes.io/component"] for each in resources}


def test_a_pipeline_becomes_everything_that_it_needs(pipeline: Make) -> None:
    made = pipeline(
        stages={
            "alerts": {"replicas": 2},
            "normalize": {"autoscaling": {"maxReplicas": 8}},
            "uplink": {"autoscaling": {"maxReplicas": 3}},
        }
    ).wait_up()
    for group, plural in (
        ("apps/v1", "deployments"),
        ("v1", "services"),
        ("v1", "serviceaccounts"),
        ("policy/v1", "poddisruptionbudgets"),
        ("networking.k8s.io/v1", "networkpolicies"),
    ):
        found = made.resources(group, plural)
        assert components(found) == STAGES, plural
        uid = made.client.get(made.path)["metadata"]["uid"]
        assert all(each["metadata"]["ownerReferences"][0]["uid"] == uid for each in found), plural
    assert components(made.resources("v1", "configmaps")) == {*STAGES, "topics"}
    (job,) = made.resources("batch/v1", "jobs")
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["telltale", "topics", "create"]
    scaled = {
        *components(made.resources("autoscaling/v2", "horizontalpodautoscalers")),
        *components(made.resources("keda.sh/v1alpha1", "scaledobjects")),
    }
    assert scaled == {"normalize", "uplink"}
    status = made.status
    assert status["readyStages"] == "6/6"
    assert status["stages"]["alerts"]["ready"] == 2
    assert {each["type"]: each["status"] for each in status["conditions"]} == {
        "Ready": "True",
        "Progressing": "False",
        "Degraded": "False",
    }
    columns = made.cluster.kubectl("get", "rulepipeline", made.name, "-n", made.namespace)
    assert columns.splitlines()[1].split()[:4] == [made.name, "True", "6/6", "1"]


def test_a_pod_can_do_nothing_but_its_work(pipeline: Make) -> None:
    made = pipeline(
        kafka={
            "bootstrap": "kafka:9093",
            "securityProtocol": "SASL_SSL",
            "sasl": {"username": "telltale", "passwordSecret": {"name": "user", "key": "password"}},
            "tls": {"ca": {"name": "cluster-ca", "key": "ca.crt"}},
        },
        stages={name: {"enabled": False} for name in STAGES - {"alerts"}},
    )
    made.wait_up()
    pod = made.deployment("alerts")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    settings = made.client.get(
        made.path_of("v1", "configmaps", container["envFrom"][0]["configMapRef"]["name"])
    )
    said = settings["data"]
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert said["TELLTALE_KAFKA_SASL_PASSWORD_FILE"].rpartition("/")[0] in mounted
    assert said["TELLTALE_KAFKA_SSL_CAFILE"].rpartition("/")[0] in mounted
    assert float(said["TELLTALE_DRAIN_TIMEOUT"].removesuffix("s")) < pod["terminationGracePeriodSeconds"]
    assert settings["immutable"] is True
    # The API server's own strictest profile takes the pod.
    strict = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    made.client.patch(f"/api/v1/namespaces/{made.namespace}", strict)
    try:
        template = made.deployment("alerts")["spec"]["template"]
        probe = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "strict"}, "spec": template["spec"]}
        made.cluster.kubectl(
            "create", "--dry-run=server", "-n", made.namespace, "-f", "-", stdin=json.dumps(probe)
        )
    finally:
        lax = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": None}}}
        made.client.patch(f"/api/v1/namespaces/{made.namespace}", lax)


def test_what_is_deleted_is_made_again(pipeline: Make) -> None:
    made = pipeline().wait_up()
    settings = made.resources("v1", "configmaps")[0]["metadata"]["name"]
    for group, plural, name in (
        ("apps/v1", "deployments", f"{made.name}-alerts"),
        ("v1", "services", f"{made.name}-alerts"),
        ("v1", "configmaps", settings),
        ("policy/v1", "poddisruptionbudgets", f"{made.name}-uplink"),
    ):
        path = made.path_of(group, plural, name)
        before = made.client.get(path)["metadata"]["uid"]
        made.client.delete(path)

        def made_again(path: str = path, before: str = before) -> bool:
            found = made.client.find(path)
            return found is not None and found["metadata"]["uid"] != before

        wait_until(made_again, saying=f"{name} is made again")
    assert "was missing" in made.wait_for_event("PutRight")
    made.wait_up()


def test_changes_by_hand_are_undone_and_what_others_own_is_left_alone(pipeline: Make) -> None:
    made = pipeline(stages={"alerts": {"replicas": 2}}).wait_up()
    deployment = made.path_of("apps/v1", "deployments", f"{made.name}-alerts")
    words = ("-n", made.namespace, f"deployment/{made.name}-alerts")
    made.cluster.kubectl("annotate", *words, "example.com/team=powertrain")
    made.cluster.kubectl("rollout", "restart", *words)
    made.cluster.kubectl("set", "image", *words, "alerts=registry.example/other:9")
    made.cluster.kubectl("scale", *words, "--replicas=5")

    def put_right() -> bool:
        spec = made.client.get(deployment)["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        return (image, spec["replicas"]) == ("registry.example/telltale:1", 2)

    wait_until(put_right, saying="image and replicas are as the pipeline says")
    found = made.client.get(deployment)
    assert found["metadata"]["annotations"]["example.com/team"] == "powertrain"
    template = found["spec"]["template"]["metadata"]
    assert "kubectl.kubernetes.io/restartedAt" in template["annotations"]
    assert "changed by somebody else" in made.wait_for_event("PutRight")


def test_a_pipeline_at_rest_costs_no_request(
    pipeline: Make, operator: Operator, control_plane: Cluster
) -> None:
    made = pipeline().wait_up()
    passes, mark = _passes(operator), control_plane.mark()
    # A change that means nothing is a reason to look, and none to ask or to write.
    made.client.patch(made.path, {"metadata": {"annotations": {"example.com/note": "x"}}})
    wait_until(lambda: _passes(operator) > passes, saying="a pass is made")
    asked = [
        f"{call.verb} {call.resource}"
        for call in control_plane.calls(mark, user=f"system:serviceaccount:{made.namespace}:operator")
        if call.resource != "leases" and call.verb != "watch" and made.name in call.name
    ]
    assert asked == []


def _passes(operator: Operator) -> float:
    with urlopen(f"http://127.0.0.1:{operator.port}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("telltale_operator_passes_total{")
    )
