"""Topics: the comparison as a law, and what is made on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pipeline.process import ProcessSettings
from pipeline.process.topics import TOPICS
from pipeline.topics import Admin, Difference, Observed, Wanted, compare, wanted_topics
from tests.process.commands import Here

WANTED = Wanted("vehicle.raw", 8, {"cleanup.policy": "delete", "retention.ms": "1000"}, 3)
FITTING = Observed(8, 3, {"cleanup.policy": "delete", "retention.ms": "1000", "compression.type": "producer"})


def differences(found: Observed) -> list[str]:
    return [str(difference) for difference in compare([WANTED], {"vehicle.raw": found}, "k:9")]


def test_what_fits_has_no_difference_whatever_else_is_set() -> None:
    assert differences(FITTING) == []
    assert compare([], {"foreign": FITTING}) == []


def test_a_missing_topic_is_one_difference() -> None:
    assert [str(it) for it in compare([WANTED], {})] == [
        "vehicle.raw: does not exist; `telltale topics create` makes it"
    ]


def test_every_difference_is_told_with_its_remedy() -> None:
    assert differences(Observed(4, 1, {"cleanup.policy": "compact"})) == [
        "vehicle.raw: partitions is 4, should be 8; a count is fixed at creation: set TELLTALE_PARTITIONS to"
        " it, or begin with another prefix",
        "vehicle.raw: replication is 1, should be 3; move it with kafka-reassign-partitions.sh",
        "vehicle.raw: cleanup.policy is compact, should be delete; kafka-configs.sh --bootstrap-server k:9"
        " --alter --topic vehicle.raw --add-config cleanup.policy=delete",
        "vehicle.raw: retention.ms is not known, should be 1000; kafka-configs.sh --bootstrap-server k:9"
        " --alter --topic vehicle.raw --add-config retention.ms=1000",
    ]


@pytest.mark.parametrize("change", [lambda it: replace(it, replication=None), lambda it: it])
def test_replication_matters_only_where_it_is_wanted(change: Callable[[Wanted], Wanted]) -> None:
    want = change(WANTED)
    found = replace(FITTING, replication=1)
    assert bool(compare([want], {"vehicle.raw": found})) == (want.replication is not None)


@pytest.mark.parametrize(
    ("wanted", "found"), [("0.2", "0.20"), ("1000", "1000.0"), ("compact,delete", "delete, compact")]
)
def test_values_are_compared_by_their_meaning(wanted: str, found: str) -> None:
    assert compare([Wanted("t", 1, {"k": wanted})], {"t": Observed(1, 1, {"k": found})}) == []


def test_three_replicas_come_with_two_in_sync() -> None:
    settings = ProcessSettings()
    assert {want.config.get("min.insync.replicas") for want in wanted_topics(settings, replication=3)} == {
        "2"
    }
    assert {want.config.get("min.insync.replicas") for want in wanted_topics(settings, replication=2)} == {
        None
    }
    assert {want.config.get("min.insync.replicas") for want in wanted_topics(settings)} == {None}


def test_topics_that_rules_publish_to_are_wanted_once_with_the_prefix() -> None:
    wanted = wanted_topics(ProcessSettings(prefix="p."), publish=["maintenance", "vehicle.alerts"])
    names = [want.name for want in wanted]
    assert "p.maintenance" in names
    assert names.count("p.vehicle.alerts") == 1
    assert len(names) == len(set(names))


RULE = """
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: service}
spec:
  when: speed > 1
  severity: info
  actions: [{publish: {topic: maintenance.requests}}]
---
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec:
  timestamp: {path: ts, format: unixMillis}
  signals: {Vehicle.Speed: {path: speed, type: double, alias: speed}}
