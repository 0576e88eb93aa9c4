"""Positions over MQTT, a worker that is killed: each event of each visit once, as a plain model tells it."""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from pipeline.process.names import group_id
from pipeline.process.topics import TOPICS
from pipeline.schemas import schema_of
from rules import load
from rules.instants import parse_instant
from tests.conftest import KafkaAddress, MqttAddress
from tests.e2e.conftest import Install
from tests.e2e.fleet import Message
from tests.e2e.mqtt import Vehicles
from tests.e2e.topics import read_topic, wait_for_group
from tests.engine import fence_model

RULES = Path(__file__).parents[1] / "stages" / "fences.yaml"
MODEL = fence_model.RuleModel(
    name="depots",
    fences=("depot-1", "depot-2"),
    events=("enter", "exit", "dwell"),
    enter_after=10_000,
    exit_after=20_000,
    dwell=60_000,
    stale=30_000,
    buffer=30.0,
    accuracy=50.0,
    limit=20.0,
    hold=0,
)
SECONDS = 300

pytestmark = pytest.mark.integration


class Trip(NamedTuple):
    """What one vehicle sends, and what comes of it."""

    messages: list[Message]
    told: list[fence_model.Told]


def trip(vehicle: str, start: int) -> Trip:
    """A vehicle that goes to and fro between two depots, with bad and missing positions on the way."""
    dice = random.Random(vehicle)
    latitude, entries, messages = dice.uniform(31.225, 31.255), list[fence_model.Entry](), []
    step = dice.choice((-1, 1)) * 0.0002
    for second in range(SECONDS):
        if dice.random() < 0.03 or not 31.225 < latitude < 31.255:
            step = 0.0002 if latitude < 31.225 else -0.0002 if latitude > 31.255 else -step
        latitude += step * dice.choice((0, 1, 2)) if dice.random() < 0.8 else 0.0
        ts, speed = start + second * 1000, round(dice.uniform(0.0, 25.0), 1)
        payload: dict[str, Any] = {"ts": ts, "speed": speed}
        place, accuracy = (latitude, 121.47), dice.choice((5.0, 5.0, 5.0, 80.0))
        if dice.random() < 0.9:
            payload |= {"lat": place[0], "lon": place[1], "acc": accuracy}
            entries.append(fence_model.Message(ts, ts, 0, place, accuracy, speed))
        else:
            entries.append(fence_model.Message(ts, ts, 0, None, None, speed))
        messages.append(Message(vehicle, json.dumps(payload).encode()))
        if dice.random() < 0.03:
            messages.append(messages[-1])  # once more, as QoS 1 allows
    fences = {it.document.metadata.name: it.document.shape for it in load([RULES]).geofences}
    shapes = {name: fences[name] for name in MODEL.fences}
    told = fence_model.told_by(MODEL, shapes, entries, 300_000)  # type: ignore[arg-type]
    return Trip(messages, [one for each in told for one in each])


def test_each_event_of_a_visit_comes_once_though_the_worker_is_killed(
    kafka: KafkaAddress, mqtt: MqttAddress, prefix: str, install: Install
) -> None:
    installation = install(kafka, mqtt, TELLTALE_RULES=str(RULES))
    *_, worker = installation.start("uplink", "normalize", "geofences")
    start = time.time_ns() // 1_000_000 - (SECONDS + 60) * 1000
    trips = {f"van-{number}": trip(f"van-{number}", start) for number in range(6)}
    longest = max(len(one.messages) for one in trips.values())
    messages = [
        one.messages[number]
        for number in range(longest)
        for one in trips.values()
        if number < len(one.messages)
    ]
    vehicles = Vehicles(mqtt.host, mqtt.port, installation.root)
    try:
        vehicles.publish(messages[: len(messages) // 2])
        worker.kill()
        vehicles.publish(messages[len(messages) // 2 :])
        worker.start().wait_ready()
    finally:
        vehicles.close()
    for stage, topic in (("normalize", "vehicle.raw"), ("geofences", "vehicle.telemetry")):
        wait_for_group(kafka.bootstrap, group_id(prefix, stage), prefix + topic)

    records = {
        topic: [json.loads(it.value) for it in read_topic(kafka.bootstrap, prefix + topic)]
        for topic in ("vehicle.geofence-events", "yard.visits", "vehicle.commands")
    }
    validator = jsonschema.Draft202012Validator(schema_of(TOPICS["vehicle.geofence-events"]))
    said: Counter[tuple[Any, ...]] = Counter()
    for record in records["vehicle.geofence-events"]:
        validator.validate(record)
        instants = parse_instant(record["startsAt"]), parse_instant(record["confirmedAt"])
        said[record["vehicleId"], record["fence"], record["event"], *instants, record["visitSeconds"]] += 1
    expected = Counter(
        (vehicle, it.fence, it.event, it.starts_at, it.confirmed_at, it.visit)
        for vehicle, one in trips.items()
        for it in one.told
    )
    assert said == expected, f"missing: {expected - said}; too many: {said - expected}"
    assert {event for _, _, event, *_ in said} == {"enter", "exit", "dwell", "speeding"}
    ids = Counter(record["id"] for record in records["vehicle.geofence-events"])
    assert set(ids.values()) == {1}
    assert Counter(record["id"] for record in records["yard.visits"]) == ids
    exits = {it["id"] for it in records["vehicle.geofence-events"] if it["event"] == "exit"}
    assert Counter(it["cause"]["alertId"] for it in records["vehicle.commands"]) == Counter(exits)
