"""The cluster with the kinds of ours."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from k8s.crds import CUSTOM_KINDS, directory
from tests.controlplane.client import ApiFailure, wait_until
from tests.controlplane.cluster import Cluster

Try = Callable[[dict[str, Any]], str | None]


@pytest.fixture(scope="session")
def cluster(control_plane: Cluster) -> Cluster:
    """Every CRD is applied and served."""
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", "-f", directory())
    for custom in CUSTOM_KINDS:
        wait_until(lambda kind=custom.kind: _is_served(control_plane, kind), saying=custom.kind.name)
    return control_plane


def _is_served(cluster: Cluster, kind: Any) -> bool:
    try:
        cluster.client.get(kind.path("default"))
    except ApiFailure:
        return False
    return True


@pytest.fixture
def attempt(cluster: Cluster, namespace: str) -> Try:
    """What the API server says against a document; None where it would take it. Nothing is kept."""
    kinds = {each.kind.name: each.kind for each in CUSTOM_KINDS}

    def once(document: dict[str, Any]) -> str | None:
        path = f"{kinds[document['kind']].path(namespace)}?dryRun=All&fieldValidation=Strict"
        try:
            cluster.client.create(path, json.loads(json.dumps(document)))
        except ApiFailure as failure:
            if failure.code not in (400, 422):
                raise
            return failure.message
        return None

    return once
