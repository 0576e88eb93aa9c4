"""Laws of geofence rules, over random rules and drives: late, silent, inexact, cut and restarted."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules import RuleSet, Source, compile_rules, parse
from rules.engine import Event, Registration
from rules.engine.fence_outcomes import FenceOutcome, FencePublish, FenceRecord
from rules.engine.geofences import Geofences
from rules.engine.outcomes import CommandRecord
from rules.engine.ruleset import FenceRule, SpeedLimit
from rules.geometry import Area, Circle, Corridor, Shape
from tests.engine.fence_model import STEP, Entry, Message, RuleModel, Tick, Told, told_by
from tests.engine.logs import SEEDS, restarts
from tests.engine.rulebook import document

QUIET_AFTER = 4 * STEP
LATITUDE, LONGITUDE = 31.0, 121.0
NORTH = 1 / 111_000
"""Degrees of a metre."""


def shapes() -> dict[str, Shape]:
    """Along a road that goes north: metres from its beginning."""
    east = LONGITUDE + 0.01
    ring = [
        (LONGITUDE - 0.01, LATITUDE + 900 * NORTH),
        (east, LATITUDE + 900 * NORTH),
        (east, LATITUDE + 1400 * NORTH),
        (LONGITUDE - 0.01, LATITUDE + 1400 * NORTH),
    ]
    return {
        "circle": Circle(LATITUDE + 400 * NORTH, LONGITUDE, 200.0),
        "square": Area([[[*ring, ring[0]]]]),
        "lane": Corridor(
            [(LONGITUDE - 0.01, LATITUDE + 1500 * NORTH), (east, LATITUDE + 1500 * NORTH)], 60.0
        ),
        "far": Circle(LATITUDE + 1.0, LONGITUDE, 200.0),
    }


def _rule(choice: random.Random, name: str) -> RuleModel:
    dwell = choice.choice([None, 2, 10, 40])
    return RuleModel(
        name,
        tuple(choice.sample(sorted(shapes()), choice.randint(1, 4))),
        ("enter", "exit", "cross", *(["dwell"] if dwell else [])),
        choice.choice([0, 0, 3, 15]) * STEP,
        choice.choice([0, 0, 3, 15]) * STEP,
        None if dwell is None else dwell * STEP,
        choice.choice([5, 20, 120]) * STEP,
        choice.choice([0.0, 0.0, 50.0, 300.0]),
        choice.choice([None, None, 10.0]),
        choice.choice([None, 5.0]),
        choice.choice([0, 4]) * STEP,
    )


def running(model: RuleModel) -> FenceRule:
    limit = None if model.limit is None else SpeedLimit("speed", model.limit, model.hold)
    return FenceRule(
        name=model.name,
        fences=model.fences,
        events=frozenset(model.events),
        enter_after_ms=model.enter_after,
        exit_after_ms=model.exit_after,
        dwell_ms=model.dwell,
        stale_after_ms=model.stale,
        exit_buffer_meters=model.buffer,
        max_accuracy_meters=model.accuracy,
        speed_limit=limit,
    )


def fold_for(*models: RuleModel) -> Geofences:
    rules = RuleSet({}, (), fences=shapes(), fence_rules=tuple(running(model) for model in models))
    return Geofences(rules, quiet_after_ms=QUIET_AFTER)


def rule_models() -> st.SearchStrategy[RuleModel]:
    return SEEDS.map(lambda seed: _rule(random.Random(seed), "rule"))


def rule_lists() -> st.SearchStrategy[list[RuleModel]]:
    return SEEDS.map(lambda seed: [_rule(random.Random(seed + n), f"rule-{n}") for n in range(1 + seed % 4)])


def logs() -> st.SearchStrategy[list[Entry]]:
    return SEEDS.map(lambda seed: _log(random.Random(seed)))


def _log(choice: random.Random) -> list[Entry]:
    ts, received, live = 1000 * STEP, 5000 * STEP, 0
    metres, entries = float(choice.randint(0, 1600)), list[Entry]()
    for _ in range(choice.randint(10, 60)):
        kind = choice.choice(["fix"] * 8 + ["other", "late", "tick", "tick", "nowhere"])
        if kind == "tick":
            passed = choice.choice([1, 5, 20, 130]) * STEP
            live, received = live + passed, received + passed
            entries.append(Tick(received, live))
            continue
        ts += choice.choice([0, 1, 1, 2, 3, 10, 30, 130]) * STEP
        received += choice.randint(0, 3) * STEP
        metres += choice.choice([0.0, 0.0, 10.0, 50.0, 150.0, 400.0, 1000.0, 6000.0]) * choice.choice([-1, 1])
        metres = metres if -500 < metres < 2200 or choice.random() < 0.2 else float(choice.randint(0, 1600))
        place = (LATITUDE + metres * NORTH, LONGITUDE)
        accuracy = choice.choice([None, 5.0, 50.0])
        speed = choice.choice([None, 3.0, 9.0, 9.0])
        match kind:
            case "other":
                entries.append(Message(ts, received, live, None, None, speed))
            case "late":
                entries.append(Message(ts - 200 * STEP, received, live, place, None, 9.0))
            case "nowhere":
                entries.append(Message(ts, received, live, (0.0, 0.0)))
            case _:
                entries.append(Message(ts, received, live, place, accuracy, speed))
    return entries


class Run:
    """A fold and one vehicle, driven as a stage drives them."""

    def __init__(self, fold: Geofences) -> None:
        self.fold = fold
        self.vehicle = fold.new_vehicle("v1")

    def step(self, entry: Entry) -> list[FenceOutcome]:
        out: list[FenceOutcome] = []
        match entry:
            case Message(ts, received_at, live, place, accuracy, speed):
                position = place if place is None or accuracy is None else (*place, accuracy)
                signals = {} if speed is None else {"speed": speed}
                self.fold.process(self.vehicle, Event(ts, received_at, signals, position), live, out)
            case Tick(received_at, live):
                deadline = self.fold.next_deadline(self.vehicle)
                if deadline is not None and deadline < live:
                    self.fold.advance(self.vehicle, live, received_at, out)
        return out

    def all(self, entries: list[Entry]) -> list[FenceOutcome]:
        return [outcome for entry in entries for outcome in self.step(entry)]


def told(out: list[FenceOutcome]) -> list[Told]:
    found = []
    for record in out:
        assert isinstance(record, FenceRecord)
        event, starts_at, confirmed_at, visit_ms, reason = record.happening
        visit = None if visit_ms is None else visit_ms / 1000
        found.append(
            Told(
                record.rule,
                record.fence,
                event,
                starts_at,
                confirmed_at,
                visit,
                reason,
                record.by,
                record.received_at,
            )
        )
    return found


@settings(max_examples=400, deadline=None)
@given(rule_models(), logs())
def test_the_fold_tells_what_looking_at_every_fence_and_instant_tells(
    model: RuleModel, entries: list[Entry]
) -> None:
    run = Run(fold_for(model))
    for entry, expected in zip(entries, told_by(model, shapes(), entries, QUIET_AFTER), strict=True):
        assert sorted(told(run.step(entry)), key=repr) == sorted(expected, key=repr)


@settings(max_examples=150, deadline=None)
@given(rule_lists(), logs(), st.integers(0, 2**32))
def test_a_restart_at_any_point_changes_nothing(
    models: list[RuleModel], entries: list[Entry], seed: int
) -> None:
    fold = fold_for(*models)
    steady, restarted = Run(fold), Run(fold)
    is_restart = restarts(seed, 0.3)
    kept: dict[str, bytes] = {}
    for entry in entries:
        assert restarted.step(entry) == steady.step(entry)
        if is_restart():
            for part, packed in restarted.fold.changed(restarted.vehicle).items():
                if packed is None:
                    kept.pop(part, None)
                else:
                    kept[part] = packed
            assert kept == fold.snapshot(steady.vehicle)
            restarted = Run(fold_for(*models))
            restarted.vehicle = restarted.fold.restore("v1", kept)
            assert restarted.vehicle == steady.vehicle
            deadline = restarted.fold.next_deadline(restarted.vehicle)
            assert restarted.fold.deadline_of(kept) == deadline == fold.next_deadline(steady.vehicle)


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs())
def test_asking_more_often_for_timers_changes_nothing(models: list[RuleModel], entries: list[Entry]) -> None:
    prompt, eager = Run(fold_for(*models)), Run(fold_for(*models))
    for entry in entries:
        assert prompt.step(entry) == eager.step(entry)
        again: list[FenceOutcome] = []
        eager.fold.advance(eager.vehicle, entry.live, entry.received_at, again)
        assert again == []


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs())
def test_ids_tell_every_record_apart_and_are_the_same_each_time(
    models: list[RuleModel], entries: list[Entry]
) -> None:
    first = [it.record_id for it in Run(fold_for(*models)).all(entries) if isinstance(it, FenceRecord)]
    again = [it.record_id for it in Run(fold_for(*models)).all(entries) if isinstance(it, FenceRecord)]
    assert first == again
    assert len(set(first)) == len(first)


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs(), st.randoms(use_true_random=False))
def test_the_order_of_rules_does_not_matter(
    models: list[RuleModel], entries: list[Entry], choice: random.Random
) -> None:
    expected = Run(fold_for(*models)).all(entries)
    choice.shuffle(models)
    assert Run(fold_for(*models)).all(entries) == expected


@settings(max_examples=100, deadline=None)
@given(rule_lists(), logs())
def test_rules_do_not_touch_each_other(models: list[RuleModel], entries: list[Entry]) -> None:
    together = Run(fold_for(*models)).all(entries)
    for model in models:
        alone = Run(fold_for(model)).all(entries)
        assert [it for it in together if isinstance(it, FenceRecord) and it.rule == model.name] == alone


@settings(max_examples=100, deadline=None)
@given(rule_models(), logs())
def test_fences_that_nobody_visits_change_nothing(model: RuleModel, entries: list[Entry]) -> None:
    many = {f"other-{n}": Circle(LATITUDE, LONGITUDE + 1 + n / 100, 500.0) for n in range(50)}
    fences = {**shapes(), **many}
    rule = running(model._replace(fences=(*model.fences, *many)))
    crowded = Geofences(RuleSet({}, (), fences=fences, fence_rules=(rule,)), quiet_after_ms=QUIET_AFTER)
    assert Run(crowded).all(entries) == Run(fold_for(model)).all(entries)


def test_the_logs_reach_every_event_and_reason() -> None:
    seen: set[object] = set()

    @settings(max_examples=400, deadline=None, derandomize=True, database=None)
    @given(rule_models(), logs())
    def explore(model: RuleModel, entries: list[Entry]) -> None:
        for one in told(Run(fold_for(model)).all(entries)):
            seen.add((one.event, one.by))
            seen.add((one.event, one.visit is None))
            seen.add(one.reason)

    explore()
    events = {("enter", None), ("exit", None), ("dwell", None), ("cross", None), ("speeding", None)}
    assert events | {("enter", "silence"), ("exit", "silence"), ("dwell", "silence")} <= seen
    assert {("exit", True), ("exit", False), "corrected"} <= seen


def _compiled(spec: dict[str, Any], *fences: tuple[str, float]) -> RuleSet:
    catalog = {
        "timestamp": {"path": "ts"},
        "position": {"latitude": "lat", "longitude": "lon"},
        "signals": {"Vehicle.Speed": {"alias": "speed"}},
    }
    texts = [document("SignalCatalog", "c", catalog), document("GeofenceRule", "yard", spec)]
    for name, radius in fences:
        circle = {"latitude": LATITUDE, "longitude": LONGITUDE, "radiusMeters": radius}
        texts.append(document("Geofence", name, {"circle": circle}))
    found = compile_rules(parse([Source("x.yaml", "\n---\n".join(texts))]))
    assert isinstance(found, RuleSet), [each.format() for each in found]
    return found


SPEC = {"fences": {"names": ["a"]}, "exitAfter": "10s", "actions": [{"publish": {"topic": "yard.visits"}}]}
INSIDE, BESIDE = (LATITUDE, LONGITUDE), (LATITUDE + 150 * NORTH, LONGITUDE)
OUTSIDE = (LATITUDE + 5_000 * NORTH, LONGITUDE)


def _say(run: Run, second: int, place: tuple[float, float] | None) -> list[tuple[str, str, str | None]]:
    """(kind of outcome, event, reason) of each."""
    return [_brief(it) for it in run.step(Message(second * STEP, second * STEP, 0, place))]


def _brief(it: FenceOutcome) -> tuple[str, str, str | None]:
    assert isinstance(it, FenceRecord | FencePublish)
    record = it.record if isinstance(it, FencePublish) else it
    return type(it).__name__, record.happening.event, record.happening.reason


def _edited(run: Run, rules: RuleSet) -> Run:
    edited = Run(Geofences(rules))
    parts = run.fold.snapshot(run.vehicle)
    edited.vehicle = edited.fold.restore("v1", parts)
    assert edited.fold.deadline_of(parts) == edited.fold.next_deadline(edited.vehicle)
    return edited


def test_an_edited_fence_is_judged_anew_and_acts_on_nothing() -> None:
    run = Run(Geofences(_compiled(SPEC, ("a", 200.0))))
    assert _say(run, 1, OUTSIDE) == []
    assert _say(run, 2, BESIDE) == [("FenceRecord", "enter", None), ("FencePublish", "enter", None)]
    smaller = _edited(run, _compiled(SPEC, ("a", 100.0)))
    assert _say(smaller, 3, BESIDE) == [("FenceRecord", "exit", "fenceChanged")]
    assert _say(smaller, 4, BESIDE) == []
    larger = _edited(run, _compiled(SPEC, ("a", 300.0)))
    assert _say(larger, 3, BESIDE) == []
    assert _say(larger, 4, OUTSIDE) == []
    assert _say(larger, 14, OUTSIDE) == [("FenceRecord", "exit", None), ("FencePublish", "exit", None)]


def test_a_deleted_fence_ends_its_visits_at_the_next_message_or_tick() -> None:
    run = Run(Geofences(_compiled(SPEC, ("a", 200.0), ("b", 200.0))))
    _say(run, 1, OUTSIDE)
    _say(run, 2, INSIDE)
    spec = {**SPEC, "fences": {"names": ["b"]}}
    assert _say(_edited(run, _compiled(spec, ("b", 1.0))), 3, None) == [
        ("FenceRecord", "exit", "fenceDeleted")
    ]
    by_tick = _edited(run, _compiled(spec, ("b", 1.0))).step(Tick(9 * STEP, 1))
    assert [_brief(it) for it in by_tick] == [("FenceRecord", "exit", "fenceDeleted")]


def test_a_new_fence_is_judged_by_where_the_vehicle_was() -> None:
    run = Run(Geofences(_compiled(SPEC, ("a", 10.0))))
    _say(run, 1, BESIDE)
    added = _compiled({**SPEC, "fences": {"names": ["a", "b"]}}, ("a", 10.0), ("b", 200.0))
    edited = _edited(run, added)
    assert _say(edited, 2, BESIDE) == []
    assert _say(edited, 3, OUTSIDE) == []
    (left, _) = edited.step(Message(13 * STEP, 13 * STEP, 0, OUTSIDE))
    assert isinstance(left, FenceRecord)
    assert (left.fence, left.happening.event, left.happening.visit_ms) == ("b", "exit", None)


def test_actions_act_upon_their_event_and_tell_of_it() -> None:
    command = {"name": "park", "payload": {"fence": "{{ fence }}", "stayed": "{{ visitSeconds }}"}}
    actions = [
        {"upon": "exit", "command": command},
        {"upon": "speeding", "command": {"name": "slow", "payload": {"text": "{{ value }} in {{ fence }}"}}},
        {"publish": {"topic": "t"}},
    ]
    spec = {
        "fences": {"names": ["a"]},
        "speedLimit": {"limit": 20, "signal": "speed"},
        "annotations": {"summary": "{{ vehicle.id }} {{ event }} {{ fence }}"},
        "actions": actions,
    }
    run = Run(Geofences(_compiled(spec, ("a", 200.0))))
    out: list[FenceOutcome] = []
    for second, place, speed in (
        (1, OUTSIDE, 50.0),
        (2, INSIDE, 15.0),
        (3, INSIDE, 30.5),
        (9, OUTSIDE, 50.0),
    ):
        event = Event(second * STEP, second * STEP, {"Vehicle.Speed": speed}, place)
        run.fold.process(run.vehicle, event, 0, out)
    records = [it for it in out if isinstance(it, FenceRecord)]
    assert [it.happening.event for it in records] == ["enter", "speeding", "exit"]
    assert [it.annotations["summary"] for it in records] == ["v1 enter a", "v1 speeding a", "v1 exit a"]
    assert [(it.speed, it.limit) for it in records] == [(None, None), (30.5, 20.0), (None, None)]
    commands = [(it.name, it.payload) for it in out if isinstance(it, CommandRecord)]
    assert commands == [("slow", {"text": "30.5 in a"}), ("park", {"fence": "a", "stayed": 7.0})]
    assert [it.record.happening.event for it in out if isinstance(it, FencePublish)] == [
        "enter",
        "speeding",
        "exit",
    ]


def test_a_command_on_old_news_is_not_sent() -> None:
    command = {"name": "park", "maxAge": "5s"}
    spec = {"fences": {"names": ["a"]}, "actions": [{"command": command}]}
    run = Run(Geofences(_compiled(spec, ("a", 200.0))))
    run.step(Message(STEP, STEP, 0, OUTSIDE))
    assert len(run.step(Message(2 * STEP, 8 * STEP, 0, INSIDE))) == 1
    assert len(run.step(Message(9 * STEP, 14 * STEP, 0, OUTSIDE))) == 2


def test_state_of_a_visit_is_small() -> None:
    run = Run(Geofences(_compiled(SPEC, ("a", 200.0))))
    _say(run, 1, OUTSIDE)
    _say(run, 2, INSIDE)
    assert sum(map(len, run.fold.snapshot(run.vehicle).values())) < 150


def test_a_vehicle_that_a_rule_is_not_for_any_more_ends_its_visit_and_may_begin_anew() -> None:
    spec = {**SPEC, "vehicles": 'vehicle.labels.duty == "busy"', "events": ["enter", "exit"]}
    fold = Geofences(_compiled(spec, ("a", 200.0)))
    busy, idle = Registration({"duty": "busy"}), Registration({"duty": "idle"})
    vehicle, out = fold.new_vehicle("v1", busy), list[FenceOutcome]()

    def fix(second: int, place: tuple[float, float]) -> None:
        fold.process(vehicle, Event(second * STEP, second * STEP, {}, place), 0, out)

    fix(1, OUTSIDE)
    fix(2, INSIDE)
    fold.register(vehicle, idle, 0, 3 * STEP, out)
    fix(4, OUTSIDE)
    fix(5, INSIDE)
    fold.register(vehicle, busy, 0, 6 * STEP, out)
    fix(7, INSIDE)
    fix(8, OUTSIDE)
    fix(18, OUTSIDE)
    told = [it for it in out if isinstance(it, FenceRecord)]
    assert [(it.happening.event, it.happening.reason, it.by) for it in told] == [
        ("enter", None, None),
        ("exit", "deselected", "registry"),
        ("exit", None, None),
    ]
    assert told[2].happening.visit_ms is None
    fold.forget(vehicle, 0, 19 * STEP, out)
    assert fold.snapshot(vehicle) == {}
    assert set(fold.changed(vehicle).values()) == {None}


def test_a_visit_that_goes_on_is_not_written_again() -> None:
    run = Run(Geofences(_compiled(SPEC, ("a", 200.0))))
    _say(run, 1, OUTSIDE)
    _say(run, 2, INSIDE)
    assert set(run.fold.changed(run.vehicle)) == {"fixes", "geofence/yard"}
    _say(run, 3, BESIDE)
    assert set(run.fold.changed(run.vehicle)) == {"fixes"}
    _say(run, 4, OUTSIDE)
    assert set(run.fold.changed(run.vehicle)) == {"fixes", "geofence/yard"}
    _say(run, 5, OUTSIDE)
    assert set(run.fold.changed(run.vehicle)) == {"fixes"}
