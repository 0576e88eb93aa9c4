"""What a process is, and what it is given.

The coroutine runs until `stopping` is set, then finishes what is in flight and returns. It raises
one of `failures` to end with that exit code and message; anything else is exit code 1.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import structlog

from pipeline.process.durations import format_duration
from pipeline.process.failures import PartyMissing, Stopped
from pipeline.process.health import Health
from pipeline.process.settings import ProcessSettings

S = TypeVar("S", bound=ProcessSettings)
T = TypeVar("T")


class _NoAnswer(Exception):
    """An attempt neither failed nor succeeded in the time that was left."""


_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Process(Generic[S]):
    """One process type, as an entry point of `telltale.processes` names it."""

    name: str
    settings: type[S]
    main: Callable[[Context[S]], Awaitable[None]]
    summary: str


@dataclass(slots=True)
class Context(Generic[S]):
    """What `run` gives to the coroutine of a process."""

    name: str
    settings: S
    health: Health = field(default_factory=Health)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    about: dict[str, object] = field(default_factory=dict)
    """Shown by /version beside the program's version; a stage puts its `ruleRevision` here."""
    http_port: int | None = None
    """The port that was bound, which matters where the settings say 0."""

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        """Log of the process; modules may as well use `structlog.get_logger(__name__)`."""
        return cast("structlog.stdlib.BoundLogger", structlog.get_logger(f"telltale.{self.name}"))

    async def reach(
        self,
        party: str,
        attempt: Callable[[], Awaitable[T]],
        retry_on: tuple[type[BaseException], ...] = (OSError,),
    ) -> T:
        """Call `attempt` until it succeeds, with growing pauses; not ready meanwhile.

        `retry_on` are its exceptions that mean "not there yet". PartyMissing when the start time-out
        has passed, Stopped when the process is asked to stop first.
        """
        loop = asyncio.get_running_loop()
        limit = self.settings.start_timeout_s
        began = loop.time()
        pause = _FIRST_PAUSE_S
        reported = float("-inf")
        last = "it was not tried yet"
        check = f"start:{party}"
        self.health.check(check, lambda: f"{party} is not reached: {last}")
        try:
            while not self.stopping.is_set():
                left = None if limit is None else max(limit - (loop.time() - began), 0.01)
                try:
                    return await self._unless_stopping(attempt(), party, left)
                except _NoAnswer:
                    last = "no answer"
                except retry_on as error:
                    last = str(error) or type(error).__name__
                waited = loop.time() - began
                if limit is not None and waited >= limit:
                    raise PartyMissing(
                        f"{party} did not come within {format_duration(limit * 1000)} (startTimeout): {last}"
                    )
                if loop.time() - reported >= 30:
                    reported = loop.time()
                    self.log.warning(f"Waiting for {party}", reason=last, waited_s=round(waited, 1))
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                pause_s = pause * random.uniform(0.5, 1.0)
                await self._pause(pause_s if limit is None else min(pause_s, max(limit - waited, 0.01)))
            raise Stopped(f"asked to stop while waiting for {party}")
        finally:
            self.health.forget(check)

    async def _unless_stopping(self, work: Awaitable[T], party: str, timeout_s: float | None) -> T:
        attempt = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({attempt, stopping}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if attempt.done():
                return attempt.result()
            attempt.cancel()
            await asyncio.wait({attempt})
            if stopping.done():
                raise Stopped(f"asked to stop while waiting for {party}")
            raise _NoAnswer
        finally:
            attempt.cancel()
            stopping.cancel()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return
