"""The counting stage as processes on a real Kafka: after every fault nothing is missing, nothing is twice."""

import json
import signal
import time
from pathlib import Path

import pytest

from bridges.embedded import EmbeddedKafka
from tests.runtime.counting import INPUT, OUTPUT
from tests.runtime.real import CHANGELOG, DEAD, PARTITIONS, SESSION_S, World, wait_until

pytestmark = pytest.mark.integration


def test_a_stage_commits_restores_and_ends_in_good_order(world: World) -> None:
    world.create_topics()
    worker = world.worker("one").wait_ready()
    world.send(400, aborted=30)
    world.wait_for_outputs(400)
    assert worker.metric("telltale_counting_records_total") == 400
    assert worker.metric("telltale_counting_partitions") == 2 * PARTITIONS
    assert worker.metric("telltale_counting_failures_total") == 0
    worker.drain()
    assert not list(world.empty_directory.iterdir())  # it may be read-only in a pod
    assert "Starting..." not in worker.tail()  # what Faust says of its parts is for debugging
    world.assert_exactly_once()
    world.send(50, aborted=5)
    worker = world.worker("two").wait_ready()
    world.wait_for_outputs(450)
    wait_until(lambda: worker.metric("telltale_counting_lag_records") == 0, "no lag")
    worker.drain()
    world.assert_exactly_once()
    ends = dict.fromkeys(range(PARTITIONS), 0)
    for record in world.read(INPUT):
        ends[record.partition] = record.offset + 1
    assert all(world.group_offsets()[number] >= end for number, end in ends.items())


@pytest.mark.faults
@pytest.mark.parametrize("point", ["begin", "produced", "committed"])
def test_a_kill_inside_a_transaction_loses_and_doubles_nothing(world: World, point: str) -> None:
    world.create_topics()
    hit = world.directory / "hit"
    worker = world.worker(
        "one", TELLTALE_FAILPOINTS=f"{point}:3", TELLTALE_FAILPOINT_FILE=str(hit)
    ).wait_ready()
    for _ in range(20):
        if not worker.alive:
            break
        world.send(40)
    assert worker.wait() == -signal.SIGKILL
    assert hit.read_text().split() == [point]
    world.send(100)
    world.worker("one").wait_ready()
    world.wait_for_outputs(len(world.read(INPUT)))
    world.assert_exactly_once()


@pytest.mark.faults
def test_kills_joins_and_leaves_under_load_lose_and_double_nothing(world: World) -> None:
    world.create_topics()
    first = world.worker("one").wait_ready()
    world.send(1_500, special={700: b"poison", 701: b"delete", 900: b"huge"})
    second = world.worker("two")
    world.send(500)
    second.wait_ready()
    world.send(500, aborted=20)
    first.kill()
    first = world.worker("one")  # within its session time-out: nothing moves
    world.send(500)
    first.wait_ready()
    second.drain()
    world.send(500)
    second = world.worker("two").wait_ready()
    first.kill()  # for good: its partitions move when its session is over
    world.send(500, aborted=20)
    world.wait_for_outputs(len(world.read(INPUT)) - 1)
    second.wait_ready()
    second.drain()
    world.assert_exactly_once()
    assert {dict(record.headers)["code"] for record in world.read(DEAD)} == {
        b"processing-failed",
        b"output-too-large",
    }


@pytest.mark.faults
def test_a_worker_that_sleeps_past_its_session_and_wakes_takes_nothing_from_the_new_owner(
    world: World,
) -> None:
    world.create_topics()
    sleeper, other = world.worker("sleeper"), world.worker("other")
    sleeper.wait_ready()
    other.wait_ready()
    world.send(400)
    sleeper.signal(signal.SIGSTOP)
    world.send(400)
    # The other one has everything as soon as it writes to every partition.
    world.wait_for_outputs(800)
    assert other.metric("telltale_counting_partitions") == 2 * PARTITIONS
    world.send(200)
    sleeper.signal(signal.SIGCONT)
    world.send(200)
    wait_until(
        lambda: (
            sleeper.ready() and other.ready() and other.metric("telltale_counting_partitions") == PARTITIONS
        ),
        "both have their share again",
    )
    world.send(200)
    world.wait_for_outputs(1_400)
    sleeper.drain()
    other.drain()
    world.assert_exactly_once()


