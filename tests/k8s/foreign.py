"""CRDs of the projects that an installation meets, as those projects publish them.

They are test data beside the checkout and no part of it. Where they are not, nothing is held to them.
"""

from pathlib import Path
from typing import Any

from tests.controlplane.cluster import Cluster

FOLDER = Path(__file__).parents[3] / "shared" / "crds"
ARE_HERE = FOLDER.is_dir()


def manifest(name: str) -> Path:
    """The file of a CRD, by its plural: `kafkausers`."""
    return FOLDER / f"{name}.yaml"


def install(cluster: Cluster, *names: str) -> None:
    """Bring these kinds to a cluster; where their own CRDs are not here, such as take everything."""
    if ARE_HERE:
        files = [word for name in names for word in ("-f", manifest(name))]
        cluster.kubectl("apply", "--server-side", *files)
    else:
        cluster.apply(*(_open_crd(name) for name in names))


_KINDS = {
    "emqxes": ("apps.emqx.io", "v2beta1", "EMQX"),
    "kafkas": ("kafka.strimzi.io", "v1", "Kafka"),
    "kafkanodepools": ("kafka.strimzi.io", "v1", "KafkaNodePool"),
    "kafkausers": ("kafka.strimzi.io", "v1", "KafkaUser"),
    "servicemonitors": ("monitoring.coreos.com", "v1", "ServiceMonitor"),
}


def _open_crd(plural: str) -> dict[str, Any]:
    group, version, kind = _KINDS[plural]
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
            ],
        },
    }
