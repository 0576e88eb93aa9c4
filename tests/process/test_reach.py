"""Waiting for a party: as long as the settings say, told by readiness, ended by a stop."""

from __future__ import annotations

import asyncio

import pytest

from pipeline.process import Context, PartyMissing, ProcessSettings, Stopped


def context(start_timeout_s: float | None = None) -> Context[ProcessSettings]:
    return Context("example", ProcessSettings(start_timeout_s=start_timeout_s))


def test_it_tries_again_until_the_party_is_there_and_says_so_meanwhile() -> None:
    it = context()
    seen: list[dict[str, str]] = []

    async def attempt() -> str:
        seen.append(it.health.missing())
        if len(seen) < 3:
            raise ConnectionRefusedError("refused")
        return "there"

    assert asyncio.run(it.reach("Kafka", attempt)) == "there"
    assert seen[0] == {"start:Kafka": "Kafka is not reached: it was not tried yet"}
    assert seen[2] == {"start:Kafka": "Kafka is not reached: refused"}
    assert it.health.missing() == {"process": "it is still starting"}


def test_a_party_that_does_not_come_in_time_is_missing_with_the_reason() -> None:
    async def attempt() -> None:
        raise ConnectionRefusedError("refused")

    with pytest.raises(PartyMissing, match=r"Kafka did not come within 50ms \(startTimeout\): refused"):
        asyncio.run(context(0.05).reach("Kafka", attempt))


def test_a_failure_that_is_no_absence_is_not_repeated() -> None:
    async def attempt() -> None:
        raise ValueError("wrong password")

    with pytest.raises(ValueError, match="wrong password"):
        asyncio.run(context().reach("Kafka", attempt))


def test_a_stop_ends_the_wait_even_in_the_middle_of_an_attempt() -> None:
    cancelled = []

    async def scenario() -> None:
        it = context()

        async def attempt() -> None:
            it.stopping.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)
                raise

        await it.reach("Kafka", attempt)

    with pytest.raises(Stopped):
        asyncio.run(scenario())
    assert cancelled == [True]


def test_an_attempt_that_hangs_counts_as_absent_when_the_time_is_over() -> None:
    async def attempt() -> None:
        await asyncio.Event().wait()

    with pytest.raises(PartyMissing, match="no answer"):
        asyncio.run(context(0.05).reach("Kafka", attempt))
