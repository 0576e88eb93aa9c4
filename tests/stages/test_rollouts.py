"""A candidate beside the stable revision, on some of the vehicles, and the way from there: on, or back.

The outside world is a fold over vehicle.alerts: what fires, by id. It must not see that there were two.
"""

import json
import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runtime.stage import Output
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.payloads import Reading
from pipeline.stages.rule_status import status
from pipeline.stages.telemetry import encode_telemetry
from pipeline.stages.versions import NotYet, Version, Versions, version_of
from rules import VehicleState
from rules.engine.rollouts import Limits, Rollout
from tests.stages.test_live import FAST, HOT, SILENT, START, STOPS, Counts, alert, compiled, make

VEHICLES = [f"v{number}" for number in range(8)]
HALF = Rollout(50.0, "")
TAKEN = [vehicle for vehicle in VEHICLES if HALF.takes(vehicle)]
LEFT = [vehicle for vehicle in VEHICLES if not HALF.takes(vehicle)]
NAMES = ("fast", "hot", "stops", "silent")
LINEAGES = dict.fromkeys(NAMES, 1)
HOTTER = alert("hot", "when: heat > 60, clearWhen: heat < 40, severity: critical")
COOLER = alert("hot", "when: heat > 20, clearWhen: heat < 10, severity: warning")
ACTING = alert(
    "hot", "when: heat > 50, severity: critical, actions: [{command: {name: cool}}, {publish: {topic: t}}]"
)


class Partition:
    """One partition with its changelog; `crash` throws away what was not committed, outputs too."""

    def __init__(self, *texts: str) -> None:
        self.versions: Versions[VehicleState] = Versions(make, self.version(1, texts))
        self.changelog: dict[bytes, bytes] = {}
        self.marker: bytes | None = None
        self.received = START
        self.told: list[Output] = []
        self.pending: list[Output] = []
        self.logic = self.begin()

    def version(
        self, revision: int, texts: Any, *, lineages: dict[str, int] | None = None, **more: Any
    ) -> Version[VehicleState]:
        rules = compiled(*texts, revision=revision, lineages=lineages or LINEAGES)
        if more.get("stable") is not None:
            from dataclasses import replace

            rules = replace(rules, rollout=more.pop("rollout", HALF))
        return version_of(revision, rules, make, **more)

    def apply(self, revision: int, *texts: str, **more: Any) -> None:
        self.versions.switch(self.version(revision, texts, **more))

    def roll_out(self, revision: int, *texts: str, **more: Any) -> None:
        stable = self.versions.current.base
        self.apply(revision, *texts, stable=stable, winners=self.versions.current.winners, **more)

    def promote(self, revision: int, *texts: str, **more: Any) -> None:
        current = self.versions.current
        self.apply(revision, *texts, winners=current.winners | {current.revision}, **more)

    def begin(self) -> VehicleLogic[VehicleState]:
        logic = VehicleLogic("alerts", self.versions.current.fold, Counts(), versions=self.versions)
        for key, value in self.changelog.items():
            logic.restore(key, value)
        logic.restored(self.marker)
        return logic

    def commit(self) -> None:
        for key, value in self.logic.changes():
            if value is None:
                self.changelog.pop(key, None)
            else:
                self.changelog[key] = value
        self.marker = self.logic.clock()
        self.told += self.pending
        self.pending = []

    def crash(self) -> None:
        self.logic = self.begin()
        self.pending = []

    def say(self, vehicle_id: str, after_ms: int = 1000, **signals: float) -> list[Output]:
        self.received += after_ms
        names = {"speed": "Vehicle.Speed", "heat": "Vehicle.Heat"}
        said = {names[it]: value for it, value in signals.items()}
        value = encode_telemetry(
            vehicle_id, Reading(self.received, None, said, None, self.received), self.received
        )
        return self.hear(
            SimpleNamespace(key=vehicle_id.encode(), value=value, timestamp=self.received, headers=())
        )

    def wait(self, seconds: int) -> list[Output]:
        made = []
        for _ in range(seconds):
            self.received += 1000
            made += self.hear(SimpleNamespace(key=None, value=b"", timestamp=self.received))
        return made

    def hear(self, record: Any) -> list[Output]:
        out: list[Output] = []
        self.logic.process("vehicle.telemetry", [record], out)
        self.pending += out
        return out

    @property
    def all_told(self) -> list[Output]:
        return [*self.told, *self.pending]


