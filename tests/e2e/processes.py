"""The processes of an installation, `telltale run NAME`, settings from the environment."""

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.programs import Program, telltale

DEADLINE_S = 90.0
PARTITIONS = 4


def wait_until(
    claim: Callable[[], object], what: str | Callable[[], str], deadline_s: float = DEADLINE_S
) -> None:
    """Return when `claim` holds; fail with `what` when it does not within a generous time."""
    ends = time.monotonic() + deadline_s
    while not claim():
        if time.monotonic() >= ends:
            raise AssertionError(
                f"not within {deadline_s:.0f} s: {what if isinstance(what, str) else what()}"
            )
        time.sleep(0.05)


class Running:
    """One process, its log, and its HTTP port."""

    def __init__(self, name: str, environment: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self._environment = {**os.environ, **environment}
        self._directory = directory
        self._starts = 0
        self._process: Program | None = None
        self.log = directory / f"{name}.log"

    def start(self) -> "Running":
        """Start (again), with a fresh log."""
        self._starts += 1
        self.log = self._directory / f"{self.name}-{self._starts}.log"
        self.log.write_bytes(b"")
        self._process = Program(
            "run", self.name.partition("@")[0], environment=self._environment, log=self.log
        )
        return self

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def port(self) -> int | None:
        """The HTTP port, once the process has said it."""
        for line in self.log.read_text(errors="replace").splitlines():
            if '"http_port"' in line:
                return int(json.loads(line)["http_port"])
        return None

    def get(self, path: str) -> tuple[int, str]:
        """Status and body of one of the four pages; 0 where nobody answers."""
        port = self.port()
        if port is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        """Whether /readyz says so. Fails where the process has ended."""
        assert self.alive, f"{self.name} ended:\n{self.tail()}"
        return self.get("/readyz")[0] == 200

    def wait_ready(self) -> "Running":
        wait_until(self.is_ready, lambda: f"{self.name} is ready, it says {self.get('/readyz')}")
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill -9, and wait for the end."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(30)

    def wait(self, deadline_s: float = DEADLINE_S) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(deadline_s)

    def drain(self) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


class Installation:
    """All processes of one prefix; whatever is still alive at the end is killed."""

    def __init__(self, environment: Mapping[str, str], directory: Path, root: str) -> None:
        self.environment = dict(environment)
        self.directory = directory
        self.root = root
        """First level of its MQTT topics."""
        self.prefix = self.environment["TELLTALE_PREFIX"]
        self._running: list[Running] = []

    def process(self, name: str, **more: str) -> Running:
        """One process, not yet started; `alerts@2` is a second alerts worker."""
        own = {"TELLTALE_CLIENT_ID": name.replace("@", "-"), "TELLTALE_HTTP_PORT": "0", **more}
        running = Running(name, {**self.environment, **own}, self.directory)
        self._running.append(running)
        return running

    def start(self, *names: str) -> list[Running]:
        """Start these and wait until all are ready."""
        started = [self.process(name).start() for name in names]
        return [running.wait_ready() for running in started]

    def telltale(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself."""
        environment = {**os.environ, **self.environment}
        return telltale(*arguments, environment=environment, folder=self.directory, within=DEADLINE_S)

    def stop(self) -> None:
        for running in self._running:
            if running.alive:
                running.signal(signal.SIGCONT)
                running.kill()
