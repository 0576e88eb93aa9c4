"""The API server as our programs see it: any kind, plain data, a typed error and a time-out for each request.

It neither caches nor repeats: whether to try again is said by the
error, and when is decided by whoever asked. `follow` alone never ends: it lists, watches and begins anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson
import structlog
from prometheus_client import Counter

from k8s.access import Access, of_kubeconfig, of_pod
from k8s.api_errors import ApiError, Broken, Forbidden, Gone, Unavailable, error_of
from k8s.kinds import Kind
from pipeline.process.version import program_version

Object = dict[str, Any]

REQUESTS = Counter(
    "telltale_operator_api_requests",
    "Requests to the API server; a watch counts when it begins",
    ["verb", "code"],
)
MANAGER = "telltale-operator"
"""The field manager of what the operator applies."""
_TIMEOUT_S = 20.0
_WATCH_S = 300
_PAGE = 500
_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
_DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
_WATCH_SILENT_S = 150
"""A watch that says nothing for so long is lost in some network: bookmarks come every minute."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A collection at one moment, and the version from which a watch goes on."""

    items: Sequence[Object]
    version: str


@dataclass(frozen=True, slots=True)
class Change:
    """One event of a watch: ADDED, MODIFIED or DELETED."""

    type: str
    object: Object


class Api:
    """A connection to the API server, for the time of an `async with`."""

    def __init__(self, access: Access, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._access = access
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def connect(cls, kubeconfig: Path | None = None, *, timeout_s: float = _TIMEOUT_S) -> Self:
        """As a kubeconfig says, or the pod that we are in; ConfigurationError where that leads nowhere."""
        return cls(of_pod() if kubeconfig is None else of_kubeconfig(kubeconfig), timeout_s=timeout_s)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # Watches hold a connection each, so that the number of connections has no limit here.
            connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls()),
            headers={"User-Agent": f"telltale/{program_version()}"},
            # One event of a watch is one line, and an object has up to 1.5 MiB.
            read_bufsize=2**21,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """One resource; NotFound if there is none."""
        return await self._json("get", "GET", kind.path(namespace, name))

    async def list(
        self, kind: Kind, namespace: str | None = None, *, labels: str | None = None, page: int = _PAGE
    ) -> Listed:
        """All resources of a kind, `page` at a time; `labels` is a label selector."""
        items: list[Object] = []
        query = {"limit": str(page), **({"labelSelector": labels} if labels else {})}
        while True:
            answer = await self._json("list", "GET", kind.path(namespace), query=query)
            # The items of a list carry neither apiVersion nor kind.
            items += [{**kind.head(), **item} for item in answer.get("items") or ()]
            metadata = answer.get("metadata", {})
            if not metadata.get("continue"):
                return Listed(items, str(metadata.get("resourceVersion", "")))
            query["continue"] = metadata["continue"]

    async def create(self, kind: Kind, resource: Mapping[str, Any]) -> Object:
        """Create it; AlreadyExists if there is one."""
        return await self._json("create", "POST", kind.path(_namespace(kind, resource)), body=resource)

    async def replace(self, kind: Kind, resource: Mapping[str, Any]) -> Object:
        """Replace it as a whole; Conflict if its resourceVersion is not the newest."""
        path = kind.path(_namespace(kind, resource), resource["metadata"]["name"])
        return await self._json("replace", "PUT", path, body=resource)

    async def apply(
        self, kind: Kind, resource: Mapping[str, Any], *, manager: str = MANAGER, dry_run: bool = False
    ) -> Object:
        """Server-side apply: these fields are ours, and what we left out since the last time goes."""
        path = kind.path(_namespace(kind, resource), resource["metadata"]["name"])
        query = {"fieldManager": manager, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        return await self._json(
            "apply", "PATCH", path, query=query, body=resource, content="application/apply-patch+yaml"
        )

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        part: str | None = None,
    ) -> Object:
        """Merge `patch` into a resource or a part of it; Conflict if it names another resourceVersion."""
        return await self._json(
            "patch",
            "PATCH",
            kind.path(namespace, name, part),
            query={"fieldManager": MANAGER},
            body=patch,
            content="application/merge-patch+json",
        )

    async def patch_status(
        self, kind: Kind, namespace: str | None, name: str, status: Mapping[str, Any]
    ) -> Object:
        """Merge into the status; a field that is None is taken away."""
        return await self.patch(kind, namespace, name, {"status": status}, part="status")

    async def delete(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        foreground: bool = False,
    ) -> None:
        """Delete it, if it is the one with this uid; NotFound if there is none."""
        body: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Foreground" if foreground else "Background",
            **({"preconditions": {"uid": uid}} if uid else {}),
        }
        await self._json("delete", "DELETE", kind.path(namespace, name), body=body)

    async def served(self) -> frozenset[str]:
        """What the cluster serves, as `group/version/plural`: one request."""
        answer = await self._json("discover", "GET", "/apis", accept=_DISCOVERY)
        return frozenset(
            f"{group['metadata']['name']}/{version['version']}/{resource['resource']}"
            for group in answer.get("items", ())
            for version in group.get("versions", ())
            for resource in version.get("resources", ())
        )

    @property
    def access(self) -> Access:
        """Where the API server is and who we are, for a client that connects by itself."""
        return self._access

    async def version(self) -> str:
        """The API server's version: the cheapest question."""
        return str((await self._json("version", "GET", "/version")).get("gitVersion", ""))

    async def watch(
        self, kind: Kind, namespace: str | None = None, *, version: str, labels: str | None = None
    ) -> AsyncGenerator[Change, None]:
        """Changes since `version`, until the server ends the watch; Gone if it is too old.

        A BOOKMARK is passed on too: its object carries a newer version and nothing else.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_WATCH_S),
            **({"labelSelector": labels} if labels else {}),
        }
        timeout = aiohttp.ClientTimeout(sock_connect=self._timeout_s, sock_read=_WATCH_SILENT_S)
        answer = await self._answer("watch", "GET", kind.path(namespace), query=query, timeout=timeout)
        try:
            while line := await answer.content.readline():
                event = orjson.loads(line)
                if event["type"] == "ERROR":
                    raise error_of(int(event["object"].get("code", 500)), event["object"])
                yield Change(event["type"], event["object"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Broken(f"the watch of {kind.plural} broke: {error or type(error).__name__}") from error
        finally:
            answer.close()

    async def follow(
        self, kind: Kind, namespace: str | None = None, *, labels: str | None = None
    ) -> AsyncIterator[Listed | Change]:
        """All resources, then every change, for ever: after a break it lists anew.

        Errors are logged and tried again, with growing pauses; only the caller ends it. A watch that stood
        for longer than the pause is begun again soon, however quiet it was: load balancers end idle ones.
        """
        log = structlog.get_logger(__name__)
        pause_s = _PAUSE_S
        version = ""
        while True:
            try:
                if not version:
                    listed = await self.list(kind, namespace, labels=labels)
                    version = listed.version
                    yield listed
                began = time.monotonic()
                async with contextlib.aclosing(
                    self.watch(kind, namespace, version=version, labels=labels)
                ) as changes:
                    async for change in changes:
                        version = change.object["metadata"]["resourceVersion"]
                        pause_s = _PAUSE_S
                        if change.type != "BOOKMARK":
                            yield change
                if time.monotonic() - began < pause_s:
                    raise Broken(f"the watch of {kind.plural} ended at once")
            except Gone:
                version = ""
            except ApiError as error:
                if not isinstance(error, Unavailable):
                    version = ""
                if isinstance(error, Broken) and time.monotonic() - began >= pause_s:
                    pause_s = _PAUSE_S
                wait_s = max(pause_s * random.uniform(0.5, 1.0), error.after_s or 0.0)
                level = "warning" if isinstance(error, Forbidden) or pause_s > 2 else "info"
                getattr(log, level)(
                    f"Watching {kind.plural} again", reason=str(error), pause_s=round(wait_s, 1)
                )
                await asyncio.sleep(wait_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _json(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content: str = "application/json",
        accept: str = "application/json",
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        headers = {"Content-Type": content, "Accept": accept}
        answer = await self._answer(
            verb, method, path, query=query, body=body, headers=headers, timeout=timeout
        )
        try:
            read: Object = orjson.loads(await answer.read())
            return read
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Unavailable(f"the answer to {method} {path} broke: {type(error).__name__}") from error

    async def _answer(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """The answer to a request, its body unread; one of the errors where it is none of success."""
        assert self._session is not None, "outside of `async with`"
        sent = dict(headers or {"Accept": "application/json"})
        code = "none"
        try:
            if token := self._access.token():
                sent["Authorization"] = f"Bearer {token}"
            answer = await self._session.request(
                method,
                f"{self._access.server}{path}",
                params=dict(query or {}),
                headers=sent,
                data=None if body is None else orjson.dumps(body),
                timeout=timeout,
                server_hostname=self._access.server_name,
            )
            code = str(answer.status)
            if 200 <= answer.status < 300:
                return answer
            text = await answer.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the API server does not answer {method} {path}: {reason}") from error
        finally:
            REQUESTS.labels(verb, code).inc()
        raise error_of(answer.status, _status(text), _after_s(answer.headers.get("Retry-After")))


def _namespace(kind: Kind, resource: Mapping[str, Any]) -> str | None:
    return resource["metadata"]["namespace"] if kind.namespaced else None


def _status(text: str) -> Object | str:
    try:
        status = orjson.loads(text)
    except ValueError:
        return text
    return status if isinstance(status, dict) else text


def _after_s(header: str | None) -> float | None:
    return float(header) if header is not None and header.isdecimal() else None
