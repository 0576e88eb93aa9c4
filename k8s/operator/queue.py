"""Which pipeline is looked after next: each at most once at a time, soon after what happened, never twice.

What fails is tried again with growing pauses, alone: the others do not wait for it.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable
from typing import Final

from k8s.operator.cache import Key

Pass = Callable[[Key], Awaitable[float | None]]
"""One pass over a pipeline; in how many seconds the next is due, if nothing happens before."""

_GATHER_S: Final = 0.05
"""Events that come together are one pass."""
_FIRST_S: Final = 0.5
_LONGEST_S: Final = 60.0


class Queue:
    """Keys and when they are due."""

    def __init__(self) -> None:
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._busy: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._news = asyncio.Condition()

    async def add(self, key: Key, after_s: float = _GATHER_S) -> None:
        """Make sure that the key is looked after at the latest so many seconds from now."""
        due = asyncio.get_running_loop().time() + after_s
        async with self._news:
            if key in self._due and self._due[key] <= due:
                return
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))
            self._news.notify()

    async def run(self, work: Pass, workers: int, failed: Callable[[Key, Exception], None]) -> None:
        """Work until cancelled; `failed` hears of each exception of a pass."""
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(work, failed), name=f"worker {number}")

    async def _work(self, work: Pass, failed: Callable[[Key, Exception], None]) -> None:
        while True:
            key = await self._take()
            again: float | None
            try:
                again = await work(key)
                self._failures.pop(key, None)
            except Exception as error:  # one pipeline's failure is no other's
                failed(key, error)
                count = self._failures[key] = self._failures.get(key, 0) + 1
                pause_s = min(_FIRST_S * 2 ** min(count - 1, 10), _LONGEST_S) * random.uniform(0.5, 1.0)
                again = max(pause_s, getattr(error, "after_s", None) or 0.0)
            async with self._news:
                self._busy.discard(key)
                self._news.notify_all()
            if again is not None:
                await self.add(key, again)

    async def _take(self) -> Key:
        loop = asyncio.get_running_loop()
        async with self._news:
            while True:
                wait_s: float | None = None
                aside = []
                while self._heap:
                    due, key = self._heap[0]
                    if self._due.get(key) != due:
                        heapq.heappop(self._heap)
                        continue
                    if due > loop.time():
                        wait_s = due - loop.time()
                        break
                    heapq.heappop(self._heap)
                    if key in self._busy:
                        aside.append((due, key))
                        continue
                    for each in aside:
                        heapq.heappush(self._heap, each)
                    del self._due[key]
                    self._busy.add(key)
                    return key
                for each in aside:
                    heapq.heappush(self._heap, each)
                try:
                    async with asyncio.timeout(wait_s):
                        await self._news.wait()
                except TimeoutError:
                    pass
