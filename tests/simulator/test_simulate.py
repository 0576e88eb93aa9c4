"""`telltale simulate` on a real MQTT broker: what it says that it published is what a subscriber has."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import orjson
import pytest

from bridges.mqtt import Broker, Connection, Session
from bridges.properties import MessageProperties, decode_properties

pytestmark = pytest.mark.integration

TELLTALE = (sys.executable, "-c", "from pipeline.process.cli import main; main()")
WITHIN_S = 60.0


class Listener:
    """Subscribes to everything that vehicles say, and can speak to them."""

    def __init__(self, mqtt, name):
        self._broker = Broker(mqtt.host, mqtt.port, f"listener-{name}")
        self._name = name
        self.telemetry = []
        self.responses = []

    async def __aenter__(self):
        self._connection = await Connection.open(
            self._broker,
            Session(),
            filters=("vehicles/+/telemetry", "vehicles/+/responses"),
            on_messages=self._on_messages,
        )
        return self

    async def __aexit__(self, *_):
        await self._connection.close()

    def _on_messages(self, connection, messages):
        for message in messages:
            _, vehicle_id, kind = message.topic.decode().split("/")
            if vehicle_id.startswith(self._name):  # the broker is shared with other tests
                (self.telemetry if kind == "telemetry" else self.responses).append((vehicle_id, message))
        connection.acknowledge([message.packet_id for message in messages])

    def publish_ids(self):
        return Counter(
            dict(decode_properties(message.properties).user)["publish-id"] for _, message in self.telemetry
        )

    async def command(self, vehicle_id, command_id):
        properties = MessageProperties(
            correlation=command_id.encode(),
            response_topic=f"vehicles/{vehicle_id}/responses".encode(),
            expiry_s=30,
        )
        await self._connection.publish(f"vehicles/{vehicle_id}/commands/stop", b"{}", properties)

    async def has(self, condition):
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                await asyncio.sleep(0.05)


async def simulate(mqtt, *options):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TELLTALE_")}
    environment |= {"TELLTALE_MQTT_HOST": mqtt.host, "TELLTALE_MQTT_PORT": str(mqtt.port)}
    return await asyncio.create_subprocess_exec(
        *TELLTALE,
        "simulate",
        *options,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process):
    async with asyncio.timeout(WITHIN_S):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return json.loads(out.decode().splitlines()[-1])


def test_what_it_has_confirmations_for_has_arrived(mqtt, prefix):
    name = prefix.rstrip(".")

    async def scenario():
        async with Listener(mqtt, name) as listener:
            process = await simulate(mqtt, "--name", name, "--vehicles", "25", "--interval", "250ms")
            await listener.has(lambda: len(listener.publish_ids()) > 1_000)
            process.send_signal(signal.SIGTERM)
            final = await ended(process)
            await listener.has(lambda: len(listener.publish_ids()) >= final["published"])
            return final, listener.publish_ids()

    final, publish_ids = asyncio.run(scenario())
    assert final["final"] is True
    assert len(publish_ids) == final["published"] == sum(final["by_kind"].values())
    assert (final["waiting"], final["refused"]) == (0, 0)
    assert final["by_kind"]["late"] > 0


def test_a_vehicle_answers_each_command_once(mqtt, prefix):
    name = prefix.rstrip(".")

    async def scenario():
        async with Listener(mqtt, name) as listener:
            process = await simulate(mqtt, "--name", name, "--vehicles", "6", "--linger", "1s")
            await listener.has(lambda: len({vehicle for vehicle, _ in listener.telemetry}) >= 5)
            for _ in range(2):
                await listener.command(f"{name}-1", "c-acknowledged")
                await listener.command(f"{name}-4", "c-rejected")
            await listener.has(lambda: len(listener.responses) >= 2)
            process.send_signal(signal.SIGTERM)
            return await ended(process), listener.responses

    final, responses = asyncio.run(scenario())
    assert (final["commands"], final["commands_repeated"]) == (2, 2)
    assert (final["acknowledged"], final["rejected"]) == (1, 1)
    answers = {vehicle: orjson.loads(message.payload) for vehicle, message in responses}
    assert answers[f"{name}-1"].items() >= {"id": "c-acknowledged", "status": "acknowledged"}.items()
    assert answers[f"{name}-4"].items() >= {"id": "c-rejected", "status": "rejected"}.items()
    assert answers[f"{name}-4"]["reason"]


def test_a_trace_is_replayed_row_by_row(mqtt, prefix):
    name = prefix.rstrip(".")
    trace = Path(__file__).parent / "etios.csv"

    async def scenario():
        async with Listener(mqtt, name) as listener:
            process = await simulate(
                mqtt,
                *("--trace", str(trace), "--vehicle", name, "--speedup", "inf"),
                *("--start", "2026-01-01T00:00:00Z"),
            )
            final = await ended(process)
            await listener.has(lambda: len(listener.telemetry) >= 20)
            return final, [orjson.loads(message.payload) for _, message in listener.telemetry]

    final, documents = asyncio.run(scenario())
    assert final["published"] == 20
    assert [document["seq"] for document in documents] == list(range(20))
    assert [document["ts"] - 1_767_225_600_000 for document in documents] == [
        1_000 * row for row in range(20)
    ]
    assert documents[0]["COOLANT_TEMPERATURE"] == 81.0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--trace", "no-such-file.csv"), "no-such-file.csv cannot be read"),
        (("--vehicles", "20001"), "fleet.vehicles"),
        (("--start", "yesterday"), "fleet.start"),
        (("--name", "a/b"), "fleet.name"),
    ],
)
def test_wrong_options_are_one_clear_error(mqtt, options, sentence):
    async def scenario():
        process = await simulate(mqtt, *options)
        async with asyncio.timeout(WITHIN_S):
            _, err = await process.communicate()
        return process.returncode, err.decode()

    code, err = asyncio.run(scenario())
    assert code == 2
    assert sentence in err
    assert "Traceback" not in err


def test_a_vehicle_without_coverage_gets_its_commands_when_it_is_back(mqtt, prefix):
    """And what it had sent in the moment it lost the broker it sends again, under the same publish-id."""
    from bridges.simulator.answers import Cabin
    from bridges.simulator.counters import Counters
    from bridges.simulator.journeys import Kind, Publication
    from bridges.simulator.links import Link

    name = prefix.rstrip(".")

    async def scenario():
        counters = Counters()
        numbers = iter(range(1_000))
        link = Link(
            name,
            Cabin(0),
            broker=lambda vehicle: Broker(mqtt.host, mqtt.port, f"vehicle-{vehicle}"),
            counters=counters,
            publish_id=lambda: f"{name}-{next(numbers)}",
            report=lambda sentence: None,
        )
        async with Listener(mqtt, name) as listener, asyncio.TaskGroup() as group:
            group.create_task(link.run())
            link.cover(online=True)
            await listener.has(lambda: counters.connected == 1)
            now_ms = time.time_ns() // 1_000_000
            link.publish(Publication(now_ms, name, now_ms, b"{}", Kind.LIVE))
            link.cover(online=False)
            await listener.has(lambda: counters.connected == 0 and len(listener.telemetry) == 1)
            await listener.command(name, "c1")
            assert counters.commands == 0
            link.cover(online=True)
            await listener.has(lambda: counters.commands == 1 and link.is_idle)
            await listener.has(lambda: len(listener.telemetry) == 2 and len(listener.responses) == 1)
            link.close()
        return counters, listener.publish_ids()

    counters, publish_ids = asyncio.run(scenario())
    assert counters.published.total() == 1
    assert publish_ids == {f"{name}-0".encode(): 2}
    assert counters.answered == {"acknowledged": 1}