def values(outputs: list[Output], topic: str = "vehicle.alerts") -> list[dict[str, Any]]:
    return [json.loads(it.value or b"null") for it in outputs if it.topic == topic]


def brief(outputs: list[Output]) -> list[tuple[Any, ...]]:
    return [
        (it["rule"], it["vehicleId"], it["state"], it["reason"], it["revision"]) for it in values(outputs)
    ]


def world(outputs: list[Output]) -> dict[str, tuple[Any, ...]]:
    """What a consumer of vehicle.alerts believes to fire; it knows a record by its id."""
    firing: dict[str, tuple[Any, ...]] = {}
    seen: dict[str, Output] = {}
    for output in outputs:
        if output.topic != "vehicle.alerts":
            continue
        record_id = dict(output.headers)["ce_id"].decode()
        assert seen.setdefault(record_id, output).value == output.value, "two records have one id"
        record = json.loads(output.value or b"")
        if record["state"] == "resolved":
            assert firing.pop(record["id"], None) is not None, f"an end without a beginning: {record}"
        else:
            firing[record["id"]] = (
                record["rule"],
                record["vehicleId"],
                record["startsAt"],
                record["severity"],
            )
    return firing


def test_shares_are_as_the_tests_below_need_them() -> None:
    assert len(TAKEN) >= 2
    assert len(LEFT) >= 2


def test_the_candidate_acts_for_its_share_and_the_stable_follows() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.roll_out(2, COOLER)
    made = run.say(TAKEN[0], heat=30.0) + run.say(LEFT[0], heat=30.0)
    assert brief(made) == [("hot", TAKEN[0], "firing", None, 2)]
    made = run.say(TAKEN[0], heat=70.0) + run.say(LEFT[0], heat=70.0)
    assert brief(made) == [("hot", LEFT[0], "firing", None, 1)]
    shadows = values(made, "telltale.shadow")
    assert [(it["track"], it["revision"], it["vehicleId"], it["topic"]) for it in shadows] == [
        ("stable", 1, TAKEN[0], "vehicle.alerts")
    ]
    assert shadows[0]["record"]["severity"] == "critical"


def test_a_rule_in_shadow_mode_is_recorded_and_acts_on_nothing() -> None:
    run = Partition(FAST)
    run.wait(1)
    quiet = alert("hot", "when: heat > 50, mode: shadow, actions: [{command: {name: cool}}]")
    run.apply(2, FAST, quiet, lineages={**LINEAGES, "hot": 2})
    made = run.say("v1", heat=60.0)
    assert [it.topic for it in made] == ["telltale.shadow", "telltale.shadow"]
    alerted, commanded = values(made, "telltale.shadow")
    assert (alerted["track"], alerted["topic"], commanded["topic"]) == (
        "shadow",
        "vehicle.alerts",
        "vehicle.commands",
    )
    assert commanded["record"]["name"] == "cool"


def test_a_rule_that_goes_into_shadow_ends_what_it_told() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.say("v1", heat=60.0)
    shadowed = alert("hot", "when: heat > 50, clearWhen: heat < 40, mode: shadow")
    run.apply(2, shadowed, lineages={**LINEAGES, "hot": 2})
    run.wait(1)
    assert world(run.all_told) == {}
    run.say("v1", heat=61.0)
    run.apply(3, HOT, lineages={**LINEAGES, "hot": 3})
    run.wait(1)
    assert world(run.all_told) == {}
    assert [it["record"]["reason"] for it in values(run.all_told, "telltale.shadow")] == [None, "deleted"]
    made = run.say("v1", heat=62.0)
    assert brief(made) == [("hot", "v1", "firing", None, 3)]


