"""A Kafka client ends within a time, whatever its broker does, and its end is nobody else's."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from bridges.embedded import EmbeddedKafka
from pipeline.process.kafka import stop_client
from pipeline.topics import LastWords


class Client:
    """Stops as it is told to."""

    def __init__(self, stop: Callable[[], Awaitable[None]]) -> None:
        self.stop = stop
        self.closed = 0
        self._client = self

    async def close(self) -> None:
        self.closed += 1


async def well() -> None:
    await asyncio.sleep(0)


async def cancelled() -> None:
    raise asyncio.CancelledError


async def never() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise OSError("the broker is gone")


@pytest.mark.parametrize(
    ("stop", "closed"),
    [
        pytest.param(well, 0, id="well"),
        pytest.param(cancelled, 1, id="with-a-cancellation-of-its-own"),
        pytest.param(never, 1, id="never"),
        pytest.param(failing, 1, id="with-an-error"),
    ],
)
def test_however_a_client_stops_whoever_stopped_it_goes_on(
    stop: Callable[[], Awaitable[None]], closed: int
) -> None:
    client = Client(stop)

    async def run() -> None:
        await stop_client(client, within_s=0.05)
        task = asyncio.current_task()
        assert task is not None
        assert not task.cancelling()

    asyncio.run(run())
    assert client.closed == closed


def test_whoever_is_cancelled_while_a_client_stops_is_cancelled() -> None:
    async def run() -> None:
        task = asyncio.create_task(stop_client(Client(never)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())


@pytest.mark.integration
def test_a_consumer_that_has_lost_its_broker_ends_within_the_time() -> None:
    async def run() -> None:
        with EmbeddedKafka() as kafka:
            consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
            await consumer.start()
            consumer.assign([TopicPartition("nowhere", 0)])
            await consumer.getmany(timeout_ms=100)
            kafka.kill()
            await consumer.getmany(timeout_ms=1_000)
            began = time.monotonic()
            await stop_client(consumer, within_s=2.0)
            assert time.monotonic() - began < 10.0

    asyncio.run(run())


def test_last_words_are_heard_by_everybody_and_the_logger_is_given_back() -> None:
    logger = logging.getLogger("aiokafka")
    first, second = LastWords(), LastWords()
    first_words = first.__enter__()
    second_words = second.__enter__()
    logger.warning("one")
    first.__exit__()
    assert not logger.propagate
    logger.warning("two")
    second.__exit__()
    assert logger.propagate
    assert (first_words, second_words) == (["one"], ["one", "two"])
