"""The cluster of a test run, and what each test has for itself in it: a namespace, a kubelet's node.

The workers of a run share one cluster: the first that asks starts its host, which belongs to the run and not
to the worker. `TELLTALE_TEST_CLUSTER` names the folder of one that is kept between runs.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.controlplane.build import cached, programs
from tests.controlplane.cluster import Cluster, start_shared_host
from tests.controlplane.kubelet import ProcessKubelet

SIMULATED = "telltale.dev/kubelet=simulated"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test's clock starts; a build that fails ends the run."""
    here = Path(__file__).parents[1] / "k8s"
    wanted = any(item.path.is_relative_to(here) for item in session.items)
    if wanted and not session.config.option.collectonly and not cached():
        programs()


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Cluster]:
    """A real control plane that all tests share; a test that troubles its cluster starts its own."""
    if kept := os.environ.get("TELLTALE_TEST_CLUSTER"):
        yield Cluster.joined(Path(kept))
        return
    if worker_id == "master":
        with Cluster.started() as cluster:
            yield cluster
        return
    shared = tmp_path_factory.getbasetemp().parent
    directory = shared / "cluster"
    with (shared / "cluster.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.exists():
            start_shared_host(directory, owner=os.getppid())
    yield Cluster.joined(directory)


@pytest.fixture
def namespace(control_plane: Cluster) -> Iterator[str]:
    """A namespace of this test's own, whose pods are simulated."""
    with _namespace(control_plane, {"scheduler.alpha.kubernetes.io/node-selector": SIMULATED}) as name:
        yield name


@pytest.fixture
def process_node(control_plane: Cluster) -> Iterator[ProcessKubelet]:
    """A node whose pods are local processes; `process_namespace` is where they go there."""
    with ProcessKubelet(control_plane) as kubelet:
        yield kubelet


@pytest.fixture
def process_namespace(control_plane: Cluster, process_node: ProcessKubelet) -> Iterator[str]:
    """A namespace of this test's own, whose pods run on `process_node`."""
    with _namespace(control_plane, process_node.annotations) as name:
        yield name


@contextmanager
def _namespace(cluster: Cluster, annotations: dict[str, str]) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex[:10]}"
    metadata = {"name": name, "annotations": annotations}
    cluster.client.create("/api/v1/namespaces", {"kind": "Namespace", "metadata": metadata})
    try:
        yield name
    finally:
        cluster.client.delete(f"/api/v1/namespaces/{name}")
