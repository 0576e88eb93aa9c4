"""The topics of an installation: what is missing is made, what differs is told, nothing is changed.

Partitions decide which worker has a vehicle, so no program of ours alters a topic that exists: a person
does, with the command that the difference names. `compare` is pure; `Admin` is the one that asks Kafka.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, UnknownTopicOrPartitionError, for_code

from pipeline.process.failures import PartyMissing, TelltaleError
from pipeline.process.kafka import client_options
from pipeline.process.names import topic_name
from pipeline.process.settings import ProcessSettings
from pipeline.process.topics import TOPICS, Topic, published

_REQUEST_TIMEOUT_MS = 15_000
_CREATE_TIMEOUT_MS = 60_000
_LEADERS_WITHIN_S = 30.0
_AT_A_TIME = 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as it should be, by its name in Kafka. No replication: whatever the cluster's default is."""

    name: str
    partitions: int
    config: Mapping[str, str]
    replication: int | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """A topic as Kafka has it."""

    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing about one topic that is not as it should be, and the way to mend it."""

    topic: str
    what: str
    wanted: str
    found: str
    remedy: str

    @property
    def text(self) -> str:
        """What is not as it should be, without the topic's name."""
        if self.what == "topic":
            return "does not exist"
        return f"{self.what} is {self.found}, should be {self.wanted}"

    def __str__(self) -> str:
        return f"{self.topic}: {self.text}; {self.remedy}"


def wanted_topics(
    settings: ProcessSettings, *, replication: int | None = None, publish: Collection[str] = ()
) -> list[Wanted]:
    """Every topic of the installation, and those that rules publish to."""
    topics = [*TOPICS.values(), *(published(name) for name in sorted(publish) if name not in TOPICS)]
    return [wanted(settings, topic, replication=replication) for topic in topics]


def wanted(settings: ProcessSettings, topic: Topic, *, replication: int | None = None) -> Wanted:
    """One topic as this installation wants it."""
    config = topic.config()
    if replication is not None and replication >= 3:
        config["min.insync.replicas"] = "2"
    name = topic_name(settings.prefix, topic.name)
    return Wanted(name, topic.partitions(settings.partitions), config, replication)


def compare(
    wanted: Iterable[Wanted], observed: Mapping[str, Observed], bootstrap: str = "HOST:PORT"
) -> list[Difference]:
    """Every difference, in the order of `wanted`; topics that nobody wants are no difference."""
    differences = []
    for want in wanted:
        found = observed.get(want.name)
        if found is None:
            differences.append(Difference(want.name, "topic", "", "", "`telltale topics create` makes it"))
        else:
            differences += _differences(want, found, bootstrap)
    return differences


def _differences(want: Wanted, found: Observed, bootstrap: str) -> Iterable[Difference]:
    if found.partitions != want.partitions:
        remedy = "a count is fixed at creation: set TELLTALE_PARTITIONS to it, or begin with another prefix"
        if want.partitions == 1:
            remedy = "delete it and create it anew, or begin with another prefix"
        yield Difference(want.name, "partitions", str(want.partitions), str(found.partitions), remedy)
    if want.replication is not None and found.replication != want.replication:
        remedy = "move it with kafka-reassign-partitions.sh"
        yield Difference(want.name, "replication", str(want.replication), str(found.replication), remedy)
    for key, value in want.config.items():
        there = found.config.get(key)
        if there is None or not _equal(there, value):
            remedy = (
                f"kafka-configs.sh --bootstrap-server {bootstrap} --alter --topic {want.name}"
                f" --add-config {key}={value}"
            )
            yield Difference(want.name, key, value, there or "not known", remedy)


