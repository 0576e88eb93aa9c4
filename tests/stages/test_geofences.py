"""The stage `geofences` as a function of its log: time, restarts, batches, the registry, what it writes."""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from pipeline.process.topics import TOPICS
from pipeline.runtime.stage import Logic
from pipeline.schemas import schema_of
from pipeline.stages.fence_counts import FenceCounts
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.geofences import stage
from pipeline.stages.settings import RuleStageSettings
from rules import RuleSet, compile_rules, load
from rules.engine import Geofences
from rules.instants import format_instant
from tests.stages.driving import HOUR_MS, QUIET_MS, START, Road, records_of
from tests.stages.partition import headers_of, run, steps

RULES = Path(__file__).parent / "fences.yaml"
HOME, YARD, AWAY, FAR = (31.23, 121.47), (31.245, 121.47), (31.2375, 121.47), (31.30, 121.47)
PLACES = (HOME, YARD, AWAY, FAR, (31.2315, 121.47), (31.2321, 121.47), (0.0, 0.0), None)


@cache
def _fold() -> Geofences:
    rules = compile_rules(load([RULES]))
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    return Geofences(rules, quiet_after_ms=QUIET_MS)


def new_geofences() -> Logic:
    return VehicleLogic("geofences", _fold(), FenceCounts())


class Streets(Road):
    """A partition's log in the making, with places."""

    def drive(
        self,
        vehicle: str,
        place: tuple[float, float] | None,
        *,
        speed: float | None = None,
        accuracy: float | None = None,
        late_ms: int = 0,
    ) -> None:
        value: dict[str, Any] = {
            "vehicleId": vehicle,
            "ts": format_instant(self.now - late_ms),
            "receivedAt": format_instant(self.now),
            "sequence": len(self.records),
            "signals": {} if speed is None else {"Vehicle.Speed": speed},
        }
        if place is not None:
            value["position"] = {"latitude": place[0], "longitude": place[1]}
            value["position"] |= {} if accuracy is None else {"accuracy": accuracy}
        self.put(vehicle.encode(), json.dumps(value).encode())

    def register(self, vehicle: str, record: Mapping[str, object] | None) -> None:
        value = None if record is None else json.dumps(record).encode()
        self.put(vehicle.encode(), value, "vehicle.registry")

    def events(self) -> list[dict[str, Any]]:
        return records_of(run(new_geofences, self.records).outputs, "vehicle.geofence-events")


_happenings = st.one_of(
    *[
        st.tuples(
            st.just("drive"),
            st.sampled_from(("v1", "v2")),
            st.sampled_from(PLACES),
            st.sampled_from((None, 10.0, 30.0)),
            st.sampled_from((None, 5.0, 500.0)),
            st.sampled_from((0, 0, 0, 900, 25_000, HOUR_MS)),
        )
    ]
    * 3,
    st.tuples(st.just("tick"), st.integers(1, 45)),
    st.tuples(st.just("pass"), st.integers(0, 700)),
    st.tuples(st.just("dead"), st.sampled_from((4_000, 5 * HOUR_MS))),
    st.tuples(
        st.just("register"),
        st.sampled_from(("v1", "v2")),
        st.sampled_from(({"labels": {"duty": "idle"}}, {"labels": {"duty": "busy"}}, None)),
    ),
)


@st.composite
def streets(draw: st.DrawFn) -> Streets:
    road = Streets()
    for happening in draw(st.lists(_happenings, min_size=5, max_size=60)):
        match happening:
            case ("drive", vehicle, place, speed, accuracy, late_ms):
                road.drive(vehicle, place, speed=speed, accuracy=accuracy, late_ms=late_ms)
            case ("tick", seconds):
                road.tick(seconds)
            case ("pass" | "dead", passed_ms):
                road.dead_uplink(passed_ms)
            case ("register", vehicle, record):
                road.register(vehicle, record)
    return road


@given(streets(), steps)
def test_batches_and_deaths_of_workers_change_nothing(road, plan):
    assert run(new_geofences, road.records, plan) == run(new_geofences, road.records)


@given(streets())
def test_records_fit_their_schemas_and_no_id_comes_twice(road):
    outputs = run(new_geofences, road.records).outputs
    ids = Counter((out.topic, headers_of(out)["ce_id"]) for out in outputs)
    assert set(ids.values()) <= {1}
    for topic in ("vehicle.geofence-events", "vehicle.commands", "yard.visits"):
        schema = schema_of(TOPICS["vehicle.geofence-events" if topic == "yard.visits" else topic])
        validator = jsonschema.Draft202012Validator(
            schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
        )
        for record in records_of(outputs, topic):
            validator.validate(record)


