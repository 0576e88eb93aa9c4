"""Changes are made: applied, handed over, deleted; and what the API server answers goes to the cache.

A refusal concerns one resource, and the others are not kept waiting by it. A request that found the API
server busy is made again at once, since a pass makes dozens of them; everything else that goes wrong ends the
pass, which is then made again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from prometheus_client import Counter

from k8s.api import Api, Object
from k8s.api_errors import Conflict, NotFound, Refused, Unavailable
from k8s.kinds import CONTROLLER_REVISION, DEPLOYMENT, RULE_PIPELINE, Kind
from k8s.operator.cache import Cache
from k8s.operator.patience import patiently
from k8s.pipelines.desired import KINDS, Manifests
from k8s.pipelines.names import OPERATOR, Owner
from k8s.pipelines.plan import Apply, Change, Delete

CHANGES = Counter("telltale_operator_changes", "Changes made to what pipelines own", ["kind", "action"])
SCALES_NO_MORE = f"{OPERATOR}-scale"
"""The field manager that keeps the number of replicas where the operator leaves it to others."""


class Hands:
    """Whoever acts on the cluster for pipelines."""

    def __init__(self, api: Api, cache: Cache) -> None:
        self._api = api
        self._cache = cache

    async def make(self, owner: Owner, changes: Iterable[Change]) -> list[str]:
        """Make the changes in their order; what was refused, in the API server's words."""
        refused = []
        for change in changes:
            try:
                if isinstance(change, Apply):
                    await self._apply(owner, change)
                else:
                    await self._delete(owner, change)
            except Refused as error:
                refused.append(f"{change.ref}: {error}")
        return refused

    async def try_out(self, manifests: Manifests) -> list[str]:
        """What the API server would refuse of these, in its words; nothing is changed."""
        refused = []
        for reference, manifest in manifests.items():
            try:
                await self._apply_one(KINDS[reference.resource], manifest, dry_run=True)
            except Refused as error:
                refused.append(f"{reference}: {error}")
        return refused

    async def keep_revision(self, manifest: Mapping[str, Any]) -> None:
        """Write a ControllerRevision."""
        self._cache.put(CONTROLLER_REVISION, await self._api.create(CONTROLLER_REVISION, manifest))

    async def drop_revision(self, namespace: str, name: str) -> None:
        """Delete a ControllerRevision."""
        try:
            await self._api.delete(CONTROLLER_REVISION, namespace, name)
        except NotFound:
            return

    async def patch_pipeline(
        self, owner: Owner, patch: Mapping[str, Any], *, part: str | None = None
    ) -> None:
        """Merge into a RulePipeline, or its status; one that is gone is forgotten."""
        try:
            answer = await patiently(
                lambda: self._api.patch(RULE_PIPELINE, owner.namespace, owner.name, patch, part=part)
            )
        except NotFound:
            if (known := self._cache.pipeline(owner.key)) is not None:
                self._cache.remove(RULE_PIPELINE, known)
            return
        self._cache.put(RULE_PIPELINE, answer)

    async def _apply(self, owner: Owner, change: Apply) -> None:
        if change.hand_over is not None:
            await self._apply_one(
                DEPLOYMENT,
                {
                    **DEPLOYMENT.head(),
                    "metadata": {"name": change.ref.name, "namespace": owner.namespace},
                    "spec": {"replicas": change.hand_over},
                },
                manager=SCALES_NO_MORE,
            )
        answer = await self._apply_one(change.kind, change.manifest)
        self._cache.put(change.kind, answer)
        self._told(owner, change, "update" if change.exists else "create")

    async def _apply_one(self, kind: Kind, manifest: Mapping[str, Any], **how: Any) -> Object:
        # An apply names no version: a conflict is the API server's own, with somebody who wrote meanwhile.
        return await patiently(lambda: self._api.apply(kind, manifest, **how), (Unavailable, Conflict))

    async def _delete(self, owner: Owner, change: Delete) -> None:
        try:
            await patiently(
                lambda: self._api.delete(change.kind, owner.namespace, change.ref.name, uid=change.uid)
            )
        except (NotFound, Conflict):
            return
        self._told(owner, change, "delete")

    @staticmethod
    def _told(owner: Owner, change: Change, action: str) -> None:
        CHANGES.labels(change.kind.name, action).inc()
        structlog.get_logger(__name__).info(
            f"Changed {change.ref}", action=action, pipeline=f"{owner.namespace}/{owner.name}"
        )
