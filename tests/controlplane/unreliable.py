"""A way to the API server on which requests are refused, slowed down, or lost: by chance, from a seed.

It answers a 409, 429, 500 or 503 of its own, waits, cuts the connection before or after the API server has
done what was asked, and ends watches early. All else it passes on, credentials included.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
from collections import Counter
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp import web

from tests.controlplane.cluster import Cluster

_HOP: Final = {"host", "connection", "transfer-encoding", "content-length", "content-encoding"}
_REFUSALS: Final = {409: "Conflict", 429: "TooManyRequests", 500: "InternalError", 503: "ServiceUnavailable"}
_LOST: Final = ("lost before", "lost after")


class UnreliableApi:
    """The way, for the time of a `with`; `troubles` counts what happened on it."""

    def __init__(self, cluster: Cluster, seed: int, share: float) -> None:
        """`share` of the requests are troubled."""
        self.troubles: Counter[str] = Counter()
        self.url = ""
        self._cluster = cluster
        self._chance = random.Random(seed)
        self._share = share
        self._listens, self._ended = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop
        self._session: aiohttp.ClientSession

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        trusted = ssl.create_default_context(cafile=str(self._cluster.authority))
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{path:.*}", self._pass_on)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(
            self._cluster.server,
            connector=aiohttp.TCPConnector(ssl=trusted, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        ) as self._session:
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            self._listens.set()
            await self._ended.wait()
            await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        trouble = self._trouble(request.method)
        if trouble is not None:
            self.troubles[str(trouble)] += 1
        match trouble:
            case int():
                return _refusal(trouble)
            case "lost before":
                return _cut(request)
            case "slow":
                await asyncio.sleep(self._chance.uniform(0.5, 3.0))
        watch_s = self._chance.uniform(2.0, 8.0) if "watch" in request.query else None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        body = await request.read()
        async with self._session.request(
            request.method, request.path_qs, headers=headers, data=body or None
        ) as answer:
            if trouble == "lost after":
                if watch_s is None:
                    await answer.read()
                return _cut(request)
            return await self._answer(request, answer, watch_s)

    async def _answer(
        self, request: web.Request, answer: aiohttp.ClientResponse, watch_s: float | None
    ) -> web.StreamResponse:
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
        passed = web.StreamResponse(status=answer.status, headers=kept)
        await passed.prepare(request)
        try:
            async with asyncio.timeout(watch_s):
                async for part in answer.content.iter_any():
                    await passed.write(part)
        except TimeoutError:
            self.troubles["watch cut"] += 1
            return _cut(request, passed)
        await passed.write_eof()
        return passed

    def _trouble(self, method: str) -> int | str | None:
        if self._chance.random() >= self._share:
            return None
        kinds = [*_REFUSALS, *_LOST, "slow"]
        if method == "GET":
            kinds.remove(409)
        return self._chance.choice(kinds)


def _refusal(code: int) -> web.Response:
    reason = _REFUSALS[code]
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code}
    headers = {"Retry-After": "1"} if code == 429 else {}
    return web.json_response({**status, "message": f"by chance: {reason}"}, status=code, headers=headers)


def _cut(request: web.Request, begun: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return begun if begun is not None else web.Response(status=503)
