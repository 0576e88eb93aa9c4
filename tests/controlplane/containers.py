"""One container of a pod as a local process: started, probed, started again with back-off, ended with grace.

Its state is what a kubelet reports in containerStatuses; each change calls `changed`.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.controlplane.environment import NotYet
from tests.controlplane.probes import verdicts

Object = dict[str, Any]
ENGINE = Path(__file__).with_name("container.py")
BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Between the ends of a container and its next starts; a kubelet waits 10 s to 5 min."""
SETTLED_S = 30.0
"""A container that ran so long begins the back-off anew."""


def now() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Start:
    """All that a start needs: what container.py reads, and where the output goes."""

    spec: Object
    folder: Path
    log: Path


@dataclass
class Container:
    """A container and its process."""

    spec: Object
    address: str
    prepare: Callable[[], Any]
    """Coroutine function: a Start, or NotYet."""
    changed: Callable[[], None]
    restart: str = "Always"
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    stopping: bool = False
    process: asyncio.subprocess.Process | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def status(self) -> Object:
        """Its entry of containerStatuses."""
        image = self.spec["image"]
        status = {"name": self.spec["name"], "image": image, "imageID": image, "ready": self.ready}
        counts = {"started": self.started, "restartCount": self.restarts}
        return status | counts | {"state": self.state, "lastState": self.last}

    async def run(self) -> int:
        """Run until it need not be started again; the last exit code."""
        failures = 0
        while True:
            began = time.monotonic()
            code = await self._once()
            again = self.restart == "Always" or (self.restart == "OnFailure" and code != 0)
            if self.stopping or not again:
                return code
            failures = 0 if time.monotonic() - began > SETTLED_S else failures
            pause = BACK_OFF_S[min(failures, len(BACK_OFF_S) - 1)]
            failures += 1
            self.last, name = self.state, self.spec["name"]
            message = f"back-off {pause:g}s restarting failed container={name}"
            self._become({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
            await asyncio.sleep(pause)
            self.restarts += 1

    async def _once(self) -> int:
        start = await self._prepared()
        began = now()
        with start.log.open("ab") as log:
            specification = start.folder / "container.json"
            specification.write_text(json.dumps(start.spec))
            self.environment = start.spec["environment"]
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", ENGINE, specification),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.started = "startupProbe" not in self.spec
        self._become({"running": {"startedAt": began}}, ready=self.started and not self._waits_for_ready())
        async with self._probed():
            code = await self.process.wait()
        reason = "Completed" if code == 0 else "Error"
        ended: Object = {"exitCode": code if code >= 0 else 128 - code, "reason": reason}
        if code < 0:
            ended["signal"] = -code
        self.started = False
        self._become({"terminated": ended | {"startedAt": began, "finishedAt": now()}})
        return int(ended["exitCode"])

    async def _prepared(self) -> Start:
        while True:
            try:
                start: Start = await self.prepare()
                return start
            except NotYet as missing:
                waiting = {"reason": "CreateContainerConfigError", "message": str(missing)}
                self._become({"waiting": waiting})
                await asyncio.sleep(0.5)

    def _waits_for_ready(self) -> bool:
        return "readinessProbe" in self.spec

    def _become(self, state: Object, *, ready: bool = False) -> None:
        self.state, self.ready = state, ready
        self.changed()

    # Probes.

    @contextlib.asynccontextmanager
    async def _probed(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._probe())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _probe(self) -> None:
        if probe := self.spec.get("startupProbe"):
            async for passed in self._verdicts(probe):
                if not passed:
                    await self._kill_unhealthy()
                    return
                self.started = True
                self._become(self.state, ready=not self._waits_for_ready())
                break
        async with asyncio.TaskGroup() as both:
            if probe := self.spec.get("readinessProbe"):
                both.create_task(self._watch_readiness(probe))
            if probe := self.spec.get("livenessProbe"):
                both.create_task(self._watch_liveness(probe))

    def _verdicts(self, probe: Object) -> AsyncIterator[bool]:
        return verdicts(probe, self.spec, self.address, self.execute)

    async def _watch_readiness(self, probe: Object) -> None:
        async for passed in self._verdicts(probe):
            if passed != self.ready:
                self._become(self.state, ready=passed)

    async def _watch_liveness(self, probe: Object) -> None:
        async for passed in self._verdicts(probe):
            if not passed:
                await self._kill_unhealthy()
                return

    async def _kill_unhealthy(self) -> None:
        await asyncio.shield(self.end(within=30.0))

    async def execute(self, command: list[str]) -> bool:
        """Run a command where the container's process is; whether it ended with 0."""
        if self.process is None or self.process.returncode is not None:
            return False
        enter = ["nsenter", f"--target={self.process.pid}", "--mount", "--uts", "--root", "--wd"]
        inside = await asyncio.create_subprocess_exec(
            *(*enter, *command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        try:
            return await inside.wait() == 0
        finally:
            if inside.returncode is None:
                inside.kill()

    # The end.

    async def stop(self, within: float) -> None:
        """For good: preStop, SIGTERM, and SIGKILL when the grace is over."""
        self.stopping = True
        deadline = time.monotonic() + within
        hook = self.spec.get("lifecycle", {}).get("preStop", {})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                if "exec" in hook:
                    await self.execute(hook["exec"]["command"])
                if "sleep" in hook:
                    await asyncio.sleep(hook["sleep"]["seconds"])
        await self.end(deadline - time.monotonic())

    async def end(self, within: float) -> None:
        """SIGTERM, and SIGKILL to all of its session when that is not enough."""
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(max(within, 0)):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
