"""One operator of several leads: whoever holds the Lease, as long as it says so in time.

A Lease and not kopf's peering: peering ranks by priority and pauses whoever sees a higher one, so that for a
moment two may act; a Lease is taken with the version that was read, and the API server lets one win.

Nobody's clock is believed. A candidate takes over when it has itself seen the Lease unchanged for its whole
duration; the leader gives up, by its own clock, a good while before that. Whoever loses it ends its process:
what was in flight may not be finished in somebody else's time.

    candidate ──Lease free, or silent for its duration──▶ leader ──not renewed for renewDeadline──▶ lost
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from k8s.api import Api
from k8s.api_errors import AlreadyExists, ApiError, Conflict, NotFound
from k8s.kinds import LEASE


@dataclass(frozen=True, slots=True)
class Terms:
    """Whose Lease it is, and for how long."""

    namespace: str
    name: str
    holder: str
    duration_s: float = 15.0
    renew_deadline_s: float = 10.0
    retry_period_s: float = 2.0


class Lost(Exception):
    """The Lease could not be renewed in time, or somebody else has it."""


class Leadership:
    """One candidate."""

    def __init__(self, api: Api, terms: Terms, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._terms = terms
        self._clock = clock
        self._seen: tuple[Any, ...] | None = None
        self._seen_at = 0.0
        self._lease: dict[str, Any] | None = None
        self.leader = ""
        """Who leads, as far as is known."""

    @property
    def leads(self) -> bool:
        """Whether it is us."""
        return self.leader == self._terms.holder

    async def acquire(self) -> None:
        """Return when the Lease is ours."""
        while not await self._try(self._acquire_once):
            await asyncio.sleep(self._terms.retry_period_s)

    async def keep(self) -> None:
        """Renew until cancelled; Lost when that fails for too long."""
        renewed = self._clock()
        while True:
            await asyncio.sleep(self._terms.retry_period_s)
            asked = self._clock()
            left_s = self._terms.renew_deadline_s - (asked - renewed)
            try:
                async with asyncio.timeout(max(left_s, 0.0)):
                    kept = await self._try(self._renew_once)
            except TimeoutError:
                kept = False
            if kept:
                renewed = asked
            elif not self.leads:
                raise Lost(f"the Lease is held by {self.leader or 'nobody'}")
            elif self._clock() - renewed >= self._terms.renew_deadline_s:
                raise Lost(f"the Lease was not renewed for {self._terms.renew_deadline_s:g} s")

    async def release(self) -> None:
        """Let another one have it at once; a failure costs that one the Lease's duration."""
        if self._lease is None or not self.leads:
            return
        lease = self._written(self._lease, "")
        lease["spec"]["leaseDurationSeconds"] = 1
        self.leader = ""
        try:
            async with asyncio.timeout(self._terms.retry_period_s):
                await self._api.replace(LEASE, lease)
        except (ApiError, TimeoutError) as error:
            structlog.get_logger(__name__).info("The Lease was not given back", reason=str(error))

    async def _try(self, attempt: Callable[[], Any]) -> bool:
        try:
            return bool(await attempt())
        except (Conflict, AlreadyExists):
            return False
        except ApiError as error:
            structlog.get_logger(__name__).warning("The Lease cannot be had", reason=str(error))
            return False

    async def _acquire_once(self) -> bool:
        terms = self._terms
        try:
            found = await self._api.get(LEASE, terms.namespace, terms.name)
        except NotFound:
            fresh = {
                **LEASE.head(),
                "metadata": {"name": terms.name, "namespace": terms.namespace},
                "spec": {},
            }
            self._take(await self._api.create(LEASE, self._written(fresh, terms.holder)))
            return True
        if not self._is_free(found):
            return False
        self._take(await self._api.replace(LEASE, self._written(found, terms.holder)))
        return True

    async def _renew_once(self) -> bool:
        assert self._lease is not None
        try:
            self._take(await self._api.replace(LEASE, self._written(self._lease, self._terms.holder)))
        except Conflict:
            found = await self._api.get(LEASE, self._terms.namespace, self._terms.name)
            self._take(found)
            if not self.leads:
                return False
            # It is ours, with a version that we did not see: an answer was lost, or a label was put on it.
            self._take(await self._api.replace(LEASE, self._written(found, self._terms.holder)))
        except NotFound:
            self.leader = ""
            return False
        return True

    def _take(self, lease: dict[str, Any]) -> None:
        self._lease = lease
        self.leader = str(lease.get("spec", {}).get("holderIdentity") or "")

    def _is_free(self, lease: dict[str, Any]) -> bool:
        """Whether nobody holds it, or whoever does was silent, before our own eyes, for its duration."""
        spec = lease.get("spec", {})
        self.leader = str(spec.get("holderIdentity") or "")
        if self.leader in ("", self._terms.holder):
            return True
        said = (self.leader, spec.get("renewTime"), spec.get("leaseTransitions"))
        now = self._clock()
        if said != self._seen:
            self._seen, self._seen_at = said, now
            return False
        return now - self._seen_at >= float(spec.get("leaseDurationSeconds") or self._terms.duration_s)

    def _written(self, lease: dict[str, Any], holder: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        spec = dict(lease.get("spec") or {})
        if spec.get("holderIdentity") != holder and holder:
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
            spec["acquireTime"] = now
        spec |= {
            "holderIdentity": holder,
            "leaseDurationSeconds": max(1, round(self._terms.duration_s)),
            "renewTime": now,
        }
        return {**lease, "spec": spec}
