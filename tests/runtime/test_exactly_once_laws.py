"""Whatever fails and whoever takes over: outputs and state are those of a plain loop over the log."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.runtime.counting import INPUT, CatchingUp, Counting
from tests.runtime.fake_kafka import FakeKafka
from tests.runtime.members import Member, assert_exactly_once, settle
from tests.runtime.warp import run_warped

values = st.sampled_from([b"x"] * 12 + [b"delete", b"poison", b"huge", None])
entries = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c"]), values), max_size=60)
faults = st.lists(st.sampled_from(["ok", "ok", "before", "after", "aborted"]), max_size=12)
events = st.lists(
    st.sampled_from(["pump"] * 8 + ["rebalance", "crash", "steal", "sleep", "wait"]), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(
    entries=entries,
    faults=faults,
    events=events,
    seed=st.integers(0, 2**20),
    logic=st.sampled_from([Counting, CatchingUp]),
)
def test_any_faults_and_any_owners_give_what_a_plain_loop_gives(
    entries: list[tuple[bytes, bytes | None]], faults: list[str], events: list[str], seed: int, logic: Any
) -> None:
    async def scenario() -> None:
        kafka = FakeKafka(faults=list(faults))
        for key, value in entries:
            if value is None:
                kafka.append_nothing(INPUT, 0)
            else:
                kafka.append(INPUT, 0, key, value)
        owner, other = Member(kafka, logic, seed), Member(kafka, logic, seed + 1)
        generation = 1
        await owner.take(generation)
        for event in events:
            match event:
                case "pump":
                    owner.group.pump(owner.worker)
                    await asyncio.sleep(0.01)
                case "wait":
                    await asyncio.sleep(1.5)
                case "rebalance":
                    generation += 1
                    await owner.give_up()
                    await owner.take(generation)
                case "crash":
                    generation += 1
                    await owner.die()
                    owner = Member(kafka, logic, seed + generation)
                    await owner.take(generation)
                case "steal":
                    # The owner sleeps past its session time-out: nobody asked it to give anything up.
                    generation += 1
                    owner.group.confirmed = False
                    await other.take(generation)
                    other.group.pump(other.worker)
                    await asyncio.sleep(0.3)
                    await owner.give_up()
                    owner.group.confirmed = True
                    owner, other = other, owner
                case "sleep":
                    generation += 1
                    await owner.give_up()
                    await other.take(generation)
                    for _ in range(3):
                        other.group.pump(other.worker)
                        await asyncio.sleep(0.1)
                    owner, other = other, owner
        kafka.faults.clear()
        await settle(kafka, owner)
        assert not owner.fatal
        assert not other.fatal
        assert_exactly_once(kafka)
        await owner.give_up()
        await owner.die()
        await other.die()
        assert all(producer.gone for producer in kafka.producers)

    run_warped(scenario())
