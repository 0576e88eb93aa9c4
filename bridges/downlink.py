"""Kafka to MQTT: a command is done when the broker has acknowledged it and Kafka has the record of that.

    await connection.publish(command)     # a crash here: it is sent again, with the same id
    await outbox.send()                   # the delivery; a crash here: it is found at the next start
    await inbox.commit(offsets)           # up to the first command that is not done

What is promised: at least once until `expiresAt`, each vehicle in order, and one delivery record each. Who
takes a partition over reads the last deliveries on it first, and does not repeat those; two downlinks that
overlap in a rebalance may send a command twice, with one id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from bridges import accounting
from bridges.commands import Addresses, Command, InvalidCommand, State, delivery, read_command
from bridges.couriers import Couriers, clock
from bridges.deliveries import Entry, Ledger
from bridges.kafka import Inbox, KafkaUnavailable, Outbox, check_partitions, read_tails
from bridges.link import Link
from bridges.mqtt import Session
from bridges.offsets import Mark, Progress
from bridges.settings import ADDRESSES, DownlinkSettings
from bridges.topics import Template
from pipeline.process import Context, Envelope, Process, client_options, group_id, topic_name

COMMANDS = "vehicle.commands"
DELIVERIES = "vehicle.command-deliveries"
DEAD_LETTERS = "vehicle.dead-letter"
_COMMIT_PERIOD_S = 0.5
_POLL_S = 0.25
_WATCH_PERIOD_S = 2.0
_STUCK_S = 120.0
_FULL_PAUSE_S = 0.01
_PATIENCE_S = 5.0


class Downlink:
    """One downlink process."""

    def __init__(self, context: Context[DownlinkSettings]) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._options = client_options(settings, "downlink")
        self._names = {
            name: topic_name(settings.prefix, name) for name in (COMMANDS, DELIVERIES, DEAD_LETTERS)
        }
        self._addresses = Addresses(
            Template.parse(settings.downlink.command_topic, ADDRESSES | {"name"}),
            Template.parse(settings.downlink.response_topic, ADDRESSES),
            settings.partitions,
            settings.downlink.max_command_bytes,
        )
        self._envelope = Envelope(DELIVERIES, "downlink")
        self._window = 2 * settings.downlink.max_in_flight
        self._outbox = Outbox(self._options)
        self._ledger = Ledger(self._outbox)
        self._link = Link(
            settings.mqtt.broker(f"{settings.prefix}telltale-downlink-{settings.client_id}"),
            Session(),
            on_change=_count_connection,
        )
        self._couriers = Couriers(self._link, settings.downlink.max_in_flight)
        self._inbox = Inbox(
            self._options,
            group=group_id(settings.prefix, "downlink"),
            topic=self._names[COMMANDS],
            on_assigned=self._assigned,
            on_revoked=self._revoked,
        )
        self._progress: dict[int, Progress] = {}
        self._new: set[int] = set()
        self._recorded: dict[int, set[str]] = {}
        self._generation = 0
        self._accepting = False
        self._group_problem: str | None = "no partition is assigned yet"
        self._reading_problem: str | None = None
        self._commit_problem: str | None = None
        self._watch_problem: str | None = None
        self._polled_at = asyncio.get_running_loop().time()

    async def main(self) -> None:
        """Run until asked to stop."""
        context = self._context
        await context.reach("Kafka", self._outbox.open)
        tasks: set[asyncio.Future[Any]] = set()
        try:
            await context.reach("the topics in Kafka", self._check_topics)
            await context.reach("Kafka's consumer group", self._inbox.open)
            context.health.check("mqtt", lambda: self._link.problem)
            context.health.check("kafka", self._ask_kafka)
            context.health.liveness("poll", self._ask_poll)
            self._link.release()
            stopping = asyncio.create_task(context.stopping.wait(), name="stopping")
            reading = asyncio.create_task(self._read(), name="read")
            tasks = {
                stopping,
                reading,
                asyncio.create_task(self._link.run(), name="link"),
                asyncio.create_task(self._ledger.run(), name="ledger"),
                asyncio.create_task(self._commit_often(), name="commit"),
                asyncio.create_task(self._watch(), name="watch"),
                self._couriers.failure,
            }
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()
            reading.cancel()
            await asyncio.wait({reading})
            await self._finish(self._settings.drain_timeout_s * 0.6)
            await self._link.hold("draining")
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            await self._inbox.close()
            await self._outbox.abandon()

    # -- reading -------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            self._polled_at = asyncio.get_running_loop().time()
            try:
                room = self._window - sum(map(len, self._progress.values()))
                records = await self._inbox.get(max(room, 0), _POLL_S)
            except KafkaUnavailable as error:
                self._reading_problem = f"commands cannot be read: {error}"
                await asyncio.sleep(_POLL_S)
                continue
            self._reading_problem = None
            generation = self._generation
            if self._new:
                await self._recall()
            if self._accepting and generation == self._generation:
                # What comes in a rebalance is not taken: whoever has the partition next reads it again.
                for record in records:
                    self._take(record)
                await self._note_positions()
            accounting.DOWNLINK_IN_FLIGHT.set(self._unfinished)
            if room <= 0:
                await self._commit()
                await asyncio.sleep(_FULL_PAUSE_S)

    @property
    def _unfinished(self) -> int:
        return sum(progress.unfinished for progress in self._progress.values())

    async def _note_positions(self) -> None:
        """A partition is done up to here, the markers of transactions included, when its records are."""
        generation = self._generation
        try:
            async with asyncio.timeout(_POLL_S):  # of a new partition it is asked from Kafka
                positions = await self._inbox.positions()
        except (KafkaUnavailable, TimeoutError):
            return
        if generation == self._generation and self._accepting:
            for partition, position in positions.items():
                self._progress[partition].reached(position)

    async def _recall(self) -> None:
        """Read which commands of the new partitions have a delivery already: they are not sent again."""
        while self._new:
            self._polled_at = asyncio.get_running_loop().time()
            new = set(self._new)
            try:
                # No more than the window can be recorded and not committed.
                tails = await read_tails(self._options, self._names[DELIVERIES], new, 2 * self._window)
            except KafkaUnavailable as error:
                self._reading_problem = f"deliveries cannot be read: {error}"
                await asyncio.sleep(_POLL_S)
                continue
            self._reading_problem = None
            self._recorded.update({partition: set() for partition in new})
            for record in tails:
                self._recorded[record.partition].add(_id_of(record.value))
            self._new -= new

    def _take(self, record: Any) -> None:
        mark = self._progress[record.partition].begin(record.offset)
        accounting.DOWNLINK_REQUESTED.inc()
        try:
            command = read_command(record.key, record.value, record.partition, self._addresses)
        except InvalidCommand as invalid:
            self._refuse(record, invalid, mark)
            return
        if command.id in self._recorded.get(record.partition, ()):
            accounting.DOWNLINK_REPEATED.inc()
            mark.done = True
            return
        self._couriers.take(command, partial(self._record, record.partition, mark))

    # -- writing -------------------------------------------------------------------------------------------

    def _record(self, partition: int, mark: Mark, command: Command, state: State, reason: str | None) -> None:
        at = clock()
        entry = Entry(
            self._names[DELIVERIES],
            partition,
            at,
            command.vehicle_id.encode(),
            delivery(command, state, at, reason),
            self._envelope.headers(f"{command.id}-{state}", subject=command.vehicle_id, time_ms=at),
            partial(self._done, mark, lambda: accounting.DOWNLINK_DELIVERIES.labels(state.value).inc()),
        )
        self._ledger.write(entry)

    def _refuse(self, record: Any, invalid: InvalidCommand, mark: Mark) -> None:
        headers = [
            ("code", invalid.code.encode()),
            ("reason", str(invalid)[:500].encode("utf-8", "replace")),
            ("stage", b"downlink"),
            ("source-topic", record.topic.encode()),
            ("source-partition", str(record.partition).encode()),
            ("source-offset", str(record.offset).encode()),
            ("ce_id", f"{record.topic}:{record.partition}:{record.offset}".encode()),
            *((f"original-{name}", content) for name, content in record.headers),
        ]
        self._ledger.write(
            Entry(
                self._names[DEAD_LETTERS],
                record.partition,
                record.timestamp,
                record.key,
                record.value,
                headers,
                partial(
                    self._done, mark, lambda: accounting.DOWNLINK_DEAD_LETTERS.labels(invalid.code).inc()
                ),
            )
        )

    @staticmethod
    def _done(mark: Mark, count: Callable[[], None]) -> None:
        mark.done = True
        count()

    # -- offsets and partitions ----------------------------------------------------------------------------

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_PERIOD_S)
            await self._commit()

    async def _watch(self) -> None:
        """Ask Kafka how far behind we are, and whether it is there."""
        while True:
            await asyncio.sleep(_WATCH_PERIOD_S)
            try:
                accounting.DOWNLINK_LAG.set(await self._inbox.lag())
            except KafkaUnavailable as error:
                self._watch_problem = str(error)
            else:
                self._watch_problem = None

    async def _commit(self) -> None:
        offsets = {
            partition: offset
            for partition, progress in self._progress.items()
            if (offset := progress.to_commit()) is not None
        }
        if not offsets:
            return
        try:
            await self._inbox.commit(offsets)
        except KafkaUnavailable as error:
            self._commit_problem = f"offsets cannot be committed: {error}"
            return
        self._commit_problem = None
        for partition, offset in offsets.items():
            if (progress := self._progress.get(partition)) is not None:
                progress.committed(offset)

    async def _finish(self, patience_s: float) -> None:
        """End what is at the broker, write it down, commit; the rest is read again by whoever is next."""
        await self._couriers.stop(patience_s / 2)
        try:
            async with asyncio.timeout(patience_s / 2):
                await self._ledger.written()
                await self._commit()
        except TimeoutError:
            pass  # not committed, so it is done again
        accounting.DOWNLINK_RETURNED.inc(self._unfinished)
        self._progress.clear()
        accounting.DOWNLINK_IN_FLIGHT.set(0)

    async def _revoked(self, partitions: set[int]) -> None:
        self._generation += 1
        self._accepting = False
        if partitions:
            await self._finish(_PATIENCE_S)
        self._recorded.clear()
        self._group_problem = "no partition is assigned yet"

    async def _assigned(self, partitions: set[int]) -> None:
        self._generation += 1
        self._accepting = True
        self._progress = {partition: Progress() for partition in partitions}
        self._new = set(partitions)
        self._group_problem = self._commit_problem = None
        self._context.log.info("Partitions assigned", partitions=len(partitions))

    def _ask_kafka(self) -> str | None:
        return (
            self._group_problem
            or self._watch_problem
            or self._reading_problem
            or self._commit_problem
            or self._ledger.problem
        )

    def _ask_poll(self) -> str | None:
        still_s = asyncio.get_running_loop().time() - self._polled_at
        return f"nothing was asked of Kafka for {still_s:.0f} s" if still_s > _STUCK_S else None

    async def _check_topics(self) -> None:
        await check_partitions(self._outbox, self._names.values(), self._settings.partitions)


def _id_of(value: bytes | None) -> str:
    """The command's id in a delivery; empty where somebody else wrote something else."""
    try:
        document = orjson.loads(value or b"")
    except orjson.JSONDecodeError:
        return ""
    identity = document.get("id") if isinstance(document, dict) else None
    return identity if isinstance(identity, str) else ""


def _count_connection(connected: bool) -> None:
    accounting.DOWNLINK_CONNECTED.set(connected)
    if connected:
        accounting.DOWNLINK_CONNECTIONS.inc()


async def _main(context: Context[DownlinkSettings]) -> None:
    await Downlink(context).main()


process = Process("downlink", DownlinkSettings, _main, "Kafka to MQTT: commands, each vehicle in order")
