"""The simulation gives the fleet a clock and connections; it ends when the broker has confirmed everything.

Asked to stop, it hands over nothing more, brings every vehicle back into coverage, and waits for
the last PUBACK: what it then says it published, the broker has.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
import time
from collections.abc import Iterator

import orjson

from bridges.mqtt import Connection, Session
from bridges.simulator.answers import Cabin
from bridges.simulator.counters import Counters
from bridges.simulator.fleet import happenings, vehicle_ids
from bridges.simulator.journeys import Coverage, Happening
from bridges.simulator.links import Link
from bridges.simulator.settings import FleetGroup, SimulatorSettings
from bridges.simulator.traces import Row, TraceError, parse_trace, replay
from pipeline.process import ConfigurationError, Context, Process, parse_time

_BREATHE_EVERY = 100
_LOOK_EVERY_S = 0.05
_COMPLAINTS_A_SECOND = 1.0


async def main(context: Context[SimulatorSettings]) -> None:
    """Runs the fleet until its time is over or it is asked to stop; prints the counters on stdout."""
    await Simulation(context).run()


process = Process("simulate", SimulatorSettings, main, "a fleet on MQTT: it drives, reports and answers")


class Simulation:
    """One run: the links of its vehicles and what they have done."""

    def __init__(self, context: Context[SimulatorSettings]) -> None:
        self._context = context
        self._fleet = context.settings.fleet
        self._counters = Counters()
        self._links: dict[str, Link] = {}
        self._complained = 0.0
        self._started = 0.0

    async def run(self) -> None:
        """Connect, publish, wait for the confirmations, print."""
        fleet = self._fleet
        rows = _read_trace(fleet)
        ids = vehicle_ids(fleet.name, fleet.vehicles) if rows is None else [fleet.vehicle]
        await self._context.reach("the MQTT broker", self._knock)
        self._context.health.check("vehicles", self._missing)
        run, numbers = secrets.token_hex(4), itertools.count(1)
        self._links = {
            vehicle_id: Link(
                vehicle_id,
                Cabin(number),
                broker=lambda vehicle: self._context.settings.mqtt.broker(f"telltale-vehicle-{vehicle}"),
                counters=self._counters,
                publish_id=lambda: f"{run}-{next(numbers)}",
                report=self._complain,
            )
            for number, vehicle_id in enumerate(ids)
        }
        now_ms = time.time_ns() // 1_000_000
        self._started = time.monotonic()
        events = self._drive(now_ms) if rows is None else self._replay(rows, now_ms)
        async with asyncio.TaskGroup() as group:
            for link in self._links.values():
                group.create_task(link.run(), name=link.vehicle_id)
            reporting = group.create_task(self._report(), name="report")
            await self._play(events, now_ms)
            await self._confirm()
            reporting.cancel()
            for link in self._links.values():
                link.close()
        self._print(final=True)

    async def _knock(self) -> None:
        """Raises an OSError while nobody answers, or while we are not let in."""
        broker = self._context.settings.mqtt.broker(f"telltale-simulate-{secrets.token_hex(4)}")
        connection = await Connection.open(broker, Session())
        await connection.close()

    def _missing(self) -> str | None:
        return None if self._counters.connected else "no vehicle is connected"

    def _drive(self, start_ms: int) -> Iterator[Happening]:
        fleet = self._fleet
        return happenings(
            name=fleet.name,
            size=fleet.vehicles,
            seed=fleet.seed,
            start_ms=start_ms,
            interval_ms=fleet.interval_ms,
        )

    def _replay(self, rows: list[Row], now_ms: int) -> Iterator[Happening]:
        fleet = self._fleet
        start_ms = now_ms
        if fleet.start is not None:
            start_ms = parse_time(fleet.start)
        elif fleet.speedup > 1.0:  # else it would soon be ahead of the time, which no vehicle is
            start_ms = now_ms - len(rows) * fleet.interval_ms
        return replay(
            rows,
            fleet.vehicle,
            start_ms=start_ms,
            publish_from_ms=now_ms,
            interval_ms=fleet.interval_ms,
            speedup=fleet.speedup,
        )

    async def _play(self, events: Iterator[Happening], start_ms: int) -> None:
        """Hand over each happening at its time, until the end or until asked to stop."""
        stopping = self._context.stopping
        duration_s = self._fleet.duration_s
        ends_ms = float("inf") if duration_s is None else start_ms + duration_s * 1000
        for number, happening in enumerate(events):
            if happening.at >= ends_ms:
                await self._stopped_before(ends_ms)
                return
            if number % _BREATHE_EVERY == 0:
                await asyncio.sleep(0)
            if await self._stopped_before(happening.at) or stopping.is_set():
                return
            link = self._links[happening.vehicle_id]
            if isinstance(happening, Coverage):
                link.cover(online=happening.online)
            else:
                link.publish(happening)

    async def _stopped_before(self, at_ms: float) -> bool:
        wait_s = at_ms / 1000 - time.time()
        if wait_s <= 0:
            return False
        try:
            async with asyncio.timeout(wait_s):
                await self._context.stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _confirm(self) -> None:
        """Wait for the last PUBACK, then linger, then wait for those of the answers."""
        for link in self._links.values():
            link.cover(online=True)
        await self._all_idle()
        await asyncio.sleep(self._fleet.linger_s)
        await self._all_idle()

    async def _all_idle(self) -> None:
        while not all(link.is_idle for link in self._links.values()):
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _report(self) -> None:
        every_s = self._fleet.report_every_s
        while every_s is not None:
            await asyncio.sleep(every_s)
            self._print(final=False)

    def _print(self, *, final: bool) -> None:
        summary = self._counters.summary(time.monotonic() - self._started, final=final)
        sys.stdout.write(orjson.dumps(summary).decode() + "\n")
        sys.stdout.flush()

    def _complain(self, sentence: str) -> None:
        now = time.monotonic()
        if now - self._complained >= _COMPLAINTS_A_SECOND:
            self._complained = now
            self._context.log.warning(sentence)


def _read_trace(fleet: FleetGroup) -> list[Row] | None:
    if fleet.trace is None:
        return None
    try:
        with fleet.trace.open(encoding="utf-8-sig", newline="") as lines:
            return parse_trace(lines)
    except OSError as error:
        raise ConfigurationError(f"fleet.trace: {fleet.trace} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"fleet.trace: {fleet.trace} is not UTF-8 text") from None
    except TraceError as error:
        raise ConfigurationError(f"fleet.trace: {fleet.trace}: {error}") from None
