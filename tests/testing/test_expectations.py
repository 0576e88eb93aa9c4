"""A test passes when all is as expected, and else tells the difference at the place of its expectation."""

import pytest

from tests.testing.rulebook import BRAKES, FAST, suite_of, told

DRIVE = "  vehicles: {v1: {speed: 90 140x3 160x5 120}}\n  expect:\n    - "

RIGHT = [
    "{at: 0s, state: inactive}",
    "{at: 1s, state: pending, value: 140}",
    "{at: 5s, state: pending, value: 160}",
    "{at: 6s, state: firing, severity: critical, value: 160}",
    "{at: 8999ms, state: firing}",
    "{at: 9s, state: inactive}",
    "{at: 2026-01-01T00:00:06Z, state: firing}",
    "alerts: [{startsAt: 1s, firedAt: 6s, endsAt: 9s, severity: critical, value: 160, peak: 160}]",
    "alerts: [{reason: cleared, by: null, labels: {topic: driving}, annotations: {summary: v1 at 160}}]",
    "alerts: [{}]",
    "alerts: [{annotations: {}}]",
    "commands: [{name: slow-down, at: 6s, payload: {limit: 130, speed: 160}, expiresAt: 36s}]",
    "published: [{topic: told, at: 9s, severity: critical}]",
    "{vehicle: v1, rule: fast, alerts: [{startsAt: 2026-01-01T01:00:01+01:00}]}",
]
WRONG = {
    "{at: 1s, state: firing}": (
        "9:16: spec.expect[0].state: at 1s, fast for v1 was expected to be firing, and was pending since 1s\n"
        "    its alert: startsAt 1s, firedAt 6s, endsAt 9s, severity critical, reason cleared"
    ),
    "{at: 6s, state: firing, severity: warning}": (
        "9:31: spec.expect[0].severity: at 6s, fast for v1 was expected to be firing warning, "
        "and was firing critical since 1s\n"
        "    its alert: startsAt 1s, firedAt 6s, endsAt 9s, severity critical, reason cleared"
    ),
    "{at: 6s, state: firing, value: 161}": (
        "9:31: spec.expect[0].value: at 6s, fast for v1 was expected to be firing 161, "
        "and was firing critical 160 since 1s\n"
        "    its alert: startsAt 1s, firedAt 6s, endsAt 9s, severity critical, reason cleared"
    ),
    "alerts: []": (
        "9:7: spec.expect[0].alerts: alerts of fast for v1 are not as expected\n"
        "    1. not expected: startsAt 1s, firedAt 6s, endsAt 9s, severity critical, value 160, "
        "reason cleared"
    ),
    "alerts: [{startsAt: 1s}, {startsAt: 20s, endsAt: null}]": (
        "9:7: spec.expect[0].alerts: alerts of fast for v1 are not as expected\n"
        "    2. did not come: startsAt 20s, endsAt null"
    ),
    "alerts: [{firedAt: 5s, endsAt: null, annotations: {advice: x}}]": (
        "9:7: spec.expect[0].alerts: alerts of fast for v1 are not as expected\n"
        "    1. firedAt: expected 5s, was 6s\n"
        "    1. endsAt: expected null, was 9s\n"
        "    1. annotations: expected {advice: x}, was {summary: 'v1 at 160'}"
    ),
    "commands: [{name: slow-down, payload: {limit: 130}}]": (
        "9:7: spec.expect[0].commands: commands of fast for v1 are not as expected\n"
        "    1. payload: expected {limit: 130}, was {limit: 130, speed: 160}"
    ),
    "published: [{topic: told, at: 8s}, {topic: told}]": (
        "9:7: spec.expect[0].published: published of fast for v1 are not as expected\n"
        "    1. did not come: topic told, at 8s"
    ),
    "alerts: [{outcome: match}]": (
        "9:7: spec.expect[0].alerts: alerts of fast for v1 are not as expected\n"
        "    1. outcome: expected match, was nothing of that kind"
    ),
}


@pytest.mark.parametrize("expectation", RIGHT)
def test_what_is_as_expected_is_not_told(expectation):
    assert told(DRIVE + expectation) == []


@pytest.mark.parametrize("expectation", WRONG)
def test_a_difference_is_told_where_it_was_expected(expectation):
    found = told(DRIVE + expectation)
    assert [line.partition(":")[2] for line in found] == [WRONG[expectation].partition(":")[2]]


