"""Every process behaves the same: this package is the contract that all of them keep.

A process is a `Process`: a name, a settings class and a coroutine. `run` gives it settings, logs,
one HTTP port, a drain on SIGTERM and an exit code; the process gives back nothing but its work.

    class UplinkSettings(ProcessSettings):
        mqtt: MqttSettings = MqttSettings()

    async def main(context: Context[UplinkSettings]) -> None:
        context.health.check("kafka", lambda: None if producer.ready else "no broker answers")
        ...
        await context.stopping.wait()
        ...                                   # finish what is in flight; then return

    process = Process("uplink", UplinkSettings, main, "MQTT to Kafka, nothing lost")

The names below are imported when they are first asked for: `telltale --help` must not pay for
pydantic, structlog and aiohttp.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.process.context import Context, Process
    from pipeline.process.durations import Milliseconds, Seconds, format_duration, parse_duration
    from pipeline.process.envelope import Envelope, read_envelope
    from pipeline.process.failures import (
        ConfigurationError,
        PartyMissing,
        Stopped,
        TelltaleError,
        TopicsDiffer,
        TopicsMissing,
    )
    from pipeline.process.health import Health
    from pipeline.process.kafka import client_options
    from pipeline.process.names import changelog_topic, group_id, topic_name, transactional_id
    from pipeline.process.partitioning import murmur2, partition_of
    from pipeline.process.running import run
    from pipeline.process.settings import KafkaSettings, ProcessSettings, SettingsGroup, load_settings
    from pipeline.process.times import format_time, parse_time
    from pipeline.process.topics import TOPICS, Topic, changelog, topic

_HOMES = {
    "ConfigurationError": "failures",
    "Context": "context",
    "Envelope": "envelope",
    "Health": "health",
    "KafkaSettings": "settings",
    "Milliseconds": "durations",
    "PartyMissing": "failures",
    "Process": "context",
    "ProcessSettings": "settings",
    "Seconds": "durations",
    "SettingsGroup": "settings",
    "Stopped": "failures",
    "TOPICS": "topics",
    "TelltaleError": "failures",
    "Topic": "topics",
    "TopicsDiffer": "failures",
    "TopicsMissing": "failures",
    "changelog": "topics",
    "changelog_topic": "names",
    "client_options": "kafka",
    "format_duration": "durations",
    "format_time": "times",
    "group_id": "names",
    "load_settings": "settings",
    "murmur2": "partitioning",
    "parse_duration": "durations",
    "parse_time": "times",
    "partition_of": "partitioning",
    "read_envelope": "envelope",
    "run": "running",
    "topic": "topics",
    "topic_name": "names",
    "transactional_id": "names",
}

__all__ = [
    "TOPICS",
    "ConfigurationError",
    "Context",
    "Envelope",
    "Health",
    "KafkaSettings",
    "Milliseconds",
    "PartyMissing",
    "Process",
    "ProcessSettings",
    "Seconds",
    "SettingsGroup",
    "Stopped",
    "TelltaleError",
    "Topic",
    "TopicsDiffer",
    "TopicsMissing",
    "changelog",
    "changelog_topic",
    "client_options",
    "format_duration",
    "format_time",
    "group_id",
    "load_settings",
    "murmur2",
    "parse_duration",
    "parse_time",
    "partition_of",
    "read_envelope",
    "run",
    "topic",
    "topic_name",
    "transactional_id",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value
