"""One Java program as a child that never outlives us: start until ready, stop, kill, start again.

It runs in a session of its own, so that Ctrl-C on the terminal reaches whoever started it and not the
broker, which must be the last to go; `keeper.py` stands between and ends it when we end. Everything it
prints goes to one log file, whose last lines are what a person needs when it does not come up.
"""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bridges.embedded.failures import BrokerFailed, PortBusy

__all__ = ["HOST", "Program", "choose_port"]

HOST = "127.0.0.1"
# Below every system's range for outgoing connections: while a broker is down for a restart, a client's own
# connection could otherwise be given the broker's port (and a retrying client even connects to itself).
FREE_PORTS = range(20_000, 30_000)
SHOWN_LINES = 15
LOOK_EVERY_S = 0.02
KEEPER = Path(__file__).with_name("keeper.py")


def choose_port(wanted: int) -> int:
    """A port that can be listened on: the wanted one, or any where it is 0. Raises PortBusy."""
    if wanted:
        if not _is_free(wanted):
            raise PortBusy(
                f"Port {wanted} on {HOST} is already in use. Stop what listens there, or choose another port "
                "(0 takes a free one)."
            )
        return wanted
    for port in random.sample(FREE_PORTS, 200):
        if _is_free(port):
            return port
    raise PortBusy(f"No free port found on {HOST} between {FREE_PORTS.start} and {FREE_PORTS.stop}.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As Java does, else connections of the last run that still wind down would look like a listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


class Program:
    """A command, the log that it writes, and how one sees that it is ready."""

    def __init__(self, title: str, *, log: Path, ready: str, temporary: Path | None) -> None:
        self.title = title
        self.log = log
        self._ready = ready.encode()
        self._temporary = temporary
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self, command: Sequence[str | Path], *, port: int, timeout_s: float) -> None:
        """Start it and wait until it says that it is ready and its port answers. Raises BrokerFailed."""
        assert not self.running, "it is running"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        keeper: list[str | Path] = [sys.executable, "-I", "-S", KEEPER, self._temporary or "-"]
        with self.log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [*keeper, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                start_new_session=True,
            )
        try:
            self._wait_until_ready(begin, port, time.monotonic() + timeout_s)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout_s: float = 20.0) -> None:
        """Ask it to end, and kill it when it does not."""
        self._end(b"T", timeout_s)

    def kill(self) -> None:
        """End it as kill -9 does."""
        self._end(b"K", 5.0)

    def _end(self, order: bytes, timeout_s: float) -> None:
        process = self._process
        if process is None:
            return
        assert process.stdin is not None
        try:
            process.stdin.write(order)
            process.stdin.flush()
            process.wait(timeout_s)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            self._process = None

    def _wait_until_ready(self, begin: int, port: int, deadline: float) -> None:
        while not (self._said_ready(begin) and _answers(port)):
            assert self._process is not None
            if (code := self._process.poll()) is not None:
                raise self._failed(f"ended with exit code {code} before it was ready", begin)
            if time.monotonic() > deadline:
                raise self._failed("was not ready in time", begin)
            time.sleep(LOOK_EVERY_S)

    def _said_ready(self, begin: int) -> bool:
        with self.log.open("rb") as log:
            log.seek(begin)
            return self._ready in log.read()

    def _failed(self, what: str, begin: int) -> BrokerFailed:
        with self.log.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode(errors="replace").splitlines()
        shown = "\n".join(f"    {line}" for line in lines[-SHOWN_LINES:]) or "    (it wrote nothing)"
        return BrokerFailed(f"{self.title} {what}. The last lines of its log:\n{shown}")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False
