"""A worker starts only on topics that fit: partitions, clean-up, ids. Whatever differs is said at once.

What is still to be made is waited for: nobody has decided anything wrong yet.

Vehicle v is in partition p of every topic of its way, so that one worker has all of it; a topic with another
partition count would tear vehicles apart silently. And a position counts in one incarnation of a topic only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, NoError, UnknownTopicOrPartitionError, for_code

from pipeline.process.failures import TopicsDiffer, TopicsMissing
from pipeline.process.names import changelog_topic, topic_name
from pipeline.process.settings import ProcessSettings
from pipeline.process.topics import TOPICS
from pipeline.runtime.dead_letters import TOPIC as DEAD_LETTERS
from pipeline.runtime.stage import Stage

NOT_YET = (KafkaError, OSError)
"""What asking raises while the brokers, or the topics, are not there."""


@dataclass(frozen=True, slots=True)
class Topics:
    """What the stage's topics are. Keys are logical names."""

    ids: Mapping[str, str]
    partitions: Mapping[str, int]
    limits: Mapping[str, int]
    """Most bytes of a batch of records."""


async def look_at_topics(stage: Stage, settings: ProcessSettings, client: Mapping[str, Any]) -> Topics:
    """Ask Kafka about the stage's topics.

    TopicsDiffer with every difference, TopicsMissing if some do not exist and the others fit, KafkaError if
    Kafka is away.
    """
    changelog = changelog_topic(stage.name)
    logical = sorted({*stage.inputs, *stage.outputs, DEAD_LETTERS, changelog})
    names = {topic_name(settings.prefix, name): name for name in logical}
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        found = await _describe(admin, names)
        configs = await _configs(admin, [name for name in names if names[name] in found])
    finally:
        await admin.close()
    differences = []
    missing = [name for name, logical_name in names.items() if logical_name not in found]
    for name, logical_name in names.items():
        if logical_name not in found:
            continue
        wanted = _wanted_partitions(logical_name, settings.partitions)
        has = found[logical_name][1]
        if wanted is not None and has != wanted:
            differences.append(f"{name}: has {has} partitions, must have {wanted} (setting `partitions`)")
    policy = configs.get(topic_name(settings.prefix, changelog), {}).get("cleanup.policy", "compact")
    if policy != "compact":
        differences.append(
            f"{topic_name(settings.prefix, changelog)}: has cleanup.policy {policy}, must have compact:"
            " it is state"
        )
    if differences:
        raise TopicsDiffer(
            f"the topics of the stage {stage.name} do not fit: create them with `telltale topics create`,"
            " or use the settings that they were created with",
            [*differences, *(f"{name}: does not exist" for name in missing)],
        )
    if missing:
        raise TopicsMissing(missing)
    return Topics(
        ids={name: topic_id for name, (topic_id, _) in found.items()},
        partitions={name: count for name, (_, count) in found.items()},
        limits={
            logical_name: int(configs.get(name, {}).get("max.message.bytes") or 1_048_588)
            for name, logical_name in names.items()
        },
    )


def _wanted_partitions(logical: str, partitions: int) -> int | None:
    """None: any number does, for topics that are not ours."""
    if logical in TOPICS:
        return TOPICS[logical].partitions(partitions)
    return partitions if logical.startswith("telltale.") else None


async def _describe(admin: AIOKafkaAdminClient, names: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Id and partition count of those topics that exist, by logical name."""
    from pipeline.runtime.topic_ids import TopicsRequest

    response = await admin._send_request(TopicsRequest(names))
    found: dict[str, tuple[str, int]] = {}
    for entry in response.to_object()["topics"]:
        kind = for_code(entry["error_code"])
        if kind is UnknownTopicOrPartitionError:
            continue
        if kind is not NoError:
            raise kind(entry["topic"])
        found[names[entry["topic"]]] = (str(entry["topic_id"]), len(entry["partitions"]))
    return found


async def _configs(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, dict[str, str]]:
    """The topics' settings; none of those that we may not read."""
    if not names:
        return {}
    wanted = {"cleanup.policy": None, "max.message.bytes": None}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(wanted)) for name in names]
    configs: dict[str, dict[str, str]] = {}
    for response in await admin.describe_configs(resources):
        for code, _, _, name, entries in (tuple(resource) for resource in response.resources):
            if for_code(code) is NoError:
                configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
