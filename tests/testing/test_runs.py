"""Time in a test is time in the cluster: ticks, silence, late messages, restarts, an uplink that is away."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stages.clocks import Clocks
from rules import Event
from rules.documents import Source, parse
from rules.engine import Engine
from rules.testing import runs
from rules.testing.suite import only
from tests.testing.rulebook import BRAKES, CATALOG, FAST, suite_of, told

SILENT = FAST.replace("for: 5s", "for: 30s")


def test_a_timer_without_a_message_is_noticed_in_silence_and_dated_as_it_was_due():
    spec = """
  vehicles: {v1: {speed: 140}}
  expect:
    - {at: 40s, state: pending}
    - {at: 41s, state: firing}
    - {alerts: [{firedAt: 30s, by: silence, endsAt: null}]}
    - {commands: [{at: 41s, name: slow-down}]}
"""
    assert told(spec, SILENT) == []


def test_quiet_after_is_the_tests_own():
    spec = """
  quietAfter: 2s
  vehicles: {v1: {speed: 140}}
  expect: [{at: 32s, state: pending}, {at: 33s, state: firing}]
"""
    assert told(spec, SILENT) == []


def test_the_test_goes_on_in_silence_until_its_last_instant():
    spec = "  vehicles: {v1: {speed: 140}}\n  until: %s\n  expect: [{alerts: %s}]"
    assert told(spec % ("41s", "[{firedAt: 30s}]"), SILENT) == []
    assert told(spec % ("40s", "[]"), SILENT) == []


def test_a_late_message_is_heard_when_it_comes_and_moves_nothing():
    spec = """
  vehicles: {v1: {speed: 90x10 _ 90}}
  steps: [{at: 5s, receivedAt: 10s, signals: {speed: 150}}]
  expect: [{alerts: []}, {at: 10s, state: inactive}]
"""
    assert told(spec, FAST.replace("for: 5s", "for: 0s")) == []


def test_messages_that_come_late_in_order_are_dated_by_the_vehicle():
    spec = """
  steps:
    - {at: 0s, receivedAt: 20s, vehicle: v1, signals: {speed: 140}}
    - {at: 5s, receivedAt: 20s, vehicle: v1, signals: {speed: 140}}
  expect: [{at: 19s, state: inactive}, {at: 20s, state: firing}, {alerts: [{firedAt: 5s}]}]
"""
    assert told(spec) == []


def test_while_the_uplink_is_away_no_time_passes_and_messages_wait():
    spec = """
  vehicles: {v1: {speed: 140x3 _x17 140}}
  steps: [{at: 2s, uplink: away}, {at: 15s, uplink: back}]
  expect:
    - {at: 14s, state: pending, value: 140}
    - {at: 20s, state: firing}
    - {alerts: [{startsAt: 0s, firedAt: 5s, by: null}]}
"""
    assert told(spec) == []
    spec = """
  vehicles: {v1: {speed: 140 _ 90}}
  steps: [{at: 1s, uplink: away}]
  until: 2m
  expect: [{at: 2m, state: pending}, {alerts: []}]
"""
    assert told(spec) == []


def test_an_uplink_that_is_never_back_delivers_nothing():
    spec = "  vehicles: {v1: {speed: 90 140x9}}\n  steps: [{at: 0s, uplink: away}]\n  expect: [{alerts: []}]"
    assert told(spec) == []


def test_a_restart_changes_nothing():
    spec = """
  vehicles: {v1: {speed: 90 140x20 90}}
  steps: [{at: 1s, restart: true}, {at: 3s, restart: true}, {at: 3s, restart: true}, {at: 9s, restart: true}]
  expect: [{alerts: [{startsAt: 1s, firedAt: 6s, endsAt: 21s}]}, {at: 4s, state: pending}]
