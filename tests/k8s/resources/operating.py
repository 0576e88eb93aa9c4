"""The part of the operator that looks after rule resources, as a process of its own: `python -m` this module.

It can be killed at any moment, which a task of the test's own process cannot.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from k8s.api import Api
from k8s.resources import RuleResources, run_resources
from pipeline.process.logs import configure_logs
from pipeline.process.settings import KafkaSettings, ProcessSettings


class Operating:
    """A running process; `start` again after a kill."""

    def __init__(self, folder: Path, kubeconfig: Path, **what: Any) -> None:
        self._folder = folder
        self._what = {"kubeconfig": str(kubeconfig), **what}
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self) -> Self:
        """Start it."""
        self._starts += 1
        self.log = self._folder / f"operator-{self._starts}.log"
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "tests.k8s.resources.operating", json.dumps(self._what)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        return self

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it, and wait for its end."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(30)
            self._process = None

    @property
    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def said(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


async def _main(what: dict[str, Any]) -> None:
    stop = what.pop("crash_after_write", None)
    settings = ProcessSettings(
        prefix=what.pop("prefix"), partitions=1, kafka=KafkaSettings(bootstrap=what.pop("bootstrap"))
    )
    kubeconfig, namespaces = Path(what.pop("kubeconfig")), tuple(what.pop("namespaces"))
    if stop is not None:
        _crash_after_write(float(stop))
    async with await Api.connect(kubeconfig) as api:
        await run_resources(
            api, settings, RuleResources(**what), namespace=namespaces[0], namespaces=namespaces
        )


def _crash_after_write(pause_s: float) -> None:
    """Die between a revision and what is told of it: no status leaves this process."""
    from k8s.resources import telling

    async def die(*_: object) -> None:
        time.sleep(pause_s)
        os.kill(os.getpid(), signal.SIGKILL)

    telling.Teller._patch = die  # type: ignore[method-assign]


if __name__ == "__main__":
    configure_logs("info", "json", process="operator")
    asyncio.run(_main(json.loads(sys.argv[1])))