def test_a_rollback_ends_what_the_candidate_alone_fires() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.roll_out(2, COOLER)
    run.say(TAKEN[0], heat=30.0)
    run.apply(3, HOT)
    made = run.wait(1)
    assert brief(made) == [("hot", TAKEN[0], "resolved", "rolledBack", 2)]


def test_who_sleeps_through_a_rollback_and_the_next_promotion_does_not_take_the_one_for_the_other() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.roll_out(2, COOLER)
    run.say(TAKEN[0], heat=30.0)
    run.apply(3, HOT)
    run.roll_out(4, HOT)
    run.promote(5, HOT)
    made = run.wait(1)
    assert brief(made) == [("hot", TAKEN[0], "resolved", "rolledBack", 2)]


def test_a_rollback_tells_what_the_stable_alone_fires_and_acts_on_it() -> None:
    run = Partition(ACTING)
    run.wait(1)
    run.roll_out(2, alert("hot", "when: heat > 90"))
    assert values(run.say(TAKEN[0], heat=60.0)) == []
    run.apply(3, ACTING)
    made = run.wait(1)
    assert brief(made) == [("hot", TAKEN[0], "firing", None, 3)]
    assert [it.topic for it in made] == ["vehicle.alerts", "vehicle.commands", "t"]
    assert values(made)[0]["by"] == "rules"


def test_nothing_is_done_twice_where_both_fire_of_one_rule() -> None:
    """The alerts differ, since they began at different instants: one ends, one begins, no command is sent."""
    cooler = ACTING.replace("heat > 50", "heat > 20")
    run = Partition(ACTING)
    run.wait(1)
    run.roll_out(2, cooler)
    run.say(TAKEN[0], heat=30.0)
    made = run.say(TAKEN[0], heat=60.0)
    assert [it.topic for it in made] == ["telltale.shadow"] * 3
    run.apply(3, ACTING)
    made = run.wait(1)
    assert [it.topic for it in made] == ["vehicle.alerts", "vehicle.alerts"]
    assert [it[2:4] for it in brief(made)] == [("resolved", "rolledBack"), ("firing", None)]


def test_an_alert_that_both_fire_goes_on_without_a_word() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.say(TAKEN[0], heat=70.0)
    run.roll_out(2, HOTTER)
    assert values(run.wait(1)) == []
    run.apply(3, HOT)
    assert values(run.wait(1)) == []
    made = run.say(TAKEN[0], heat=30.0)
    assert brief(made) == [("hot", TAKEN[0], "resolved", "cleared", 3)]
    assert world(run.all_told) == {}


def test_what_the_stable_fires_alone_in_the_shadow_of_a_winner_ends_there() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.roll_out(2, HOTTER)
    assert [it["record"]["state"] for it in values(run.say(TAKEN[0], heat=55.0), "telltale.shadow")] == [
        "firing"
    ]
    run.promote(3, HOTTER)
    made = run.wait(1)
    assert values(made) == []
    shadows = values(made, "telltale.shadow")
    assert [(it["track"], it["record"]["state"], it["record"]["reason"]) for it in shadows] == [
        ("stable", "resolved", "promoted")
    ]


def test_raising_the_share_takes_further_vehicles_in_and_lowering_it_lets_them_go() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.roll_out(2, COOLER)
    for vehicle in VEHICLES:
        run.say(vehicle, heat=30.0)
    assert {it[1] for it in world(run.all_told).values()} == set(TAKEN)
    run.roll_out(3, COOLER, rollout=Rollout(100.0))
    for vehicle in VEHICLES:
        run.say(vehicle, heat=31.0)
    assert {it[1] for it in world(run.all_told).values()} == set(VEHICLES)
    run.roll_out(4, COOLER, rollout=Rollout(0.0))
    run.wait(1)
    assert world(run.all_told) == {}
    assert {it["reason"] for it in values(run.all_told) if it["state"] == "resolved"} == {"rolledBack"}