"""
    assert told(spec) == []


TRACK = st.lists(st.sampled_from([None, 80.0, 140.0, 160.0, 0.0]), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(track=TRACK, restarts=st.lists(st.integers(0, 60), max_size=4), quiet=st.integers(0, 4))
def test_a_run_gives_what_a_stage_gives_that_ticks_every_second(track, restarts, quiet):
    """The runner jumps over seconds in which nothing can happen, and restarts; a plain loop does neither."""
    listed = ["null" if value is None else str(value) for value in track]
    steps = ", ".join(f"{{at: {at}s, restart: true}}" for at in restarts)
    spec = (
        f"  quietAfter: {quiet}s\n  vehicles: {{v1: {{speed: [{', '.join(listed)}]}}}}\n"
        f"  steps: [{steps}]\n  until: 90s\n  expect: [{{commands: []}}]"
    )
    found = suite_of(spec, FAST, BRAKES)
    (script,) = found.scripts
    ran = runs.run(script, only(found._rules, script.rules))

    engine = Engine(found._rules, quiet_after_ms=quiet * 1000)
    vehicle, clocks, out = engine.new_vehicle("v1"), Clocks(), []
    for second in range(91):
        at = script.start + second * 1000
        if clocks.tick(at):
            engine.advance(vehicle, clocks.live, at, out)
        if second < len(track) and track[second] is not None:
            engine.process(vehicle, Event(at, at, {"Vehicle.Speed": track[second]}), clocks.live, out)
    assert [heard.outcome for heard in ran.heard] == out


def test_a_long_silence_costs_nothing():
    spec = "  vehicles: {v1: {speed: 140}}\n  until: 3650d\n  expect: [{alerts: [{reason: stale}]}]"
    assert told(spec) == []


def test_tests_change_nothing_about_the_rule_set():
    from rules import compile_rules

    with_test = suite_of("  vehicles: {v1: {speed: 140}}\n  expect: [{alerts: []}]")._rules
    without = compile_rules(parse([Source("c.yaml", CATALOG), Source("r.yaml", FAST)]))
    assert with_test.fingerprint == without.fingerprint


@pytest.mark.parametrize("gap", [1, 4, 5, 6, 60])
def test_the_live_clock_is_that_of_the_stages(gap):
    """What a gap between two ticks counts as stands in two places, which must not differ."""
    clocks = Clocks()
    clocks.tick(1_000)
    clocks.tick(1_000 + gap * 1000)
    found = suite_of(
        "  vehicles: {v1: {speed: 90}}\n  expect: [{alerts: []}]\n"
        f"  steps: [{{at: 0s, uplink: away}}, {{at: {gap}s, uplink: back}}]"
    )
    stage = runs._Stage(found.scripts[0], found._rules, {})
    stage.run()
    assert stage._live == clocks.live


def test_positions_reach_the_conditions_about_fences():
    fence = """
apiVersion: telltale.dev/v1alpha1
kind: Geofence
metadata: {name: yard}
spec: {circle: {latitude: 31.2, longitude: 121.4, radiusMeters: 500}}
"""
    rule = FAST.replace("speed > 130", 'inside("yard")\n  value: speed').replace("5s", "2s")
    spec = """
  vehicles: {v1: {speed: 10x9, position: "31.1,121.4x3 31.2,121.4x3 31.1,121.4"}}
  expect:
    - {at: 3s, state: pending}
    - {alerts: [{startsAt: 3s, firedAt: 5s, endsAt: 6s}]}
"""
    catalog = "position: {latitude: lat, longitude: lon}"
    found = suite_of(spec, rule, fence, catalog=catalog)
    assert [verdict.failures for verdict in found.run()] == [()]
    (inside,) = (it for it in found.coverage().branches if "inside" in it.text)
    assert inside.seen == {True, False}


LABELLED = FAST.replace("spec:", "spec:\n  vehicles: vehicle.labels.model == 'ET5'").replace(
    "speed > 130", "speed > vehicle.attributes.limit"
)


def test_the_registry_speaks_from_the_start_and_in_steps_also_over_restarts():
    spec = """
  registry: {v1: {labels: {model: ET5}, attributes: {limit: 100}}, v2: {labels: {model: ET7}}}
  vehicles: {v1: {speed: 120x20}, v2: {speed: 120x20}}
  steps:
    - {at: 2s, restart: true}
    - {at: 8s, vehicle: v1, registry: {labels: {model: ET5}, attributes: {limit: 130}}}
    - {at: 10s, vehicle: v2, registry: {labels: {model: ET5}, attributes: {limit: 100}}}
    - {at: 18s, vehicle: v2, forget: true}
  expect:
    - {vehicle: v1, alerts: [{startsAt: 0s, firedAt: 5s, endsAt: 8s, reason: cleared}]}
    - {vehicle: v2, alerts: [{startsAt: 10s, firedAt: 15s, endsAt: 18s, reason: forgotten}]}
    - {vehicle: v2, at: 17s, state: firing}
    - {vehicle: v2, at: 19s, state: inactive}
"""
    assert told(spec, LABELLED) == []
