"""Every rule resource of the cluster, in memory: a list and a watch for each kind, no handler for each one.

The index says that something has changed, not what: whoever reads it compares. Nothing is concluded from what
it lacks before all kinds have been listed once, so that a slow start deletes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from k8s.api import Api, Change, Listed
from k8s.kinds import Kind
from k8s.resources.documents import Asked, Key, asked_for
from k8s.resources.tenancy import Tenancy

_SLICE = 50


class Index:
    """What is asked for now, and the status that each resource has."""

    def __init__(self, tenancy: Tenancy, origin: str) -> None:
        self._tenancy = tenancy
        self._origin = origin
        self._missing: set[tuple[str, str | None]] | None = None
        self.asked: dict[Key, Asked] = {}
        self.statuses: dict[Key, Mapping[str, Any]] = {}
        self.changed = asyncio.Event()
        """Set where a document has changed, has come or is gone; whoever has looked clears it."""
        self.version = 0
        """How often that was."""

    @property
    def is_whole(self) -> bool:
        """Whether every kind was listed."""
        return self._missing is not None and not self._missing

    async def follow(self, api: Api, kinds: Iterable[Kind], namespaces: Sequence[str] = ()) -> None:
        """Fill the index, for ever; of these namespaces, or of all."""
        scopes = [(kind, namespace) for kind in kinds for namespace in (namespaces or (None,))]
        self._missing = {(kind.name, namespace) for kind, namespace in scopes}
        async with asyncio.TaskGroup() as tasks:
            for kind, namespace in scopes:
                tasks.create_task(self._follow(api, kind, namespace), name=f"index of {kind.plural}")

    async def _follow(self, api: Api, kind: Kind, namespace: str | None) -> None:
        async for said in api.follow(kind, namespace):
            match said:
                case Listed(items=items):
                    await self.replace(kind, namespace, items)
                case Change(type="DELETED", object=resource):
                    self.remove(kind, resource)
                case Change(object=resource):
                    self.take(kind, resource)

    async def replace(
        self, kind: Kind, namespace: str | None, resources: Iterable[Mapping[str, Any]]
    ) -> None:
        """Take the whole list of a kind, of one namespace or of all."""
        there = set()
        for count, resource in enumerate(resources, 1):
            there.add(self.take(kind, resource))
            if count % _SLICE == 0:  # thousands are a second's work
                await asyncio.sleep(0)
        gone = [
            key
            for key in self.asked
            if key.kind == kind.name and key not in there and namespace in (None, key.namespace)
        ]
        for key in gone:
            self._forget(key)
        if self._missing and (kind.name, namespace) in self._missing:
            self._missing.discard((kind.name, namespace))
            self._note()

    def take(self, kind: Kind, resource: Mapping[str, Any]) -> Key:
        """Take one resource as it is now; one that is on its way out asks for nothing."""
        asked = asked_for({**resource, **kind.head()}, self._tenancy, self._origin)
        key = asked.key
        if resource["metadata"].get("deletionTimestamp"):
            self._forget(key)
            return key
        self.statuses[key] = resource.get("status") or {}
        if self.asked.get(key) != asked:
            self.asked[key] = asked
            self._note()
        return key

    def remove(self, kind: Kind, resource: Mapping[str, Any]) -> None:
        """Take a resource out."""
        metadata = resource["metadata"]
        self._forget(Key(kind.name, str(metadata.get("namespace", "")), str(metadata["name"])))

    def _forget(self, key: Key) -> None:
        self.statuses.pop(key, None)
        if self.asked.pop(key, None) is not None:
            self._note()

    def _note(self) -> None:
        self.version += 1
        self.changed.set()


async def quiet(changed: asyncio.Event, *, quiet_s: float, longest_s: float) -> None:
    """Wait for a change, and for its companions: until none comes for so long, at most so long in all."""
    await changed.wait()
    loop = asyncio.get_running_loop()
    latest = loop.time() + longest_s
    while changed.is_set() and (left := latest - loop.time()) > 0:
        changed.clear()
        try:
            async with asyncio.timeout(min(quiet_s, left)):
                await changed.wait()
        except TimeoutError:
            break
    changed.clear()
