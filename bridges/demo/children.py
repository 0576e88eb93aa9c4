"""A child is one of our own processes, kept alive: when it dies it is started again, and that is shown.

The brokers' keeper stands between here too, so that no child outlives the demo, not even one that is
killed with -9. A child's log is a file, where its start line tells its port and its process id.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path

import orjson

from bridges.embedded.program import KEEPER

_LOOK_EVERY_S = 0.1
_PAUSES_S = (0.5, 1.0, 2.0, 5.0)
_KILL_WAIT_S = 5.0
HOPELESS = frozenset({2, 4})
"""Exit codes that another start would only repeat: wrong settings or rules, topics that do not fit."""


class Phase(Enum):
    """Where a child is in its life, as far as its process goes."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    DEAD = "dead"


class Child:
    """One process of ours. `keep` holds it alive until `stop`; `environment` is asked at each start."""

    def __init__(
        self, name: str, arguments: Sequence[str], environment: Callable[[], Mapping[str, str]], log: Path
    ) -> None:
        self.name = name
        self.phase = Phase.STOPPED
        self.restarts = 0
        self.pid: int | None = None
        self.http_port: int | None = None
        self.last_exit: str | None = None
        self.exit_code: int | None = None
        self.log = log
        self._arguments = tuple(arguments)
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._wanted = False
        self._on_line: Callable[[bytes], None] | None = None
        self._resume = asyncio.Event()
        self._resume.set()

    def read_output(self, on_line: Callable[[bytes], None]) -> None:
        """From the next start on, give each line of its standard output."""
        self._on_line = on_line

    async def keep(self) -> None:
        """Start it, and start it again whenever it ends, until it is told to stop."""
        self._wanted = True
        failures = 0
        while self._wanted:
            await self._resume.wait()
            if not self._wanted:
                break
            began = asyncio.get_running_loop().time()
            await self._run_once()
            if not self._wanted:
                break
            if not self._resume.is_set():
                continue
            self.phase = Phase.DEAD
            if self.exit_code in HOPELESS:
                raise ChildFailed(self, f"ended with exit code {self.exit_code}")
            self.restarts += 1
            lived_s = asyncio.get_running_loop().time() - began
            failures = 0 if lived_s > 30.0 else failures + 1
            await asyncio.sleep(_PAUSES_S[min(failures, len(_PAUSES_S)) - 1] if failures else _PAUSES_S[0])
        self.phase = Phase.STOPPED

    async def run(self) -> int:
        """Start it and wait for its end; the exit code."""
        self._wanted = True
        await self._run_once()
        self._wanted = False
        assert self.exit_code is not None
        return self.exit_code

    async def _run_once(self) -> None:
        self.phase = Phase.STARTING
        self.pid = self.http_port = None
        with self.log.open("ab") as log:
            position = log.tell()
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                str(KEEPER),
                "-",
                sys.executable,
                "-c",
                "from pipeline.process.cli import main; main()",
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if self._on_line else log,
                stderr=log,
                env=dict(self._environment()),
                start_new_session=True,
            )
        watching = asyncio.create_task(self._watch_log(position))
        try:
            if self._on_line and process.stdout:
                async for line in process.stdout:
                    self._on_line(line)
            code = await process.wait()
        finally:
            watching.cancel()
            if process.returncode is None:
                self._kill_group(process)
                await process.wait()
        self.exit_code = code
        self.last_exit = _explain(code)
        self.phase = Phase.STOPPED
        self._process = None

    async def _watch_log(self, position: int) -> None:
        """Read the start line, which names the port and the process."""
        while True:
            with self.log.open("rb") as log:
                log.seek(position)
                for line in log:
                    if b'"http_port"' not in line or not line.endswith(b"\n"):
                        continue
                    with contextlib.suppress(orjson.JSONDecodeError):
                        started = orjson.loads(line)
                        self.http_port, self.pid = started["http_port"], started["pid"]
                        self.phase = Phase.RUNNING
                        return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def stop(self, timeout_s: float = 30.0) -> None:
        """Ask it to drain and wait for its end; after the time-out it is killed."""
        self._wanted = False
        self._resume.set()
        await self._end(b"T", timeout_s)

    async def pause(self, timeout_s: float = 30.0) -> None:
        """Drain and end it, and leave it so until `resume`."""
        self._resume.clear()
        await self._end(b"T", timeout_s)

    def resume(self) -> None:
        """Start it again after `pause`."""
        self._resume.set()

    async def _end(self, order: bytes, timeout_s: float) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        with contextlib.suppress(ConnectionError):
            process.stdin.write(order)
            await process.stdin.drain()
        try:
            async with asyncio.timeout(timeout_s):
                await process.wait()
        except TimeoutError:
            self._kill_group(process)
            await process.wait()

    def kill_now(self) -> None:
        """End it as kill -9 does, without waiting."""
        self._wanted = False
        self._resume.set()
        if self._process is not None:
            self._kill_group(self._process)

    @staticmethod
    def _kill_group(process: asyncio.subprocess.Process) -> None:
        """The keeper leads a session of its own, in which the child is too."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)

    def last_lines(self, count: int = 12) -> str:
        """Return the end of its log, which is what a person needs when it fails."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    {_readable(line)}" for line in lines[-count:]) or "    (it wrote nothing)"


class ChildFailed(Exception):
    """A child ended in a way that another start does not mend."""

    def __init__(self, child: Child, what: str) -> None:
        super().__init__(f"telltale {child.name} {what}. The end of its log:\n{child.last_lines()}")


def _explain(code: int) -> str:
    """The keeper passes a signal on as a shell does: 128 and its number."""
    if code > 128:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(code - 128).name}"
    return f"exit code {code}"


def _readable(line: str) -> str:
    try:
        entry = orjson.loads(line)
        rest = {
            key: value
            for key, value in entry.items()
            if key not in ("time", "level", "process", "logger", "message")
        }
        return f"{entry['level']}: {entry['message']} {rest or ''}".rstrip()
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return line
