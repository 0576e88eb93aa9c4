"""The API server goes, freezes and comes back: what was to be done is done when it answers again."""

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.controlplane.fixtures import SIMULATED
from tests.controlplane.unreliable import UnreliableApi
from tests.k8s.operator.operators import Operator, Pipeline, account, install, space

FEW = {name: {"enabled": False} for name in ("downlink", "geofences")}


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A cluster to be troubled."""
    with Cluster.started() as cluster:
        install(cluster)
        yield cluster


def faults(operator: Operator) -> list[str]:
    """What the operator calls an error; kopf calls it one that nobody answers, and tries again."""
    return [
        line
        for line in operator.text.splitlines()
        if '"level": "error"' in line and '"logger": "kopf' not in line
    ]


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
            time.sleep(5.0)
        made.wait_up(3, within=90)
        assert operator.stop() == 0
        assert faults(operator) == []
        made.client.patch(made.path, {"metadata": {"finalizers": []}})


def test_refusals_lost_answers_and_cut_watches_delay_a_life_and_change_nothing_of_it(
    control_plane: Cluster, tmp_path: Path
) -> None:
    seed = random.randrange(1_000_000)
    install(control_plane)
    simulated = {"scheduler.alpha.kubernetes.io/node-selector": SIMULATED}
    patient = {
        "TELLTALE_OPERATOR_LEASE_DURATION": "60s",
        "TELLTALE_OPERATOR_RENEW_DEADLINE": "50s",
        "TELLTALE_OPERATOR_RETRY_PERIOD": "1s",
    }
    with space(control_plane, simulated) as place, UnreliableApi(control_plane, seed, 0.2) as way:
        kubeconfig = account(control_plane, place, tmp_path / "kubeconfig")
        kubeconfig.write_text(kubeconfig.read_text().replace(control_plane.server, way.url))
        operator = Operator(kubeconfig, place, tmp_path / "operator.log", **patient)
        made = Pipeline(control_plane, place, stages=FEW, upgrade={"progressDeadline": "60s"})
        try:
            operator.wait_for_lead()
            made.create().wait_up(1, within=90)
            made.edit(image="registry.example/telltale:2")
            made.wait_up(2, within=90)
            made.client.delete(made.path_of("apps/v1", "deployments", f"{made.name}-alerts"))
            # Not by the event of it, which is a courtesy and may be lost as anything may.
            wait_until(lambda: "alerts" in made.images(), within=60, saying="it is made again")
            made.wait_up(2, within=90)
            made.delete()
            wait_until(lambda: not made.exists, within=90, saying="the pipeline is gone")
        except AssertionError as failure:
            told = json.dumps(way.troubles)
            raise AssertionError(f"seed {seed}, {told}: {failure}\n{operator.text[-3000:]}") from None
        assert way.troubles.keys() > {"409", "429", "500", "503"}, seed
        assert faults(operator) == [], seed
        assert operator.stop() == 0
