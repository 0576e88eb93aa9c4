"""Within a minute every rule that ships fires for some vehicle of the simulated fleet, and not for another.

The real engine runs over the fleet's payloads, without brokers: what the demo shows is decided here.
"""

from collections import defaultdict
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

import orjson
import pytest

from bridges.simulator.fleet import characters_of, happenings
from bridges.simulator.journeys import Publication
from rules import (
    AlertRecord,
    CommandRecord,
    Engine,
    Event,
    RuleFailure,
    RuleSet,
    SignalCatalog,
    compile_rules,
    load,
)
from rules.engine import Geofences
from rules.engine.fence_outcomes import FenceRecord

START_MS = 1_790_000_000_000
LIBRARY = [
    path
    for path in sorted((Path(str(files("rules"))) / "library").glob("*.yaml"))
    if not path.name.endswith(".test.yaml")
]
RULES = [placed.document.metadata.name for placed in load(LIBRARY).alert_rules]
SIZE = 50


@cache
def shipped():
    loaded = load(LIBRARY)
    rules = compile_rules(loaded)
    assert isinstance(rules, RuleSet), [finding.format() for finding in rules]
    (catalog,) = (it.document for it in loaded.documents if isinstance(it.document, SignalCatalog))
    return rules, catalog


def signals(document, catalog):
    found = {}
    for path in catalog.decoder_paths():
        value = document
        for key in path.keys:
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            found[path.name] = float(value) if path.type in ("float", "double") else value
    return found


def silence(engine, vehicles, live):
    """What the clocks have passed, at a tick of the uplinks."""
    out = []
    for vehicle in vehicles.values():
        deadline = engine.next_deadline(vehicle)
        if deadline is not None and deadline < live:
            engine.advance(vehicle, live, START_MS + live, out)
    return [(live / 1_000, outcome) for outcome in out]


def minute(seed):
    """Each outcome of the fleet's first minute with the second at which it came."""
    rules, catalog = shipped()
    engine, vehicles, told = Engine(rules), {}, set()
    outcomes = []
    live = 0
    for event in happenings(name="v", size=SIZE, seed=seed, start_ms=START_MS, interval_ms=1_000):
        if event.at >= START_MS + 60_000:
            return outcomes
        while live + 1_000 <= event.at - START_MS:
            live += 1_000
            outcomes += silence(engine, vehicles, live)
        if not isinstance(event, Publication):
            continue
        try:
            document = orjson.loads(event.payload)
        except orjson.JSONDecodeError:
            continue
        message = (event.vehicle_id, document.get("ts"), document["seq"])
        if "ts" not in document or message in told:
            continue
        told.add(message)
        vehicle = vehicles.setdefault(event.vehicle_id, engine.new_vehicle(event.vehicle_id))
        reading = Event(
            ts=document["ts"], received_at=event.at, signals=signals(document, catalog), position=None
        )
        out = []
        engine.process(vehicle, reading, live, out)
        outcomes += [((event.at - START_MS) / 1_000, outcome) for outcome in out]
    raise AssertionError("a fleet has no end")


@pytest.mark.parametrize("seed", [1, 2, 3, 42])
def test_every_shipped_rule_fires_for_some_vehicle_and_not_for_another(seed):
    outcomes = minute(seed)
    assert not [outcome for _, outcome in outcomes if isinstance(outcome, RuleFailure)]
    fired = defaultdict(set)
    for _, outcome in outcomes:
        if isinstance(outcome, AlertRecord) and outcome.state == "firing":
            fired[outcome.rule].add(outcome.vehicle_id)
    assert set(fired) == set(RULES)
    for rule, vehicles in fired.items():
        assert len(vehicles) < SIZE / 2, f"{rule} fires for {len(vehicles)} of {SIZE}"


def test_the_minute_has_ends_rises_and_commands():
    outcomes = [outcome for _, outcome in minute(1)]
    alerts = [outcome for outcome in outcomes if isinstance(outcome, AlertRecord)]
    assert any(alert.state == "resolved" for alert in alerts)
    severities = defaultdict(set)
    for alert in alerts:
        severities[alert.id].add(alert.severity)
    assert any(len(levels) > 1 for levels in severities.values())
    assert len([outcome for outcome in outcomes if isinstance(outcome, CommandRecord)]) >= 15


def test_while_the_downlink_is_away_only_commands_that_expire_soon_are_asked_for():
    """The demo takes the downlink away once: nothing but what it wants to show is late by it."""
    from bridges.demo.demonstration import AWAY_FROM_S, AWAY_UNTIL_S

    asked = {
        outcome.to_record()["name"]
        for at_s, outcome in minute(1)
        if isinstance(outcome, CommandRecord) and AWAY_FROM_S <= at_s < AWAY_UNTIL_S
    }
    assert asked == {"flash-hazard-lights"}


@pytest.mark.parametrize("seed", [1, 2, 3, 42])
def test_shuttles_visit_the_depot_and_nobody_else_does(seed):
    rules, _ = shipped()
    fold, vehicles, out = Geofences(rules), {}, []
    for event in happenings(name="v", size=SIZE, seed=seed, start_ms=START_MS, interval_ms=1_000):
        if event.at >= START_MS + 180_000:
            break
        if isinstance(event, Publication) and event.payload[:1] == b"{":
            with suppress(orjson.JSONDecodeError, KeyError):
                document = orjson.loads(event.payload)
                place = document["pos"]["lat"], document["pos"]["lon"], document["pos"]["acc"]
                vehicle = vehicles.setdefault(event.vehicle_id, fold.new_vehicle(event.vehicle_id))
                fold.process(vehicle, Event(document["ts"], event.at, {}, place), 0, out)
    told = {(it.vehicle_id, it.happening.event) for it in out if isinstance(it, FenceRecord)}
    shuttles = {name for name, it in characters_of("v", SIZE).items() if it.name == "shuttle"}
    assert {vehicle for vehicle, _ in told} == shuttles
    assert {event for _, event in told} == {"enter", "exit"}
