"""What a person sets for a stage that reads rule documents."""

from pathlib import Path

from pydantic import Field

from pipeline.process.durations import Milliseconds
from pipeline.runtime import StageSettings


class RuleStageSettings(StageSettings):
    """Where the rules are, and how long a vehicle may be quiet."""

    rules: tuple[Path, ...] = Field(
        (), description="files and directories of rule documents; default: the library that ships"
    )
    quiet_after_ms: Milliseconds = Field(
        10_000, description="silence that is no silence yet: longer than the vehicles' upload interval"
    )


class NormalizeSettings(RuleStageSettings):
    """When a vehicle is forgotten, and for how long its messages wait for older ones."""

    vehicle_ttl_ms: Milliseconds = Field(
        90 * 24 * 3_600_000,
        description="a vehicle unseen for so long is forgotten by every rule stage; 0: never",
    )
    reorder_within_ms: Milliseconds = Field(
        0,
        description="messages wait so long for older ones of their vehicle, where a broker spreads them over "
        "several uplinks; quiet_after_ms must be longer",
    )
