"""One port answers for a process: /metrics, /healthz, /readyz, /version.

That /healthz answers at all says that the event loop turns; the checks say the rest. How late the
loop was is measured all the time: whoever holds it longer than 100 ms endangers the group's heartbeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import REGISTRY, Histogram, Info
from prometheus_client.exposition import choose_encoder

from pipeline.process.failures import ConfigurationError
from pipeline.process.version import program_version

if TYPE_CHECKING:
    from typing import Any

    from pipeline.process.context import Context

LOOP_LAG = Histogram(
    "telltale_process_loop_lag_seconds",
    "How late the event loop came back to a task that was due",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
BUILD = Info("telltale_process_build", "The program's version and the process type")
_BEAT_S = 0.25


@contextlib.asynccontextmanager
async def serving(context: Context[Any]) -> AsyncIterator[int]:
    """Serve until the block ends; gives the bound port, and ConfigurationError where it is taken."""
    settings = context.settings
    BUILD.info({"version": program_version(), "process": context.name})
    runner = web.AppRunner(_application(context), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    beat = asyncio.create_task(_measure_lag(), name="loop lag")
    try:
        try:
            listener = _listen(settings.http_host, settings.http_port)
            await web.SockSite(runner, listener).start()
        except OSError as error:
            raise ConfigurationError(_port_problem(settings.http_host, settings.http_port, error)) from error
        port = int(listener.getsockname()[1])
        context.http_port = port
        yield port
    finally:
        beat.cancel()
        await runner.cleanup()


def _listen(host: str, port: int) -> socket.socket:
    """One socket for all addresses: asyncio would open one for IPv4 and one for IPv6, port 0 twice."""
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _port_problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"httpPort: {port} is taken by another process; end that one, or set TELLTALE_HTTP_PORT"
            " to another port (0: a free one)"
        )
    return f"httpHost, httpPort: cannot listen at {host or '*'}:{port}: {error.strerror or error}"


def _application(context: Context[Any]) -> web.Application:
    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})

    async def healthz(_request: web.Request) -> web.Response:
        broken = context.health.broken()
        return web.json_response({"alive": not broken, "broken": broken}, status=503 if broken else 200)

    async def readyz(_request: web.Request) -> web.Response:
        missing = context.health.missing()
        return web.json_response({"ready": not missing, "missing": missing}, status=503 if missing else 200)

    async def version(_request: web.Request) -> web.Response:
        return web.json_response({"process": context.name, "version": program_version(), **context.about})

    async def index(_request: web.Request) -> web.Response:
        return web.Response(text=f"telltale {context.name}: /metrics /healthz /readyz /version\n")

    application = web.Application()
    application.router.add_get("/", index)
    application.router.add_get("/metrics", metrics)
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/version", version)
    return application


async def _measure_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _BEAT_S
        await asyncio.sleep(_BEAT_S)
        LOOP_LAG.observe(max(0.0, loop.time() - due))
