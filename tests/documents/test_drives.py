"""The two rules for recorded drives, against a plain re-computation over the rows: one row, one second."""

from pathlib import Path

import pytest

from bridges.simulator.traces import parse_trace
from rules import AlertRecord, Engine, Event, RuleSet, compile_rules, load

ROOT = Path(__file__).parents[2]
OBD = ROOT / "rules" / "library" / "traces" / "obd"
SAMPLE = Path(__file__).parent / "files" / "drive.csv"
DRIVES = [SAMPLE, *sorted((ROOT.parent / "shared" / "data" / "carobd").glob("*.csv"))]
START = 1_767_225_600_000


def stretches(rows, holds, seconds):
    """Yield (first, fired, ended or None) of each stretch that is still unbroken after so many seconds."""
    first = None
    for number, row in enumerate([*rows, None]):
        if row is not None and holds(row):
            first = number if first is None else first
        elif first is not None:
            if number - first > seconds:
                yield first, first + seconds, number if row is not None else None
            first = None


def alerts_of(rows):
    rule_set = compile_rules(load([OBD]))
    assert isinstance(rule_set, RuleSet)
    paths = rule_set.catalog.decoder_paths()
    engine = Engine(rule_set)
    vehicle = engine.new_vehicle("v1")
    found = {}
    for number, row in enumerate(rows):
        at = START + number * 1000
        signals = {path.name: row[path.keys[0]] for path in paths}
        outcomes = []
        engine.process(vehicle, Event(at, at, signals), number * 1000, outcomes)
        for outcome in outcomes:
            assert isinstance(outcome, AlertRecord)
            instants = (outcome.starts_at, outcome.fired_at, outcome.ends_at)
            found[outcome.id] = (outcome.rule, *map(seconds_of, instants))
    return sorted(found.values(), key=str)


def seconds_of(instant):
    return None if instant is None else (instant - START) // 1000


@pytest.mark.parametrize("drive", DRIVES, ids=lambda file: file.stem)
def test_a_drive_gives_the_alerts_that_a_plain_loop_finds(drive):
    rows = parse_trace(drive.read_text(encoding="utf-8").splitlines())
    idling = stretches(rows, lambda row: row["ENGINE_RPM"] > 0 and row["VEHICLE_SPEED"] == 0, 60)
    coolant = stretches(rows, lambda row: row["COOLANT_TEMPERATURE"] > 94, 10)
    expected = [("obd-idling", *each) for each in idling] + [("obd-coolant", *each) for each in coolant]
    assert alerts_of(rows) == sorted(expected, key=str)


def test_the_sample_holds_the_edges():
    """Standstills of 60 s, which the row of the sixtieth second breaks, of 62 s, and one without an end."""
    rows = parse_trace(SAMPLE.read_text(encoding="utf-8").splitlines())
    assert alerts_of(rows) == [
        ("obd-coolant", 80, 90, 95),
        ("obd-idling", 170, 230, 232),
        ("obd-idling", 240, 300, None),
    ]
