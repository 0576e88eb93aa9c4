"""kopf turns the loop over RulePipelines: it lists, watches and begins anew; what it sees goes to the cache.

Nothing else of kopf is used. Its annotations and its diffs would be a second memory beside the cluster, its
finalizer would keep resources when no operator runs, and one handler for one resource is not how a whole
installation is looked after. It has a thread of its own, since in the main one it takes SIGTERM for itself.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import kopf

from k8s.api import Api
from k8s.kinds import RULE_PIPELINE

Heard = Callable[[str | None, dict[str, Any]], Awaitable[None]]
"""The type of an event (None in a list) and the RulePipeline."""


async def follow_pipelines(api: Api, namespaces: Sequence[str], heard: Heard) -> None:
    """Call `heard`, in this loop, for every RulePipeline and every change of one, until cancelled."""
    ours = asyncio.get_running_loop()
    stop = threading.Event()

    async def changed(event: Mapping[str, Any], **_: Any) -> None:
        told = _tell(heard, event["type"], dict(event["object"]))
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(told, ours))

    async def login(**_: Any) -> kopf.ConnectionInfo:
        access = api.access
        return kopf.ConnectionInfo(
            server=access.server,
            ca_path=access.ca_path,
            ca_data=_encoded(access.ca_data),
            insecure=access.insecure,
            token=access.token(),
            certificate_data=_encoded(access.certificate),
            private_key_data=_encoded(access.key),
            # Tokens of pods are renewed within the hour: ours is read again long before that.
            expiration=datetime.now(UTC) + timedelta(minutes=10),
        )

    turning = asyncio.ensure_future(asyncio.to_thread(_turn, _registry(changed, login), namespaces, stop))
    try:
        await asyncio.shield(turning)
        raise RuntimeError("kopf has stopped by itself")
    finally:
        stop.set()
        if not turning.done():
            await asyncio.wait({turning})


def _encoded(pem: str | None) -> str | None:
    return None if pem is None else base64.b64encode(pem.encode()).decode()


async def _tell(heard: Heard, kind: str | None, resource: dict[str, Any]) -> None:
    await heard(kind, resource)


def _registry(changed: Any, login: Any) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()
    kind = RULE_PIPELINE
    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(changed)
    kopf.on.login(registry=registry)(login)
    return registry


def _turn(registry: kopf.OperatorRegistry, namespaces: Sequence[str], stop: threading.Event) -> None:
    # Each event that was heard is news to kopf alone.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # What is there is known before kopf starts, and namespaces and CRDs need not be read for it.
    settings.scanning.disabled = True
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.networking.request_timeout = 30
    # It would give up after a minute, and end with it.
    settings.networking.error_backoffs = [1, 1, 2, 3, 5, 8, *[10] * 10_000]
    asyncio.run(
        kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            clusterwide=not namespaces,
            namespaces=list(namespaces),
            stop_flag=stop,
            # Unsaid, kopf asks for the user's name, and the user of a container need not have one.
            identity=cast("Any", socket.gethostname()),
        )
    )
