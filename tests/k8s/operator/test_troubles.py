"""The API server goes, freezes and comes back: what was to be done is done when it answers again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.cluster import Cluster
from tests.controlplane.fixtures import SIMULATED
from tests.k8s.operator.operators import Operator, Pipeline, account, install, space

FEW = {name: {"enabled": False} for name in ("downlink", "geofences")}


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster to be troubled."""
    with Cluster.started() as cluster:
        install(cluster)
        yield cluster


def test_an_api_server_that_goes_and_freezes_in_an_upgrade_holds_it_up_and_nothing_else(
    own: Cluster, tmp_path: Path
) -> None:
    simulated = {"scheduler.alpha.kubernetes.io/node-selector": SIMULATED}
    with space(own, simulated) as place:
        kubeconfig = account(own, place, tmp_path / "kubeconfig")
        # Patient: the lead outlives what is done here to the API server.
        lease = {
            "TELLTALE_OPERATOR_LEASE_DURATION": "120s",
            "TELLTALE_OPERATOR_RENEW_DEADLINE": "100s",
            "TELLTALE_OPERATOR_RETRY_PERIOD": "1s",
        }
        operator = Operator(kubeconfig, place, tmp_path / "operator.log", **lease)
        operator.wait_for_lead()
        made = Pipeline(own, place, stages=FEW, upgrade={"minReady": "1s", "progressDeadline": "60s"})
        made.create().wait_up(1)
        made.edit(image="registry.example/telltale:2")
        own.restart()
        made.wait_up(2, within=90)
        made.edit(image="registry.example/telltale:3")
        with own.paused():
            pass
        made.wait_up(3, within=90)
        assert operator.stop() == 0
        faults = [
            line
            for line in operator.text.splitlines()
            # kopf calls it an error that nobody answers, and tries again.
            if '"level": "error"' in line and '"logger": "kopf' not in line
        ]
        assert faults == []
        made.client.patch(made.path, {"metadata": {"finalizers": []}})
