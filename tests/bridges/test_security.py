"""Both bridges where nothing is open: mutual TLS, passwords and rights on MQTT, SASL over TLS on Kafka."""

import asyncio
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from bridges.embedded import Access, EmbeddedKafka, EmbeddedMqtt, Tls
from bridges.mqtt import Broker, Connection, ConnectionRefused, Session
from bridges.properties import NONE
from tests.bridges.conftest import Start
from tests.bridges.test_downlink import command, deliveries, states
from tests.bridges.topics import create_topics, reading, write

pytestmark = pytest.mark.integration


class Fortress(NamedTuple):
    """Two brokers, and the files that open them."""

    kafka: EmbeddedKafka
    secure_port: int
    mqtt: EmbeddedMqtt
    folder: Path

    def settings(self, **changes: object) -> dict[str, object]:
        return {
            "kafka_bootstrap": f"localhost:{self.secure_port}",
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "PLAIN",
            "kafka_sasl_username": "bridge",
            "kafka_sasl_password_file": self.folder / "kafka-password",
            "kafka_ssl_cafile": self.folder / "authority.pem",
            "mqtt_host": "localhost",
            "mqtt_port": self.mqtt.port,
            "mqtt_tls": "true",
            "mqtt_tls_cafile": self.folder / "authority.pem",
            "mqtt_tls_certfile": self.folder / "client.pem",
            "mqtt_tls_keyfile": self.folder / "client.key",
            "mqtt_username": "bridge",
            "mqtt_password": "secret",
            "uplink_telemetry_topics": "vehicles/{vehicle_id}/telemetry",
            "uplink_response_topics": "vehicles/{vehicle_id}/responses",
            "downlink_command_topic": "vehicles/{vehicle_id}/commands/{name}",
        } | changes

    def client(self, user: str, password: str, **changes: object) -> Broker:
        tls = ssl.create_default_context(cafile=self.folder / "authority.pem")
        tls.load_cert_chain(self.folder / "client.pem", self.folder / "client.key")
        return Broker("localhost", self.mqtt.port, f"test-{user}", tls, user, password)


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def fortress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fortress]:
    folder = tmp_path_factory.mktemp("fortress")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    for name, identity in (("server", "localhost"), ("client", "bridge.example")):
        issued = authority.issue_cert(identity)
        issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    (folder / "kafka-password").write_text("kafka-secret\n")
    key = load_pem_private_key((folder / "server.key").read_bytes(), None)
    (folder / "kafka-keystore.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + (folder / "server.pem").read_bytes()
    )
    plain, controller, secure = free_ports(3)
    settings = {
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SECURE://127.0.0.1:{secure}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},SECURE://localhost:{secure}",
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURE:SASL_SSL",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.secure.plain.sasl.jaas.config": (
            'org.apache.kafka.common.security.plain.PlainLoginModule required user_bridge="kafka-secret";'
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": folder / "kafka-keystore.pem",
    }
    tls = Tls(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    access = (
        Access("bridge", "#", publish=True, subscribe=True),
        Access("reader", "nothing/#", subscribe=True),
        Access("v1", "vehicles/v1/#", publish=True, subscribe=True),
        Access("bridge", "vehicles/v1/#", publish=True, subscribe=True),
        Access("v1", "vehicles/closed/#", publish=True, subscribe=True),
    )
    users = {"bridge": "secret", "v1": "key", "reader": "book"}
    with (
        EmbeddedKafka(port=plain, settings=settings) as kafka,
        EmbeddedMqtt(tls=tls, users=users, access=access) as mqtt,
    ):
        yield Fortress(kafka, secure, mqtt, folder)


def test_messages_and_commands_pass_for_whoever_has_the_keys(
    fortress: Fortress, prefix: str, start: Start
) -> None:
    async def test() -> None:
        await create_topics(fortress.kafka.bootstrap, prefix)
        uplink, downlink = (start(name, **fortress.settings()) for name in ("uplink", "downlink"))
        await uplink.ready()
        await downlink.ready()
        received: list[bytes] = []
        vehicle = await Connection.open(
            fortress.client("v1", "key"),
            Session(),
            filters=["vehicles/v1/commands/+"],
            on_messages=lambda connection, messages: received.extend(it.payload for it in messages),
        )
        for n in range(50):
            await vehicle.publish("vehicles/v1/telemetry", b"%d" % n, NONE)
        bootstrap = fortress.kafka.bootstrap
        async with reading(bootstrap, f"{prefix}vehicle.raw") as reader:
            records = await reader.count(50)
        assert {record.value for record in records} == {b"%d" % n for n in range(50)}
        written = [command("v1", "allowed"), command("closed", "forbidden")]
        await write(bootstrap, f"{prefix}vehicle.commands", written)
        outcomes = await deliveries(bootstrap, prefix, 2)
        assert states(outcomes) == {"allowed": ["published"], "forbidden": ["undeliverable"]}
        (reason,) = [json.loads(it.value)["reason"] for it in outcomes if it.key == b"closed"]
        assert reason == "the MQTT broker refuses it: not authorized (0x87)"
        await downlink.until(
            lambda: [json.loads(payload) for payload in received] == [{"limit": 50}], "arriving"
        )
        await vehicle.close()
        for process in (uplink, downlink):
            assert process.terminate() == 0
            assert "secret" not in str(process.log())

    asyncio.run(test())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        pytest.param({"mqtt_password": "wrong"}, "the broker refuses the client", id="mqtt-password"),
        pytest.param(
            {"mqtt_username": "reader", "mqtt_password": "book"},
            "the broker refuses the subscription",
            id="mqtt-rights",
        ),
        pytest.param({"mqtt_host": "127.0.0.1"}, "certificate verify failed", id="mqtt-name"),
        pytest.param(
            {"kafka_sasl_password_file": "", "kafka_sasl_password": "wrong"}, "Kafka", id="kafka-password"
        ),
    ],
)
def test_without_the_key_the_process_is_not_ready_and_says_why(
    fortress: Fortress, prefix: str, start: Start, changes: dict[str, object], problem: str
) -> None:
    async def test() -> None:
        await create_topics(fortress.kafka.bootstrap, prefix)
        settings = {key: value for key, value in fortress.settings(**changes).items() if value != ""}
        uplink = start("uplink", **settings)
        await uplink.until(lambda: problem in uplink.get("/readyz")[1], "saying so")
        assert "wrong" not in uplink.get("/readyz")[1]

    asyncio.run(test())


def test_a_client_without_a_certificate_is_not_let_in(fortress: Fortress) -> None:
    async def test() -> None:
        tls = ssl.create_default_context(cafile=fortress.folder / "authority.pem")
        with pytest.raises(OSError, match=r".") as caught:
            await Connection.open(
                Broker("localhost", fortress.mqtt.port, "x", tls, "bridge", "secret"), Session()
            )
        assert isinstance(caught.value, ConnectionRefused | ssl.SSLError | ConnectionError)

    asyncio.run(test())
