"""The embedded MQTT broker for real: what MQTT 5 promises and the bridges rely on, and who may come in."""

import queue
import socket
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from bridges.embedded import Access, EmbeddedMqtt, Tls
from tests.conftest import MqttAddress

pytestmark = pytest.mark.integration

PATIENCE_S = 20


class Party:
    """One MQTT client with what it received, was granted, and was told at its connection."""

    def __init__(
        self, client_id: str | None = None, *, session_s: int = 0, receive_maximum: int | None = None
    ) -> None:
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id or uuid.uuid4().hex,
            protocol=5,
            manual_ack=True,
        )
        self.received: queue.Queue[MQTTMessage] = queue.Queue()
        self.connected: queue.Queue[ReasonCode] = queue.Queue()
        self.granted: queue.Queue[ReasonCode] = queue.Queue()
        self.published: queue.Queue[ReasonCode] = queue.Queue()
        self.left: queue.Queue[ReasonCode] = queue.Queue()
        self.client.on_disconnect = lambda _client, _data, _flags, reason, _p: self.left.put(reason)
        self.client.on_message = lambda _client, _data, message: self.received.put(message)
        self.client.on_connect = lambda _client, _data, _flags, reason, _p: self.connected.put(reason)
        self.client.on_subscribe = lambda _client, _data, _mid, reasons, _p: self.granted.put(reasons[0])
        self.client.on_publish = lambda _client, _data, _mid, reason, _p: self.published.put(reason)
        self.properties = Properties(PacketTypes.CONNECT)
        self.properties.SessionExpiryInterval = session_s
        if receive_maximum is not None:
            self.properties.ReceiveMaximum = receive_maximum

    @contextmanager
    def at(self, broker: EmbeddedMqtt | MqttAddress, *, clean: bool = True) -> Iterator["Party"]:
        self.client.connect(broker.host, broker.port, clean_start=clean, properties=self.properties)
        self.client.loop_start()
        try:
            yield self
        finally:
            self.client.disconnect()
            self.client.loop_stop()

    def refused_or_not(self) -> ReasonCode:
        return self.connected.get(timeout=PATIENCE_S)

    def subscribe(self, topic: str) -> ReasonCode:
        assert not self.refused_or_not().is_failure
        self.client.subscribe(topic, qos=1)
        return self.granted.get(timeout=PATIENCE_S)

    def publish(self, topic: str, payload: bytes, *, expires_s: int | None = None) -> ReasonCode:
        properties = Properties(PacketTypes.PUBLISH)
        if expires_s is not None:
            properties.MessageExpiryInterval = expires_s
        properties.UserProperty = ("publish-id", payload.decode())
        self.client.publish(topic, payload, qos=1, properties=properties)
        return self.published.get(timeout=PATIENCE_S)

    def take(self, count: int, *, acknowledge: bool = True) -> list[bytes]:
        payloads = []
        for _ in range(count):
            message = self.received.get(timeout=PATIENCE_S)
            payloads.append(message.payload)
            if acknowledge:
                self.client.ack(message.mid, message.qos)
        return payloads

    def flush(self) -> None:
        """Return when the broker has handled what was sent so far: acknowledgements wait in the client too,
        and one that the broker has not read when the client leaves is as good as none."""
        self.publish(f"flush/{uuid.uuid4().hex}", b"")

    def rest(self, for_s: float = 0.5) -> list[bytes]:
        """What still comes within this time: a broker that must stay silent is listened to for a while."""
        time.sleep(for_s)
        return [self.received.get().payload for _ in range(self.received.qsize())]


def numbered(count: int) -> list[bytes]:
    return [str(number).encode() for number in range(count)]


def test_shared_subscription_gives_each_message_to_one_member(mqtt: MqttAddress, prefix: str) -> None:
    first, second, source = Party(), Party(), Party()
    with first.at(mqtt), second.at(mqtt), source.at(mqtt):
        for member in (first, second):
            assert not member.subscribe(f"$share/telltale/{prefix}/+/telemetry").is_failure
        for payload in numbered(100):
            source.publish(f"{prefix}/v1/telemetry", payload)
        ours, theirs = first.take(50), second.take(50)
        assert sorted(ours + theirs) == sorted(numbered(100))
        assert first.rest() == second.rest() == []


