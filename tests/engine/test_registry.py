"""What the registry says of a vehicle, one claim at a time."""

import math

import pytest

from rules import AlertRecord, Outcome
from rules.engine import NOTHING, Registration, RegistrationError, registration
from tests.engine.rulebook import Drive, rule_set


def says(drive: Drive, at: int = 0, live: int = 0, **facts: object) -> list[tuple[str, str, str | None, int]]:
    """The registry says this from now on: texts are labels, all else is an attribute."""
    labels = {name: value for name, value in facts.items() if isinstance(value, str)}
    attributes = {name: value for name, value in facts.items() if not isinstance(value, str)}
    out: list[Outcome] = []
    drive.engine.register(drive.vehicle, registration(labels, attributes), live * 1000, at * 1000, out)
    return told(out)


def told(out: list[Outcome]) -> list[tuple[str, str, str | None, int]]:
    """(rule, state, reason, startsAt in seconds) of each alert record; nothing else may be there."""
    records = [it for it in out if isinstance(it, AlertRecord)]
    assert len(records) == len(out), out
    return [(it.rule, it.state, it.reason, it.starts_at // 1000) for it in records]


LIMITED = rule_set({"fast": {"when": "speed > vehicle.attributes.limit"}})
FOR_TRUCKS = rule_set({"fast": {"vehicles": 'vehicle.labels.kind == "truck"', "when": "speed > 80"}})


def test_each_vehicle_has_its_own_threshold() -> None:
    slow, quick = Drive(LIMITED), Drive(LIMITED)
    says(slow, limit=80)
    says(quick, limit=120)
    assert told(slow.say(1, speed=100.0)) == [("fast", "firing", None, 1)]
    assert quick.say(1, speed=100.0) == []


@pytest.mark.parametrize("facts", [{}, {"limit": True}, {"limit": "80"}], ids=["lacking", "bool", "label"])
def test_what_a_vehicle_lacks_or_has_of_another_type_is_unknown(facts: dict[str, object]) -> None:
    drive = Drive(LIMITED)
    says(drive, **facts)
    assert drive.say(1, speed=300.0) == []


def test_another_threshold_is_judged_at_once_and_at_the_vehicles_time() -> None:
    drive = Drive(LIMITED)
    says(drive, limit=120)
    assert drive.say(50, speed=100.0) == []
    assert says(drive, at=70, limit=90) == [("fast", "firing", None, 50)]
    assert says(drive, at=71, limit=110) == [("fast", "resolved", "cleared", 50)]


def test_a_timer_that_the_registry_armed_is_in_the_state() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > vehicle.attributes.limit", "for": "5s"}}))
    drive.say(50, speed=100.0)
    kept = drive.engine.changed(drive.vehicle)
    says(drive, limit=90)
    kept |= drive.engine.changed(drive.vehicle)
    parts = {part: packed for part, packed in kept.items() if packed is not None}
    assert parts == drive.engine.snapshot(drive.vehicle)
    assert drive.engine.deadline_of(parts) == drive.engine.next_deadline(drive.vehicle) == 15_000


def test_after_a_silence_the_registry_speaks_at_the_vehicles_clock() -> None:
    drive = Drive(LIMITED)
    drive.say(50, speed=100.0)
    assert says(drive, at=100, live=40, limit=90) == [("fast", "firing", None, 80)]


def test_a_record_says_that_the_registry_moved_the_alert() -> None:
    drive = Drive(LIMITED)
    drive.say(50, speed=100.0)
    out: list[Outcome] = []
    drive.engine.register(drive.vehicle, registration({}, {"limit": 1}), 0, 60_000, out)
    (record,) = out
    assert isinstance(record, AlertRecord)
    assert (record.by, record.received_at, record.value) == ("registry", 60_000, 100.0)


def test_timers_due_before_the_vehicles_clock_fire_before_the_registry_speaks() -> None:
    drive = Drive(rule_set({"fast": {"when": "speed > 80 && !has(vehicle.labels.free)", "for": "5s"}}))
    drive.say(50, speed=100.0)
    assert says(drive, live=40, free="yes") == [
        ("fast", "firing", None, 50),
        ("fast", "resolved", "cleared", 50),
    ]


def test_data_from_before_the_registrys_instant_correct_what_it_fired() -> None:
    drive = Drive(LIMITED)
    drive.say(50, speed=100.0)
    says(drive, live=40, limit=90)
    assert told(drive.say(60, speed=70.0)) == [("fast", "resolved", "corrected", 80)]


def test_a_condition_on_the_registry_alone_is_judged_with_the_first_message() -> None:
    drive = Drive(rule_set({"recalled": {"when": "vehicle.attributes.recalled"}}))
    assert says(drive, recalled=True) == []
    assert told(drive.say(7, gear="D")) == [("recalled", "firing", None, 7)]
    assert says(drive, recalled=False) == [("recalled", "resolved", "cleared", 7)]


def test_a_selector_chooses_by_label() -> None:
    truck, car = Drive(FOR_TRUCKS), Drive(FOR_TRUCKS)
    says(truck, kind="truck")
    says(car, kind="car")
    assert told(truck.say(1, speed=100.0)) == [("fast", "firing", None, 1)]
    assert car.say(1, speed=100.0) == []


def test_a_vehicle_that_is_not_selected_any_more_resolves_its_alert_as_deselected() -> None:
    drive = Drive(FOR_TRUCKS)
    says(drive, kind="truck")
    drive.say(1, speed=100.0)
    assert says(drive, kind="car") == [("fast", "resolved", "deselected", 1)]
    assert drive.say(2, speed=120.0) == []


def test_a_vehicle_that_is_selected_is_judged_at_once_and_has_a_new_alert() -> None:
    drive = Drive(FOR_TRUCKS)
    says(drive, kind="truck")
    first = drive.say(1, speed=100.0)
    says(drive, kind="car")
    out: list[Outcome] = []
    drive.engine.register(drive.vehicle, registration({"kind": "truck"}, {}), 0, 0, out)
    assert told(out) == [("fast", "firing", None, 1)]
    assert out[0].id != first[0].id  # type: ignore[union-attr]


def test_what_was_pending_is_dropped_with_the_selection() -> None:
    drive = Drive(
        rule_set(
            {"fast": {"vehicles": "vehicle.attributes.on_road", "when": "speed > 80", "for": "5s"}},
        )
    )
    says(drive, on_road=True)
    drive.say(1, speed=100.0)
    says(drive, on_road=False)
    assert drive.say(3, speed=100.0) == []
    says(drive, on_road=True)
    assert drive.say(6, speed=100.0) == [], "the hold begins anew"
    assert told(drive.say(9, speed=100.0)) == [("fast", "firing", None, 3)]


def test_texts_tell_of_the_registry_as_it_was_while_the_alert_fired() -> None:
    spec = {
        "vehicles": "has(vehicle.labels.driver)",
        "when": "speed > 80",
        "annotations": {"summary": "{{ vehicle.labels.driver }} of {{ vehicle.attributes.depot }}"},
    }
    drive = Drive(rule_set({"fast": spec}))
    says(drive, driver="Ann")
    drive.say(1, speed=100.0)
    out: list[Outcome] = []
    drive.engine.register(drive.vehicle, NOTHING, 0, 0, out)
    (record,) = out
    assert isinstance(record, AlertRecord)
    assert record.annotations == {"summary": "Ann of unknown"}


def test_a_forgotten_vehicle_resolves_its_alerts_and_is_as_new() -> None:
    drive = Drive(LIMITED)
    says(drive, limit=80)
    drive.say(1, speed=100.0)
    parts = set(drive.engine.snapshot(drive.vehicle))
    drive.engine.changed(drive.vehicle)
    out: list[Outcome] = []
    drive.engine.forget(drive.vehicle, 0, 5000, out)
    assert told(out) == [("fast", "resolved", "forgotten", 1)]
    assert drive.engine.snapshot(drive.vehicle) == {}
    assert drive.engine.changed(drive.vehicle) == dict.fromkeys(parts)
    assert drive.vehicle == drive.engine.new_vehicle("v1")


def test_parts_of_rules_that_are_gone_are_forgotten_with_the_vehicle() -> None:
    drive = Drive(LIMITED)
    drive.say(1, speed=100.0)
    parts = drive.engine.snapshot(drive.vehicle) | {"rule/long-gone": b"?"}
    drive.vehicle = drive.engine.restore("v1", parts)
    drive.engine.forget(drive.vehicle, 0, 0, [])
    assert drive.engine.changed(drive.vehicle) == dict.fromkeys(parts)


def test_a_registration_survives_packing() -> None:
    said = registration({"model": "ET5"}, {"limit": 80, "hazmat": True, "depot": "north"}, at=17)
    assert Registration.unpack(said.pack()) == said
    assert type(said.attributes["limit"]) is float


@pytest.mark.parametrize(
    ("labels", "attributes", "problem"),
    [
        ({"model": 5}, {}, "the label 'model' is the number 5, a label is a string"),
        ({"model": None}, {}, "the label 'model' is null"),
        ({"9lives": "x"}, {}, "a name begins with a letter"),
        ({"a" * 64: "x"}, {}, "at most 63"),
        ({"model": "x" * 257}, {}, "257 characters"),
        ({}, {"limit": [1]}, "the attribute 'limit' is a list"),
        ({}, {"limit": {"a": 1}}, "the attribute 'limit' is an object"),
        ({}, {"limit": math.nan}, "the attribute 'limit' is the number nan"),
        ({}, {"limit": 10**400}, "the attribute 'limit' is the number 1000"),
        ({}, {f"a{index}": 1 for index in range(101)}, "101 attributes, at most 100"),
    ],
)
def test_a_wrong_registration_is_refused_with_what_is_wrong(labels, attributes, problem) -> None:
    with pytest.raises(RegistrationError) as raised:
        registration(labels, attributes)
    assert problem in raised.value.problems[0]


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(RegistrationError) as raised:
        registration({"a b": "x", "model": 1}, {"limit": None})
    assert len(raised.value.problems) == 3
