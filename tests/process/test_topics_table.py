from __future__ import annotations

import re

import pytest

from pipeline.process import TOPICS, Topic, changelog, topic, topic_name
from pipeline.process.topics import STAGES, published

every = [pytest.param(entry, id=entry.name) for entry in TOPICS.values()]


@pytest.mark.parametrize("entry", every)
def test_timestamps_are_the_producers_whatever_the_clusters_default(entry: Topic) -> None:
    assert entry.config()["message.timestamp.type"] == "CreateTime"


@pytest.mark.parametrize("entry", every)
def test_a_topic_is_either_compacted_or_forgets_by_age(entry: Topic) -> None:
    config = entry.config()
    assert config["cleanup.policy"] == ("compact" if entry.compacted else "delete")
    assert ("retention.ms" in config) == (not entry.compacted)


@pytest.mark.parametrize("entry", every)
def test_names_are_legal_in_kafka_with_the_longest_prefix(entry: Topic) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic_name("p" * 150, entry.name))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_a_changelog_whose_compaction_is_bounded(stage: str) -> None:
    config = TOPICS[f"telltale.{stage}-changelog"].config()
    assert {"segment.bytes", "min.cleanable.dirty.ratio", "max.compaction.lag.ms"} <= config.keys()
    assert config["cleanup.policy"] == "compact"
    assert changelog(stage) == TOPICS[f"telltale.{stage}-changelog"]


def test_the_vehicles_way_has_as_many_partitions_everywhere() -> None:
    assert {entry.partitions(8) for entry in TOPICS.values() if entry.name.startswith("vehicle.")} == {8}
    assert TOPICS["telltale.shadow"].partitions(8) == 8
    assert TOPICS["telltale.rules"].partitions(8) == TOPICS["telltale.rule-status"].partitions(8) == 1


def test_a_published_alert_is_kept_as_alerts_are() -> None:
    assert published("maintenance.requests").config() == TOPICS["vehicle.alerts"].config()


def test_an_unknown_topic_names_those_that_exist() -> None:
    with pytest.raises(KeyError, match=r"vehicle\.alerts"):
        topic("vehicle.alert")
