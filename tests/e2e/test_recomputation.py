"""The engine alone against the recomputation, over the same drives: no broker, many seeds."""

import random

import pytest

from rules import AlertRecord, Engine, Event, Outcome, compile_rules, load
from tests.e2e.conftest import RULES
from tests.e2e.fleet import drive
from tests.e2e.recomputation import Said, said_of

START = 1_767_225_600_000


@pytest.mark.parametrize("seed", range(10))
def test_the_engine_says_what_the_recomputation_says(seed: int) -> None:
    rules = compile_rules(load([RULES]))
    assert not isinstance(rules, list)
    engine = Engine(rules)
    drives = [drive(f"car-{number}", START, 300, seed) for number in range(8, 16)]
    vehicles = {one.vehicle: engine.new_vehicle(one.vehicle) for one in drives}
    parts: dict[str, dict[str, bytes]] = {one.vehicle: {} for one in drives}
    outcomes: list[Outcome] = []
    dice = random.Random(seed)
    for turn in range(max(len(one.samples) for one in drives)):
        for one in drives:
            if turn >= len(one.samples):
                continue
            sample, name = one.samples[turn], one.vehicle
            signals = {
                "Vehicle.Speed": sample.speed,
                "Vehicle.Coolant": sample.coolant,
                "Vehicle.Belt": sample.belt,
            }
            engine.process(vehicles[name], Event(sample.at, sample.at + 50, signals), turn, outcomes)
            if dice.random() < 0.2:
                for part, packed in engine.changed(vehicles[name]).items():
                    if packed is None:
                        parts[name].pop(part, None)
                    else:
                        parts[name][part] = packed
                if dice.random() < 0.3:
                    vehicles[name] = engine.restore(name, parts[name])
    said = sorted((_said(outcome) for outcome in outcomes if isinstance(outcome, AlertRecord)), key=str)
    assert said == sorted((said for one in drives for said in said_of(one.vehicle, one.samples)), key=str)


def _said(record: AlertRecord) -> Said:
    return Said(
        record.vehicle_id,
        record.rule,
        record.state,
        record.severity,
        record.starts_at,
        record.fired_at,
        record.ends_at,
    )