def _equal(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return {part.strip() for part in one.split(",")} == {part.strip() for part in other.split(",")}


class Admin:
    """Kafka's administration, for the time of an `async with`.

    PartyMissing if no broker answers within the start time-out (at once, where none is set).
    """

    def __init__(self, settings: ProcessSettings) -> None:
        self._settings = settings
        self._client: Any = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._settings.start_timeout_s or 0.0)
        with LastWords() as words:
            while True:
                self._client = AIOKafkaAdminClient(
                    **client_options(self._settings, "admin"), request_timeout_ms=_REQUEST_TIMEOUT_MS
                )
                try:
                    await self._client.start()
                    return self
                except (KafkaError, OSError) as error:
                    await self._client.close()
                    left = until - loop.time()
                    if left <= 0:
                        raise not_reached(self._settings, words[-1:] or [str(error)]) from error
                    await asyncio.sleep(min(0.5, left))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def observe(self, names: Iterable[str]) -> dict[str, Observed]:
        """Those of the topics that exist."""
        wanted = set(names)
        there = [
            entry for entry in await self._describe() if entry["topic"] in wanted and not entry["error_code"]
        ]
        configs = await self._configs([entry["topic"] for entry in there])
        return {
            entry["topic"]: Observed(
                partitions=len(entry["partitions"]),
                replication=min((len(part["replicas"]) for part in entry["partitions"]), default=0),
                config=configs.get(entry["topic"], {}),
            )
            for entry in there
        }

    async def create(self, topics: Sequence[Wanted]) -> list[str]:
        """Create the topics and wait until each partition has a leader; those that were there are left out.

        TelltaleError with every refusal.
        """
        default = None
        if any(topic.replication is None for topic in topics):
            default = await self._default_replication()
        created, refused = [], []
        for begin in range(0, len(topics), _AT_A_TIME):
            batch = [
                topic if topic.replication else replace(topic, replication=default)
                for topic in topics[begin : begin + _AT_A_TIME]
            ]
            response = await self._client.create_topics(
                [
                    NewTopic(it.name, it.partitions, it.replication, topic_configs=dict(it.config))
                    for it in batch
                ],
                timeout_ms=_CREATE_TIMEOUT_MS,
            )
            for name, code, *rest in response.topic_errors:
                if code == 0:
                    created.append(name)
                elif code != TopicAlreadyExistsError.errno:
                    reason = (rest[0] if rest else None) or for_code(code).description
                    refused.append(f"{name}: {reason}")
        if refused:
            raise TelltaleError(
                "\n".join(["Kafka refused to create topics:", *(f"  {line}" for line in refused)])
            )
        await self._wait_for_leaders({topic.name for topic in topics})
        return created

    async def delete(self, names: Sequence[str]) -> None:
        """Delete topics that exist, with all that is in them; TelltaleError with every refusal."""
        response = await self._client.delete_topics(list(names), timeout_ms=_CREATE_TIMEOUT_MS)
        gone = UnknownTopicOrPartitionError.errno
        refused = [
            f"{name}: {for_code(code).description}"
            for name, code in response.topic_error_codes
            if code not in (0, gone)
        ]
        if refused:
            raise TelltaleError(
                "\n".join(["Kafka refused to delete topics:", *(f"  {line}" for line in refused)])
            )

    async def _wait_for_leaders(self, names: set[str]) -> None:
        """A client that asks too early for a new topic is told that there is none."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _LEADERS_WITHIN_S
        while True:
            ready = {
                entry["topic"]
                for entry in await self._describe()
                if not entry["error_code"] and all(part["leader"] >= 0 for part in entry["partitions"])
            }
            if names <= ready:
                return
            if loop.time() > until:
                missing = ", ".join(sorted(names - ready))
                raise TelltaleError(
                    f"created, but without a leader after {_LEADERS_WITHIN_S:.0f} s: {missing}"
                )
            await asyncio.sleep(0.1)

    async def _describe(self) -> list[dict[str, Any]]:
        # All topics: asking for one that is not there could make it.
        topics: list[dict[str, Any]] = await self._client.describe_topics()
        return topics

    async def _configs(self, names: Sequence[str]) -> dict[str, dict[str, str]]:
        configs: dict[str, dict[str, str]] = {}
        if not names:
            return configs
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        for response in await self._client.describe_configs(resources):
            for code, message, _kind, name, entries, *_ in response.resources:
                if code:
                    raise TelltaleError(
                        f"{name}: its configuration cannot be read: {message or for_code(code)}"
                    )
                configs[name] = {entry[0]: entry[1] for entry in entries}
        return configs

    async def _default_replication(self) -> int:
        brokers = (await self._client.describe_cluster())["brokers"]
        resource = ConfigResource(ConfigResourceType.BROKER, str(brokers[0]["node_id"]))
        for response in await self._client.describe_configs([resource]):
            for code, _message, _kind, _name, entries, *_ in response.resources:
                for entry in entries if code == 0 else ():
                    if entry[0] == "default.replication.factor":
                        return int(entry[1])
        raise TelltaleError("the cluster does not tell its default replication; give --replication")


_AIOKAFKA = logging.getLogger("aiokafka")


class LastWords(logging.Handler):
    """What aiokafka logged while it failed: the reason that its exceptions leave out."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._messages: list[str] = []

    def __enter__(self) -> list[str]:
        _AIOKAFKA.addHandler(self)
        _AIOKAFKA.propagate = False
        return self._messages

    def __exit__(self, *_: object) -> None:
        _AIOKAFKA.removeHandler(self)
        # Several may listen at a time: the last one gives the logger back.
        _AIOKAFKA.propagate = not any(isinstance(each, LastWords) for each in _AIOKAFKA.handlers)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self._messages.append(record.getMessage())


def not_reached(settings: ProcessSettings, reasons: Sequence[str]) -> PartyMissing:
    """What a person reads when Kafka does not answer."""
    kafka = settings.kafka
    why = f": {reasons[-1].rstrip(': ')}" if reasons else ""
    return PartyMissing(
        f"Kafka does not answer at {kafka.bootstrap}{why}\n"
        f"  is it running, and does it speak {kafka.security_protocol} there? TELLTALE_KAFKA_BOOTSTRAP and"
        " TELLTALE_KAFKA_SECURITY_PROTOCOL say so"
    )
