"""Statuses reach the API server: only those that say something new, and never more than so many a second.

What workers say is looked at some times a minute and not at each record, so that an alert that comes and goes
is no load. An operator with nothing to tell asks the API server for nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

import structlog

from k8s.api import Api
from k8s.api_errors import ApiError, NotFound, Refused
from k8s.kinds import Kind
from k8s.resources.documents import Key
from k8s.resources.index import Index
from k8s.resources.statuses import Fleet, Status, patch_of, status_of
from k8s.resources.writing import Writer
from pipeline.process.settings import ProcessSettings
from pipeline.store.statuses import StatusLog, Workers
from rules.instants import format_instant

log = structlog.get_logger(__name__)

_AT_ONCE = 16
_LOOK_S = 1.0
_ANYWAY_S = 15.0
_PAUSE_S = 2.0
_SLICE = 500


class Teller:
    """Keeps the statuses of an index as its writer and the workers say."""

    def __init__(
        self, api: Api, kinds: Mapping[str, Kind], index: Index, writer: Writer, *, rate: float
    ) -> None:
        self._api, self._kinds, self._index, self._writer = api, kinds, index, writer
        self._pause_s = 1 / rate
        self._wanted: dict[Key, Status] = {}
        self._more = asyncio.Event()
        self._is_news = False
        self.workers = Workers()

    async def run(self, settings: ProcessSettings) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(settings), name="workers")
            tasks.create_task(self._look(), name="statuses")
            tasks.create_task(self._send(), name="patches")

    async def _listen(self, settings: ProcessSettings) -> None:
        """Follow what workers say."""
        while True:
            try:
                async with StatusLog(settings) as statuses:
                    self.workers = statuses.workers
                    while True:
                        if await statuses.poll(int(_LOOK_S * 1_000)):
                            self._is_news = True
            except asyncio.CancelledError:
                raise
            except Exception as error:
                log.warning("What the workers say cannot be read", reason=str(error) or type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    async def _look(self) -> None:
        """Find what is new: when the writer has settled something, workers say more, or one may be gone."""
        looked = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._writer.told.wait()
            if not (self._writer.told.is_set() or self._is_news or time.monotonic() > looked + _ANYWAY_S):
                continue
            looked, self._is_news = time.monotonic(), False
            self._writer.told.clear()
            fleet = Fleet(self.workers.alive(time.time_ns() // 1_000_000))
            plan, trouble = self._writer.settled, self._writer.trouble
            for count, (key, asked) in enumerate(tuple(self._index.asked.items()), 1):
                status = status_of(asked, plan, fleet, trouble)
                if status is not None and patch_of(self._index.statuses.get(key, {}), status, "") is not None:
                    self._wanted[key] = status
                    self._more.set()
                else:
                    self._wanted.pop(key, None)
                if count % _SLICE == 0:
                    await asyncio.sleep(0)

    async def _send(self) -> None:
        """Write what is wanted, oldest first, at the pace that was set."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        async with asyncio.TaskGroup() as tasks:
            slots = asyncio.Semaphore(_AT_ONCE)
            while True:
                while not self._wanted:
                    self._more.clear()
                    await self._more.wait()
                await slots.acquire()
                if not self._wanted:
                    slots.release()
                    continue
                key = next(iter(self._wanted))
                tasks.create_task(self._patch(key, self._wanted.pop(key), slots))
                due = max(due + self._pause_s, loop.time())
                await asyncio.sleep(due - loop.time())

    async def _patch(self, key: Key, status: Status, slots: asyncio.Semaphore) -> None:
        try:
            now = format_instant(time.time_ns() // 1_000_000)
            patch = patch_of(self._index.statuses.get(key, {}), status, now)
            if patch is None or key not in self._index.asked:
                return
            answer = await self._api.patch_status(self._kinds[key.kind], key.namespace, key.name, patch)
            if key in self._index.asked:
                self._index.statuses[key] = answer.get("status") or {}
        except NotFound:
            return
        except Refused as error:
            log.error("A status was refused", resource="/".join(key), reason=str(error))
            await asyncio.sleep(_PAUSE_S)
        except ApiError as error:
            log.info("A status is told later", resource="/".join(key), reason=str(error))
            await asyncio.sleep(error.after_s or _PAUSE_S)
        finally:
            slots.release()