def test_receive_maximum_bounds_what_is_not_acknowledged(mqtt: MqttAddress, prefix: str) -> None:
    slow, source = Party(receive_maximum=10), Party()
    with slow.at(mqtt), source.at(mqtt):
        slow.subscribe(f"{prefix}/telemetry")
        for payload in numbered(50):
            source.publish(f"{prefix}/telemetry", payload)
        assert slow.take(10, acknowledge=False) == numbered(10)
        assert slow.rest() == []
        for mid in range(1, 11):
            slow.client.ack(mid, 1)
        assert slow.take(40) == numbered(50)[10:]


def test_order_is_kept_while_the_broker_holds_messages_back(mqtt: MqttAddress, prefix: str) -> None:
    for attempt in range(3):
        slow, source = Party(receive_maximum=10), Party()
        with slow.at(mqtt), source.at(mqtt):
            slow.subscribe(f"$share/telltale/{prefix}{attempt}/+/telemetry")
            for payload in numbered(200):
                source.publish(f"{prefix}{attempt}/v1/telemetry", payload)
            assert slow.take(200) == numbered(200)


def test_resumed_session_gets_everything_unacknowledged_again_and_in_order(
    mqtt: MqttAddress, prefix: str
) -> None:
    name = f"{prefix}uplink"
    with Party(name, session_s=3600).at(mqtt) as before, Party().at(mqtt) as source:
        before.subscribe(f"{prefix}/telemetry")
        for payload in numbered(30):
            source.publish(f"{prefix}/telemetry", payload)
        assert before.take(10) == numbered(30)[:10]
        assert before.take(20, acknowledge=False) == numbered(30)[10:]
        before.flush()
    with Party().at(mqtt) as source:
        source.publish(f"{prefix}/telemetry", b"while away")
    with Party(name, session_s=3600).at(mqtt, clean=False) as after:
        assert after.take(21) == [*numbered(30)[10:], b"while away"]


def test_expired_message_is_not_delivered(mqtt: MqttAddress, prefix: str) -> None:
    name, topic = f"{prefix}vehicle", f"{prefix}/vehicles/v1/commands/limit"
    with Party(name, session_s=3600).at(mqtt) as vehicle:
        vehicle.subscribe(topic)
    with Party().at(mqtt) as source:
        source.publish(topic, b"stale", expires_s=1)
        source.publish(topic, b"lasting", expires_s=3600)
        # The message's own life is real time, in whole seconds.
        time.sleep(2.1)
    with Party(name, session_s=3600).at(mqtt, clean=False) as vehicle:
        assert vehicle.take(1) == [b"lasting"]
        assert vehicle.rest() == []