def test_a_rule_that_the_candidate_does_not_have_fires_again_after_a_rollback() -> None:
    run = Partition(FAST, HOT)
    run.wait(1)
    run.say(TAKEN[0], heat=60.0)
    run.roll_out(2, FAST)
    assert brief(run.wait(1)) == [("hot", TAKEN[0], "resolved", "deleted", 1)]
    run.apply(3, FAST, HOT)
    made = run.wait(1)
    assert [it[:3] for it in brief(made)] == [("hot", TAKEN[0], "firing")]
    assert len(world(run.all_told)) == 1


def test_an_edit_that_no_longer_selects_a_vehicle_resolves_its_alert() -> None:
    """It was dropped without a word: the state of a rule that is not for the vehicle is not restored."""
    run = Partition(HOT, SILENT)
    run.wait(1)
    run.say("v1", heat=60.0)
    run.wait(60)
    chosen = [text.replace("spec: {", 'spec: {vehicles: vehicle.id == "v2", ') for text in (HOT, SILENT)]
    run.apply(2, *chosen)
    made = run.wait(1)
    assert sorted(it[:4] for it in brief(made)) == [
        ("hot", "v1", "resolved", "deselected"),
        ("silent", "v1", "resolved", "deselected"),
    ]


def test_a_crash_between_two_forms_waits_for_the_revision_that_the_state_is_of() -> None:
    run = Partition(HOT)
    run.wait(1)
    run.say(TAKEN[0], heat=60.0)
    for number in range(300):
        run.say(f"w{number}", heat=1.0)
    run.roll_out(2, HOTTER)
    run.wait(1)
    run.commit()
    behind = Partition(HOT)
    behind.changelog, behind.marker = run.changelog, run.marker
    with pytest.raises(NotYet, match="revision 2"):
        behind.begin()
    run.crash()
    run.wait(5)
    run.commit()
    assert run.say(TAKEN[0], heat=30.0)
    assert world(run.all_told) == {}


def test_the_comparison_counts_both_over_the_same_events() -> None:
    run = Partition(HOT)
    run.wait(1)
    limits = Limits(after_events=3, fire_ratio_above=1.0)
    run.roll_out(2, COOLER, rollout=Rollout(100.0, "", limits))
    tracks = run.versions.current.tracks
    assert tracks is not None
    for number in range(6):
        run.say(f"v{number}", heat=30.0)
    comparison = tracks.comparison
    assert (comparison.candidate.events, comparison.stable.events) == (6, 6)
    assert (comparison.candidate.fired, comparison.stable.fired) == (6, 0)
    assert comparison.candidate.cost_ns > 0
    assert comparison.verdict(limits) == "it fired 6 times, the stable 0, over 6 events"


# -- laws ----------------------------------------------------------------------------------------------------

SETS = [
    (FAST, HOT),
    (FAST, HOTTER),
    (FAST, COOLER, STOPS),
    (HOT, SILENT),
    (FAST,),
    (FAST, HOT, STOPS, SILENT),
]


def script(dice: random.Random, length: int) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    for _ in range(length):
        if dice.random() < 0.8:
            signals = {dice.choice(["speed", "heat"]): float(dice.choice([5, 30, 45, 55, 70, 95, 120]))}
            steps.append(("say", (dice.choice(VEHICLES[:5]), signals)))
        else:
            steps.append(("wait", dice.choice([1, 2, 8, 40])))
    return steps


def play(run: Partition, steps: list[tuple[str, Any]], dice: random.Random | None = None) -> None:
    """Also with crashes, after which what was not committed is played again."""
    uncommitted: list[tuple[str, Any]] = []
    since = run.received
    if dice is not None:
        run.commit()
    for step in steps:
        kind, what = step
        if kind == "say":
            run.say(what[0], **what[1])
        else:
            run.wait(what)
        uncommitted.append(step)
        if dice is None:
            continue
        chance = dice.random()
        if chance < 0.3:
            run.commit()
            uncommitted, since = [], run.received
        elif chance < 0.5:
            run.crash()
            run.received = since
            play(run, uncommitted)
            run.commit()
            uncommitted, since = [], run.received


