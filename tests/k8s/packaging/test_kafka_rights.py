"""The KafkaUsers of the example stack, on a real Kafka with its own authorizer: enough, and no more.

Strimzi would make users and ACLs of these manifests; here the test does. The authorizer's log says what each
user was allowed, so that a right that nobody used is noticed too.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest

from bridges.embedded import EmbeddedKafka
from bridges.embedded.kafka import LOGGING
from tests.conftest import MqttAddress
from tests.e2e.fleet import Message
from tests.e2e.mqtt import Vehicles
from tests.e2e.processes import Installation, wait_until
from tests.k8s.packaging.dockerfile import ROOT

pytestmark = pytest.mark.integration

USERS = {
    user["metadata"]["name"]: user["spec"]["authorization"]["acls"]
    for user in yaml.safe_load_all((ROOT / "k8s/examples/kafka/users.yaml").read_text())
}
RULES = ROOT / "k8s/examples/rules/fleet"
PASSWORD = "password-of-all"
# Kafka's own numbers (org.apache.kafka.common.acl.AclOperation, .resource.ResourceType, .PatternType).
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10, "IdempotentWrite": 12}
RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactionalId": 5}
PATTERNS = {"literal": 3, "prefix": 4}
ALLOW = 3
AUDIT = "logger.rights.name = kafka.authorizer.logger\nlogger.rights.level = DEBUG\n"
ALLOWED = re.compile(
    r"Principal = User:(?P<user>[\w-]+) is Allowed operation = (?P<operation>\w+) .*? on resource = "
    r"(?P<kind>\w+):LITERAL:(?P<name>[\w.-]+) "
)


class Audited(EmbeddedKafka):
    """A Kafka whose log says what it allowed and to whom."""

    def _write(self, name: str, text: str) -> Path:
        return super()._write(name, text + AUDIT if text == LOGGING else text)


class Fortress(NamedTuple):
    """A Kafka, and its port where one has to say who one is."""

    kafka: EmbeddedKafka
    port: int

    def login(self, user: str) -> dict[str, Any]:
        return {
            "bootstrap_servers": f"127.0.0.1:{self.port}",
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": user,
            "sasl_plain_password": PASSWORD,
        }


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(listener.getsockname()[1]) for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="module")
def fortress() -> Iterator[Fortress]:
    plain, controller, secure = free_ports(3)
    logins = " ".join(f'user_{name}="{PASSWORD}"' for name in USERS)
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SECURE://127.0.0.1:{secure}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://127.0.0.1:{secure}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": (
            f"org.apache.kafka.common.security.plain.PlainLoginModule required {logins};"
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    with Audited(port=plain, settings=settings) as kafka:
        asyncio.run(grant(kafka.bootstrap))
        yield Fortress(kafka, secure)


async def grant(bootstrap: str) -> None:
    """The ACLs of the manifests, as Strimzi's user operator would write them."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        for user, acls in USERS.items():
            for acl in acls:
                resource = acl["resource"]
                pattern = PATTERNS[resource.get("patternType", "literal")]
                where = (RESOURCES[resource["type"]], resource["name"], pattern, f"User:{user}", "*")
                for operation in acl["operations"]:
                    request = CreateAclsRequest(*where, OPERATIONS[operation], ALLOW)
                    answer = await admin._send_to_controller(request)
                    assert [code for code, _ in answer.creation_responses] == [0]
    finally:
        await admin.close()


@pytest.fixture
def installation(
    fortress: Fortress, mqtt: MqttAddress, prefix: str, tmp_path: Path
) -> Iterator[Installation]:
    """Stages as the user `telltale-stages`; the topics are somebody else's work, as they are Strimzi's."""
    root = prefix.rstrip(".")
    common = {"TELLTALE_PREFIX": "", "TELLTALE_PARTITIONS": "2", "TELLTALE_RULES": str(RULES)}
    rights = {
        "TELLTALE_KAFKA_BOOTSTRAP": f"127.0.0.1:{fortress.port}",
        "TELLTALE_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
        "TELLTALE_KAFKA_SASL_MECHANISM": "PLAIN",
        "TELLTALE_KAFKA_SASL_USERNAME": "telltale-stages",
        "TELLTALE_KAFKA_SASL_PASSWORD": PASSWORD,
        "TELLTALE_MQTT_HOST": mqtt.host,
        "TELLTALE_MQTT_PORT": str(mqtt.port),
        "TELLTALE_UPLINK_TELEMETRY_TOPICS": root + "/{vehicle_id}/telemetry",
        "TELLTALE_UPLINK_RESPONSE_TOPICS": root + "/{vehicle_id}/responses",
        "TELLTALE_DOWNLINK_COMMAND_TOPIC": root + "/{vehicle_id}/commands/{name}",
        "TELLTALE_DOWNLINK_RESPONSE_TOPIC": root + "/{vehicle_id}/responses",
    }
    strimzi = Installation({**common, "TELLTALE_KAFKA_BOOTSTRAP": fortress.kafka.bootstrap}, tmp_path, root)
    created = strimzi.telltale("topics", "create", "--rules", str(RULES))
    assert created.returncode == 0, created.stderr
    stages = Installation({**common, **rights}, tmp_path, root)
    yield stages
    stages.stop()


