"""One probe of a container, asked again and again: after so many answers of one kind it says so."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp

Object = dict[str, Any]
Execute = Callable[[list[str]], Awaitable[bool]]
"""Run a command in the container; whether it ended with 0."""


async def verdicts(probe: Object, container: Object, address: str, execute: Execute) -> AsyncIterator[bool]:
    """True each time that successThreshold is reached, False each time that failureThreshold is."""
    await asyncio.sleep(probe.get("initialDelaySeconds", 0))
    good = bad = 0
    while True:
        passed = False
        with contextlib.suppress(OSError, TimeoutError, aiohttp.ClientError):
            async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
                passed = await _ask(probe, container, address, execute)
        good, bad = (good + 1, 0) if passed else (0, bad + 1)
        if good >= probe.get("successThreshold", 1):
            yield True
        if bad >= probe.get("failureThreshold", 3):
            yield False
        await asyncio.sleep(probe.get("periodSeconds", 10))


async def _ask(probe: Object, container: Object, address: str, execute: Execute) -> bool:
    match probe:
        case {"httpGet": wanted}:
            scheme = wanted.get("scheme", "HTTP").lower()
            host = wanted.get("host") or address
            url = f"{scheme}://{host}:{_port(container, wanted['port'])}{wanted.get('path', '/')}"
            headers = {one["name"]: one["value"] for one in wanted.get("httpHeaders", [])}
            async with (
                aiohttp.ClientSession() as session,
                session.get(url, headers=headers, ssl=False, allow_redirects=False) as answer,
            ):
                return 200 <= answer.status < 400
        case {"tcpSocket": wanted}:
            _, writer = await asyncio.open_connection(
                wanted.get("host") or address, _port(container, wanted["port"])
            )
            writer.close()
            return True
        case {"exec": {"command": command}}:
            return await execute(command)
    raise AssertionError(f"this kubelet does not know the probe {sorted(probe)}")


def _port(container: Object, port: int | str) -> int:
    if isinstance(port, int):
        return port
    return next(one["containerPort"] for one in container["ports"] if one.get("name") == port)
