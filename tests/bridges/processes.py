"""A process of the product under test, started as a person would: `telltale run NAME`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TELLTALE = Path(sys.executable).parent / "telltale"


class Running:
    """One process with its HTTP port and its log."""

    def __init__(self, name: str, log: Path, **settings: object) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
        environment |= {
            "TELLTALE_HTTP_PORT": "0",
            "TELLTALE_HTTP_HOST": "127.0.0.1",
            "TELLTALE_LOG_FORMAT": "json",
        }
        environment |= {f"TELLTALE_{key.upper()}": str(value) for key, value in settings.items()}
        self.name = name
        self._log = log
        with log.open("ab") as stream:
            self._start = stream.tell()
            self.process = subprocess.Popen(
                [TELLTALE, "run", name],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                preexec_fn=lambda: os.nice(5),
            )
        self._port: int | None = None

    def log(self) -> list[dict[str, Any]]:
        with self._log.open("rb") as stream:
            stream.seek(self._start)
            lines = stream.read().decode(errors="replace").splitlines()
        return [json.loads(line) if line.startswith("{") else {"message": line} for line in lines]

    async def until(self, holds: Any, what: str, timeout_s: float = 60.0) -> None:
        """Wait until `holds()`; AssertionError with the log's end when it does not."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            assert self.process.poll() is None, (
                f"{self.name} ended with {self.process.returncode}: {self.log()}"
            )
            assert time.monotonic() < deadline, (
                f"{self.name}: not {what} in {timeout_s} s: {self.log()[-10:]}"
            )
            await asyncio.sleep(0.1)

    async def ready(self, timeout_s: float = 60.0) -> "Running":
        await self.until(lambda: self.get("/readyz")[0] == 200, "ready", timeout_s)
        return self

    def port(self) -> int | None:
        if self._port is None:
            self._port = next((line["http_port"] for line in self.log() if "http_port" in line), None)
        return self._port

    def get(self, path: str) -> tuple[int, str]:
        if self.port() is None:
            return 0, ""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's values whose labels are these."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith((name + " ", name + "{")) and all(
                f'{key}="{value}"' in line for key, value in labels.items()
            ):
                total += float(line.rsplit(" ", 1)[1])
        return total

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self, timeout_s: float = 40.0) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)