"""


@pytest.mark.integration
def test_create_makes_what_is_missing_and_nothing_else_and_check_tells_what_differs(
    here: Here, kafka_address: str, prefix: str
) -> None:
    variables = {
        "TELLTALE_KAFKA_BOOTSTRAP": kafka_address,
        "TELLTALE_PREFIX": prefix,
        "TELLTALE_PARTITIONS": "2",
    }
    (here.directory / "rule.yaml").write_text(RULE)
    before = here("topics", "check", **variables, TELLTALE_RULES="rule.yaml")
    assert before.returncode == 4
    assert f"{prefix}vehicle.raw and {len(TOPICS)} more: does not exist" in before.stderr

    made = here("topics", "create", "--rules", "rule.yaml")
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.count("created") == len(TOPICS) + 1
    assert f"{prefix}maintenance.requests" in made.stdout

    again = here("topics", "create")
    assert (again.returncode, again.stdout.count("  ok")) == (0, len(TOPICS) + 1)
    assert here("topics", "check").returncode == 0

    other = here("topics", "check", TELLTALE_PARTITIONS="3")
    assert other.returncode == 4
    assert f"{prefix}vehicle.raw and {len(TOPICS) - 2} more: partitions is 2, should be 3" in other.stderr
    assert here("topics", "create").returncode == 4  # nothing is changed, and that is told


@pytest.mark.integration
def test_without_rules_the_topics_of_the_shipped_library_are_made(
    here: Here, kafka_address: str, prefix: str
) -> None:
    here.set(TELLTALE_KAFKA_BOOTSTRAP=kafka_address, TELLTALE_PREFIX=prefix, TELLTALE_PARTITIONS="1")
    (here.directory / "settings.yaml").write_text("mqtt: {host: example}  # for other processes\n")
    done = here("topics", "create", "-c", "settings.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{prefix}emergency.calls" in done.stdout


async def _observe(settings: ProcessSettings, names: list[str]) -> dict[str, Observed]:
    async with Admin(settings) as admin:
        return await admin.observe(names)


@pytest.mark.integration
def test_what_was_made_has_the_tables_configuration(kafka_address: str, prefix: str) -> None:
    async def scenario() -> list[Difference]:
        settings = ProcessSettings(prefix=prefix, partitions=2, kafka={"bootstrap": kafka_address})  # type: ignore[arg-type]
        wanted = wanted_topics(settings, replication=1)
        async with Admin(settings) as admin:
            assert sorted(await admin.create(wanted)) == sorted(want.name for want in wanted)
            assert await admin.create(wanted) == []
        observed = await _observe(settings, [want.name for want in wanted])
        state = observed[f"{prefix}telltale.alerts-changelog"]
        assert (state.partitions, state.replication) == (2, 1)
        assert state.config["cleanup.policy"] == "compact"
        assert state.config["segment.bytes"] == "33554432"
        return compare(wanted, observed)

    assert asyncio.run(scenario()) == []


@pytest.mark.integration
def test_a_topic_that_somebody_made_otherwise_is_told_and_left(
    here: Here, kafka_address: str, prefix: str
) -> None:
    async def scenario() -> None:
        client = AIOKafkaAdminClient(bootstrap_servers=kafka_address)
        await client.start()
        try:
            topic = NewTopic(
                f"{prefix}telltale.alerts-changelog", 2, 1, topic_configs={"cleanup.policy": "delete"}
            )
            await client.create_topics([topic])
        finally:
            await client.close()

    asyncio.run(scenario())
    done = here(
        "topics",
        "create",
        TELLTALE_KAFKA_BOOTSTRAP=kafka_address,
        TELLTALE_PREFIX=prefix,
        TELLTALE_PARTITIONS="2",
    )
    assert done.returncode == 4
    assert "cleanup.policy is delete, should be compact" in done.stderr
    assert f"--topic {prefix}telltale.alerts-changelog --add-config cleanup.policy=compact" in done.stderr
    assert done.stdout.count("created") >= 15


@pytest.mark.integration
def test_a_name_that_kafka_refuses_is_told(kafka_address: str, prefix: str) -> None:
    async def scenario() -> None:
        settings = ProcessSettings(kafka={"bootstrap": kafka_address})  # type: ignore[arg-type]
        async with Admin(settings) as admin:
            await admin.create(
                [Wanted(f"{prefix}a b", 1, {}), Wanted(f"{prefix}b", 1, {"retention.ms": "x"})]
            )

    with pytest.raises(Exception, match=r"(?s)Kafka refused to create topics:.*a b: .*b: "):
        asyncio.run(scenario())


@pytest.mark.integration
def test_topics_are_deleted_only_when_it_is_meant_and_others_stay(
    here: Here, kafka_address: str, prefix: str
) -> None:
    other = f"{prefix}somebody.elses"

    async def names() -> set[str]:
        settings = ProcessSettings(kafka={"bootstrap": kafka_address}, prefix=prefix)  # type: ignore[arg-type]
        async with Admin(settings) as admin:
            found = await admin.observe([other, *(want.name for want in wanted_topics(settings))])
        return set(found)

    async def make_other() -> None:
        settings = ProcessSettings(kafka={"bootstrap": kafka_address})  # type: ignore[arg-type]
        async with Admin(settings) as admin:
            await admin.create([Wanted(other, 1, {})])

    environment = {
        "TELLTALE_KAFKA_BOOTSTRAP": kafka_address,
        "TELLTALE_PREFIX": prefix,
        "TELLTALE_PARTITIONS": "1",
    }
    asyncio.run(make_other())
    assert here("topics", "create", **environment).returncode == 0
    made = asyncio.run(names())
    assert len(made) == len(TOPICS) + 1

    refused = here("topics", "delete", **environment)
    assert refused.returncode == 2
    assert f"this deletes {len(TOPICS)} topics at {kafka_address}" in refused.stderr
    assert asyncio.run(names()) == made

    done = here("topics", "delete", "--yes", **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("deleted") == len(TOPICS)
    assert asyncio.run(names()) == {other}
    # Once more: there is nothing left to do, and that is no failure.
    again = here("topics", "delete", "--yes", **environment)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("was not there") == len(TOPICS)
