"""What the demo needs around our processes: two brokers, the topics, and the same settings for all.

Ports are free ones and data lie in a temporary directory, so that a second demo, a busy port or an
earlier crash is no obstacle. What the user has set as TELLTALE_* is for their installation, not for this one.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from bridges.demo.children import Child, ChildFailed
from bridges.demo.threads import beside
from bridges.embedded import EmbeddedKafka, EmbeddedMqtt

PREFIX = "demo."
PARTITIONS = 8
RULE_STAGES = ("alerts", "geofences", "aggregations")
STAGES = ("uplink", "normalize", *RULE_STAGES, "downlink")


def library() -> tuple[Path, ...]:
    """The rule files that ship, without their tests, found without importing what bridges must not know."""
    found = importlib.util.find_spec("rules")
    assert found is not None, "the package rules is part of Telltale"
    assert found.submodule_search_locations, "rules is a package"
    files = (Path(found.submodule_search_locations[0]) / "library").glob("*.yaml")
    return tuple(sorted(file for file in files if not file.name.endswith(".test.yaml")))


class Installation:
    """Brokers and a directory; `environment` is what every process of ours is given."""

    def __init__(self, rules: tuple[Path, ...], say: Callable[[str], None]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="telltale-demo-"))
        self.kafka = EmbeddedKafka(directory=self.directory / "kafka")
        self.mqtt = EmbeddedMqtt(directory=self.directory / "mqtt")
        self._rules = rules
        self._say = say

    @property
    def brokers(self) -> Mapping[str, EmbeddedKafka | EmbeddedMqtt]:
        """Both, by the names that people know."""
        return {"Apache Kafka": self.kafka, "Apache ActiveMQ Artemis": self.mqtt}

    async def start(self) -> None:
        """Start both brokers and make the topics; what is missing is downloaded first."""
        self._say("Starting Apache Kafka")
        await beside(self.kafka.start)
        self._say("Starting Apache ActiveMQ Artemis, and creating topics")
        both = asyncio.gather(beside(self.mqtt.start), self._create_topics(), return_exceptions=True)
        for failure in await both:
            if isinstance(failure, BaseException):
                raise failure

    async def _create_topics(self) -> None:
        rules = [argument for path in self._rules for argument in ("--rules", str(path))]
        child = self.child("topics", ("topics", "create", *rules), mqtt=False)
        if await child.run() != 0:
            raise ChildFailed(child, f"create ended with {child.last_exit}")

    def child(self, name: str, arguments: tuple[str, ...], *, mqtt: bool = True) -> Child:
        """A process of ours that works in this installation."""
        log = self.directory / f"{name}.log"
        return Child(name, arguments, lambda: self._environment(name, mqtt=mqtt), log)

    def _environment(self, name: str, *, mqtt: bool) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
        environment |= {
            "TELLTALE_PREFIX": PREFIX,
            "TELLTALE_PARTITIONS": str(PARTITIONS),
            "TELLTALE_KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "TELLTALE_CLIENT_ID": f"demo-{name}",
            "TELLTALE_HTTP_HOST": "127.0.0.1",
            "TELLTALE_HTTP_PORT": "0",
            "TELLTALE_LOG_FORMAT": "json",
            "TELLTALE_RULES": ",".join(map(str, self._rules)),
        }
        if mqtt:
            environment |= {
                "TELLTALE_MQTT_HOST": self.mqtt.host,
                "TELLTALE_MQTT_PORT": str(self.mqtt.port),
            }
        return environment

    async def close(self, *, keep_logs: bool) -> None:
        """End the brokers; remove the directory, or all of it but the logs."""
        await asyncio.gather(beside(self.kafka.close), beside(self.mqtt.close))
        if not keep_logs:
            shutil.rmtree(self.directory, ignore_errors=True)
