"""Geofence rules and aggregation rules are tested like the others, each by its own sort of outcome."""

from tests.testing.rulebook import FAST, suite_of

POSITION = "position: {latitude: lat, longitude: lon, accuracy: acc}"
YARD = """
apiVersion: telltale.dev/v1alpha1
kind: Geofence
metadata: {name: yard, labels: {type: depot}}
spec: {circle: {latitude: 31.2, longitude: 121.4, radiusMeters: 500}}
"""
VISITS = """
apiVersion: telltale.dev/v1alpha1
kind: GeofenceRule
metadata: {name: visits}
spec:
  fences: {names: [yard]}
  events: [enter, exit]
  enterAfter: 2s
  exitAfter: 3s
  speedLimit: {limit: 30}
  annotations: {summary: "{{ vehicle.id }}: {{ event }} {{ fence }}"}
  actions:
    - {upon: enter, command: {name: open-gate}}
    - {upon: exit, publish: {topic: yard.visits}}
"""
HOURLY = """
apiVersion: telltale.dev/v1alpha1
kind: AggregationRule
metadata: {name: by-minute}
spec:
  window: {tumbling: 1m}
  where: speed > 0
  aggregates: {most: max(speed), samples: count()}
  having: samples > 2
  allowedLateness: 30s
"""


def told(spec, *rules):
    found = suite_of(spec, *rules, catalog=POSITION)
    (verdict,) = found.run()
    return [failure.format().removeprefix("a.test.yaml:") for failure in verdict.failures], found.coverage()


def test_events_of_geofence_rules_with_what_they_do():
    spec = """
  vehicles: {v1: {position: "31.1,121.4x3 31.2,121.4x10 31.1,121.4x5", speed: 20x8 40x3 20x7}}
  expect:
    - events:
        - {event: enter, fence: yard, startsAt: 3s, confirmedAt: 5s, severity: info, reason: null}
        - {event: speeding, startsAt: 8s, speed: 40, limit: 30}
        - event: exit
          startsAt: 13s
          confirmedAt: 16s
          visitSeconds: 10
          annotations: {summary: "v1: exit yard"}
    - {commands: [{name: open-gate, at: 5s}]}
    - {published: [{topic: yard.visits, at: 16s, severity: info}]}
"""
    assert told(spec, VISITS, YARD)[0] == []
    failures, _ = told(spec.replace("visitSeconds: 10", "visitSeconds: 11"), VISITS, YARD)
    assert failures == [
        "8:7: spec.expect[0].events: events of visits for v1 are not as expected\n"
        "    3. visitSeconds: expected 11, was 10"
    ]


def test_windows_of_aggregation_rules_also_late_ones_over_restarts():
    spec = """
  every: 10s
  vehicles: {v1: {speed: 10 20 30 0x3 40 50 _ 60 70 80 _x12 5}}
  steps:
    - {at: 15s, restart: true}
    - {at: 40s, receivedAt: 65s, signals: {speed: 90}}
    - {at: 75s, restart: true}
    - {at: 30s, receivedAt: 235s, signals: {speed: 90}}
  expect:
    - aggregates:
        - {windowStart: 0s, windowEnd: 1m, at: 1m, values: {most: 30, samples: 3}, final: false, update: 0}
        - {windowStart: 0s, at: 1m10s, values: {most: 90, samples: 4}, final: false, update: 1}
        - {windowStart: 0s, at: 1m30s, values: {most: 90}, final: true, update: 2, by: null}
        - {windowStart: 1m, at: 2m10s, values: {most: 80, samples: 5}, final: false, by: silence}
        - {windowStart: 1m, at: 2m40s, group: {vehicle: v1}, final: true, update: 1}
    - {late: [{ts: 30s, at: 235s}]}
"""
    failures, coverage = told(spec, HOURLY)
    assert {it.text: it.seen for it in coverage.branches} == {
        "speed > 0": {True, False},
        "samples > 2": {True},
    }
    assert failures == []


