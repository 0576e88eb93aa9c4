"""The vehicles' side of a test: publishes with QoS 1, and a listener to commands."""

import threading
import time
from collections.abc import Iterable

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.e2e.fleet import Message
from tests.e2e.processes import DEADLINE_S


class Vehicles:
    """One MQTT session that speaks for every vehicle and hears every command.

    `root` is the first level of its topics, and its client id.
    """

    def __init__(self, host: str, port: int, root: str) -> None:
        self._root = root
        self.commands: list[tuple[str, str, bytes]] = []
        """(id, MQTT topic, payload), as they came."""
        self._acknowledged: set[int] = set()
        self._changed = threading.Condition()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"{root}-vehicles", protocol=paho.MQTTv5
        )
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        self._client.on_connect = self._on_connect
        self._client.reconnect_delay_set(1, 2)
        self._subscribed = threading.Event()
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 600
        self._client.connect(host, port, clean_start=False, properties=properties)
        self._client.loop_start()
        assert self._subscribed.wait(30)

    def _on_connect(self, *_: object) -> None:
        self._client.subscribe(f"{self._root}/+/commands/+", qos=1)

    def _on_publish(self, _client: object, _userdata: object, mid: int, *_: object) -> None:
        with self._changed:
            self._acknowledged.add(mid)
            self._changed.notify()

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        identity = bytes(message.properties.CorrelationData).decode()  # type: ignore[union-attr]
        self.commands.append((identity, message.topic, message.payload))

    def publish(self, messages: Iterable[Message], *, per_second: float | None = None) -> int:
        """Publish in order and wait until the broker has acknowledged all; how many it were.

        A vehicle's next message waits for the acknowledgement of the one before: with several in flight, and
        calls from another thread than its own, paho now and then sends a newer one first.
        """
        count = 0
        in_flight: dict[str, int] = {}
        for message in messages:
            self._wait_for(in_flight.pop(message.vehicle, None))
            topic = f"{self._root}/{message.vehicle}/telemetry"
            in_flight[message.vehicle] = self._client.publish(topic, message.payload, qos=1).mid
            count += 1
            if per_second is not None and count % 20 == 0:
                time.sleep(20 / per_second)
        for mid in in_flight.values():
            self._wait_for(mid)
        return count

    def _wait_for(self, mid: int | None) -> None:
        if mid is None:
            return
        with self._changed:
            assert self._changed.wait_for(lambda: mid in self._acknowledged, DEADLINE_S), "no acknowledgement"
            self._acknowledged.discard(mid)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