def test_all_differences_come_at_once_in_the_order_of_the_file():
    spec = (
        "  vehicles: {v1: {speed: 90x3}}\n  expect: [{at: 1s, state: firing}, {alerts: [{}]}, {commands: []}]"
    )
    assert [line.split(": ")[1] for line in told(spec)] == ["spec.expect[0].state", "spec.expect[1].alerts"]


def test_items_are_paired_so_that_as_little_as_can_be_differs():
    """One alert too many in the middle is one line, not a shift of all that follow."""
    spec = """
  vehicles: {v1: {speed: 140x7 90 140x8 90 140x9 90}}
  expect:
    - alerts: [{startsAt: 0s, endsAt: 7s}, {startsAt: 17s, endsAt: 26s}]
"""
    (failure,) = told(spec)
    lines = failure.split("\n")[1:]
    assert lines == [
        "    2. not expected: startsAt 8s, firedAt 13s, endsAt 16s, severity warning, value 140, "
        "reason cleared"
    ]


def test_a_sequence_is_pending_while_it_has_begun_and_its_match_is_an_alert():
    spec = """
  vehicles: {v1: {speed: 120 80 40 0 10}, v2: {speed: 120 80}}
  until: 40s
  expect:
    - {vehicle: v1, at: 1s, state: pending}
    - {vehicle: v1, at: 3s, state: inactive}
    - vehicle: v1
      alerts: [{startsAt: 0s, firedAt: 3s, endsAt: 3s, outcome: match, steps: {quick: 0s, still: 3s}}]
    - {vehicle: v2, alerts: [{firedAt: 10s, outcome: timeout, severity: info, by: silence}]}
"""
    assert told(spec, BRAKES) == []


def test_outcomes_of_all_rules_may_be_expected_together():
    spec = """
  vehicles: {v1: {speed: 140x7 0}}
  expect:
    - {commands: [{name: slow-down}]}
    - {rule: brakes, alerts: [{firedAt: 7s}]}
    - {rule: fast, alerts: [{endsAt: 7s}]}
"""
    assert told(spec, FAST, BRAKES) == []


def test_a_rule_that_fails_fails_the_test():
    rule = FAST.replace("speed > 130", "speed > 130 && [1.0, 2.0][int(speed)] > 0").replace(
        "for: 5s", "for: 0s"
    )
    found = told("  vehicles: {v1: {speed: 90 140}}\n  expect: [{alerts: []}]", rule)
    assert len(found) == 1
    assert "metadata.name: at 1s, fast failed for v1: " in found[0]


SILENT = """
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: silent}
spec:
  absentFor: {duration: 1m}
  severity: [{critical: speed > 100}, {warning: true}]
"""
NAMED = """
apiVersion: telltale.dev/v1alpha1
kind: Definitions
metadata: {name: d}
spec: {expressions: {quick: speed > 130}}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: quick}
spec: {when: quick && belted}
"""


def test_rules_about_silence_have_a_state_and_count_in_coverage():
    spec = """
  vehicles: {v1: {speed: 120 _x80 30 _x60 90}}
  expect:
    - {at: 1m, state: inactive}
    - {at: 61s, state: firing, severity: critical}
    - {at: 81s, state: inactive}
    - {at: 142s, state: inactive}
    - alerts: [{startsAt: 0s, firedAt: 1m, endsAt: 1m21s, by: silence}, {firedAt: 2m21s, endsAt: 2m22s}]
"""
    assert told(spec, SILENT) == []
    found = suite_of(spec, SILENT)
    list(found.run())
    (branches,) = found.coverage().branches
    assert (branches.text, branches.seen) == ("speed > 100", {True, False})


def test_a_defined_name_is_one_condition():
    found = suite_of("  vehicles: {v1: {speed: 140 90, belted: truex2}}\n  expect: [{alerts: [{}]}]", NAMED)
    assert [verdict.failures for verdict in found.run()] == [()]
    assert {it.text: it.seen for it in found.coverage().branches} == {
        "quick": {True, False},
        "belted": {True},
    }


def test_nought_times_something_is_no_number_in_base_sixteen():
    rule = FAST.replace("speed > 130", "speed == 0")
    assert (
        told(
            "  vehicles: {v1: {speed: 0x7}}\n  expect: [{alerts: [{firedAt: 5s}]}, {at: 6s, state: firing}]",
            rule,
        )
        == []
    )
