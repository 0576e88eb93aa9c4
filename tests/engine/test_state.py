"""State as bytes: what is in it, what leaves it, and what is refused."""

import pytest

from rules import StateFormatError
from tests.benchmarks.engine_cost import state_bytes
from tests.engine.rulebook import Drive, rule_set

FAST = {"fast": {"when": "speed > 100", "cooldown": "10s"}}


def test_an_ended_alert_is_forgotten_when_data_have_passed_its_cooldown() -> None:
    drive = Drive(rule_set(FAST))
    drive.say(0, speed=120.0)
    drive.say(1, speed=90.0)
    drive.say(11, speed=90.0)
    assert drive.engine.changed(drive.vehicle)["rule/fast"] is not None
    drive.say(12, speed=90.0)
    changed = drive.engine.changed(drive.vehicle)
    assert changed.keys() == {"rule/fast", "values"}
    assert changed["rule/fast"] is None
    assert drive.engine.snapshot(drive.vehicle).keys() == {"values"}


def test_a_part_begins_with_the_version_of_its_format() -> None:
    drive = Drive(rule_set(FAST))
    drive.say(0, speed=120.0)
    parts = drive.engine.snapshot(drive.vehicle)
    assert parts.keys() == {"rule/fast", "values"}
    assert {packed[:1] for packed in parts.values()} == {b"\x01"}


@pytest.mark.parametrize("part", ["values", "rule/fast"])
def test_state_of_another_format_is_refused_with_its_part(part: str) -> None:
    drive = Drive(rule_set(FAST))
    drive.say(0, speed=120.0)
    parts = drive.engine.snapshot(drive.vehicle)
    parts[part] = b"\x02" + parts[part][1:]
    with pytest.raises(StateFormatError, match=part):
        drive.engine.restore("v1", parts)


def test_state_of_a_rule_that_is_gone_is_dropped_and_the_rest_kept() -> None:
    drive = Drive(rule_set(FAST | {"flat": {"when": "pressure < 180"}}))
    drive.say(0, speed=120.0, pressure=170.0)
    after = Drive(rule_set(FAST))
    after.vehicle = after.engine.restore("v1", drive.engine.snapshot(drive.vehicle))
    assert after.engine.snapshot(after.vehicle).keys() == {"rule/fast", "values"}
    assert after.engine.last_known(after.vehicle) == {"Vehicle.Speed": 120.0}
    (resolved,) = after.say(1, speed=90.0)
    assert resolved.state == "resolved"  # type: ignore[union-attr]


def test_a_vehicle_that_said_nothing_has_no_state() -> None:
    drive = Drive(rule_set(FAST))
    assert drive.engine.snapshot(drive.vehicle) == {}
    assert drive.engine.changed(drive.vehicle) == {}
    assert drive.engine.next_deadline(drive.vehicle) is None
    assert drive.engine.deadline_of({}) is None
    assert drive.engine.event_time(drive.vehicle) is None


def test_twenty_signals_and_twenty_firing_rules_are_less_than_two_kilobytes() -> None:
    assert state_bytes(20) < 2000
