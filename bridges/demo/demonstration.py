"""The demo from setting up to clearing away: brokers, processes, fleet, and an end without remains.

With an end (`--for`) the fleet stops, everything drains in the order of the flow, and the books are
closed: each step waits until the one before it has nothing more to give. Ticks come from the uplink, so
it ends before the stages do, and from then on the log is finite.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from bridges.demo.children import ChildFailed
from bridges.demo.health import Rounds
from bridges.demo.installation import RULE_STAGES, STAGES, Installation
from bridges.demo.observer import Observer
from bridges.demo.screen import Screen
from bridges.demo.threads import beside
from bridges.demo.view import Scene

READY_WITHIN_S = 180.0
LINGER_S = 3.0
AWAY_FROM_S, AWAY_UNTIL_S = 27.0, 33.0
"""Seconds of the fleet's time in which the downlink is away, as in an update: what expires within two
seconds (the hazard lights of the vehicle that brakes at 29) does expire."""

DRAW_EVERY_S = 0.25
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What the options ask for. Without a duration it lasts until somebody ends it."""

    rules: tuple[Path, ...]
    vehicles: int = 50
    seed: int = 1
    interval: str = "1s"
    duration_s: float | None = None
    undisturbed: bool = False


class Interrupted(Exception):
    """A person has ended it."""


