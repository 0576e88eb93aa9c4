"""MQTT to Kafka: a message is acknowledged when Kafka has its record, and not before.

The broker may send `receiveMaximum` messages ahead; while Kafka is slow or away it keeps the rest. The
session outlives the process: what was sent to it and not acknowledged is the next start's first message.
"""

from __future__ import annotations

import asyncio

from bridges import accounting
from bridges.kafka import BatchTooLarge, KafkaUnavailable, Outbox, SendFailed, check_partitions
from bridges.link import Link
from bridges.mqtt import Session
from bridges.records import RecordMaker
from bridges.rounds import Rounds
from bridges.settings import ADDRESSES, UplinkSettings
from bridges.ticks import PERIOD_S
from bridges.topics import Routes, Template
from pipeline.process import (
    ConfigurationError,
    Context,
    Process,
    client_options,
    topic_name,
)

RAW = "vehicle.raw"
RESPONSES = "vehicle.command-responses"
OUTPUTS = (RAW, RESPONSES, "vehicle.dead-letter")
_TICK_CHECKS_A_PERIOD = 10
_GOODBYE_S = 3.0
_SLOW_S = 5.0


class Uplink:
    """One uplink process: who starts after whom, and what happens when a producer gives up."""

    def __init__(self, context: Context[UplinkSettings]) -> None:
        settings = context.settings
        self._context = context
        self._settings = settings
        self._outbox = Outbox(client_options(settings, "uplink"))
        routes = routes_of(settings)
        share = f"{settings.prefix}telltale"
        self._maker = RecordMaker(routes, settings.partitions, settings.uplink.max_record_bytes)
        self._names = {name: topic_name(settings.prefix, name) for name in OUTPUTS}
        self._rounds = Rounds(self._maker, self._outbox, self._names, settings.uplink)
        self._link = Link(
            settings.mqtt.broker(f"{settings.prefix}telltale-uplink-{settings.client_id}"),
            Session(
                expiry_s=round(settings.uplink.session_expiry_s),
                receive_maximum=settings.uplink.receive_maximum,
                clean_start=False,
            ),
            filters=routes.filters(share),
            on_messages=self._rounds.receive,
            on_change=_count_connection,
        )
        self._kafka_problem: str | None = None

    async def main(self) -> None:
        context = self._context
        await context.reach("Kafka", self._outbox.open)
        try:
            await context.reach("the topics in Kafka", self._check_topics)
            context.health.check("mqtt", lambda: self._link.problem)
            context.health.check("kafka", self._ask_kafka)
            line = asyncio.create_task(self._link.run(), name="link")
            work = asyncio.create_task(self._forward(), name="forward")
            ticks = asyncio.create_task(self._tick(), name="ticks")
            drain = asyncio.create_task(self._drain(ticks, work), name="drain")
            tasks = {line, work, ticks, drain}
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if context.stopping.is_set():
                    await asyncio.wait({drain})
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)
            for task in (line, work, ticks):
                if not task.cancelled():
                    task.result()
        finally:
            self._rounds.forget()
            await self._outbox.abandon()

    async def _drain(self, ticks: asyncio.Task[None], work: asyncio.Task[None]) -> None:
        """When asked to stop: read nothing more, finish what was read, say goodbye to both sides."""
        await self._context.stopping.wait()
        ticks.cancel()
        if self._link.connection is not None:
            self._link.connection.pause()
        self._rounds.finish()
        limit_s = self._settings.drain_timeout_s
        await asyncio.wait({work}, timeout=max(limit_s - _GOODBYE_S, limit_s / 2))
        left = self._rounds.in_flight
        if left:
            self._context.log.warning(
                "Ending with messages that Kafka has not taken; the MQTT broker keeps them", messages=left
            )
        await self._link.hold("draining")

    async def _forward(self) -> None:
        """Rounds, and a new producer where one has given up."""
        self._link.release()
        while True:
            try:
                await self._rounds.forward()
            except SendFailed as failure:
                reason = f"Kafka gave up on a round: {failure}"
                self._learn(failure)
            else:
                return
            self._kafka_problem = reason
            self._context.log.error(f"{reason}; it is sent again by a new producer")
            await self._outbox.abandon()
            await self._reopen()
            self._kafka_problem = None

    async def _reopen(self) -> None:
        pause_s = 0.25
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 10.0)
            try:
                await self._outbox.open()
            except KafkaUnavailable as error:
                self._kafka_problem = f"Kafka is not reached: {error}"
            else:
                return

    def _learn(self, failure: SendFailed) -> None:
        """Kafka's limits may be lower than ours; what is refused whole would be refused for ever."""
        if not isinstance(failure, BatchTooLarge):
            return
        if failure.records > 1:
            self._outbox.shrink(failure.size // 2)
        else:
            self._maker.lower(failure.size * 3 // 4)
            self._context.log.warning(
                "Kafka takes less than uplink.maxRecordBytes; what is larger becomes a dead letter",
                bytes=self._maker.largest,
            )

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        ticks = self._rounds.ticks
        while True:
            await asyncio.sleep(PERIOD_S / _TICK_CHECKS_A_PERIOD)
            due = ticks.due(
                loop.time(), connected_at=self._link.connected_at, waiting_since=self._rounds.waiting_since
            )
            if due:
                self._rounds.tick(RAW, self._settings.partitions)
            elif ticks.withheld is not None:
                accounting.UPLINK_TICKS_WITHHELD.labels(ticks.withheld).inc()

    async def _check_topics(self) -> None:
        await check_partitions(self._outbox, self._names.values(), self._settings.partitions)

    def _ask_kafka(self) -> str | None:
        if self._kafka_problem is not None:
            return self._kafka_problem
        since = self._rounds.waiting_since
        waited_s = 0.0 if since is None else asyncio.get_running_loop().time() - since
        if waited_s > _SLOW_S:
            return f"Kafka has not answered for {waited_s:.0f} s"
        return None


def routes_of(settings: UplinkSettings) -> Routes:
    """The templates of the settings. Raises ConfigurationError where two take the same topics."""
    templates = [
        (Template.parse(text, ADDRESSES), target)
        for texts, target in (
            (settings.uplink.telemetry_topics, RAW),
            (settings.uplink.response_topics, RESPONSES),
        )
        for text in texts
    ]
    try:
        return Routes(templates, settings.partitions)
    except ValueError as error:
        raise ConfigurationError(f"uplink.telemetryTopics, uplink.responseTopics: {error}") from None


def _count_connection(connected: bool) -> None:
    accounting.UPLINK_CONNECTED.set(connected)
    if connected:
        accounting.UPLINK_CONNECTIONS.inc()


async def _main(context: Context[UplinkSettings]) -> None:
    await Uplink(context).main()


process = Process("uplink", UplinkSettings, _main, "MQTT to Kafka: nothing lost, each vehicle in order")
