"""inside() and distance(): what they say, when conditions with them are evaluated, that state keeps them."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import AlertRecord, CommandRecord, Engine, Event, Outcome, RuleSet, Source, compile_rules, parse
from rules.geometry import distance_m
from tests.engine.rulebook import document

CENTRE = (31.23, 121.47)
INSIDE, OUTSIDE = (31.2301, 121.4701), (31.24, 121.47)
POSITION = {"latitude": "lat", "longitude": "lon"}


def engine(rules: dict[str, dict[str, Any]], kind: str = "AlertRule", **options: Any) -> Engine:
    signals = {
        "Vehicle.Speed": {"alias": "speed"},
        "Vehicle.Inside": {"alias": "is_inside", "type": "boolean"},
        "Vehicle.Away": {"alias": "away"},
    }
    catalog = {"timestamp": {"path": "ts"}, "position": POSITION, "signals": signals}
    circle = {"latitude": CENTRE[0], "longitude": CENTRE[1], "radiusMeters": 200}
    texts = [
        document("SignalCatalog", "default", catalog),
        document("Geofence", "depot", {"circle": circle}),
        document("Geofence", "elsewhere", {"circle": {**circle, "latitude": 50}}),
        *(document(kind, name, spec) for name, spec in rules.items()),
    ]
    found = compile_rules(parse([Source("rules.yaml", "\n---\n".join(texts))]))
    assert isinstance(found, RuleSet), [each.format() for each in found]
    return Engine(found, **options)


class Drive:
    def __init__(self, running: Engine) -> None:
        self.engine = running
        self.vehicle = running.new_vehicle("v1")

    def say(
        self, ts: int, place: tuple[float, ...] | None = None, **signals: object
    ) -> list[tuple[str, int, object]]:
        """What alerts say: (state, startsAt, value)."""
        names = {"speed": "Vehicle.Speed", "is_inside": "Vehicle.Inside", "away": "Vehicle.Away"}
        out: list[Outcome] = []
        event = Event(ts, ts, {names[name]: value for name, value in signals.items()}, place)
        self.engine.process(self.vehicle, event, 0, out)
        return [(it.state, it.starts_at, it.value) for it in out if isinstance(it, AlertRecord)]


def test_inside_is_unknown_until_there_is_a_position() -> None:
    drive = Drive(engine({"outside": {"when": 'speed > 1 && !inside("depot")'}}))
    assert drive.say(1, speed=5.0) == []
    assert drive.say(2, (0.0, 0.0)) == []
    assert drive.say(3, OUTSIDE) == [("firing", 3, 5.0)]


def test_conditions_are_evaluated_when_a_message_carries_a_position() -> None:
    drive = Drive(engine({"in": {"when": 'inside("depot")'}, "near": {"when": 'distance("depot") < 500'}}))
    assert drive.say(1, OUTSIDE) == []
    first, second = drive.say(2, INSIDE)
    assert (first, second) == (("firing", 2, None), ("firing", 2, 0.0))
    assert drive.say(3, speed=5.0) == []
    ended = drive.say(4, (31.2, 121.47))
    assert [state for state, _, _ in ended] == ["resolved", "resolved"]


def test_the_distance_is_the_value_of_an_alert_on_it() -> None:
    drive = Drive(engine({"far": {"when": 'distance("depot") > 500'}}))
    (said,) = drive.say(1, OUTSIDE)
    assert said == ("firing", 1, distance_m(*CENTRE, *OUTSIDE) - 200)


def test_a_late_position_counts_if_it_is_newer_than_the_last() -> None:
    drive = Drive(engine({"in": {"when": 'inside("depot") && speed > 1'}}))
    drive.say(1, OUTSIDE)
    drive.say(10, speed=0.0)
    drive.say(5, INSIDE)
    assert drive.say(11, speed=5.0) == [("firing", 11, 5.0)]
    drive.say(4, OUTSIDE)
    assert drive.say(12, speed=5.0) == []


def test_texts_tell_of_fences() -> None:
    command = {"name": "go", "payload": {"away": '{{ distance("depot") }}', "text": 'x{{ inside("depot") }}'}}
    spec = {"when": "speed > 1", "actions": [{"command": command}]}
    running = engine({"go": spec})
    out: list[Outcome] = []
    running.process(running.new_vehicle("v1"), Event(1, 1, {"Vehicle.Speed": 5.0}, INSIDE), 0, out)
    (told,) = [it for it in out if isinstance(it, CommandRecord)]
    assert told.payload == {"away": 0.0, "text": "xtrue"}


def test_steps_of_a_sequence_may_be_places() -> None:
    steps = [{"name": "in", "when": 'inside("depot")'}, {"name": "out", "when": '!inside("depot")'}]
    drive = Drive(engine({"left": {"steps": steps, "within": "1m"}}, kind="SequenceRule"))
    assert drive.say(1, INSIDE) == []
    assert drive.say(2, speed=3.0) == []
    assert drive.say(3, OUTSIDE) == [("firing", 1, None), ("resolved", 1, None)]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**40))
def test_a_fence_is_a_signal_that_each_position_tells(seed: int) -> None:
    choice = random.Random(seed)
    extra = choice.choice([{}, {"for": "3ms"}, {"forEvents": {"count": 2}}, {"keepFiringFor": "2ms"}])
    by_fence = {"when": 'inside("depot") || distance("depot") > 2000', **extra, "value": "speed"}
    by_signal = {"when": "is_inside || away > 2000", **extra, "value": "speed"}
    familiar = choice.choice([0, 1000])
    one = Drive(engine({"a": by_fence}, familiar_after=familiar))
    other = Drive(engine({"a": by_signal}, familiar_after=familiar))
    ts = 1000
    for _ in range(40):
        ts += choice.choice([0, 1, 2, 5])
        at = ts - choice.choice([0, 0, 0, 3])
        place = None
        if choice.random() < 0.7:
            place = CENTRE[0] + choice.uniform(-0.03, 0.03) ** 3 * 1000, CENTRE[1]
        speed = {"speed": float(choice.randint(0, 9))} if choice.random() < 0.5 else {}
        told: dict[str, object] = {}
        if place is not None:
            away = max(0.0, distance_m(*CENTRE, *place) - 200)
            told = {"is_inside": away == 0.0, "away": away}
        assert one.say(at, place, **speed) == other.say(at, None, **speed, **told)
        if choice.random() < 0.2:
            one.vehicle = one.engine.restore("v1", one.engine.snapshot(one.vehicle))
