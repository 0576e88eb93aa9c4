"""A real MQTT 5 broker, Apache ActiveMQ Artemis, from Python, on a port of this machine's loopback.

Its whole instance is written here and not by `artemis create`, which would start a Java just to copy
templates. Messages and sessions are journalled to disk, so that they outlast `kill()` and `restart()`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from bridges.embedded import lock
from bridges.embedded.broker import Broker
from bridges.embedded.instance import Access, Tls, write_instance

__all__ = ["EmbeddedMqtt"]

READY = "AMQ221007"


class EmbeddedMqtt(Broker):
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
        super().__init__(lock.read(lock.ARTEMIS), ready=READY, port=port, directory=directory)
        self._tls = tls
        self._users = dict(users or {})
        self._access = tuple(access)

    def _command(self, jvm: list[str | Path], port: int) -> list[str | Path]:
        options = write_instance(
            self.directory, port=port, tls=self._tls, users=self._users, access=self._access
        )
        return [*jvm, *options, "org.apache.activemq.artemis.cli.Artemis", "run"]
