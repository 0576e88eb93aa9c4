"""What both embedded brokers share: a directory and a port that outlast the process.

`kill()` and `stop()` end the process, `restart()` brings it back on the same data and the same port, as an
outage does; only `close()` (or leaving the `with`) gives the data up. Whoever forgets it leaves nothing
behind either: the data go at the end of the interpreter, or with `keeper.py` when that was killed.
"""

import asyncio
import shutil
import subprocess
import tempfile
import weakref
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from bridges.embedded import jars, java
from bridges.embedded.failures import BrokerFailed, PortBusy
from bridges.embedded.lock import Lock
from bridges.embedded.program import HOST, Program, choose_port

__all__ = ["Broker"]

START_TIMEOUT_S = 120.0
PORT_ATTEMPTS = 3
# Short-lived and on a laptop: small, and quick to start rather than quick at the end of an hour.
JVM = (
    "-Xms64m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)


class Broker(ABC):
    """The life of one broker. Closed: Kafka and Artemis are all there is."""

    def __init__(self, lock: Lock, *, ready: str, port: int, directory: Path | None) -> None:
        self._lock = lock
        self._wanted_port = port
        self._port = 0
        self._sharing: list[str] = []
        self.directory = directory or Path(tempfile.mkdtemp(prefix=f"telltale-{lock.name}-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        if directory is not None:
            self._remove.detach()
        self._program = Program(
            lock.title,
            log=self.directory / f"{lock.name}.log",
            ready=ready,
            temporary=None if directory else self.directory,
        )

    @abstractmethod
    def _command(self, jvm: list[str | Path], port: int) -> list[str | Path]:
        """Write the configuration for this port, and return the command that begins with `jvm`."""

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return HOST

    @property
    def port(self) -> int:
        """The port that it listens on (or listened on, while it is down)."""
        assert self._port, "it was never started"
        return self._port

    @property
    def log(self) -> Path:
        """The file that everything it prints goes to."""
        return self._program.log

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._program.running

    def start(self) -> Self:
        """Start it and return when it serves. Raises an EmbeddedFailure that tells why it cannot."""
        program, path = java.find(self._lock.minimum_java), jars.class_path(self._lock)
        archive = self._archive(program)
        sharing = self._sharing or ([f"-XX:SharedArchiveFile={archive}"] if archive.exists() else [])
        jvm: list[str | Path] = [program, *JVM, *sharing]
        jvm += ["-cp", ":".join(map(str, path))]
        self.directory.mkdir(parents=True, exist_ok=True)
        attempts = 1 if self._port or self._wanted_port else PORT_ATTEMPTS
        while True:
            attempts -= 1
            port = choose_port(self._port or self._wanted_port)
            try:
                self._program.start(self._command(jvm, port), port=port, timeout_s=START_TIMEOUT_S)
            except BrokerFailed as failure:
                # Between our look at a free port and its own bind another program may have taken it.
                if "Address already in use" not in str(failure):
                    raise
                if not attempts:
                    raise PortBusy(str(failure)) from failure
            else:
                self._port = port
                return self

    def archive_classes(self) -> bool:
        """Run once to keep the loaded classes (CDS), half of a start's work; whether they are kept."""
        program, path = java.find(self._lock.minimum_java), jars.class_path(self._lock)
        archive = self._archive(program)
        if archive.exists():
            return True
        with tempfile.TemporaryDirectory(dir=archive.parent) as staging:
            listed, made = Path(staging, "classes"), Path(staging, archive.name)
            self._sharing = [f"-XX:DumpLoadedClassList={listed}"]
            self.start()
            self.stop()
            words = ["-Xshare:dump", f"-XX:SharedClassListFile={listed}", f"-XX:SharedArchiveFile={made}"]
            command: list[str | Path] = [program, "-XX:+UseSerialGC", *words, "-cp", ":".join(map(str, path))]
            done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
            if done.returncode == 0:
                made.replace(archive)
        return archive.exists()

    def stop(self) -> None:
        """End it in order; data and port stay for `restart()`."""
        self._program.stop()

    def kill(self) -> None:
        """End it as kill -9 does; data and port stay for `restart()`."""
        self._program.kill()

    def restart(self) -> None:
        """Start it again on the same data and port, after stopping it where it still runs."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End it and remove its data, unless the caller named the directory."""
        self.stop()
        self._remove()

    def _archive(self, program: Path) -> Path:
        """Of this build of Java and these jars; a JVM that it does not fit starts without it."""
        home = program.resolve().parent.parent
        release = home / "release"  # the same in every environment that has this build
        built = release.read_text() if release.exists() else f"{home} {program.stat().st_mtime_ns}"
        return jars.cached(self._lock, built, "jsa")

    def _write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.write_text(text)
        return path

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)
