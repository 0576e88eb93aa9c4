"""The operator has the rights that it uses, and uses those that it has: by the API server's audit log."""

from pathlib import Path

from k8s.kinds import FOREIGN
from k8s.operator.rights import lease_rules, pipeline_rules
from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.controlplane.fixtures import SIMULATED
from tests.k8s.foreign import manifest
from tests.k8s.operator.operators import Operator, Pipeline, account, install, space

FEW = {name: {"enabled": False} for name in ("downlink", "geofences", "aggregations", "uplink")}
SASL = {
    "bootstrap": "kafka:9093",
    "securityProtocol": "SASL_SSL",
    "sasl": {"username": "telltale", "passwordSecret": {"name": "user", "key": "password"}},
}
NEVER_A_REQUEST = {("update", "rulepipelines/finalizers"), ("update", "leases")}
"""Asked by admission, of whoever writes an owner reference; and the renewal of a Lease that was just got."""


def granted(cluster: Cluster) -> set[tuple[str, str]]:
    """Verbs and resources of the operator's rules, without those for absent kinds."""
    there = {kind.plural for kind in FOREIGN if manifest(kind.plural).exists()}
    absent = {kind.plural for kind in FOREIGN} - there
    return {
        (verb, resource)
        for rule in [*pipeline_rules(), *lease_rules()]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if resource not in absent
    }


def test_every_right_is_used_and_none_is_missing(control_plane: Cluster, tmp_path: Path) -> None:
    install(control_plane)
    for kind in FOREIGN:
        if (path := manifest(kind.plural)).exists():
            control_plane.kubectl("apply", "--server-side", "-f", path)
    mark = control_plane.mark()
    with space(control_plane, {"scheduler.alpha.kubernetes.io/node-selector": SIMULATED}) as place:
        operator = Operator(account(control_plane, place, tmp_path / "kubeconfig"), place, tmp_path / "log")
        try:
            operator.wait_for_lead()
            _everything(control_plane, place)
        finally:
            operator.stop()
    user = f"system:serviceaccount:{place}:operator"
    calls = [call for call in control_plane.calls(mark, user=user) if call.resource]
    refused = {f"{call.verb} {call.resource}" for call in calls if call.code in (401, 403)}
    assert refused == set()
    used = {(call.verb, call.resource) for call in calls}
    # A server-side apply of what was not there needs the right to create it.
    used |= {("create", call.resource) for call in calls if call.verb == "patch" and call.code == 201}
    assert granted(control_plane) - used - NEVER_A_REQUEST == set()


def _everything(cluster: Cluster, place: str) -> None:
    """A life in which every kind is made, changed and taken away."""
    scaled = {"autoscaling": {"maxReplicas": 4}}
    made = Pipeline(
        cluster,
        place,
        kafka=SASL,
        stages={**FEW, "uplink": scaled, "normalize": scaled},
        revisionHistoryLimit=1,
    )
    made.create().wait_up(1)
    made.edit(image="registry.example/telltale:2", monitoring={"enabled": False})
    made.wait_up(2)
    made.edit(stages={"uplink": {"enabled": False}, "normalize": {"autoscaling": None}})
    made.wait_up(3)
    made.edit(image="registry.example/telltale:4", networkPolicies={"enabled": False})
    made.wait_up(4)
    topics = {"manage": "Strimzi", "strimzi": {"cluster": "kafka"}}
    other = Pipeline(cluster, place, stages=FEW, topics=topics, deletionPolicy="Delete").create().wait_up()
    for each in (made, other):
        each.delete()
    wait_until(lambda: not made.exists and not other.exists, saying="both are gone")
