"""One partition through take-over, trouble and release, in virtual time on the fake Kafka."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import TopicPartition

from pipeline.runtime import Marker, StateUnusable
from pipeline.runtime.changelog import marker_record, state_record
from tests.runtime.counting import INPUT, OUTPUT, CatchingUp, Counting
from tests.runtime.fake_kafka import FakeKafka
from tests.runtime.members import (
    CHANGELOG,
    DEAD,
    Member,
    assert_exactly_once,
    dead_of,
    outputs_of,
    settle,
    state_of,
)
from tests.runtime.warp import run_warped


def filled(count: int = 20) -> FakeKafka:
    kafka = FakeKafka()
    for index in range(count):
        kafka.append(INPUT, 0, b"abc"[index % 3 : index % 3 + 1], b"x", timestamp=index)
    return kafka


def value_of(metric: Any) -> float:
    return sum(
        sample.value
        for family in metric.collect()
        for sample in family.samples
        if "_created" not in sample.name
    )


def test_a_worker_that_the_group_does_not_confirm_starts_no_producer() -> None:
    async def scenario() -> None:
        member = Member(filled(), Counting, honest=True)
        member.group.confirmed = False
        await member.take(1)
        await member.run(3)
        assert member.worker._partitions[0].trouble is not None
        assert "UnknownMemberId" in (member.worker.not_ready() or "")
        await member.die()
        assert not kafka_of(member).producers

    run_warped(scenario())


def test_a_worker_that_loses_its_place_while_its_producer_starts_reads_nothing_and_stays_out() -> None:
    async def scenario() -> None:
        kafka = filled()
        member = Member(kafka, Counting, honest=True)
        start = member.shared.start_producer

        async def start_and_lose(partition: int) -> Any:
            producer = await start(partition)
            member.group.confirmed = False
            return producer

        member.shared.start_producer = start_and_lose
        await member.take(1)
        await member.run(1)
        assert [producer.gone for producer in kafka.producers] == [True]
        assert kafka.commits == 0
        await member.die()

    run_warped(scenario())


@pytest.mark.parametrize("topic", [CHANGELOG, OUTPUT])
def test_what_an_earlier_owner_left_hanging_is_aborted_before_anything_is_read_or_committed(
    topic: str,
) -> None:
    async def scenario() -> None:
        kafka = filled()
        kafka.append_nothing(topic, 0)
        kafka.hanging.add((topic, 0))
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        assert not kafka.hanging
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


def test_a_parked_state_is_used_again_without_reading_the_changelog() -> None:
    async def scenario() -> None:
        kafka = filled()
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        before = member.log.read
        for generation in (2, 3):
            await member.give_up()
            kafka.append(INPUT, 0, b"a", b"x")
            await member.take(generation)
            await settle(kafka, member)
        assert member.log.read == before
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


@pytest.mark.parametrize(("logic", "all_of_it"), [(CatchingUp, False), (Counting, True)])
def test_a_parked_state_takes_in_what_another_worker_wrote(logic: Any, all_of_it: bool) -> None:
    async def scenario() -> None:
        kafka = filled(60)
        first, second = Member(kafka, logic, honest=True), Member(kafka, logic, honest=True)
        await first.take(1)
        await settle(kafka, first)
        await first.give_up()
        kafka.append(INPUT, 0, b"a", b"delete")
        kafka.append(INPUT, 0, b"d", b"x")
        await second.take(2)
        await settle(kafka, second)
        await second.give_up()
        read = first.log.read
        kafka.append(INPUT, 0, b"a", b"x")
        await first.take(3)
        await settle(kafka, first)
        everything = len(kafka.records(CHANGELOG, 0))
        assert (first.log.read - read > everything // 2) == all_of_it
        assert_exactly_once(kafka)
        await first.die()
        await second.die()

    run_warped(scenario())


def test_the_marker_is_believed_over_the_groups_offsets() -> None:
    async def scenario() -> None:
        kafka = filled()
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        await member.give_up()
        await member.die()
        kafka.offsets[INPUT, 0] = (3, "")  # somebody set them back
        kafka.append(INPUT, 0, b"a", b"x")
        member = Member(kafka, Counting, honest=True)
        await member.take(2)
        await member.run(2)
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


def test_where_there_never_was_a_marker_the_groups_offsets_say_where_to_begin() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        kafka.offsets[INPUT, 0] = (6, "")
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        assert [value["source"] for _, value in outputs_of(kafka)] == [f"{INPUT}:{n}" for n in range(6, 10)]
        await member.die()

    run_warped(scenario())


def _state_without_marker(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, *state_record(b"a", b"1"))


def _changelog_gone(kafka: FakeKafka) -> None:
    kafka.offsets[INPUT, 0] = (5, "telltale")


def _another_topic(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, *marker_record(Marker({INPUT: 5}, {INPUT: "another"}, b"")))


def _beyond_the_end(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, *marker_record(Marker({INPUT: 500}, {INPUT: "one"}, b"")))


def _other_inputs(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, *marker_record(Marker({"vehicle.raw": 5}, {}, b"")))


def _newer_format(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, b"\x01a", b"\x021")


def _unknown_kind(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, b"a", b"\x01")


def _unreadable_marker(kafka: FakeKafka) -> None:
    kafka.append(CHANGELOG, 0, b"\x00marker", b"\x01{")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(_state_without_marker, "without a marker", id="state-without-marker"),
        pytest.param(_changelog_gone, "the state was deleted", id="changelog-gone"),
        pytest.param(_another_topic, "not the topic that", id="topic-made-anew"),
        pytest.param(_beyond_the_end, "yet ends at", id="log-shorter-than-read"),
        pytest.param(_other_inputs, "inputs are fixed", id="inputs-changed"),
        pytest.param(_newer_format, "format 02", id="newer-format"),
        pytest.param(_unknown_kind, "unknown kind", id="unknown-kind"),
        pytest.param(_unreadable_marker, "cannot be read", id="unreadable-marker"),
    ],
)
def test_state_that_contradicts_the_inputs_ends_the_worker_instead_of_being_guessed(
    spoil: Any, says: str
) -> None:
    async def scenario() -> None:
        kafka = filled()
        spoil(kafka)
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await member.run(1)
        assert len(member.fatal) == 1
        assert isinstance(member.fatal[0], StateUnusable)
        assert member.fatal[0].exit_code == 4
        assert says in str(member.fatal[0])
        assert kafka.commits == 0
        await member.die()

    run_warped(scenario())


@pytest.mark.parametrize("while_running", [False, True], ids=["at-take-over", "while-running"])
def test_records_that_retention_deleted_are_counted_and_passed_over(while_running: bool) -> None:
    async def scenario() -> None:
        kafka = filled(10)
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        if not while_running:
            await member.give_up()
        for _ in range(10):
            kafka.append(INPUT, 0, b"a", b"x")
        kafka.firsts[INPUT, 0] = 15
        if not while_running:
            await member.take(2)
        await settle(kafka, member)
        assert value_of(member.metrics.records_lost) == 5
        sources = [int(value["source"].rpartition(":")[2]) for _, value in outputs_of(kafka)]
        assert sources == [*range(10), *range(15, 20)]
        await member.die()

    run_warped(scenario())


def test_a_log_that_became_shorter_while_running_ends_the_worker() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        del kafka.log(INPUT, 0)[4:]
        member.group._positions[INPUT, 0] = 0  # as aiokafka resets it
        await member.run(2)
        assert isinstance(member.fatal[0], StateUnusable)
        await member.die()

    run_warped(scenario())


def test_a_batch_that_faust_dropped_at_the_end_of_the_log_is_fetched_again() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await member.run(0.2)
        member.worker.deliver, deliver = lambda batch: None, member.worker.deliver  # type: ignore[method-assign]
        await member.run(2)
        member.worker.deliver = deliver  # type: ignore[method-assign]
        await settle(kafka, member)
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


def test_a_poison_record_is_a_dead_letter_with_its_reason_and_leaves_no_trace_in_the_state() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        kafka.append(INPUT, 0, b"a", b"poison")
        kafka.append(INPUT, 0, b"a", b"x")
        kafka.append(INPUT, 0, b"b", b"huge")
        kafka.append(INPUT, 0, b"b", b"x")
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        assert_exactly_once(kafka)
        poison, huge = (dict(record.headers) for record in kafka.records(DEAD, 0))
        assert poison["code"] == b"processing-failed"
        assert poison["stage"] == b"counting"
        assert b"ValueError" in poison["reason"]
        assert (poison["source-topic"], poison["source-partition"]) == (INPUT.encode(), b"0")
        assert huge["code"] == b"output-too-large"
        assert [record.value for record in kafka.records(DEAD, 0)] == [b"poison", b"huge"]
        assert value_of(member.metrics.dead_letters) == 2
        # Three strikes, the search that finds one, and the one that it finds on its way.
        assert value_of(member.metrics.failures) == 5
        await member.die()

    run_warped(scenario())


def test_an_output_that_is_too_large_is_looked_for_at_once() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        kafka.append(INPUT, 0, b"b", b"huge")
        kafka.append(INPUT, 0, b"b", b"x")
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        assert_exactly_once(kafka)
        assert value_of(member.metrics.failures) == 2  # it was seen, and it was found
        await member.die()

    run_warped(scenario())


class _SlowLearner(Counting):
    """Fails twice on its first slices, as if something beside the records were at fault."""

    failures = 2

    def process(self, topic: str, records: Sequence[Any], out: list[Any]) -> None:
        if _SlowLearner.failures:
            _SlowLearner.failures -= 1
            raise OSError("not yet")
        super().process(topic, records, out)


def test_two_failures_at_one_place_cost_no_record() -> None:
    async def scenario() -> None:
        _SlowLearner.failures = 2
        kafka = filled(10)
        member = Member(kafka, _SlowLearner, honest=True)
        await member.take(1)
        await settle(kafka, member)
        assert_exactly_once(kafka)
        assert dead_of(kafka) == []
        await member.die()

    run_warped(scenario())


class _BadChanges(Counting):
    def changes(self) -> list[tuple[bytes, bytes | None]]:
        if self.counts.get(b"bad"):
            raise RuntimeError("cannot pack")
        return super().changes()


def test_a_record_whose_state_cannot_be_packed_is_at_fault_too() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        kafka.append(INPUT, 0, b"bad", b"x")
        kafka.append(INPUT, 0, b"a", b"x")
        member = Member(kafka, _BadChanges, honest=True)
        await member.take(1)
        await settle(kafka, member)
        assert dead_of(kafka) == [10]
        assert state_of(kafka) == {b"a": 5, b"b": 3, b"c": 3}
        await member.die()

    run_warped(scenario())


def test_a_record_on_the_wrong_partition_is_a_dead_letter_where_the_stage_checks() -> None:
    async def scenario() -> None:
        kafka = filled(0)
        member = Member(kafka, Counting, honest=True, check_keys=True)
        member.shared.count = 2
        kafka.append(INPUT, 0, None, b"tick")
        kafka.append(INPUT, 0, b"v1", b"x")
        kafka.append(INPUT, 0, b"v2", b"x")
        await member.take(1)
        await settle(kafka, member)
        from pipeline.process.partitioning import partition_of

        wrong = [index for index, key in ((1, b"v1"), (2, b"v2")) if partition_of(key, 2) != 0]
        assert wrong
        assert dead_of(kafka) == wrong
        assert {dict(record.headers)["code"] for record in kafka.records(DEAD, 0)} == {b"wrong-partition"}
        await member.die()

    run_warped(scenario())


def test_a_partition_opens_only_when_it_is_assigned_of_every_input() -> None:
    async def scenario() -> None:
        kafka = filled()
        member = Member(kafka, Counting, honest=True, inputs=(INPUT, "vehicle.registry"))
        tps = [TopicPartition(INPUT, 0)]
        member.group.give(tps, 1)
        assert await member.worker.assigned(tps, 1) == []
        assert "not given for every input" in (member.worker.not_ready() or "")
        await member.run(1)
        assert kafka.commits == 0
        await member.worker.revoked()
        kafka.append("vehicle.registry", 0, b"a", b"x")
        assert await _take_all(member, 2) == [0]
        await member.run(1)
        assert member.worker.not_ready() is None
        assert len(kafka.records(OUTPUT, 0)) == 21
        await member.die()

    run_warped(scenario())


REGISTRY = "vehicle.registry"
BOTH = {"inputs": (INPUT, REGISTRY), "first": (REGISTRY,)}


def sources(kafka: FakeKafka) -> list[str]:
    """The topics of the records that made the outputs, in order."""
    return [value["source"].split(":")[0] for _, value in outputs_of(kafka)]


@pytest.mark.parametrize("honest", [True, False])
def test_an_input_that_comes_first_is_read_to_its_end_before_the_others_begin(honest: bool) -> None:
    async def scenario() -> None:
        kafka = filled()
        for number in range(30):
            kafka.append(REGISTRY, 0, b"a", str(number).encode())
        kafka.append_nothing(REGISTRY, 0)
        member = Member(kafka, Counting, honest=honest, **BOTH)
        await member.take(1)
        await settle(kafka, member)
        assert sources(kafka) == [REGISTRY] * 30 + [INPUT] * 20
        kafka.append(INPUT, 0, b"a", b"x")
        await member.run(3)
        kafka.append(REGISTRY, 0, b"a", b"x")
        await member.run(3)
        assert sources(kafka)[50:] == [INPUT, REGISTRY], "from there on each as it comes"
        await member.die()

    run_warped(scenario())


def test_an_input_that_comes_first_and_does_not_come_is_not_waited_for_for_ever() -> None:
    async def scenario() -> None:
        kafka = filled()
        kafka.append(REGISTRY, 0, b"a", b"x")
        member = Member(kafka, Counting, honest=True, **BOTH)
        real = member.log.span

        async def span(topics: Sequence[str], partition: int) -> dict[str, tuple[int, int]]:
            """As with a transaction that nobody ends: the log goes on behind what may be read."""
            found = await real(topics, partition)
            return {topic: (first, end + 5 * (topic == REGISTRY)) for topic, (first, end) in found.items()}

        member.log.span = span  # type: ignore[method-assign]
        await member.take(1)
        await member.run(20)
        assert sources(kafka) == [REGISTRY]
        await member.run(15)
        assert sources(kafka) == [REGISTRY] + [INPUT] * 20
        await member.die()

    run_warped(scenario())


def test_a_partition_that_does_not_work_for_half_a_minute_makes_the_worker_join_anew() -> None:
    async def scenario() -> None:
        member = Member(filled(), Counting, honest=True)
        member.group.confirmed = False
        await member.take(1)
        await member.run(20)
        assert member.group.rejoins == 0
        await member.run(15)
        assert member.group.rejoins == 1
        assert "do not work yet" in (member.worker.not_ready() or "")
        member.group.confirmed = True
        await member.run(10)
        assert member.worker.not_ready() is None
        await member.die()

    run_warped(scenario())


def test_an_inbox_that_is_full_closes_the_partition_until_it_is_worked_off() -> None:
    async def scenario() -> None:
        kafka = filled(30_000)
        member = Member(kafka, Counting, honest=True)
        member.group._dice.randint = lambda low, high: 2_000  # type: ignore[method-assign,assignment]
        await member.take(1)
        await asyncio.sleep(0.1)
        for _ in range(20):
            member.group.pump(member.worker)
        assert member.worker._partitions[0]._waiting == 8_000
        await settle(kafka, member)
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


@pytest.mark.parametrize(
    ("in_the_log", "behind"),
    [pytest.param(500, False, id="one-more-batch-is-no-load"), pytest.param(3_000, True, id="a-log-full-is")],
)
def test_a_partition_is_behind_by_what_waits_in_its_log_not_by_one_more_batch(
    in_the_log: int, behind: bool
) -> None:
    async def scenario() -> None:
        kafka = filled(in_the_log)
        member = Member(kafka, Counting, honest=True)
        member.group._dice.randint = lambda low, high: 20  # type: ignore[method-assign,assignment]
        await member.take(1)
        await asyncio.sleep(0.1)
        partition = member.worker._partitions[0]
        for _ in range(2):
            member.group.pump(member.worker)
        assert len(partition._inbox) == 2
        assert partition._is_behind() is behind
        await settle(kafka, member)
        assert partition._is_behind() is False
        assert partition._is_behind(in_hand=1_001) is True
        await member.die()

    run_warped(scenario())


def test_a_worn_producer_is_replaced_without_losing_memory() -> None:
    async def scenario() -> None:
        kafka = filled(10)
        member = Member(kafka, Counting, honest=True)
        await member.take(1)
        await settle(kafka, member)
        read = member.log.read
        kafka.producers[0].worn = True  # type: ignore[misc]
        kafka.append(INPUT, 0, b"a", b"x")
        await settle(kafka, member)
        await member.run(1)
        kafka.append(INPUT, 0, b"a", b"x")
        await settle(kafka, member)
        assert [producer.gone for producer in kafka.producers] == [True, False]
        assert member.log.read == read
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


def kafka_of(member: Member) -> FakeKafka:
    return member.group._kafka


async def _take_all(member: Member, generation: int) -> list[int]:
    tps = [TopicPartition(topic, 0) for topic in member.shared.inputs.values()]
    member.group.give(tps, generation)
    return await member.worker.assigned(tps, generation)


class _Counter:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


def test_a_restore_gives_way_to_others_every_few_hundred_records() -> None:
    async def scenario() -> None:
        kafka = FakeKafka()
        for index in range(5_000):
            kafka.append(CHANGELOG, 0, *state_record(b"v%d" % index, b"1"))
        kafka.append(CHANGELOG, 0, *marker_record(Marker({INPUT: 0}, {INPUT: "one"}, b"7")))
        counter, at_turn = _Counter(), []

        class Watched(Counting):
            def restore(self, key: bytes, value: bytes) -> None:
                at_turn.append(counter.turns)
                super().restore(key, value)

        counting = asyncio.create_task(counter.run())
        member = Member(kafka, Watched, honest=True)
        await member.take(1)
        while member.worker.not_ready():
            await asyncio.sleep(0)
        counting.cancel()
        assert len(at_turn) == 5_000
        assert max(at_turn.count(turn) for turn in set(at_turn)) <= 500
        await member.die()

    run_warped(scenario())


def test_a_release_does_not_wait_for_the_end_of_a_large_batch() -> None:
    async def scenario() -> None:
        kafka = filled(2_000)
        loop: Any = asyncio.get_running_loop()

        class Slow(Counting):
            def process(self, topic: str, records: Sequence[Any], out: list[Any]) -> None:
                loop._warp.now += 0.001 * len(records)
                super().process(topic, records, out)

        member = Member(kafka, Slow, honest=True)
        member.group._dice.randint = lambda low, high: 2_000  # type: ignore[method-assign,assignment]
        await member.take(1)
        await asyncio.sleep(0.1)
        member.group.pump(member.worker)
        while not kafka.commits:
            await asyncio.sleep(0)
        await member.give_up()
        assert 0 < kafka.offsets[INPUT, 0][0] < 1_000
        await member.take(2)
        await settle(kafka, member)
        assert_exactly_once(kafka)
        await member.die()

    run_warped(scenario())


def test_slow_logic_gets_fewer_records_at_a_time_and_quick_logic_more() -> None:
    async def scenario(per_record_s: float) -> list[int]:
        kafka = filled(6_000)
        sizes: list[int] = []
        loop: Any = asyncio.get_running_loop()

        class Timed(Counting):
            def process(self, topic: str, records: Sequence[Any], out: list[Any]) -> None:
                loop._warp.now += per_record_s * len(records)
                sizes.append(len(records))
                super().process(topic, records, out)

        member = Member(kafka, Timed, honest=True)
        member.group._dice.randint = lambda low, high: 2_000  # type: ignore[method-assign,assignment]
        await member.take(1)
        await settle(kafka, member)
        assert_exactly_once(kafka)
        await member.die()
        return sizes

    slow = run_warped(scenario(0.001))
    assert max(slow[2:]) * 0.001 <= 0.04
    quick = run_warped(scenario(0.000_001))
    assert max(quick) == 2_000


@pytest.mark.parametrize(("partitions", "most"), [(1, 1), (2, 1), (3, 1), (4, 2)])
def test_half_of_the_partitions_commit_at_a_time_and_the_others_judge_meanwhile(
    partitions: int, most: int
) -> None:
    committing: set[int] = set()
    together: list[int] = []
    judged_meanwhile: list[int] = []

    class Watching(Counting):
        def process(self, topic: str, records: Sequence[Any], out: list[Any]) -> None:
            assert self.partition not in committing
            judged_meanwhile.append(len(committing))
            super().process(topic, records, out)

    async def scenario() -> None:
        kafka = FakeKafka()
        member = Member(kafka, Watching, honest=True, partitions=partitions)
        start = member.shared.start_producer

        async def start_slow(partition: int) -> Any:
            producer: Any = await start(partition)
            commit = producer.commit

            async def slow(*given: Any) -> Any:
                committing.add(partition)
                together.append(len(committing))
                try:
                    await asyncio.sleep(0.3)
                    return await commit(*given)
                finally:
                    committing.discard(partition)

            producer.commit = slow
            return producer

        member.shared.start_producer = start_slow
        await member.take(1)
        await member.run(1)
        for _ in range(200):
            for partition in range(partitions):
                kafka.append(INPUT, partition, b"a", b"x")
            await member.run(0.05)
        assert max(together) == most
        assert (max(judged_meanwhile) > 0) == (partitions > 1)
        await member.give_up()
        for partition in range(partitions):
            assert kafka.offsets[INPUT, partition][0] > 150
            outputs = [json.loads(each.value or b"")["count"] for each in kafka.records(OUTPUT, partition)]
            assert outputs == list(range(1, kafka.offsets[INPUT, partition][0] + 1))
        await member.die()

    run_warped(scenario())
