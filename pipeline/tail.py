"""Watch a topic: committed records only, a line each, as they come; nobody's offsets move."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.process.failures import TopicsDiffer
from pipeline.process.kafka import client_options
from pipeline.process.names import topic_name
from pipeline.process.partitioning import partition_of
from pipeline.process.settings import ProcessSettings
from pipeline.process.topics import Topic
from pipeline.record_lines import as_json_line, as_text_line
from pipeline.topics import Admin, LastWords, not_reached

_COLOURS = {"critical": "31", "warning": "33", "firing": "1", "resolved": "32"}


@dataclass(frozen=True, slots=True)
class Watch:
    """What to show of a topic."""

    topic: Topic
    from_beginning: bool = False
    since_ms: int | None = None
    """Records from that time on (Kafka timestamps); instead of `from_beginning`."""
    follow: bool = True
    """Wait for more; otherwise end where the topic ends now."""
    limit: int | None = None
    vehicle: str | None = None
    as_json: bool = False
    ticks: bool = False
    """Show ticks too: a record without a key, each second on each partition."""


async def watch(settings: ProcessSettings, what: Watch, write: Callable[[str], None]) -> int:
    """Write one line for each record until the limit, the end, SIGINT or SIGTERM; how many they were."""
    name = topic_name(settings.prefix, what.topic.name)
    async with Admin(settings) as admin:
        found = (await admin.observe([name])).get(name)
    if found is None:
        raise TopicsDiffer(
            f"there is no topic {name} at {settings.kafka.bootstrap}; `telltale topics create` makes it,"
            " unless the installation has another prefix (TELLTALE_PREFIX)"
        )
    numbers: list[int] = list(range(found.partitions))
    if what.vehicle is not None:
        numbers = [partition_of(what.vehicle.encode(), found.partitions)]
    partitions = [TopicPartition(name, number) for number in numbers]
    consumer = AIOKafkaConsumer(
        **client_options(settings, "tail"),
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    with LastWords() as words:
        try:
            await consumer.start()
        except (KafkaError, OSError) as error:
            raise not_reached(settings, words[-1:] or [str(error)]) from error
    try:
        consumer.assign(partitions)
        await _seek(consumer, partitions, what)
        return await _show(consumer, partitions, what, write)
    finally:
        await consumer.stop()


async def _seek(consumer: Any, partitions: list[TopicPartition], what: Watch) -> None:
    if what.from_beginning:
        await consumer.seek_to_beginning(*partitions)
    elif what.since_ms is not None:
        offsets = await consumer.offsets_for_times(dict.fromkeys(partitions, what.since_ms))
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            place = offsets.get(partition)
            consumer.seek(partition, place.offset if place is not None else ends[partition])
    else:
        await consumer.seek_to_end(*partitions)


async def _show(
    consumer: Any, partitions: list[TopicPartition], what: Watch, write: Callable[[str], None]
) -> int:
    ends = await consumer.end_offsets(partitions)
    key = None if what.vehicle is None else what.vehicle.encode()
    line = as_json_line if what.as_json else as_text_line
    shown = 0
    with _stop_signal() as stopped:
        while not stopped.is_set():
            batches = await _next(consumer, stopped)
            records = [record for batch in batches.values() for record in batch]
            for record in sorted(
                records, key=lambda record: (record.timestamp, record.partition, record.offset)
            ):
                if (what.ticks or record.key is not None) if key is None else record.key == key:
                    write(line(record, what.topic))
                    shown += 1
                    if shown == what.limit:
                        return shown
            if not what.follow and await _at_end(consumer, ends):
                break
    return shown


async def _next(consumer: Any, stopped: asyncio.Event) -> Mapping[Any, list[Any]]:
    """The next records, or none once asked to stop."""
    fetch = asyncio.ensure_future(consumer.getmany(timeout_ms=500))
    stop = asyncio.ensure_future(stopped.wait())
    await asyncio.wait({fetch, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not fetch.done():
        fetch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await fetch
        return {}
    batches: Mapping[Any, list[Any]] = fetch.result()
    return batches


async def _at_end(consumer: Any, ends: Mapping[TopicPartition, int]) -> bool:
    for partition, end in ends.items():
        # Markers of transactions have offsets too: only the position tells.
        if await consumer.position(partition) < end:
            return False
    return True


@contextlib.contextmanager
def _stop_signal() -> Any:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


def to_stdout(line: str) -> None:
    """Write at once, in colour on a terminal that wants it."""
    if sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        for word, colour in _COLOURS.items():
            line = line.replace(f" {word} ", f" \x1b[{colour}m{word}\x1b[0m ", 1)
    print(line, flush=True)
