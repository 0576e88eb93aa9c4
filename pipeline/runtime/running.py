"""A stage as a process: topics that fit, a Faust app over batches, a worker, and an end in good order.

start   brokers reached, topics fit, group joined
stop    no more records, everything committed, the group left; then Faust
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, TypeVar

import structlog
from aiokafka.errors import KafkaError
from pydantic import Field

from pipeline.process.context import Context
from pipeline.process.durations import Seconds
from pipeline.process.failures import TelltaleError, TopicsMissing
from pipeline.process.health import Health
from pipeline.process.kafka import client_options
from pipeline.process.names import group_id, transactional_id
from pipeline.process.settings import ProcessSettings, SettingsGroup
from pipeline.runtime.admission import NOT_YET, Topics, look_at_topics
from pipeline.runtime.failpoints import Failpoints
from pipeline.runtime.metrics import stage_metrics
from pipeline.runtime.pacing import Budget, Pace
from pipeline.runtime.reader import Reader
from pipeline.runtime.shared import Producer, Shared
from pipeline.runtime.stage import Stage
from pipeline.runtime.transactions import Transactions
from pipeline.runtime.transport import BatchApp, GroupOptions
from pipeline.runtime.worker import Worker

log = structlog.get_logger(__name__)

_TRANSACTION_S = 10.0
_POLL_STUCK_S = 60.0


class CheckpointSettings(SettingsGroup):
    """When a stage commits, and when its group thinks it dead."""

    session_timeout_s: Seconds = Field(
        default=10.0, description="how long a stage may be silent before its partitions are given to others"
    )
    lazy_interval_s: Seconds = Field(
        default=0.5, description="how long changes of state alone wait for a checkpoint"
    )
    busy_interval_s: Seconds = Field(
        default=0.1, description="how long outputs wait for a checkpoint under load"
    )


class StageSettings(ProcessSettings):
    """What every stage has beside what every process has."""

    checkpoint: CheckpointSettings = Field(default=CheckpointSettings(), description="checkpoints")


S = TypeVar("S", bound=ProcessSettings)


class StageApp(BatchApp):
    """The Faust app of a stage, with its worker. `batches` is what its agents read."""

    def __init__(self, stage: Stage, settings: ProcessSettings, health: Health, topics: Topics) -> None:
        client = client_options(settings, stage.name)
        checkpoint = getattr(settings, "checkpoint", None) or CheckpointSettings()
        group = group_id(settings.prefix, stage.name)
        failpoints = Failpoints()
        self.failure: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()
        self.reader = Reader(client, group)

        async def start_producer(partition: int) -> Producer:
            name = transactional_id(settings.prefix, stage.name, partition)
            return await Transactions.start(client, name, _TRANSACTION_S, failpoints)

        shared = Shared(
            stage=stage,
            prefix=settings.prefix,
            group_id=group,
            count=settings.partitions,
            topic_ids=topics.ids,
            limits=topics.limits,
            partitions=topics.partitions,
            group=self,
            log=self.reader,
            start_producer=start_producer,
            metrics=stage_metrics(stage.name),
            clock=asyncio.get_running_loop().time,
            fatal=self._fail,
            pace=Pace(lazy_s=checkpoint.lazy_interval_s, busy_s=checkpoint.busy_interval_s),
            budget=Budget(),
        )
        super().__init__(
            stage.name,
            list(shared.logical),
            GroupOptions(client, group, settings.client_id, checkpoint.session_timeout_s),
        )
        self.worker = Worker(shared)
        self.on_partitions_revoked.connect(self._revoked)
        self.on_partitions_assigned.connect(self._assigned)
        health.check("partitions", self.worker.not_ready)
        health.liveness("poll", self._poll_stuck)

    def _fail(self, error: Exception) -> None:
        if not self.failure.done():
            self.failure.set_result(error)

    def _poll_stuck(self) -> str | None:
        since = self.since_last_fetch()
        return f"nothing was fetched or waited for in {since:.0f} s" if since > _POLL_STUCK_S else None

    async def _revoked(self, *_: Any, **__: Any) -> None:
        await self.worker.revoked()

    async def _assigned(self, *arguments: Any, **_: Any) -> None:
        self.hold(await self.worker.assigned(arguments[-1], self.generation))


def build_app(stage: Stage, settings: ProcessSettings, health: Health, topics: Topics) -> StageApp:
    """The Faust app whose agent hands each batch to the partition that it belongs to."""
    app = StageApp(stage, settings, health, topics)

    @app.agent(app.batches, name=f"telltale.{stage.name}")
    async def deliver(batches: Any) -> None:
        async for batch in batches:
            app.worker.deliver(batch)

    return app


async def run_stage(context: Context[S], stage: Stage) -> None:
    """Run the stage until `context.stopping` is set. Raises the failures of `pipeline.process`."""
    settings = context.settings
    client: Mapping[str, Any] = client_options(settings, f"{stage.name}-start")
    topics = await _admitted(context, stage, client)
    app = build_app(stage, settings, context.health, topics)
    watch = asyncio.create_task(app.worker.watch())
    stopping = asyncio.create_task(context.stopping.wait())
    ended = asyncio.create_task(_run_app(app))
    try:
        events: set[asyncio.Future[Any]] = {stopping, ended, app.failure}
        await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            await app.worker.drain(max(1.0, settings.drain_timeout_s - 5.0))
    finally:
        watch.cancel()
        stopping.cancel()
        await _stop_app(app, ended)
        await app.reader.close()
    if app.failure.done():
        raise app.failure.result()
    if (
        ended.done()
        and not ended.cancelled()
        and ended.exception() is not None
        and not context.stopping.is_set()
    ):
        raise TelltaleError(f"the stage {stage.name} ended: {ended.exception()!r}") from ended.exception()


async def _admitted(context: Context[S], stage: Stage, client: Mapping[str, Any]) -> Topics:
    """The stage's topics, once they are there. Kafka first, so that whoever waits is told for what."""

    async def look() -> Topics:
        return await look_at_topics(stage, context.settings, client)

    async def ask() -> Topics | TopicsMissing:
        try:
            return await look()
        except TopicsMissing as missing:
            return missing

    found = await context.reach("Kafka", ask, NOT_YET)
    if isinstance(found, TopicsMissing):
        return await context.reach("the topics in Kafka", look, NOT_YET)
    return found


async def _run_app(app: StageApp) -> None:
    await app.start()
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise app.crash_reason


async def _stop_app(app: StageApp, ended: asyncio.Task[None]) -> None:
    with contextlib.suppress(Exception):
        await app.leave_on_stop()
    try:
        async with asyncio.timeout(10.0):
            await app.stop()
    except (TimeoutError, KafkaError) as error:
        log.warning("Faust did not stop in good order", reason=str(error) or type(error).__name__)
    ended.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await ended