def test_a_visit_from_beginning_to_end():
    road = Streets()
    road.drive("v1", FAR)
    road.tick(10)
    for speed in (15.0, 30.0, 10.0):
        road.drive("v1", HOME, speed=speed, accuracy=8.0)
        road.tick(10)
    road.drive("v1", (31.2315, 121.47), accuracy=400.0)
    road.tick(30)
    road.drive("v1", HOME)
    road.tick(10)
    road.drive("v1", (31.2320, 121.47))  # 222 m away: outside, within the buffer
    road.tick(30)
    road.drive("v1", AWAY)
    road.tick(20)
    road.drive("v1", AWAY)
    outputs = run(new_geofences, road.records).outputs
    told = records_of(outputs, "vehicle.geofence-events")
    assert [(it["event"], it["startsAt"], it["confirmedAt"]) for it in told] == [
        ("enter", format_instant(START + 10_000), format_instant(START + 20_000)),
        ("speeding", format_instant(START + 20_000), format_instant(START + 20_000)),
        ("dwell", format_instant(START + 10_000), format_instant(START + 70_000)),
        ("exit", format_instant(START + 110_000), format_instant(START + 130_000)),
    ]
    enter, speeding, _, left = told
    assert (left["visitSeconds"], left["reason"], left["by"]) == (100.0, None, None)
    assert (enter["fence"], enter["fenceLabels"], enter["severity"]) == ("depot-1", {"type": "depot"}, "info")
    assert enter["annotations"] == {"summary": "v1 enter depot-1"}
    assert enter["position"] == {"latitude": 31.23, "longitude": 121.47, "accuracy": 8.0}
    assert (speeding["speed"], speeding["limit"]) == (30.0, 20.0)
    assert records_of(outputs, "yard.visits") == told
    (command,) = records_of(outputs, "vehicle.commands")
    assert (command["name"], command["payload"]) == ("goodbye", {"stayed": 100.0})
    assert command["cause"]["alertId"] == left["id"]
    (published,) = [it for it in outputs if it.topic == "yard.visits"][:1]
    assert headers_of(published)["ce_type"] == "dev.telltale.geofence-event"


def test_a_parked_vehicle_has_entered_when_its_position_is_stale():
    road = Streets()
    road.drive("v1", FAR)
    road.tick()
    road.drive("v1", HOME)
    road.tick(120)
    enter, dwell = road.events()
    assert (enter["event"], enter["by"]) == ("enter", "silence")
    assert enter["startsAt"] == format_instant(START + 1_000)
    assert enter["confirmedAt"] == format_instant(START + 31_000)
    assert enter["receivedAt"] == format_instant(START + 31_000 + QUIET_MS + 1_000)
    assert (dwell["event"], dwell["confirmedAt"]) == ("dwell", format_instant(START + 61_000))


def test_a_dead_uplink_confirms_nothing():
    road = Streets()
    road.drive("v1", FAR)
    road.tick()
    road.drive("v1", HOME)
    road.dead_uplink(5 * HOUR_MS)
    road.tick(1)
    assert road.events() == []


def test_a_crossing_is_told_of_vehicles_that_the_registry_lets():
    road = Streets()
    road.register("v1", {"labels": {"duty": "busy"}})
    road.register("v2", {"labels": {"duty": "idle"}})
    for vehicle in ("v1", "v2"):
        road.drive(vehicle, (31.2345, 121.47))
        road.tick(5)
        road.drive(vehicle, (31.2355, 121.47))
    (crossed,) = road.events()
    assert (crossed["vehicleId"], crossed["fence"], crossed["event"]) == ("v1", "ferry", "cross")
    assert crossed["visitSeconds"] is None


def test_a_vehicle_that_is_forgotten_ends_its_visits_and_begins_anew():
    road = Streets()
    road.drive("v1", FAR)
    road.tick()
    road.drive("v1", HOME)
    road.tick(10)
    road.drive("v1", HOME)
    road.put(b"v1", None)
    road.drive("v1", HOME)
    committed = run(new_geofences, road.records)
    told = records_of(committed.outputs, "vehicle.geofence-events")
    assert [(it["event"], it["reason"]) for it in told] == [("enter", None), ("exit", "forgotten")]
    assert len(records_of(committed.outputs, "yard.visits")) == 1


def test_the_stage_names_its_topics():
    it = stage(RuleStageSettings(rules=(RULES,)))
    assert it.name == "geofences"
    assert it.inputs == ("vehicle.telemetry", "vehicle.registry")
    assert it.outputs == (
        "vehicle.geofence-events",
        "vehicle.commands",
        "telltale.shadow",
        "vehicle.dead-letter",
    )
    assert it.elsewhere == ("yard.visits",)
