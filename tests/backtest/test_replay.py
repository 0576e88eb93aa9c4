"""What a backtest says is what the stage says that hears the same messages, and a tick every second."""

import random
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backtest.messages import Message
from pipeline.backtest.replay import Replay, Told, folds_of
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.payloads import Position, Reading
from pipeline.stages.telemetry import encode_telemetry
from rules import Event, RuleSet, Source, compile_rules, parse
from tests.backtest.rulebook import RULES, START

QUIET_MS = 2_000


class _NoCounts:
    def heard(self, events: int, newest: int, received: int) -> None: ...
    def happened(self, outcome: Any) -> None: ...
    def flush(self) -> None: ...


def rule_set(text: str = RULES) -> RuleSet:
    found = compile_rules(parse([Source("rules.yaml", text)]))
    assert isinstance(found, RuleSet), found
    return found


AGGREGATION = """\
---
apiVersion: telltale.dev/v1alpha1
kind: AggregationRule
metadata: {name: speeds}
spec:
  window: {tumbling: 1m}
  aggregates: {fastest: max(speed), samples: count()}
  allowedLateness: 10s
"""
GEOFENCES = """\
---
apiVersion: telltale.dev/v1alpha1
kind: Geofence
metadata: {name: yard}
spec: {circle: {latitude: 31.23, longitude: 121.47, radiusMeters: 200}}
---
apiVersion: telltale.dev/v1alpha1
kind: GeofenceRule
metadata: {name: visits}
spec:
  fences: {names: [yard]}
  events: [enter, exit, dwell, cross]
  enterAfter: 2s
  exitAfter: 3s
  dwell: 1m
  positionStaleAfter: 20s
  maxAccuracyMeters: 20
  speedLimit: {limit: 100}
"""
RULE_SET = rule_set(RULES + AGGREGATION + GEOFENCES)
PLACES = ((31.23, 121.47), (31.23, 121.47, 5.0), (31.23, 121.47, 50.0), (31.24, 121.47), (0.0, 0.0), None)
TOPICS = {
    "alerts": ("vehicle.alerts", "vehicle.commands"),
    "geofences": ("vehicle.geofence-events",),
    "aggregations": ("vehicle.aggregates", "vehicle.late"),
}


def messages_of(seed: int) -> list[Message]:
    """In order of arrival; some late, some after a long silence, some received at once."""
    dice = random.Random(seed)
    found: list[Message] = []
    received, event_time = START, START
    for number in range(dice.randint(1, 60)):
        received += dice.choice([0, 1, 400, 999, 1000, 1001, 5000, 16_000, 60_000, 700_000])
        ts = min(received, max(event_time - 3000, received - dice.choice([0, 0, 0, 10, 2500, 30_000])))
        event_time = max(event_time, ts)
        signals: dict[str, object] = {"Vehicle.Speed": float(dice.choice([0, 50, 121, 130, 130, 140]))}
        if dice.random() < 0.4:
            signals["Vehicle.Belt"] = dice.random() < 0.5
        found.append(Message("v1", Event(ts, received, signals, dice.choice(PLACES)), number, b""))
    return found


def by_stage(messages: list[Message], stage: str = "alerts") -> list[Told]:
    """The stage itself: a record for each message, a tick for each second, nothing left out."""
    logic = VehicleLogic(stage, folds_of(RULE_SET, QUIET_MS)[stage], _NoCounts())
    logic.restored(None)
    told: list[Told] = []
    second = messages[0].event.received_at // 1000 * 1000

    def hear(record: Any) -> None:
        out: list[Any] = []
        logic.process("vehicle.telemetry", [record], out)
        for it in out:
            told.append(Told(it.timestamp, "v1", len(told), it.topic, it.value))

    def tick_until(instant: int) -> None:
        nonlocal second
        while second <= instant:
            hear(SimpleNamespace(key=None, value=b"", timestamp=second))
            second += 1000

    for _, event, sequence, _ in messages:
        tick_until(event.received_at)
        place = (
            None if event.position is None else Position(*event.position, *[None] * (3 - len(event.position)))
        )
        reading = Reading(event.ts, sequence, dict(event.signals), place, event.ts)
        value = encode_telemetry("v1", reading, event.received_at)
        hear(SimpleNamespace(key=b"v1", value=value, timestamp=event.received_at))
    tick_until(messages[-1].event.received_at)
    return told


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_a_backtest_says_what_the_stage_says(seed: int) -> None:
    messages = messages_of(seed)
    replay = Replay(folds_of(RULE_SET, QUIET_MS))
    for message in messages:
        replay.hear(message)
    replay.finish(messages[-1].event.received_at)
    told = [it._replace(number=0) for it in replay.result().told]
    for stage, topics in TOPICS.items():
        found = [it._replace(number=0) for it in by_stage(messages, stage)]
        assert [it for it in told if it.topic in topics] == found


def test_the_law_has_something_to_say() -> None:
    told = [it for stage in TOPICS for seed in range(20) for it in by_stage(messages_of(seed), stage)]
    assert {it.topic for it in told} == {topic for topics in TOPICS.values() for topic in topics}
    assert any(b'"by":"silence"' in it.value for it in told)


def test_a_repeated_message_is_passed_over() -> None:
    replay = Replay(folds_of(RULE_SET, QUIET_MS))
    for message in messages_of(3):
        replay.hear(message)
        replay.hear(message)
    once = Replay(folds_of(RULE_SET, QUIET_MS))
    for message in messages_of(3):
        once.hear(message)
    assert replay.result().told == once.result().told
    assert replay.result().duplicates == once.result().messages


def test_a_backtest_ends_at_its_last_event() -> None:
    """A hold that would be over a second later does not fire, and what fires has no end."""
    fast = [
        Message("v1", Event(START + at, START + at, {"Vehicle.Speed": 130.0}), at, b"") for at in (0, 9000)
    ]
    replay = Replay(folds_of(RULE_SET, QUIET_MS))
    for message in fast:
        replay.hear(message)
    replay.finish(START + 9000)
    assert replay.result().told == []
    replay.hear(Message("v1", Event(START + 10_000, START + 10_000, {"Vehicle.Speed": 130.0}), 2, b""))
    replay.finish(START + 10_000)
    assert [it.topic for it in replay.result().told] == ["vehicle.alerts", "vehicle.commands"]
