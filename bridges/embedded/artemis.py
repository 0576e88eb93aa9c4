"""A real MQTT 5 broker, Apache ActiveMQ Artemis, from Python, on a port of this machine's loopback.

Its whole instance is written here and not by `artemis create`, which would start a Java just to copy
templates. Messages and sessions are journalled to disk, so that they outlast `kill()` and `restart()`.
"""

import asyncio
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bridges.embedded import jars, java, lock
from bridges.embedded.failures import BrokerFailed, PortBusy
from bridges.embedded.instance import Access, Tls, write_instance
from bridges.embedded.program import HOST, Program, choose_port

__all__ = ["EmbeddedMqtt"]

START_TIMEOUT_S = 120.0
PORT_ATTEMPTS = 3
READY = "AMQ221007"

JVM = (
    "-Xms32m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Xshare:auto",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)


class EmbeddedMqtt:
    """Apache ActiveMQ Artemis with one MQTT listener; a context manager, plain or async.

    port: where to listen on 127.0.0.1, 0 for a free one, which is then kept through restarts.
    directory: where its data live; a temporary one, removed by `close()`, when left out.
    tls: serve TLS, and ask clients for certificates where it names their authority.
    users: name to password; without any, everybody may connect and do everything.
    access: what each user may do; without any, every user may do everything.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        directory: Path | None = None,
        tls: Tls | None = None,
        users: Mapping[str, str] | None = None,
        access: Sequence[Access] = (),
    ) -> None:
        self._wanted_port = port
        self._port = 0
        self._tls = tls
        self._users = dict(users or {})
        self._access = tuple(access)
        self.directory = directory or Path(tempfile.mkdtemp(prefix="telltale-mqtt-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        if directory is not None:
            self._remove.detach()
        self._program = Program(
            "Apache ActiveMQ Artemis",
            log=self.directory / "artemis.log",
            ready=READY,
            temporary=None if directory else self.directory,
        )

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
    def running(self) -> bool:
        """Whether its process lives."""
        return self._program.running

    def start(self) -> Self:
        """Start it and return when it accepts clients. Raises an EmbeddedFailure."""
        contents = lock.read(lock.ARTEMIS)
        program: list[str | Path] = [java.find(contents.minimum_java), *JVM]
        class_path = ":".join(str(path) for path in jars.class_path(contents))
        self.directory.mkdir(parents=True, exist_ok=True)
        for attempt in range(PORT_ATTEMPTS):
            port = choose_port(self._port or self._wanted_port)
            options = write_instance(
                self.directory, port=port, tls=self._tls, users=self._users, access=self._access
            )
            main = "org.apache.activemq.artemis.cli.Artemis"
            try:
                self._program.start(
                    [*program, *options, "-cp", class_path, main, "run"], port=port, timeout_s=START_TIMEOUT_S
                )
            except BrokerFailed as failure:
                # Between our look at a free port and its own bind another program may have taken it.
                taken = "Address already in use" in str(failure)
                if taken and attempt + 1 < PORT_ATTEMPTS and not (self._port or self._wanted_port):
                    continue
                raise PortBusy(str(failure)) if taken else failure from None
            self._port = port
            return self
        raise AssertionError("unreachable")

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
