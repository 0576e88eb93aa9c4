"""A real Apache Kafka of one node, from Python, on a port of this machine's loopback.

KRaft, broker and controller in one process. It keeps its data, its port and its cluster id through
`kill()` and `restart()`, so that a test of faults sees what a real outage shows; `close()` removes them.
It is sized for a laptop: half a gigabyte of heap, few internal partitions, start-up before throughput.
"""

import json
import re
import secrets
import shutil
import subprocess
import tempfile
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from bridges.embedded import lock
from bridges.embedded.broker import Broker
from bridges.embedded.failures import BrokerFailed
from bridges.embedded.jars import cached
from bridges.embedded.program import HOST, choose_port

__all__ = ["EmbeddedKafka"]

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
    # After kill -9 the node may register again only when its former session is over. Shorter than 9 s, a busy
    # machine lets the session of a living node lapse, and producers get NotEnoughReplicas.
    "broker.session.timeout.ms": 9000,
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


_OF_ONE_BROKER = ("listeners", "advertised.listeners", "controller.quorum.voters", "log.dirs")


class EmbeddedKafka(Broker):
    """One node of Apache Kafka; a context manager, plain or async.

    port: where to listen on 127.0.0.1, 0 for a free one, which is then kept through restarts.
    directory: where its data live; a temporary one, removed by `close()`, when left out.
    settings: more or other broker settings, in Kafka's own names.
    """

    def __init__(
        self, *, port: int = 0, directory: Path | None = None, settings: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(lock.read(lock.KAFKA), ready=READY, port=port, directory=directory)
        self._settings = dict(settings or {})

    @property
    def bootstrap(self) -> str:
        """The address that clients are given, as host:port."""
        return f"{self.host}:{self.port}"

    def _command(self, jvm: list[str | Path], port: int) -> list[str | Path]:
        controller_port = choose_port(0)
        settings = {
            **SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "controller.quorum.voters": f"1@{HOST}:{controller_port}",
            "log.dirs": self.directory / "data",
            **self._settings,
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        configuration = self._write("server.properties", text)
        program = [*jvm, f"-Dlog4j2.configurationFile={self._write('log4j2.properties', LOGGING)}"]
        data = self.directory / "data"
        if not (data / "meta.properties").exists():
            said = {key: value for key, value in settings.items() if key not in _OF_ONE_BROKER}
            kept = cached(self._lock, json.dumps(said, sort_keys=True, default=str), "formatted")
            if not kept.exists():
                self._format(program, configuration, kept)
            _copy(kept, data)
        return [*program, "kafka.Kafka", configuration]

    def _format(self, program: list[str | Path], configuration: Path, kept: Path) -> None:
        """Let Kafka's own tool format a directory, which is kept for all later brokers of these settings."""
        command = [*program, "kafka.tools.StorageTool", "format", "-t", _new_id(), "-c", configuration]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise BrokerFailed(f"Apache Kafka could not format {self.directory}:\n{done.stdout}{done.stderr}")
        staging = Path(tempfile.mkdtemp(prefix=".formatted-", dir=kept.parent))
        shutil.copytree(self.directory / "data", staging, dirs_exist_ok=True)
        shutil.rmtree(self.directory / "data")
        try:
            staging.rename(kept)
        except OSError:  # another broker was first
            shutil.rmtree(staging, ignore_errors=True)


def _copy(formatted: Path, data: Path) -> None:
    """A formatted directory under ids of its own."""
    shutil.copytree(formatted, data, copy_function=shutil.copyfile)
    properties = data / "meta.properties"
    ids = re.compile(r"^(cluster|directory)\.id=.*$", re.MULTILINE)
    properties.write_text(ids.sub(lambda found: f"{found[1]}.id={_new_id()}", properties.read_text()))


def _new_id() -> str:
    """An id as Kafka makes them: 16 random bytes in base64; a leading dash would be an option."""
    while True:
        text = urlsafe_b64encode(uuid.UUID(bytes=secrets.token_bytes(16), version=4).bytes)[:22].decode()
        if not text.startswith("-"):
            return text