def test_the_stages_run_with_the_rights_of_the_example_and_need_each(
    fortress: Fortress, installation: Installation, mqtt: MqttAddress
) -> None:
    stages = installation.start("uplink", "normalize", "alerts", "downlink")
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    now = int(time.time() * 1000)
    vehicles.publish(
        Message(
            "v1", json.dumps({"ts": now - 60_000 + second * 1000, "seq": second, "coolant": 112}).encode()
        )
        for second in range(40)
    )
    wait_until(lambda: vehicles.commands, lambda: "\n".join(stage.tail() for stage in stages))
    for stage in stages:
        assert stage.drain() == 0, stage.tail()
    assert unused("telltale-stages", fortress) == []


def test_the_operator_writes_rules_and_reads_who_runs_them_with_its_rights(
    fortress: Fortress, installation: Installation
) -> None:
    """As `telltale rules apply` does, by the same code as the operator: one transaction, read back."""
    operator = {"TELLTALE_KAFKA_SASL_USERNAME": "telltale-operator"}
    writer = Installation({**installation.environment, **operator}, installation.directory, installation.root)
    applied = writer.telltale("rules", "apply", str(RULES))
    assert applied.returncode == 0, applied.stderr
    assert "coolant-overheat" in writer.telltale("rules", "get").stdout
    asyncio.run(read(fortress.login("telltale-operator"), "telltale.rule-status", None))
    assert unused("telltale-operator", fortress) == []


def unused(user: str, fortress: Fortress) -> list[str]:
    """What the user may do and has never done, by the authorizer's log."""
    used = {
        (match["operation"], match["kind"], match["name"])
        for match in ALLOWED.finditer(fortress.kafka.log.read_text())
        if match["user"] == user
    }
    assert used, "the authorizer has a log"
    return [
        f"{operation} {acl['resource']['type']} {acl['resource']['name']}"
        for acl in USERS[user]
        for operation in acl["operations"]
        if not any(covers(acl["resource"], kind, name) and same(operation, did) for did, kind, name in used)
    ]


async def read(login: dict[str, Any], topic: str, group: str | None) -> None:
    """Begin to read a topic; raises what Kafka says against it."""
    consumer = AIOKafkaConsumer(topic, group_id=group, **login)
    try:
        await consumer.start()
        await asyncio.wait_for(consumer.getmany(timeout_ms=200), 20)
    finally:
        await consumer.stop()


def covers(resource: Mapping[str, str], kind: str, name: str) -> bool:
    if kind.lower().replace("_", "") != resource["type"].lower():
        return False
    return (
        name.startswith(resource["name"])
        if resource.get("patternType") == "prefix"
        else name == resource["name"]
    )


def same(operation: str, did: str) -> bool:
    return did.replace("_", "").lower() == operation.lower()


def test_analysts_read_what_rules_say_and_nothing_else(
    fortress: Fortress, installation: Installation
) -> None:
    login = fortress.login("fleet-analytics")

    async def write(topic: str) -> None:
        async with AIOKafkaProducer(**login) as producer:
            await producer.send_and_wait(topic, b"{}", partition=0)

    async def test() -> None:
        await read(login, "vehicle.alerts", "analytics.alerts")
        with pytest.raises(TopicAuthorizationFailedError):
            await read(login, "vehicle.raw", "analytics.alerts")
        with pytest.raises(GroupAuthorizationFailedError):
            await read(login, "vehicle.alerts", "telltale.alerts")
        with pytest.raises(TopicAuthorizationFailedError):
            await write("vehicle.commands")

    asyncio.run(test())
