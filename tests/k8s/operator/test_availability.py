"""Several operators, one acts: it may be killed at any moment, and what it had begun is finished."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.controlplane.client import wait_until
from tests.controlplane.cluster import Cluster
from tests.k8s.operator.operators import Operator, Pipeline

Start = Callable[..., Operator]
SHORTEST = {
    "TELLTALE_OPERATOR_LEASE_DURATION": "4s",
    "TELLTALE_OPERATOR_RENEW_DEADLINE": "3s",
    "TELLTALE_OPERATOR_RETRY_PERIOD": "200ms",
}
FEW = {name: {"enabled": False} for name in ("downlink", "geofences")}


@pytest.fixture
def start(kubeconfig: Path, place: str, tmp_path: Path) -> Iterator[Start]:
    """Starts operators of this test's own."""
    started: list[Operator] = []

    def one(**settings: str) -> Operator:
        log = tmp_path / f"operator-{len(started)}.log"
        started.append(Operator(kubeconfig, place, log, **settings))
        return started[-1]

    yield one
    for each in started:
        each.stop()


def holder(cluster: Cluster, place: str) -> str:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{place}/leases/telltale-operator"
    return str((cluster.client.find(path) or {}).get("spec", {}).get("holderIdentity", ""))


def test_one_of_two_acts_and_the_other_takes_over(start: Start, control_plane: Cluster, place: str) -> None:
    first = start()
    first.wait_for_lead()
    second = start()
    pipeline = Pipeline(control_plane, place, stages=FEW).create().wait_up()
    wait_until(lambda: '"message": "Started' in second.text)
    time.sleep(1.5)
    assert not second.leads
    led = holder(control_plane, place)

    first.kill()
    began = time.monotonic()
    pipeline.edit(image="registry.example/telltale:2")
    second.wait_for_lead(within=20)
    took = time.monotonic() - began
    # Not before the Lease of the one that was killed has run out, and not long after it.
    assert 2.0 < took < 10.0, took
    assert holder(control_plane, place) != led
    pipeline.wait_up(2)

    # Whoever is asked to end gives the lead back: the next need not wait.
    third = start()
    wait_until(lambda: '"message": "Started' in third.text)
    time.sleep(1.0)
    assert not third.leads
    began = time.monotonic()
    assert second.stop() == 0
    third.wait_for_lead(within=10)
    assert time.monotonic() - began < 3.5
    pipeline.delete()
    wait_until(lambda: not pipeline.exists)


def test_a_leader_that_was_frozen_does_not_act_when_it_wakes(
    start: Start, control_plane: Cluster, place: str
) -> None:
    first = start()
    first.wait_for_lead()
    second = start()
    first.process.send_signal(19)
    try:
        second.wait_for_lead(within=20)
    finally:
        first.process.send_signal(18)
    assert first.process.wait(timeout=15) == 1
    assert "The lead is lost" in first.text
    assert second.process.poll() is None


def test_an_operator_killed_at_any_moment_continues_where_it_was(
    start: Start, control_plane: Cluster, place: str
) -> None:
    seed = random.randrange(1_000_000)
    chance = random.Random(seed)
    pipeline = Pipeline(control_plane, place, stages=FEW)
    pipeline.create()
    for revision in (1, 2, 3):
        if revision > 1:
            pipeline.edit(image=f"registry.example/telltale:{revision}")
        operator = start(**SHORTEST)
        operator.wait_for_lead()
        time.sleep(chance.uniform(0.0, 0.8))
        operator.kill()
    last = start(**SHORTEST)
    last.wait_for_lead()
    try:
        # Which revision that is, is left to chance: who was killed before the first write recorded none.
        pipeline.wait_up()
    except AssertionError as failure:
        raise AssertionError(f"seed {seed}: {failure}") from None
    assert set(pipeline.images().values()) == {"3"}, seed
    kept = sorted(each["revision"] for each in pipeline.resources("apps/v1", "controllerrevisions"))
    assert kept == list(range(1, len(kept) + 1)), (seed, kept)
    assert pipeline.status["revision"] == kept[-1] <= 3, (seed, kept)

    pipeline.delete()
    time.sleep(chance.uniform(0.0, 1.0))
    last.kill()
    start(**SHORTEST).wait_for_lead()
    wait_until(lambda: not pipeline.exists, saying=f"the deletion is finished, seed {seed}")
