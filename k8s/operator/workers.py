"""What the workers of each pipeline have counted, read now and then, and whenever a canary is compared."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import aiohttp

from k8s.operator.cache import Cache, Key
from k8s.operator.observing import Counted, look, workers_of
from k8s.operator.scraping import PodMetrics, PrometheusMetrics
from k8s.pipelines.readings import Metrics


class Workers:
    """Counts by pipeline; `notify` hears of a pipeline whose lag has changed."""

    def __init__(
        self, cache: Cache, session: aiohttp.ClientSession, notify: Callable[[Key], Awaitable[None]]
    ) -> None:
        self._cache = cache
        self._session = session
        self._notify = notify
        self._counts: dict[Key, Counted] = {}

    def counts(self, key: Key) -> Counted:
        """What was read last."""
        return self._counts.get(key, {})

    async def read(self, key: Key) -> None:
        """Read the metrics of all workers of a pipeline."""
        seen = look(self._cache, key)
        if seen is None:
            self._counts.pop(key, None)
            return
        monitoring = seen.spec.monitoring if seen.spec is not None else None
        source: Metrics
        if monitoring is not None and monitoring.prometheus_url is not None:
            source = PrometheusMetrics(self._session, monitoring.prometheus_url, key[0])
        else:
            source = PodMetrics(self._session)
        workers = workers_of(seen.pods)
        read = await source.read(worker for some in workers.values() for worker in some)
        self._counts[key] = {
            place: {worker.name: read[worker.name] for worker in some if worker.name in read}
            for place, some in workers.items()
        }

    async def run(self, interval_s: float) -> None:
        """Read for ever."""
        while True:
            await asyncio.sleep(interval_s)
            known = set(self._cache.pipelines())
            for gone in self._counts.keys() - known:
                del self._counts[gone]
            for key in known:
                before = _lag(self.counts(key))
                await self.read(key)
                if _lag(self.counts(key)) != before:
                    await self._notify(key)


def _lag(counts: Counted) -> dict[str, float]:
    return {
        pod: counted.lag
        for workers in counts.values()
        for pod, counted in workers.items()
        if counted.lag is not None
    }
