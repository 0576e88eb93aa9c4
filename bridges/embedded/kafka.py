"""A real Apache Kafka of one node, from Python, on a port of this machine's loopback.

KRaft, broker and controller in one process. It keeps its data, its port and its cluster id through
`kill()` and `restart()`, so that a test of faults sees what a real outage shows; `close()` removes them.
It is sized for a laptop: half a gigabyte of heap, few internal partitions, start-up before throughput.
"""

import asyncio
import secrets
import shutil
import subprocess
import tempfile
import uuid
import weakref
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bridges.embedded import jars, java, lock
from bridges.embedded.failures import BrokerFailed, PortBusy
from bridges.embedded.program import HOST, Program, choose_port

__all__ = ["EmbeddedKafka"]

START_TIMEOUT_S = 120.0
PORT_ATTEMPTS = 3

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

SETTINGS: Mapping[str, object] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # A topic that appears by itself has the wrong number of partitions and hides a misspelt name.
    "auto.create.topics.enable": "false",
    "num.partitions": 1,
    "default.replication.factor": 1,
    "min.insync.replicas": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 8,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 8,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
    # Tests of faults use shorter sessions than production would.
    "group.min.session.timeout.ms": 1000,
    # What a killed worker left open is aborted within a second of its time-out, not within ten.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    # After kill -9 the node may register again only when its former session is over: 3 s, not 9.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    "log.retention.check.interval.ms": 60_000,
}

# Only warnings and the line that says that it is ready: the log's end is shown when it does not come up.
LOGGING = """\
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %c{1}: %m%n
logger.ready.name = kafka.server.KafkaRaftServer
logger.ready.level = INFO
"""
READY = "Kafka Server started"


class EmbeddedKafka:
    """One node of Apache Kafka; a context manager, plain or async.

    port: where to listen on 127.0.0.1, 0 for a free one, which is then kept through restarts.
    directory: where its data live; a temporary one, removed by `close()`, when left out.
    settings: more or other broker settings, in Kafka's own names.
    """

    def __init__(
        self, *, port: int = 0, directory: Path | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        self._wanted_port = port
        self._port = 0
        self._settings = dict(settings or {})
        self.directory = directory or Path(tempfile.mkdtemp(prefix="telltale-kafka-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.directory, ignore_errors=True)
        if directory is not None:
            self._remove.detach()
        self._program = Program(
            "Apache Kafka",
            log=self.directory / "kafka.log",
            ready=READY,
            temporary=None if directory else self.directory,
        )

    @property
    def bootstrap(self) -> str:
        """The address that clients are given, as host:port."""
        return f"{HOST}:{self.port}"

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
        """Start it and return when it accepts requests. Raises an EmbeddedFailure."""
        contents = lock.read(lock.KAFKA)
        jvm: list[str | Path] = [
            java.find(contents.minimum_java),
            *JVM,
            "-cp",
            _joined(jars.class_path(contents)),
        ]
        self.directory.mkdir(parents=True, exist_ok=True)
        jvm.insert(1, f"-Dlog4j2.configurationFile={self._write('log4j2.properties', LOGGING)}")
        for attempt in range(PORT_ATTEMPTS):
            port = choose_port(self._port or self._wanted_port)
            configuration = self._configure(port, choose_port(0))
            self._format(jvm, configuration)
            try:
                self._program.start(
                    [*jvm, "kafka.Kafka", configuration], port=port, timeout_s=START_TIMEOUT_S
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

    def _configure(self, port: int, controller_port: int) -> Path:
        settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "controller.quorum.voters": f"1@{HOST}:{controller_port}",
            "log.dirs": self.directory / "data",
            **self._settings,
        }
        return self._write(
            "server.properties", "".join(f"{key}={value}\n" for key, value in settings.items())
        )

    def _format(self, jvm: list[str | Path], configuration: Path) -> None:
        if (self.directory / "data" / "meta.properties").exists():
            return
        cluster = urlsafe_b64encode(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes)[:22].decode()
        if cluster.startswith("-"):
            cluster = f"a{cluster[1:]}"
        command = [
            *jvm,
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster,
            "--config",
            configuration,
        ]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise BrokerFailed(f"Apache Kafka could not format {self.directory}:\n{done.stdout}{done.stderr}")

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


def _joined(paths: tuple[Path, ...]) -> str:
    return ":".join(str(path) for path in paths)
