"""The API server as a component asks it: asynchronously, with watches."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any, Self

import aiohttp

from tests.controlplane.certificates import pair
from tests.controlplane.cluster import Cluster

Object = dict[str, Any]
AWAY = (OSError, aiohttp.ClientError, TimeoutError)
"""What is raised where nobody answers."""


class Refused(Exception):
    """An HTTP status of the API server."""

    def __init__(self, code: int, said: str) -> None:
        self.code = code
        super().__init__(f"{code}: {said}")


class AsyncClient:
    """One user's session."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, cluster: Cluster, user: str) -> AsyncIterator[Self]:
        """As one of `certificates.USERS`."""
        tls = ssl.create_default_context(cafile=str(cluster.authority))
        tls.load_cert_chain(*pair(cluster.directory / "pki", user))
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        headers = {"User-Agent": user}
        async with aiohttp.ClientSession(cluster.server, connector=connector, headers=headers) as session:
            yield cls(session)

    async def ask(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        kind: str = "application/json",
        params: dict[str, str] | None = None,
    ) -> str:
        """The answer's text; raises Refused, and one of AWAY."""
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": kind} if body is not None else {}
        async with self._session.request(
            method, path, data=content, headers=headers, params=params
        ) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise Refused(answer.status, text)
            return text

    async def patch(self, path: str, body: Object) -> str:
        return await self.ask("PATCH", path, body, kind="application/merge-patch+json")

    async def events(self, path: str, query: dict[str, str]) -> AsyncIterator[Object]:
        """A watch, until the API server ends it."""
        forever = aiohttp.ClientTimeout(total=None, sock_connect=10)
        async with self._session.get(path, params=query, timeout=forever) as answer:
            if answer.status >= 400:
                raise Refused(answer.status, await answer.text())
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield json.loads(line)
