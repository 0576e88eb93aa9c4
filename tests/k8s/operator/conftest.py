"""One operator for the tests of a module, in a namespace of its own, with the chart's rights alone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.controlplane.fixtures import SIMULATED
from tests.k8s.operator.operators import PIPELINES, Operator, Pipeline, account, install, space


@pytest.fixture(scope="module")
def place(control_plane: Cluster) -> Iterator[str]:
    """The namespace of a module, whose pods are simulated."""
    install(control_plane)
    with space(control_plane, {"scheduler.alpha.kubernetes.io/node-selector": SIMULATED}) as name:
        yield name


@pytest.fixture(scope="module")
def kubeconfig(control_plane: Cluster, place: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return account(control_plane, place, tmp_path_factory.mktemp("operator") / "kubeconfig")


@pytest.fixture(scope="module")
def operator(control_plane: Cluster, kubeconfig: Path, place: str) -> Iterator[Operator]:
    """An operator that leads."""
    started = Operator(kubeconfig, place, kubeconfig.parent / "operator.log")
    try:
        started.wait_for_lead()
        yield started
        # What the tests have deleted is cleaned up as long as somebody does it.
        wait_until(
            lambda: not control_plane.client.list(PIPELINES.format(place)), within=90, saying="all are gone"
        )
    finally:
        assert started.stop() == 0, started.text[-4000:]
    problems = [line for line in started.text.splitlines() if '"level": "error"' in line]
    assert problems == [], problems


@pytest.fixture
def pipeline(operator: Operator, control_plane: Cluster, place: str) -> Iterator[Callable[..., Pipeline]]:
    """Makes pipelines that the operator looks after."""
    made: list[Pipeline] = []

    def make(**spec: Any) -> Pipeline:
        made.append(Pipeline(control_plane, place, **spec).create())
        return made[-1]

    yield make
    for each in made:
        each.delete()
