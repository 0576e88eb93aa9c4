"""Partition p of every input goes to one worker, and stays there while the balance allows it.

A processor needs its partition of all inputs at once, which the usual assignors do not promise. What a
worker held is told with its join, so that a partition whose state is in a worker's memory stays with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata


class Held(msgspec.Struct, frozen=True):
    """What a member had when it joined: partition numbers, and the generation that gave them to it."""

    generation: int = -1
    partitions: tuple[int, ...] = ()


def share_out(partitions: int, members: Mapping[str, Held]) -> dict[str, list[int]]:
    """Each partition to one member, counts at most one apart, moving as few partitions as that allows.

    Of two members that claim one partition, the one of the later generation has it.
    """
    names = sorted(members)
    result: dict[str, list[int]] = {name: [] for name in names}
    if not names:
        return result
    claims: dict[int, list[str]] = {}
    for name in names:
        for partition in members[name].partitions:
            if 0 <= partition < partitions:
                claims.setdefault(partition, []).append(name)
    kept: dict[str, list[int]] = {name: [] for name in names}
    for partition in sorted(claims):
        owner = max(claims[partition], key=lambda name: (members[name].generation, name))
        kept[owner].append(partition)
    quota, larger = divmod(partitions, len(names))
    free = set(range(partitions))
    # Members that hold the most get the larger shares, and give away first what others claim too.
    for index, name in enumerate(sorted(names, key=lambda name: (-len(kept[name]), name))):
        share = quota + (1 if index < larger else 0)
        preferred = sorted(kept[name], key=lambda partition: (len(claims[partition]), partition))
        result[name] = preferred[:share]
        free.difference_update(result[name])
    order = sorted(free)
    for index, name in enumerate(sorted(names, key=lambda name: (-len(kept[name]), name))):
        share = quota + (1 if index < larger else 0)
        while len(result[name]) < share:
            result[name].append(order.pop(0))
        result[name].sort()
    return result


class CopartitionAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """`share_out` in the group protocol. An instance belongs to one consumer, and knows what it holds."""

    name = "telltale-copartition-1"

    def __init__(self) -> None:
        self.held = Held()

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Run by the group's leader."""
        topics = sorted({topic for metadata in members.values() for topic in metadata.subscription})
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        shares = share_out(
            max(counts.values(), default=0), {name: _held(metadata) for name, metadata in members.items()}
        )
        return {
            name: ConsumerProtocolMemberAssignment(
                0,
                [
                    (topic, [partition for partition in shares[name] if partition < counts[topic]])
                    for topic in topics
                    if topic in metadata.subscription
                ],
                b"",
            )
            for name, metadata in members.items()
        }

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Sent with each join."""
        return ConsumerProtocolMemberMetadata(0, list(topics), msgspec.json.encode(self.held))

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Nothing here: the generation is not known yet; the transport calls `hold`."""

    def hold(self, generation: int, partitions: Iterable[int]) -> None:
        """Remember what this member was given."""
        self.held = Held(generation, tuple(sorted(set(partitions))))


def _held(metadata: ConsumerProtocolMemberMetadata) -> Held:
    try:
        return msgspec.json.decode(metadata.user_data or b"{}", type=Held)
    except msgspec.MsgspecError:
        return Held()