@pytest.mark.faults
def test_a_restart_within_the_session_time_out_moves_nothing(world: World) -> None:
    world.create_topics()
    one, two = world.worker("one"), world.worker("two")
    one.wait_ready()
    two.wait_ready()
    wait_until(lambda: two.metric("telltale_counting_partitions") == PARTITIONS, "each has half")
    takeovers = two.metric("telltale_counting_restore_seconds_count")
    one.kill()
    began = time.monotonic()
    one = world.worker("one").wait_ready()
    world.send(100)
    world.wait_for_outputs(100)
    if time.monotonic() - began < SESSION_S:  # on a machine too slow for that, they may move
        assert two.metric("telltale_counting_restore_seconds_count") == takeovers
    world.assert_exactly_once()


@pytest.mark.faults
def test_a_broker_that_is_killed_and_comes_back_costs_nothing(prefix: str, tmp_path: Path) -> None:
    with EmbeddedKafka() as kafka:
        world = World(kafka.bootstrap, prefix, tmp_path)
        try:
            world.create_topics()
            worker = world.worker("one").wait_ready()
            world.send(1_000)
            kafka.kill()
            wait_until(lambda: worker.get("/readyz")[0] == 503, "readiness says that Kafka is away")
            assert worker.get("/healthz")[0] == 200
            kafka.restart()
            world.send(400)
            world.wait_for_outputs(len(world.read(INPUT)))
            wait_until(worker.ready, "ready again")
            worker.drain()
            world.assert_exactly_once()
        finally:
            world.clean_up()


def test_topics_that_do_not_fit_end_the_worker_with_every_difference(world: World) -> None:
    world.create_topics(only=(INPUT, OUTPUT, CHANGELOG), partitions={OUTPUT: 3})
    worker = world.worker("one")
    assert worker.wait() == 4
    log = worker.tail()
    assert f"{world.prefix}{OUTPUT}: has 3 partitions, must have 4" in log
    assert f"{world.prefix}{DEAD}: does not exist" in log
    assert "telltale topics create" in log


def test_topics_that_do_not_exist_are_named_and_waited_for(world: World) -> None:
    world.create_topics(only=(INPUT, CHANGELOG))
    worker = world.worker("one")
    told = f"there are no topics {world.prefix}{OUTPUT}, {world.prefix}{DEAD}; `telltale topics create`"
    wait_until(lambda: told in worker.get("/readyz")[1], "readiness names them")
    lines = [json.loads(line) for line in worker.tail().splitlines() if told in line]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("warning", "Waiting for the topics in Kafka")
    ]
    world.create_topics(only=(OUTPUT, DEAD))
    worker.wait_ready()
    world.send(40)
    world.wait_for_outputs(40)
    worker.drain()
    world.assert_exactly_once()


def test_topics_that_nobody_makes_end_the_wait_with_their_names(world: World) -> None:
    world.create_topics(only=(INPUT, OUTPUT, CHANGELOG))
    worker = world.worker("one", TELLTALE_START_TIMEOUT="1s")
    assert worker.wait() == 3
    log = worker.tail()
    assert "the topics in Kafka did not come within 1s" in log
    assert f"there is no topic {world.prefix}{DEAD}; `telltale topics create` makes it" in log


def test_an_input_that_was_deleted_and_made_anew_is_refused(world: World) -> None:
    world.create_topics()
    worker = world.worker("one").wait_ready()
    world.send(40)
    world.wait_for_outputs(40)
    worker.drain()
    world.delete_topic(INPUT)
    wait_until(lambda: _created(world), "the input can be created again")
    world.send(400)
    worker = world.worker("one")
    assert worker.wait() == 4
    assert "deleted and created anew" in worker.tail()
    assert len(world.read(OUTPUT)) == 40


def _created(world: World) -> bool:
    try:
        world.create_topics(only=(INPUT,))
        return len(world.read(INPUT)) == 0
    except Exception:
        return False


def test_a_kafka_that_does_not_come_ends_the_worker_with_its_own_code(world: World, tmp_path: Path) -> None:
    worker = world.worker("one", TELLTALE_KAFKA_BOOTSTRAP="127.0.0.1:9", TELLTALE_START_TIMEOUT="1s")
    assert worker.wait() == 3
    assert "Kafka did not come" in worker.tail()