def plain(fired: dict[str, tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(fired.values())


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_a_rollout_and_its_rollback_leave_every_vehicle_as_without(seed: int) -> None:
    dice = random.Random(seed)
    stable, candidate = dice.choice(SETS), dice.choice(SETS)
    before, during, after = (script(dice, dice.randint(0, 15)) for _ in range(3))
    lineages = {name: dice.choice([1, 1, 2]) for name in NAMES}
    share = dice.choice([HALF, Rollout(100.0)])
    quiet, tried = Partition(*stable), Partition(*stable)
    for run in (quiet, tried):
        run.wait(1)
        play(run, before)
    tried.roll_out(2, *candidate, lineages=lineages, rollout=share)
    play(quiet, during)
    play(tried, during, dice)
    if dice.random() < 0.3:
        tried.roll_out(3, *candidate, lineages=lineages, rollout=Rollout(75.0))
        tried.wait(1)
        quiet.wait(1)
    tried.apply(4, *stable)
    play(quiet, [("wait", 1), *after])
    play(tried, [("wait", 1), *after], dice)
    assert plain(world(tried.all_told)) == plain(world(quiet.all_told))
    assert not any(b"candidate/" in key for key in _state(tried))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32))
def test_a_rollout_and_its_promotion_are_as_the_change_at_once(seed: int) -> None:
    """For the vehicles that the candidate had from the start; the others are as if it was applied later."""
    dice = random.Random(seed)
    stable, candidate = dice.choice(SETS), dice.choice(SETS)
    before, during, after = (script(dice, dice.randint(0, 15)) for _ in range(3))
    lineages = {name: dice.choice([1, 1, 2]) for name in NAMES}
    direct, tried = Partition(*stable), Partition(*stable)
    for run in (direct, tried):
        run.wait(1)
        play(run, before)
    direct.apply(2, *candidate, lineages=lineages)
    tried.roll_out(2, *candidate, lineages=lineages, rollout=Rollout(100.0))
    play(direct, during)
    play(tried, during, dice)
    tried.promote(3, *candidate, lineages=lineages)
    play(direct, [("wait", 1), *after])
    play(tried, [("wait", 1), *after], dice)
    assert sorted(map(str, _facts(direct))) == sorted(map(str, _facts(tried)))
    assert not any(b"candidate/" in key for key in _state(tried))
    stable_shadows = [
        it["record"] for it in values(tried.all_told, "telltale.shadow") if "state" in it["record"]
    ]
    assert all(it["revision"] == 1 for it in stable_shadows)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_two_revisions_never_act_for_one_vehicle(seed: int) -> None:
    dice = random.Random(seed)
    stable, candidate = dice.choice(SETS), dice.choice(SETS)
    run = Partition(*stable)
    run.wait(1)
    play(run, script(dice, 10))
    run.roll_out(2, *candidate, lineages=dict.fromkeys(NAMES, 2))
    run.wait(1)
    run.commit()
    before = len(run.all_told)
    play(run, script(dice, 20), dice)
    for record in values(run.all_told[before:]):
        assert record["revision"] == (2 if HALF.takes(record["vehicleId"]) else 1)
    for shadow in values(run.all_told[before:], "telltale.shadow"):
        assert HALF.takes(shadow["vehicleId"])
        assert shadow["revision"] == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_a_candidate_with_the_same_documents_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)
    texts = dice.choice(SETS)
    still, tried = Partition(*texts), Partition(*texts)
    for run in (still, tried):
        run.wait(1)
    for revision in range(2, 6):
        steps = script(dice, dice.randint(0, 10))
        play(still, [("wait", 1), *steps])
        kind = dice.choice(["roll_out", "apply", "promote"])
        getattr(tried, kind)(revision, *texts)
        play(tried, [("wait", 1), *steps], dice)
    assert sorted(map(str, _facts(still))) == sorted(map(str, _facts(tried)))


Line = tuple[tuple[str, ...], dict[str, int]]
"""The documents of a revision, and where the state of its rules began."""


