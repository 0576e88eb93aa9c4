"""The pipelines of a cluster are looked after: loop, watches, queue and passes, put together."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import structlog
from prometheus_client import Counter, Gauge, Histogram

from k8s.api import Api
from k8s.api_errors import ApiError
from k8s.kinds import RULE_PIPELINE
from k8s.operator.acting import Hands
from k8s.operator.cache import Cache, Key
from k8s.operator.cleanup import Cleanup
from k8s.operator.events import Events
from k8s.operator.handlers import follow_pipelines
from k8s.operator.passes import Passes
from k8s.operator.queue import Queue
from k8s.operator.settings import OperatorGroup
from k8s.operator.telling import Telling
from k8s.operator.watches import Watches
from k8s.operator.workers import Workers

PASSES = Counter("telltale_operator_passes", "Passes over RulePipelines", ["outcome"])
PASS_SECONDS = Histogram("telltale_operator_pass_seconds", "Time of a pass over a RulePipeline")
PIPELINES = Gauge("telltale_operator_pipelines", "RulePipelines that are looked after")


class Controller:
    """One operator's care for pipelines."""

    def __init__(self, api: Api, settings: OperatorGroup) -> None:
        self._api = api
        self._settings = settings
        self.cache = Cache()
        self.queue = Queue()
        self.watches = Watches(
            api, self.cache, settings.namespaces, self.queue.add, settings.discovery_interval_s
        )

    async def run(self) -> None:
        """Look after pipelines until cancelled."""
        settings = self._settings
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            workers = Workers(self.cache, session, self.queue.add)
            hands = Hands(self._api, self.cache)
            telling = Telling(hands, Events(self._api))
            passes = Passes(
                cache=self.cache,
                hands=hands,
                telling=telling,
                workers=workers,
                cleanup=Cleanup(hands, telling),
                capabilities=lambda: self.watches.capabilities,
                canary_interval_s=settings.canary_interval_s,
            )
            group.create_task(self.watches.run(), name="watches")
            await self.watches.listed()
            group.create_task(follow_pipelines(self._api, settings.namespaces, self._heard), name="pipelines")
            group.create_task(workers.run(settings.scrape_interval_s), name="metrics of workers")

            async def work(key: Key) -> float | None:
                with PASS_SECONDS.time():
                    again = await passes.over(key)
                PASSES.labels("done").inc()
                return again

            group.create_task(self.queue.run(work, settings.workers, _failed), name="passes")

    async def _heard(self, kind: str | None, resource: dict[str, Any]) -> None:
        if kind == "DELETED":
            key = self.cache.remove(RULE_PIPELINE, resource)
        else:
            key = self.cache.put(RULE_PIPELINE, resource)
        PIPELINES.set(sum(1 for _ in self.cache.pipelines()))
        if key is not None:
            await self.queue.add(key)


def _failed(key: Key, error: Exception) -> None:
    log = structlog.get_logger(__name__)
    pipeline = "/".join(key)
    if isinstance(error, ApiError):
        PASSES.labels("again" if error.again else "refused").inc()
        log.warning("A pass is made again", pipeline=pipeline, reason=str(error))
    else:
        PASSES.labels("failed").inc()
        log.error("A pass failed, and is made again", pipeline=pipeline, exc_info=error)
