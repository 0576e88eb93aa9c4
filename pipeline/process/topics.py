"""One table says what every topic is: its key, how long it keeps, and what its records look like.

`telltale topics create` makes them so, `telltale topics check` and every worker compare. What a
cluster's defaults could turn against us is set on the topic: all timestamps are the producer's
(receivedAt), state is compacted soon enough that reading it back stays short, and is never deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.process.names import changelog_topic

_DAY_MS: Final = 86_400_000
VEHICLE: Final = "vehicle id"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the code calls it; `names.topic_name` puts the installation's prefix in front."""

    name: str
    meaning: str
    key: str
    retention_days: int | None = None
    """Days that a record is kept; None: compacted, the last record of a key is kept for good."""
    single: bool = False
    """One partition, whatever `partitions` says."""
    schema: str | None = None
    """File below `pipeline/schemas/`, for topics whose values are JSON."""
    headers: str | None = None
    """File below `pipeline/schemas/` that describes the headers, where the values are somebody else's."""
    event_type: str | None = None
    """`ce_type` of its records."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What is set on the topic beyond clean-up and retention."""

    @property
    def compacted(self) -> bool:
        """Whether the topic keeps the last record of each key for good."""
        return self.retention_days is None

    def partitions(self, count: int) -> int:
        """How many partitions it has in an installation with `count` for the vehicle's way."""
        return 1 if self.single else count

    def config(self) -> dict[str, str]:
        """Kafka's topic configuration, complete: what `create` sets and `check` compares."""
        config = {"message.timestamp.type": "CreateTime"}
        if self.retention_days is None:
            config |= {"cleanup.policy": "compact"}
        else:
            config |= {"cleanup.policy": "delete", "retention.ms": str(self.retention_days * _DAY_MS)}
        return config | dict(self.settings)


_COMPACTION: Final = {
    # A restore reads the whole log, so that dirt is bounded three ways: by share, by age (the active
    # segment too is rolled when its oldest record passes the lag), and by small segments.
    "segment.bytes": str(32 * 1024 * 1024),
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": str(60 * 60 * 1000),
    "delete.retention.ms": str(_DAY_MS),
}


def changelog(stage: str) -> Topic:
    """The topic that holds a stage's state, one record for each vehicle and part."""
    return Topic(
        changelog_topic(stage),
        f"state of the stage {stage}, and the markers of its checkpoints",
        "vehicle id and part",
        settings=_COMPACTION,
    )


STAGES: Final = ("normalize", "alerts", "geofences", "aggregations")

_LIST: Final = (
    Topic("vehicle.raw", "what vehicles sent, untouched, and ticks", VEHICLE, 7, headers="raw.headers.json"),
    Topic(
        "vehicle.telemetry",
        "decoded messages, mapped to signals",
        VEHICLE,
        7,
        schema="telemetry.json",
        event_type="dev.telltale.telemetry",
    ),
    Topic(
        "vehicle.dead-letter",
        "original bytes of what could not be used, with the reason in the headers",
        "that of the source record",
        14,
        headers="dead-letter.headers.json",
    ),
    Topic(
        "vehicle.alerts",
        "alerts as they begin, change and end",
        VEHICLE,
        30,
        schema="alert.json",
        event_type="dev.telltale.alert",
    ),
    Topic(
        "vehicle.commands",
        "commands that rules ask for",
        VEHICLE,
        7,
        schema="command.json",
        event_type="dev.telltale.command",
    ),
    Topic(
        "vehicle.command-deliveries",
        "what the downlink did with each command",
        VEHICLE,
        7,
        schema="command-delivery.json",
        event_type="dev.telltale.command-delivery",
    ),
    Topic(
        "vehicle.command-responses",
        "what vehicles answered, untouched",
        VEHICLE,
        7,
        schema="command-response.json",
        headers="raw.headers.json",
    ),
    Topic("vehicle.registry", "labels and attributes of each vehicle", VEHICLE, schema="registration.json"),
    Topic(
        "vehicle.late",
        "messages that came after all their windows were over",
        VEHICLE,
        7,
        schema="late.json",
        event_type="dev.telltale.late",
    ),
    Topic(
        "vehicle.geofence-events",
        "entries, exits, dwells and crossings",
        VEHICLE,
        30,
        schema="geofence-event.json",
        event_type="dev.telltale.geofence-event",
    ),
    Topic(
        "vehicle.aggregates",
        "results of windows",
        "vehicle id or group",
        30,
        schema="aggregate.json",
        event_type="dev.telltale.aggregate",
    ),
    Topic(
        "vehicle.aggregate-partials",
        "what each partition adds to groups of vehicles, of the stage aggregations to itself",
        "group",
        7,
    ),
    Topic(
        "vehicle.command-status",
        "the last known state of each command",
        "command id",
        schema="command-status.json",
        event_type="dev.telltale.command-status",
    ),
    Topic(
        "telltale.shadow",
        "what shadows, and stable rules beside a candidate, would have written",
        VEHICLE,
        7,
        schema="shadow.json",
        event_type="dev.telltale.shadow",
    ),
    Topic("telltale.rules", "rule documents, manifests and the head", "content hash", single=True),
    Topic(
        "telltale.rule-status",
        "which worker runs which revision",
        "stage and worker",
        7,
        single=True,
        schema="rule-status.json",
        event_type="dev.telltale.rule-status",
    ),
    *(changelog(stage) for stage in STAGES),
)

TOPICS: Final[Mapping[str, Topic]] = {entry.name: entry for entry in _LIST}


def published(name: str) -> Topic:
    """A topic that a rule's `publish` action names: its records are alerts (or events), keyed like them."""
    return Topic(
        name,
        "what a rule publishes",
        VEHICLE,
        30,
        schema="alert.json",
        event_type="dev.telltale.alert",
    )


def topic(logical: str) -> Topic:
    """The topic of that name; KeyError with the names that exist."""
    try:
        return TOPICS[logical]
    except KeyError:
        raise KeyError(f"no topic {logical!r}; there are: {', '.join(TOPICS)}") from None