class Demonstration:
    """One run. After `run`, `directory` holds the logs if something went wrong."""

    def __init__(self, plan: Plan, screen: Screen) -> None:
        self._plan = plan
        self._screen = screen
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._installation = Installation(plan.rules, screen.say)
        self._stages = {name: self._installation.child(name, ("run", name)) for name in STAGES}
        self._fleet = self._installation.child("simulate", _fleet_arguments(plan))
        self._fleet.read_output(self._on_report)
        self._children = [*self._stages.values(), self._fleet]
        self._rounds = Rounds(self._children)
        self._background: set[asyncio.Task[Any]] = set()
        self._keeping: set[asyncio.Task[Any]] = set()
        """Tasks that hold a child: cancelled, they would kill it; they end when it has drained."""
        self._observer: Observer | None = None
        self._report: Mapping[str, Any] = {}
        self._heading = ""
        self.directory = self._installation.directory

    async def run(self) -> dict[str, object] | None:
        """Play it; the books where the plan has an end. Raises what went wrong, or Interrupted."""
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._on_signal)
        # A client that complains would write across the screen.
        words = logging.FileHandler(self.directory / "demo.log")
        logging.getLogger().addHandler(words)
        keep_logs = True
        try:
            await self._guarded(self._set_up())
            summary = await self._guarded(self._play())
            keep_logs = False
            return summary
        except Interrupted:
            keep_logs = False
            raise
        finally:
            await self._clear_away(keep_logs=keep_logs)
            logging.getLogger().removeHandler(words)
            words.close()
            for number in _SIGNALS:
                self._loop.remove_signal_handler(number)

    def _on_signal(self) -> None:
        if self._stopping.is_set():
            for child in self._children:
                child.kill_now()
        self._stopping.set()

    # -- its parts -------------------------------------------------------------------------------------

    async def _set_up(self) -> None:
        await self._installation.start()
        observer = Observer(self._installation.kafka.bootstrap, self._loop.time)
        await observer.open()
        self._observer = observer
        self._in_background(observer.read())
        self._in_background(self._keep_brokers(observer))
        self._screen.say(f"Starting {', '.join(STAGES)}")
        for child in self._stages.values():
            self._keeping.add(asyncio.create_task(child.keep()))
        self._in_background(self._rounds.make())
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                while self._rounds.missing(STAGES):
                    for keeping in self._keeping:
                        if keeping.done():
                            keeping.result()  # one that is not worth another start says so at once
                    await asyncio.sleep(0.1)
        except TimeoutError:
            missing = self._rounds.missing(STAGES)
            late = next(child for child in self._stages.values() if child.name in missing)
            raise ChildFailed(
                late, f"is not ready after {READY_WITHIN_S:.0f} s: {missing[late.name]}"
            ) from None

    async def _play(self) -> dict[str, object] | None:
        observer = self._observer
        assert observer is not None
        self._screen.say(f"Starting {self._plan.vehicles} vehicles")
        self._in_background(self._draw(observer))
        if not self._plan.undisturbed:
            self._in_background(self._update_downlink(observer))
        if self._plan.duration_s is None:
            self._keeping.add(asyncio.create_task(self._fleet.keep()))
            await asyncio.Event().wait()
        playing = asyncio.create_task(self._fleet.run())
        self._keeping.add(playing)
        if await asyncio.shield(playing) != 0:
            raise ChildFailed(self._fleet, f"ended with {self._fleet.last_exit}")
        return await self._close_the_books(observer, self._report)

    async def _close_the_books(self, observer: Observer, fleet: Mapping[str, Any]) -> dict[str, object]:
        self._say("The fleet has stopped; everything drains")
        published = int(fleet["published"])
        await observer.all_arrived(published, int(fleet["acknowledged"]) + int(fleet["rejected"]))
        await self._stages["uplink"].stop()
        await observer.worked_off("normalize", "vehicle.raw")
        for stage in RULE_STAGES:
            await observer.worked_off(stage, "vehicle.telemetry")
        await observer.worked_off("downlink", "vehicle.commands")
        await observer.all_read()
        return observer.accounts.summary(published=published, latency_ms=fleet["latency_ms"])

    async def _keep_brokers(self, observer: Observer) -> None:
        """A broker that dies is started again on its data, as our own processes are."""
        while True:
            for name, broker in self._installation.brokers.items():
                if not broker.running:
                    observer.board.note(self._loop.time(), f"{name} died and is started again")
                    await beside(broker.restart)
            await asyncio.sleep(1.0)

    async def _update_downlink(self, observer: Observer) -> None:
        """Take the downlink away for some seconds, once, as an update does."""
        downlink = self._stages["downlink"]
        await self._fleet_reaches(AWAY_FROM_S)
        observer.board.note(self._loop.time(), "The downlink is updated: commands wait, and some expire")
        await downlink.pause()
        await self._fleet_reaches(AWAY_UNTIL_S)
        downlink.resume()
        observer.board.note(self._loop.time(), "The downlink is started again")

    async def _fleet_reaches(self, seconds: float) -> None:
        while float(self._report.get("elapsed_s", 0.0)) < seconds:
            await asyncio.sleep(0.1)

    async def _draw(self, observer: Observer) -> None:
        began = self._loop.time()
        restarts = dict.fromkeys((child.name for child in self._children), 0)
        while True:
            for child in self._children:
                if child.restarts > restarts[child.name]:
                    restarts[child.name] = child.restarts
                    sentence = f"{child.name} died ({child.last_exit}) and is started again"
                    observer.board.note(self._loop.time(), sentence)
            self._screen.draw(
                Scene(
                    now=self._loop.time(),
                    began=began,
                    vehicles=self._plan.vehicles,
                    heading=self._heading,
                    board=observer.board,
                    accounts=observer.accounts,
                    fleet=self._report,
                    children=self._children,
                    conditions=self._rounds.conditions,
                    rules=self._rule_names(observer),
                )
            )
            await asyncio.sleep(DRAW_EVERY_S)

    def _rule_names(self, observer: Observer) -> list[str]:
        """Those that ship are called as their files are; others are known when they have fired."""
        files = [path.stem for path in self._plan.rules if path.is_file() and path.stem != "catalog"]
        return [*files, *(name for name in observer.board.fired if name not in files)]

    def _on_report(self, line: bytes) -> None:
        self._report = orjson.loads(line)

    def _say(self, sentence: str) -> None:
        self._heading = sentence
        self._screen.say(sentence)

    # -- tasks -----------------------------------------------------------------------------------------

    def _in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        self._background.add(asyncio.create_task(work))

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result; Interrupted when a person ends it, or the failure of what runs beside it."""
        task = asyncio.create_task(work)
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            while not task.done():
                others = self._background | self._keeping
                await asyncio.wait({task, stopping, *others}, return_when=asyncio.FIRST_COMPLETED)
                if stopping.done():
                    raise Interrupted
                for other in [other for other in others if other.done()]:
                    self._background.discard(other)
                    self._keeping.discard(other)
                    other.result()
            return task.result()
        finally:
            stopping.cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _clear_away(self, *, keep_logs: bool) -> None:
        """End everything in the order of the flow, so that each can still hand on what it holds."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._screen.leave()
        self._screen.say("Ending")
        await self._fleet.stop(10.0)
        await asyncio.gather(*(child.stop() for child in self._stages.values()))
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        if self._observer is not None:
            await self._observer.close()
        await self._installation.close(keep_logs=keep_logs)


def _fleet_arguments(plan: Plan) -> tuple[str, ...]:
    arguments = [
        "simulate",
        *("--vehicles", str(plan.vehicles)),
        *("--seed", str(plan.seed)),
        *("--interval", plan.interval),
        *("--report-every", "500ms"),
    ]
    if plan.duration_s is not None:
        arguments += ["--for", f"{plan.duration_s:g}s", "--linger", f"{LINGER_S:g}s"]
    return tuple(arguments)
