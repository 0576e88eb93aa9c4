"""kopf turns the loop over RulePipelines: it lists, watches and begins anew; what it sees goes to the cache.

Nothing else of kopf is used. Its annotations and its diffs would be a second memory beside the cluster, its
finalizer would keep resources when no operator runs, and one handler for one resource is not how a whole
installation is looked after.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import kopf

from k8s.api import Api
from k8s.kinds import RULE_PIPELINE

Heard = Callable[[str | None, dict[str, Any]], Awaitable[None]]
"""The type of an event (None in a list) and the RulePipeline."""


async def follow_pipelines(
    api: Api, namespaces: Sequence[str], heard: Heard, *, ready: asyncio.Event | None = None
) -> None:
    """Call `heard` for every RulePipeline and every change of one, until cancelled."""
    # Each event that was heard is news to kopf alone.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # What is there is known before kopf starts, and namespaces and CRDs need not be read for it.
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.networking.request_timeout = 30

    async def changed(event: Mapping[str, Any], **_: Any) -> None:
        await heard(event["type"], dict(event["object"]))

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _connection(await api.credentials())

    kopf.on.event(RULE_PIPELINE.group, RULE_PIPELINE.version, RULE_PIPELINE.plural, registry=registry)(
        changed
    )
    kopf.on.login(registry=registry)(login)
    listens = asyncio.Event() if ready is None else ready
    await kopf.operator(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        ready_flag=listens,
        indexers=None,
    )


def _connection(said: Mapping[str, Any]) -> kopf.ConnectionInfo:
    # Tokens of pods are renewed within the hour: ours is read again long before that.
    return kopf.ConnectionInfo(**said, expiration=datetime.now(UTC) + timedelta(minutes=10))