def test_properties_arrive_as_they_were_sent(mqtt: MqttAddress, prefix: str) -> None:
    vehicle, source = Party(), Party()
    with vehicle.at(mqtt), source.at(mqtt):
        vehicle.subscribe(f"{prefix}/commands/#")
        properties = Properties(PacketTypes.PUBLISH)
        properties.CorrelationData = b"command-1"
        properties.ResponseTopic = f"{prefix}/responses"
        properties.ContentType = "application/json"
        properties.UserProperty = [("id", "command-1"), ("cause-rule", "overspeed")]
        source.client.publish(f"{prefix}/commands/limit", b"{}", qos=1, properties=properties)
        got = vehicle.received.get(timeout=PATIENCE_S).properties
    assert got is not None
    assert (got.CorrelationData, got.ResponseTopic) == (b"command-1", f"{prefix}/responses")
    assert got.ContentType == "application/json"
    assert got.UserProperty == [("id", "command-1"), ("cause-rule", "overspeed")]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_sessions_and_messages_outlast_the_broker(end: str) -> None:
    with EmbeddedMqtt() as broker:
        port = broker.port
        with Party("uplink", session_s=3600).at(broker) as before, Party().at(broker) as source:
            before.subscribe("vehicles/+/telemetry")
            for payload in numbered(20):
                source.publish("vehicles/v1/telemetry", payload)
            assert before.take(5) == numbered(5)
            before.flush()
        with Party().at(broker) as source:
            for payload in numbered(25)[20:]:
                source.publish("vehicles/v1/telemetry", payload)
        if end == "kill":
            broker.kill()
        broker.restart()
        assert broker.port == port
        with Party("uplink", session_s=3600).at(broker, clean=False) as after:
            assert after.take(20) == numbered(25)[5:]
    assert not broker.directory.exists()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secured(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMqtt]:
    """A broker that wants TLS, a client certificate, a password, and keeps vehicles apart."""
    folder = tmp_path_factory.mktemp("tls")
    issue(authority, folder, "server", "127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    tls = Tls(folder / "server.pem", folder / "server.key", folder / "authority.pem")
    access = (
        Access("bridge", "#", publish=True, subscribe=True),
        Access("v1", "vehicles/v1/#", publish=True, subscribe=True),
        Access("bridge", "vehicles/v1/#", publish=True, subscribe=True),
    )
    with EmbeddedMqtt(tls=tls, users={"bridge": "secret", "v1": "key"}, access=access) as broker:
        yield broker


def issue(authority: trustme.CA, folder: Path, name: str, *identities: str) -> None:
    issued = authority.issue_cert(*identities)
    issued.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
    issued.private_key_pem.write_to_path(folder / f"{name}.key")


def secure_party(authority: trustme.CA, user: str, password: str, *, known: bool = True) -> Party:
    party = Party()
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    authority.configure_trust(context)
    if known:
        authority.issue_cert("client").configure_cert(context)
    party.client.tls_set_context(context)
    party.client.username_pw_set(user, password)
    return party


def test_known_client_with_the_right_password_is_served(secured: EmbeddedMqtt, authority: trustme.CA) -> None:
    with secure_party(authority, "bridge", "secret").at(secured) as bridge:
        assert not bridge.subscribe("vehicles/+/telemetry").is_failure
        assert not bridge.publish("vehicles/v1/telemetry", b"hello").is_failure
        assert bridge.take(1) == [b"hello"]


def test_client_without_a_certificate_is_refused(secured: EmbeddedMqtt, authority: trustme.CA) -> None:
    stranger = secure_party(authority, "bridge", "secret", known=False)
    with stranger.at(secured):
        assert stranger.left.get(timeout=PATIENCE_S).is_failure
        assert stranger.connected.empty()


def test_wrong_password_is_refused(secured: EmbeddedMqtt, authority: trustme.CA) -> None:
    with secure_party(authority, "bridge", "wrong").at(secured) as bridge:
        assert bridge.refused_or_not().is_failure


def test_vehicle_is_kept_to_its_own_topics(secured: EmbeddedMqtt, authority: trustme.CA) -> None:
    with secure_party(authority, "v1", "key").at(secured) as vehicle:
        assert not vehicle.subscribe("vehicles/v1/commands/#").is_failure
        assert not vehicle.publish("vehicles/v1/telemetry", b"mine").is_failure
        vehicle.client.subscribe("vehicles/v2/commands/#", qos=1)
        assert vehicle.granted.get(timeout=PATIENCE_S).is_failure
        assert vehicle.publish("vehicles/v2/telemetry", b"not mine").is_failure


def test_tls_alone_encrypts_and_asks_for_no_certificate(authority: trustme.CA, tmp_path: Path) -> None:
    issue(authority, tmp_path, "server", "127.0.0.1")
    with EmbeddedMqtt(tls=Tls(tmp_path / "server.pem", tmp_path / "server.key")) as broker:
        party = secure_party(authority, "anybody", "anything", known=False)
        with party.at(broker):
            assert not party.subscribe("vehicles/+/telemetry").is_failure
        elsewhere = ssl.create_default_context()
        with (
            socket.create_connection((broker.host, broker.port)) as connection,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            elsewhere.wrap_socket(connection, server_hostname=broker.host)