def following(head: Line, texts: tuple[str, ...], revision: int, dice: random.Random) -> Line:
    """Some rules of the next revision go on with the state that they have at the head, the others begin."""
    there = {name for name in NAMES if any(f"name: {name}}}" in text for text in head[0])}
    return texts, {
        name: head[1][name] if name in there and dice.random() < 0.8 else revision for name in NAMES
    }


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_no_two_records_have_one_id_over_any_way_of_revisions(seed: int) -> None:
    """Nor two commands; and nothing ends that had not begun. With crashes in between."""
    dice = random.Random(seed)
    acting = FAST.replace("for: 5s", "for: 5s, actions: [{command: {name: slow}}]")
    sets: list[tuple[str, ...]] = [
        *SETS,
        (acting, ACTING),
        (acting, ACTING.replace("> 50", "> 20")),
        (acting.replace("5s,", "20s,"),),
    ]
    head: Line = (dice.choice(sets), LINEAGES)
    stable = head
    running: frozenset[int] = frozenset()
    winners: frozenset[int] = frozenset()
    run = Partition(*head[0])
    run.wait(1)
    for revision in range(2, 8):
        play(run, script(dice, dice.randint(0, 12)), dice)
        is_candidate = run.versions.current.tracks is not None
        kind = dice.choice(["roll_out", "roll_out", "apply", "back" if is_candidate else "apply"])
        if kind == "back":
            head = stable
        else:
            head = following(head, dice.choice([head[0], dice.choice(sets)]), revision, dice)
        if kind == "roll_out":
            share = Rollout(dice.choice([30.0, 60.0, 100.0]))
            run.roll_out(revision, *head[0], lineages=head[1], rollout=share)
            running |= {revision}
        else:
            winners |= running if kind == "apply" else frozenset()
            running = frozenset()
            run.apply(revision, *head[0], lineages=head[1], winners=winners)
            stable = head
        if dice.random() < 0.5:
            run.wait(1)
    play(run, script(dice, 12), dice)
    run.wait(60)
    world(run.all_told)
    commands: dict[str, Any] = {}
    for command in values(run.all_told, "vehicle.commands"):
        assert commands.setdefault(command["id"], command) == command, "two commands have one id"


def _facts(run: Partition) -> list[tuple[Any, ...]]:
    keys = ("id", "rule", "state", "severity", "startsAt", "firedAt", "endsAt", "reason", "value")
    return [tuple(it[key] for key in keys) for it in values(run.all_told)]


def _state(run: Partition) -> dict[bytes, bytes]:
    run.commit()
    return run.changelog


# -- what workers say ----------------------------------------------------------------------------------------


def test_the_status_counts_what_fires_also_after_a_restart_and_through_revisions() -> None:
    run = Partition(HOT)
    run.wait(1)
    for vehicle in VEHICLES:
        run.say(vehicle, heat=60.0)
    assert status(run.versions, None)["firing"] == {"hot": len(VEHICLES)}
    run.say(VEHICLES[0], heat=10.0)
    run.commit()
    run.crash()
    assert status(run.versions, None)["firing"] == {"hot": len(VEHICLES) - 1}
    run.roll_out(2, alert("hot", "when: heat > 90"), lineages={**LINEAGES, "hot": 2})
    run.wait(1)
    assert status(run.versions, None)["firing"] == {"hot": len(set(LEFT) - {VEHICLES[0]})}
    run.apply(3, HOT)
    run.wait(1)
    assert status(run.versions, None)["firing"] == {"hot": len(VEHICLES) - 1}
    run.logic.left()
    assert status(run.versions, None)["firing"] == {}


def test_the_status_names_rules_that_fail_repeatedly_under_the_revision_that_runs() -> None:
    run = Partition(alert("odd", "when: 10 / (int(heat) - 7) > 1, severity: critical"), HOT)
    run.wait(1)
    for _ in range(2):
        run.say("v1", heat=7.0)
    assert status(run.versions, None)["failing"] == []
    run.say("v2", heat=7.0)
    (failing,) = run.versions.failing.to_records()
    assert (failing["rule"], failing["count"]) == ("odd", 3)
    assert "zero" in str(failing["error"])
    run.apply(2, HOT)
    run.wait(1)
    assert status(run.versions, None)["failing"] == []
