"""Rules about silence in the stage: from records and ticks, over restarts, and while uplinks are away."""

import json

import pytest
from hypothesis import given

from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from rules import Engine, RuleSet, Source, compile_rules, parse
from rules.instants import format_instant, parse_instant
from tests.process.test_schemas import validate
from tests.stages.driving import CALM, START, Road, records_of, roads
from tests.stages.partition import After, run, steps


def _document(kind, name, spec):
    return json.dumps(
        {"apiVersion": "telltale.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


_SIGNALS = {"Vehicle.Speed": {"alias": "speed"}, "Vehicle.Coolant": {}, "Vehicle.Belt": {"type": "boolean"}}
_RULES = compile_rules(
    parse(
        [
            Source(
                "catalog", _document("SignalCatalog", "c", {"timestamp": {"path": "ts"}, "signals": _SIGNALS})
            ),
            Source("silent", _document("AlertRule", "silent", {"absentFor": {"duration": "1m"}})),
            Source(
                "truck",
                _document(
                    "AlertRule",
                    "truck",
                    {
                        "vehicles": 'vehicle.labels.kind == "truck"',
                        "absentFor": {"signals": ["Vehicle.Belt"], "duration": "50s"},
                    },
                ),
            ),
            Source(
                "speechless",
                _document(
                    "AlertRule",
                    "speechless",
                    {
                        "absentFor": {"signals": ["speed"], "duration": "45s"},
                        "keepFiringFor": "20s",
                        "cooldown": "2m",
                        "actions": [{"command": {"name": "report-speed", "expiresAfter": "10m"}}],
                    },
                ),
            ),
        ]
    )
)
assert isinstance(_RULES, RuleSet)
_ENGINE = Engine(_RULES)


def new_logic():
    return VehicleLogic("alerts", _ENGINE, RuleCounts())


def alerts(road, plan=()):
    return records_of(run(new_logic, road.records, plan).outputs, "vehicle.alerts")


def told(road, rule="silent"):
    """(state, startsAt, firedAt, endsAt, reason) of one rule, in seconds since the start."""

    def second(text):
        return None if text is None else (parse_instant(text) - START) / 1000

    return [
        (it["state"], second(it["startsAt"]), second(it["firedAt"]), second(it["endsAt"]), it["reason"])
        for it in alerts(road)
        if it["rule"] == rule
    ]


def silent_road():
    """v1 speaks at 5.3 s, then is silent for 100 s, then speaks."""
    road = Road()
    road.tick(5)
    road.dead_uplink(300)
    road.say("v1", CALM)
    road.now -= 300
    road.tick(100)
    road.say("v1", CALM)
    road.tick(5)
    return road


def test_a_silence_is_told_once_and_ends_with_the_next_message():
    assert told(silent_road()) == [
        ("firing", 5.3, 65.3, None, None),
        ("resolved", 5.3, 65.3, 105.0, "cleared"),
    ]


@pytest.mark.parametrize("cut", range(1, 113))
def test_a_worker_that_takes_over_in_the_middle_of_a_silence_tells_it_once(cut):
    road = silent_road()
    plan = [(cut, After.CHECKPOINT), (1, After.DEATH), (3, After.NOTHING), (1, After.DEATH)]
    assert alerts(road, plan) == alerts(road)


@given(roads(), steps)
def test_batches_and_deaths_of_workers_change_nothing(road, plan):
    assert run(new_logic, road.records, plan) == run(new_logic, road.records)


def test_an_uplink_that_is_away_makes_nobody_silent():
    road = Road()
    road.tick()
    road.say("v1", CALM)
    road.tick(30)
    road.dead_uplink(5 * 60_000)
    road.tick(10)
    road.say("v1", CALM)
    road.tick(3)
    assert alerts(road) == []


def test_a_silence_that_spans_an_absence_of_the_uplink_is_dated_by_what_was_listened():
    road = Road()
    road.tick()
    road.say("v1", CALM)
    road.tick(30)
    road.dead_uplink(5 * 60_000)
    road.tick(40)
    # 30 s, then one second for the gap of 301 s, then 29 s more.
    assert told(road) == [("firing", 1.0, 361.0, None, None)]


def test_late_uploads_are_heard():
    road = Road()
    road.tick()
    road.say("v1", CALM)
    for _ in range(4):
        road.tick(50)
        road.say("v1", CALM, late_ms=3_600_000)
    assert told(road) == []


def test_a_signal_that_never_comes_is_absent_from_the_first_message_on():
    road = Road()
    road.tick()
    for _ in range(6):
        road.say("v1", {"Vehicle.Belt": True})
        road.tick(10)
    assert told(road) == []
    assert told(road, "speechless") == [("firing", 1.0, 46.0, None, None)]


def test_a_registered_vehicle_that_never_speaks_is_silent_from_its_record_on():
    road = Road()
    road.tick(3)
    road.put(b"v1", b"{}", "vehicle.registry")
    road.tick(30)
    road.put(b"v1", b'{"labels": {"model": "ET5"}}', "vehicle.registry")
    road.tick(60)
    road.say("v1", CALM)
    road.tick(2)
    assert told(road) == [
        ("firing", 3.0, 63.0, None, None),
        ("resolved", 3.0, 63.0, 93.0, "cleared"),
    ]
    for cut in range(1, len(road.records), 3):
        plan = [(cut, After.CHECKPOINT), (1, After.DEATH), (2, After.CHECKPOINT), (1, After.DEATH)]
        assert run(new_logic, road.records, plan) == run(new_logic, road.records)
    assert not [key for key in run(new_logic, road.records).state if key.endswith(b"heard")]


def test_a_rule_that_selects_it_later_counts_from_its_first_record_too():
    road = Road()
    road.tick(3)
    road.put(b"v1", b"{}", "vehicle.registry")
    road.tick(30)
    road.put(b"v1", b'{"labels": {"kind": "truck"}}', "vehicle.registry")
    road.tick(30)
    assert told(road, "truck") == [("firing", 3.0, 53.0, None, None)]


def test_one_that_leaves_the_registry_is_silent_no_more():
    road = Road()
    road.tick()
    road.put(b"v1", b"{}", "vehicle.registry")
    road.tick(70)
    road.put(b"v1", None, "vehicle.registry")
    road.tick(70)
    assert told(road) == [
        ("firing", 1.0, 61.0, None, None),
        ("resolved", 1.0, 61.0, 71.0, "forgotten"),
    ]
    assert run(new_logic, road.records).state == {}


def test_keep_firing_for_and_cooldown_go_by_the_uplinks_too():
    road = Road()
    road.tick()
    road.say("v1", CALM)  # at 1
    road.tick(50)
    road.say("v1", CALM)  # at 51: back, to be kept until 71
    road.tick(15)
    road.dead_uplink(60_000)
    road.tick(10)  # the gap counts as one second: over at 71 + 60
    road.tick(200)
    assert told(road, "speechless") == [
        ("firing", 1.0, 46.0, None, None),
        ("resolved", 1.0, 46.0, 131.0, "cleared"),
        ("firing", 131.0, 251.0, None, None),
    ]


def test_a_packed_vehicle_is_woken_for_its_silence_only():
    road = silent_road()
    before = run(new_logic, road.records[:20])
    logic = new_logic()
    for key, value in before.state.items():
        logic.restore(key, value)
    logic.restored(before.clock)
    out = []
    logic.process("vehicle.telemetry", road.records[20:50], out)
    assert not logic._vehicles
    logic.process("vehicle.telemetry", road.records[50:70], out)
    (alert,) = [it for it in records_of(out, "vehicle.alerts") if it["rule"] == "silent"]
    assert alert["by"] == "silence"


def test_what_is_told_fits_the_schemas():
    road = silent_road()
    result = run(new_logic, road.records)
    for topic in ("vehicle.alerts", "vehicle.commands"):
        records = records_of(result.outputs, topic)
        assert records
        for record in records:
            validate(f"{topic.removeprefix('vehicle.').removesuffix('s')}.json", record)
    (command,) = records_of(result.outputs, "vehicle.commands")
    assert command["cause"]["eventTime"] is None
    assert command["cause"]["receivedAt"] == format_instant(START + 51_000)


def test_a_new_rule_counts_from_the_last_message_also_for_a_vehicle_that_says_nothing_any_more():
    road = silent_road()
    without = compile_rules(
        parse(
            [
                Source(
                    "c", _document("SignalCatalog", "c", {"timestamp": {"path": "ts"}, "signals": _SIGNALS})
                ),
                Source("r", _document("AlertRule", "fast", {"when": "speed > 1000"})),
            ]
        )
    )
    assert isinstance(without, RuleSet)
    old = Engine(without)
    before = run(lambda: VehicleLogic("alerts", old, RuleCounts()), road.records[:20])
    logic = new_logic()
    for key, value in before.state.items():
        logic.restore(key, value)
    logic.restored(before.clock)
    out = []
    logic.process("vehicle.telemetry", road.records[20:80], out)
    starts = {it["rule"]: it["startsAt"] for it in records_of(out, "vehicle.alerts")}
    assert starts == dict.fromkeys(("silent", "speechless"), format_instant(START + 5_300))
