"""Every name that Kafka sees begins with the installation's prefix: one rule of an ACL covers it.

The prefix is put in front as it is, separator included: `demo.` gives `demo.vehicle.raw`.
"""

from __future__ import annotations


def topic_name(prefix: str, logical: str) -> str:
    """Kafka's name for a topic that the code calls `vehicle.raw`."""
    return f"{prefix}{logical}"


def group_id(prefix: str, stage: str) -> str:
    """One consumer group for each stage of one installation."""
    return f"{prefix}telltale.{stage}"


def transactional_id(prefix: str, stage: str, partition: int) -> str:
    """One transactional producer for each partition of a stage: its id fences the owner before."""
    return f"{prefix}telltale.{stage}.{partition}"


def changelog_topic(stage: str) -> str:
    """Logical name of the topic that holds a stage's state."""
    return f"telltale.{stage}-changelog"
