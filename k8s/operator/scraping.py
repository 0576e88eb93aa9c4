"""The workers' own metrics, read over their pods' addresses; or a Prometheus's, where a pipeline names one.

A worker that does not answer is left out: nothing is concluded from silence, since readiness says more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

import aiohttp
import structlog

from k8s.pipelines.readings import Counts, Sample, Worker, counts_of, samples_of

_TIMEOUT = aiohttp.ClientTimeout(total=3.0, connect=1.5)
_AT_A_TIME: Final = 16
_LARGEST: Final = 8 * 1024 * 1024
"""Bytes of a page of metrics that are read."""


class PodMetrics:
    """Reads /metrics of each worker."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def read(self, workers: Iterable[Worker]) -> Mapping[str, Counts]:
        """Counts by the names of the pods."""
        limit = asyncio.Semaphore(_AT_A_TIME)

        async def one(worker: Worker) -> tuple[str, Counts | None]:
            async with limit:
                return worker.name, await self._counts(worker)

        read = await asyncio.gather(*(one(worker) for worker in workers))
        return {name: counts for name, counts in read if counts is not None}

    async def _counts(self, worker: Worker) -> Counts | None:
        try:
            url = f"http://{worker.address}/metrics"
            async with self._session.get(
                url, timeout=_TIMEOUT, headers={"Accept": "text/plain;version=0.0.4"}
            ) as answer:
                if answer.status != 200:
                    return None
                page = await answer.content.read(_LARGEST)
            # A page of a large worker takes longer to read than a loop should be held.
            samples = await asyncio.to_thread(samples_of, page.decode("utf-8", "replace"))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            structlog.get_logger(__name__).debug(
                "A worker's metrics were not read", pod=worker.name, reason=str(error)
            )
            return None
        return counts_of(worker.stage, samples)


class PrometheusMetrics:
    """Asks a Prometheus for the same metrics; it must keep the label `pod`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, namespace: str) -> None:
        self._session = session
        self._url = url.rstrip("/") + "/api/v1/query"
        self._namespace = namespace

    async def read(self, workers: Iterable[Worker]) -> Mapping[str, Counts]:
        """Counts by the names of the pods."""
        by_name = {worker.name: worker for worker in workers}
        if not by_name:
            return {}
        stages = "|".join(sorted({worker.stage for worker in by_name.values()}))
        pods = "|".join(by_name)
        query = f'{{__name__=~"telltale_({stages})_.*",namespace="{self._namespace}",pod=~"{pods}"}}'
        try:
            async with self._session.post(self._url, data={"query": query}, timeout=_TIMEOUT) as answer:
                body: dict[str, Any] = await answer.json()
            if body["status"] != "success":
                raise ValueError(body["error"])
            found: dict[str, list[Sample]] = {}
            for each in body["data"]["result"]:
                labels = each["metric"]
                found.setdefault(labels.get("pod", ""), []).append(
                    (labels["__name__"], labels, float(each["value"][1]))
                )
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, TypeError) as error:
            structlog.get_logger(__name__).warning(
                "Prometheus did not answer", url=self._url, reason=f"{type(error).__name__}: {error}"
            )
            return {}
        return {
            pod: counts_of(by_name[pod].stage, samples) for pod, samples in found.items() if pod in by_name
        }