def test_rules_of_all_kinds_run_together_and_each_is_meant_by_its_sort():
    spec = """
  vehicles: {v1: {position: "31.1,121.4x3 31.2,121.4x10", speed: 140x13}}
  until: 3m
  expect:
    - {events: [{event: enter}, {event: speeding}]}
    - {aggregates: [{values: {most: 140}, by: silence}, {final: true}]}
    - {alerts: [{firedAt: 5s}]}
    - {at: 5s, state: firing}
    - {commands: [{name: slow-down}, {name: open-gate}]}
"""
    assert told(spec, VISITS, YARD, HOURLY, FAST)[0] == []


BY_MODEL = """
apiVersion: telltale.dev/v1alpha1
kind: AggregationRule
metadata: {name: by-model}
spec:
  window: {tumbling: 1m}
  groupBy: {model: vehicle.labels.model}
  aggregates: {most: max(speed), cars: distinct(vehicle.id)}
  having: cars > 1
  allowedLateness: 20s
  alert:
    when: most > 100
    severity: critical
    annotations: {summary: "{{ group.model }} at {{ value }}"}
    actions: [{publish: {topic: fleet.calls}}]
"""
FLEET = """
  every: 10s
  registry: {a: {labels: {model: X}}, b: {labels: {model: X}}, c: {labels: {model: Y}}}
  vehicles: {a: {speed: 50x6 120x6 20x6}, b: {speed: 60x18}, c: {speed: 200x18}}
  steps:
    - {at: 50s, receivedAt: 70s, vehicle: a, signals: {speed: 90}}
    - {at: 25s, receivedAt: 91s, vehicle: b, signals: {speed: 99}}
    - {at: 65s, restart: true}
    - {at: 125s, restart: true}
  until: 5m
  expect:
"""


def test_windows_and_alerts_of_groups_over_restarts():
    spec = f"""{FLEET}
    - aggregates:
        - {{windowStart: 0s, group: {{model: X}}, values: {{most: 60, cars: 2}}, at: 1m10s, final: false}}
        - {{windowStart: 0s, values: {{most: 90}}, at: 1m30s, final: false, update: 1}}
        - {{windowStart: 0s, values: {{most: 90}}, at: 1m30s, final: true, update: 2}}
        - {{windowStart: 1m, values: {{most: 120}}, at: 2m10s}}
        - {{windowStart: 1m, final: true}}
        - {{windowStart: 2m, values: {{most: 60}}, at: 3m10s}}
        - {{windowStart: 2m, final: true}}
    - alerts:
        - startsAt: 1m
          firedAt: 2m
          endsAt: 3m
          severity: critical
          value: 120
          group: {{model: X}}
          annotations: {{summary: X at 120}}
    - {{published: [{{topic: fleet.calls, at: 2m10s}}]}}
    - {{vehicle: b, late: [{{ts: 25s, at: 91s}}]}}
    - {{vehicle: a, late: []}}
"""
    failures, coverage = told(spec, BY_MODEL)
    assert failures == []
    assert {it.text: it.seen for it in coverage.branches} == {
        "cars > 1": {True, False},
        "most > 100": {True, False},
    }


def test_a_difference_of_a_group_is_told():
    failures, _ = told(f"{FLEET}    - {{alerts: []}}\n", BY_MODEL)
    (failure,) = failures
    assert "alerts of by-model are not as expected" in failure
    assert "1. not expected: startsAt 1m, firedAt 2m, endsAt 3m" in failure


def test_years_of_groups_pass_quickly():
    spec = """
  registry: {a: {labels: {model: X}}, b: {labels: {model: X}}}
  vehicles: {a: {speed: 50}, b: {speed: 60}}
  until: 365d
  expect: [{alerts: []}]
"""
    assert told(spec, BY_MODEL.replace("tumbling: 1m", "tumbling: 6h"))[0] == []
