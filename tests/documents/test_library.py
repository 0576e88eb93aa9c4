"""What ships is right, shows the language off, and speaks VSS."""

import json
from pathlib import Path

import pytest

import rules
from bridges.simulator.characters import cast
from bridges.simulator.payloads import Telematics
from bridges.simulator.traces import parse_trace
from bridges.simulator.vehicles import Vehicle
from rules.documents import NUMERIC, load

LIBRARY = Path(rules.__file__).parent / "library"
OBD = LIBRARY / "traces" / "obd"
OPERATIONS = LIBRARY / "operations"
ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
FILES = Path(__file__).parent / "files"
EXPORTS = [file for file in (FILES / "vss.json", SHARED / "vss" / "vss.json") if file.exists()]
DRIVES = [FILES / "drive.csv", *sorted((SHARED / "carobd").glob("*.csv"))]
RULE_FILES = [
    file
    for file in sorted(LIBRARY.rglob("*.yaml"))
    if file.name not in ("catalog.yaml", "fences.yaml") and ".test." not in file.name
]


@pytest.mark.parametrize("directory", [LIBRARY, OPERATIONS, OBD], ids=["fleet", "operations", "obd"])
def test_what_ships_compiles_without_a_warning(directory):
    compiled = rules.compile_rules(load([directory]))
    assert isinstance(compiled, rules.RuleSet), [each.format() for each in compiled]
    assert compiled.warnings == ()


def test_the_shipped_rules_come_with_their_catalog():
    loaded = load([LIBRARY])
    assert loaded.diagnostics == ()
    assert loaded.left_out == (str(OPERATIONS), str(OBD))
    assert loaded.catalog.document.metadata.name == "default"
    assert {placed.document.metadata.name for placed in loaded.alert_rules} == {
        "battery-thermal-runaway-risk",
        "coolant-over-temperature",
        "door-open-while-driving",
        "driving-without-break",
        "fast-at-night",
        "harsh-braking",
        "idling",
        "low-state-of-charge",
        "low-tyre-pressure",
        "overspeed",
        "seat-belt-unfastened",
        "vehicle-silent",
    }
    assert [placed.document.metadata.name for placed in loaded.geofence_rules] == ["depot-visits"]
    assert [placed.document.metadata.name for placed in loaded.aggregation_rules] == ["fleet-pulse"]


def test_rules_of_every_kind_ship_for_operations():
    loaded = load([OPERATIONS])
    assert loaded.diagnostics == ()
    names = {placed.document.metadata.name for placed in loaded.documents}
    assert names - {"operations", "depot"} == {
        "battery-degradation",
        "charging-session",
        "depot-speeding",
        "driver-fatigue",
        "fuel-theft",
        "harsh-cornering",
        "long-stop",
        "model-runs-hot",
        "slow-puncture",
        "tow-away",
        "trip-summary",
        "unauthorised-movement",
    }


def test_two_rules_ship_for_recorded_drives():
    loaded = load([OBD])
    assert loaded.diagnostics == ()
    assert {placed.document.metadata.name for placed in loaded.alert_rules} == {"obd-coolant", "obd-idling"}


@pytest.mark.parametrize("file", RULE_FILES, ids=lambda file: file.stem)
def test_a_shipped_rule_says_in_one_sentence_for_whom_it_is(file):
    first, second, *_ = file.read_text(encoding="utf-8").split("\n")
    assert first.startswith("# For ")
    assert first.endswith(".")
    assert second.startswith("apiVersion:")
    (placed,) = load([file]).documents
    assert placed.document.kind != "AlertRule" or placed.document.spec.annotations


def test_every_field_of_the_language_is_used_by_some_shipped_rule():
    specs = [placed.document.spec for placed in load([LIBRARY]).alert_rules]
    used = set().union(*(spec.model_fields_set for spec in specs))
    not_shown = {"vehicles", "stale_grace_ms", "mode"}  # a fleet's own: its names, networks and trials
    assert used == type(specs[0]).model_fields.keys() - not_shown
    actions = [action for spec in specs for action in spec.actions]
    assert {action.upon for action in actions} == {"firing", "severityRaised", "resolved"}
    assert any(action.publish for action in actions)
    assert {"reduce-power", "warn-driver"} <= {action.command.name for action in actions if action.command}


@pytest.mark.parametrize("export", EXPORTS, ids=lambda file: file.parent.name)
@pytest.mark.parametrize("directory", [LIBRARY, OPERATIONS, OBD], ids=["fleet", "operations", "obd"])
def test_shipped_catalogs_speak_vss(directory, export):
    vss = load([export]).catalog.document.spec.signals
    for name, signal in load([directory]).catalog.document.spec.signals.items():
        assert name in vss
        assert (signal.type in NUMERIC) == (vss[name].type in NUMERIC)
        if name != "Vehicle.TraveledDistance":  # our fleet counts kilometres, VSS metres
            assert signal.unit == vss[name].unit


@pytest.mark.parametrize("drive", DRIVES, ids=lambda file: file.stem)
def test_the_catalog_for_drives_reads_the_loggers_columns(drive):
    rows = parse_trace(drive.read_text(encoding="utf-8").splitlines())
    for path in load([OBD]).catalog.document.decoder_paths():
        (key,) = path.keys
        assert all(path.minimum <= row[key] <= path.maximum for row in rows)


def test_the_simulated_fleet_fills_the_catalog():
    """Each path of the catalog is a key that some vehicle sends, and the other way round."""
    sent = set()
    for number, character in enumerate(cast(25)):
        message = json.loads(json.dumps(Telematics(Vehicle(number, character, seed=1)).message(0)))
        for key, value in message.items():
            sent |= {(key, inner) for inner in value} if isinstance(value, dict) else {(key,)}
    spec = load([LIBRARY]).catalog.document.spec
    envelope = {spec.timestamp.path, spec.sequence.path}
    envelope |= {spec.position.latitude, spec.position.longitude, spec.position.accuracy}
    read = envelope | {path.keys for path in load([LIBRARY]).catalog.document.decoder_paths()}
    assert sent == read
