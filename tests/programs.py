"""`telltale` as processes, hundreds of them, without reading every module anew for each.

They are forked from a server (multiprocessing's) that has imported what they have in common, and from then on
they are what the command line starts: arguments, environment, output, signals, exit codes, kill -9. That the
command itself starts is shown by `tests/process`, the README's tests and the pods.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
# Not the processes themselves: each registers its metrics when it is imported.
_CONTEXT.set_forkserver_preload(
    [
        *("rules", "rules.testing", "pipeline.runtime", "pipeline.process.running", "pipeline.store"),
        *("pipeline.stages.live", "k8s.crds", "k8s.pipelines.desired", "kopf", "aiohttp.web"),
    ]
)


class Program:
    """One process, as subprocess.Popen has it."""

    def __init__(self, *words: str, environment: Mapping[str, str], log: Path) -> None:
        """Run `telltale` with these words; what it says is appended to the log."""
        log.touch()
        self._process = _CONTEXT.Process(target=_become, args=(words, dict(environment), log, log))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("telltale", timeout or 0.0)
        return code

    def send_signal(self, number: signal.Signals | int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def telltale(
    *words: str, environment: Mapping[str, str], folder: Path, within: float
) -> subprocess.CompletedProcess[str]:
    """What a command that ends by itself says; its output passes through files in the folder."""
    out, err = (folder / f".telltale.{name}" for name in ("out", "err"))
    for path in (out, err):
        path.write_bytes(b"")
    process = _CONTEXT.Process(target=_become, args=(words, dict(environment), out, err))
    process.start()
    process.join(within)
    if process.exitcode is None:
        process.kill()
        raise subprocess.TimeoutExpired(["telltale", *words], within)
    return subprocess.CompletedProcess(words, process.exitcode, out.read_text(), err.read_text())


def _become(words: tuple[str, ...], environment: dict[str, str], out: Path, err: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for path, stream in ((out, 1), (err, 2)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, stream)
        os.close(descriptor)
    sys.argv = ["telltale", *words]
    from pipeline.process.cli import main

    main()
