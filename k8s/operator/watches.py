"""The cache follows the cluster: one watch for each kind that belongs to pipelines, by our label.

Nothing is looked after before every kind was listed once: what is not known yet is not what is missing. Kinds
of other projects are followed as soon as the cluster has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog

from k8s.api import Api, Listed
from k8s.api_errors import ApiError
from k8s.kinds import CONTROLLER_REVISION, FOREIGN, POD, Kind
from k8s.operator.cache import Cache, Key
from k8s.pipelines.desired import MANAGED, Capabilities, capabilities_of
from k8s.pipelines.names import OURS

OWN = (*(kind for kind in MANAGED if kind not in FOREIGN), POD, CONTROLLER_REVISION)
"""Kinds that every cluster has."""


class Watches:
    """The watches of one operator; `capabilities` are those of the cluster, kept up to date."""

    def __init__(
        self,
        api: Api,
        cache: Cache,
        namespaces: Sequence[str],
        notify: Callable[[Key], Awaitable[None]],
        discovery_interval_s: float,
    ) -> None:
        self._api = api
        self._cache = cache
        self._namespaces: tuple[str | None, ...] = tuple(namespaces) or (None,)
        self._notify = notify
        self._interval_s = discovery_interval_s
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._unlisted: set[tuple[str, str | None]] = set()
        self._listed = asyncio.Event()
        self._discovered = False
        self.capabilities = Capabilities()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._begin(group, OWN)
            while True:
                try:
                    await self._discover(group)
                except ApiError as error:
                    structlog.get_logger(__name__).warning(
                        "The API server does not tell which kinds it has", reason=str(error)
                    )
                    await asyncio.sleep(min(2.0, self._interval_s))
                    continue
                await asyncio.sleep(self._interval_s)

    async def listed(self) -> None:
        """Return when every kind was listed once."""
        await self._listed.wait()

    async def _discover(self, group: asyncio.TaskGroup) -> None:
        found = capabilities_of(await self._api.served())
        if found == self.capabilities and self._discovered:
            return
        new = [kind for kind in FOREIGN if kind in found and kind not in self.capabilities]
        for kind in FOREIGN:
            if kind in self.capabilities and kind not in found:
                for task in self._tasks.pop(kind.resource, ()):
                    task.cancel()
                self._unlisted -= {each for each in self._unlisted if each[0] == kind.resource}
                self._cache.forget(kind)
        self.capabilities = found
        self._begin(group, new)
        self._discovered = True
        self._settle()
        for key in self._cache.pipelines():
            await self._notify(key)

    def _begin(self, group: asyncio.TaskGroup, kinds: Iterable[Kind]) -> None:
        for kind in kinds:
            self._unlisted |= {(kind.resource, namespace) for namespace in self._namespaces}
            self._tasks[kind.resource] = [
                group.create_task(self._follow(kind, namespace), name=f"watch {kind.plural}")
                for namespace in self._namespaces
            ]

    async def _follow(self, kind: Kind, namespace: str | None) -> None:
        async for news in self._api.follow(kind, namespace, labels=OURS):
            if isinstance(news, Listed):
                concerned = self._cache.replace(kind, namespace, news.items)
                self._unlisted.discard((kind.resource, namespace))
                self._settle()
            elif news.type == "DELETED":
                concerned = {key for key in (self._cache.remove(kind, news.object),) if key}
            else:
                concerned = {key for key in (self._cache.put(kind, news.object),) if key}
            for key in concerned:
                await self._notify(key)

    def _settle(self) -> None:
        if self._discovered and not self._unlisted:
            self._listed.set()
