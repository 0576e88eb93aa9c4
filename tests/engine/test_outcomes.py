"""What alerts bring about: records, commands, copies for topics, failures."""

import json
import uuid

import pytest

from rules import AlertRecord, CommandRecord, Outcome, PublishRecord, RuleFailure
from tests.engine.rulebook import Drive, rule_set

SLOW_DOWN = {
    "command": {
        "name": "slow-down",
        "payload": {"limit": 50, "now": "{{ speed }}", "text": "{{ speed }} km/h"},
    }
}


def only(kind: type, out: list[Outcome]) -> list[Outcome]:
    return [outcome for outcome in out if isinstance(outcome, kind)]


def test_an_alert_record_tells_the_whole_story() -> None:
    rule = {
        "when": "speed > 100",
        "for": "2s",
        "severity": "critical",
        "labels": {"team": "safety"},
        "annotations": {"summary": "{{ vehicle.id }}: {{ value }} km/h, belt {{ belt }}"},
    }
    drive = Drive(rule_set({"fast": rule}, revision=7))
    drive.say(10, speed=120.0, place=(31.2, 121.4))
    drive.say(11, speed=131.0)
    (record,) = drive.say(12, speed=121.5)
    assert isinstance(record, AlertRecord)
    assert record.to_record() == {
        "id": record.id,
        "rule": "fast",
        "revision": 7,
        "vehicleId": "v1",
        "state": "firing",
        "severity": "critical",
        "startsAt": "1970-01-01T00:00:10.000Z",
        "firedAt": "1970-01-01T00:00:12.000Z",
        "endsAt": None,
        "value": 121.5,
        "peak": 131.0,
        "position": {"latitude": 31.2, "longitude": 121.4},
        "labels": {"team": "safety"},
        "annotations": {"summary": "v1: 121.5 km/h, belt unknown"},
        "reason": None,
        "by": None,
        "receivedAt": "1970-01-01T00:00:12.500Z",
    }
    json.dumps(record.to_record(), allow_nan=False)


def test_the_resolved_record_has_the_same_id_and_the_next_number() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100"}}))
    (fired,) = drive.say(1, speed=120.0)
    (resolved,) = drive.say(2, speed=90.0)
    assert isinstance(fired, AlertRecord)
    assert isinstance(resolved, AlertRecord)
    assert resolved.id == fired.id
    assert [fired.record_id, resolved.record_id] == [f"{fired.id}-0", f"{fired.id}-1"]
    assert uuid.UUID(fired.id).version == 5
    assert (resolved.value, resolved.peak, resolved.ends_at) == (90.0, 120.0, 2000)


def test_alerts_that_start_at_one_instant_have_ids_of_their_own() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100"}}))
    fired = [
        outcome
        for speed in (120.0, 90.0, 120.0, 90.0, 120.0)
        for outcome in drive.say(1, speed=speed)
        if isinstance(outcome, AlertRecord) and outcome.state == "firing"
    ]
    assert len({outcome.id for outcome in fired}) == 3
    assert {outcome.starts_at for outcome in fired} == {1000}


def test_ids_hold_the_vehicle_and_the_rule() -> None:
    rules = rule_set({"fast": {"when": "speed > 100"}, "faster": {"when": "speed > 110"}})
    ids = {outcome.id for name in ("v1", "v2") for outcome in Drive(rules, name).say(1, speed=120.0)}  # type: ignore[union-attr]
    assert len(ids) == 4


def test_a_condition_below_a_constant_peaks_low() -> None:
    drive = Drive(rule_set({"flat": {"when": "pressure < 180"}}))
    drive.say(1, pressure=170.0)
    drive.say(2, pressure=120.0)
    drive.say(3, pressure=175.0)
    (resolved,) = drive.say(4, pressure=200.0)
    assert isinstance(resolved, AlertRecord)
    assert resolved.peak == 120.0


def test_severity_rises_in_place_and_never_falls() -> None:
    rule = {
        "when": "speed > 100",
        "severity": [{"critical": "speed > 150"}, {"warning": "speed > 120"}, {"info": "true"}],
        "actions": [{"upon": "severityRaised", "command": {"name": "brake"}}],
    }
    drive = Drive(rule_set({"fast": rule}))
    said = [drive.say(second, speed=speed) for second, speed in enumerate([110.0, 160.0, 130.0, 155.0, 90.0])]
    alerts = [
        (outcome.state, outcome.severity)
        for out in said
        for outcome in out
        if isinstance(outcome, AlertRecord)
    ]
    assert alerts == [("firing", "info"), ("firing", "critical"), ("resolved", "critical")]
    assert [len(only(CommandRecord, out)) for out in said] == [0, 1, 0, 0, 0]


def test_each_rung_acts_once() -> None:
    rule = {
        "when": "speed > 100",
        "severity": [{"critical": "speed > 150"}, {"warning": "speed > 120"}, {"info": "true"}],
        "actions": [{"upon": "severityRaised", "publish": {"topic": "desk"}}],
    }
    drive = Drive(rule_set({"fast": rule}))
    said = [
        drive.say(second, speed=speed) for second, speed in enumerate([110.0, 130.0, 105.0, 140.0, 160.0])
    ]
    published = [outcome for out in said for outcome in out if isinstance(outcome, PublishRecord)]
    assert [outcome.alert.severity for outcome in published] == ["warning", "critical"]
    assert len({outcome.id for outcome in published}) == 2


def test_a_command_says_what_caused_it_and_how_long_it_is_worth() -> None:
    rule = {"when": "speed > 100", "actions": [SLOW_DOWN]}
    drive = Drive(rule_set({"fast": rule}, revision=3))
    alert, command = drive.say(10, speed=120.0)
    assert isinstance(alert, AlertRecord)
    assert isinstance(command, CommandRecord)
    assert command.to_record() == {
        "id": command.id,
        "vehicleId": "v1",
        "name": "slow-down",
        "payload": {"limit": 50, "now": 120.0, "text": "120 km/h"},
        "expiresAt": "1970-01-01T00:01:10.500Z",
        "cause": {
            "rule": "fast",
            "revision": 3,
            "alertId": alert.id,
            "eventTime": "1970-01-01T00:00:10.000Z",
            "receivedAt": "1970-01-01T00:00:10.500Z",
        },
    }
    assert command.record_id == command.id != alert.id


@pytest.mark.parametrize(("delay", "commands"), [(60.0, 1), (60.001, 0)])
def test_old_news_are_recorded_but_command_nothing(delay: float, commands: int) -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100", "actions": [SLOW_DOWN]}}))
    out = drive.say(10, speed=120.0, delay=delay)
    assert len(only(AlertRecord, out)) == 1
    assert len(only(CommandRecord, out)) == commands


def test_a_hold_that_ended_long_before_the_message_commands_nothing() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100", "for": "10s", "actions": [SLOW_DOWN]}}))
    drive.say(0, speed=120.0)
    out = drive.say(300, speed=120.0)
    assert [type(outcome) for outcome in out] == [AlertRecord]


def test_silence_commands_by_the_clock_of_what_was_received() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100", "for": "10s", "actions": [SLOW_DOWN]}}))
    drive.say(0, speed=120.0)
    assert drive.wait(20, received=20) == []
    alert, command = drive.wait(21, received=21)
    assert isinstance(alert, AlertRecord)
    assert isinstance(command, CommandRecord)
    assert (alert.by, alert.fired_at, alert.received_at) == ("silence", 10_000, 21_000)
    assert (command.expires_at, command.event_time) == (81_000, None)


def test_a_hold_that_ended_just_now_commands_however_long_ago_the_vehicle_spoke() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100", "for": "2m", "actions": [SLOW_DOWN]}}))
    drive.say(0, speed=120.0)
    out = drive.wait(131, received=131)
    assert [type(outcome) for outcome in out] == [AlertRecord, CommandRecord]


def test_actions_upon_the_resolve_act_then() -> None:
    rule = {"when": "speed > 100", "actions": [{"upon": "resolved", "command": {"name": "restore"}}]}
    drive = Drive(rule_set({"fast": rule}))
    assert only(CommandRecord, drive.say(1, speed=120.0)) == []
    (command,) = only(CommandRecord, drive.say(2, speed=90.0))
    assert isinstance(command, CommandRecord)
    assert command.name == "restore"


def test_a_published_alert_is_the_alert_as_it_was() -> None:
    rule = {"when": "speed > 100", "actions": [{"publish": {"topic": "maintenance.requests"}}]}
    alert, published = Drive(rule_set({"fast": rule})).say(1, speed=120.0)
    assert isinstance(alert, AlertRecord)
    assert isinstance(published, PublishRecord)
    assert published.topic == "maintenance.requests"
    assert published.to_record() == alert.to_record()
    assert published.record_id not in (alert.id, alert.record_id)


def test_a_failing_rule_is_told_and_leaves_the_others_alone() -> None:
    rules = {"broken": {"when": "[1, 2][int(speed)] > 0"}, "fast": {"when": "speed > 100"}}
    failure, alert = Drive(rule_set(rules)).say(1, speed=120.0)
    assert isinstance(failure, RuleFailure)
    assert (failure.rule, failure.vehicle_id, failure.ts) == ("broken", "v1", 1000)
    assert failure.error
    assert isinstance(alert, AlertRecord)
    assert alert.rule == "fast"


def test_a_rule_fails_once_for_a_message_however_its_code_runs() -> None:
    drive = Drive(rule_set({"broken": {"when": "[1, 2][int(speed)] > 0"}}))
    for second in range(12):
        assert [type(outcome) for outcome in drive.say(second, speed=120.0)] == [RuleFailure]


def test_a_selector_chooses_vehicles() -> None:
    rules = rule_set({"fast": {"when": "speed > 100", "vehicles": "vehicle.id.startsWith('van-')"}})
    assert Drive(rules, "car-1").say(1, speed=120.0) == []
    assert len(Drive(rules, "van-1").say(1, speed=120.0)) == 1


def test_a_value_of_any_plain_type_is_shown_but_only_numbers_peak() -> None:
    rule = {"when": "speed > 100", "value": "gear"}
    drive = Drive(rule_set({"fast": rule}))
    drive.say(0, gear="D")
    (record,) = drive.say(1, speed=120.0)
    assert isinstance(record, AlertRecord)
    assert (record.value, record.peak) == ("D", None)


def test_numbers_that_json_does_not_know_are_null() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 100"}}))
    (record,) = drive.say(1, speed=float("inf"))
    assert isinstance(record, AlertRecord)
    assert record.to_record()["value"] is None
