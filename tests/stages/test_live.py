"""A partition goes from one revision of the rules to another: whole, with the state that means something."""

import json
import random
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.runtime.stage import Output
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.payloads import Reading
from pipeline.stages.telemetry import encode_telemetry
from pipeline.stages.versions import Version, Versions, version_of
from rules import Engine, RuleSet, Source, VehicleState, compile_rules, parse

CATALOG = """\
apiVersion: telltale.dev/v1alpha1
kind: SignalCatalog
metadata: {name: default}
spec: {timestamp: {path: ts}, signals: {Vehicle.Speed: {alias: speed}, Vehicle.Heat: {alias: heat}}}
"""
QUIET_MS = 2_000
START = 1_767_225_600_000


def alert(name: str, spec: str) -> str:
    head = f"apiVersion: telltale.dev/v1alpha1\nkind: AlertRule\nmetadata: {{name: {name}}}\n"
    return f"{head}spec: {{{spec}}}\n"


FAST = alert("fast", "when: speed > 100, for: 5s")
HOT = alert("hot", "when: heat > 50, clearWhen: heat < 40, severity: critical")
STOPS = (
    "apiVersion: telltale.dev/v1alpha1\nkind: SequenceRule\nmetadata: {name: stops}\n"
    "spec: {within: 1m, steps: [{name: fast, when: speed > 90}, {name: slow, when: speed < 10}]}\n"
)
SILENT = alert("silent", "absentFor: {duration: 30s}")


def compiled(*texts: str, revision: int = 0, lineages: dict[str, int] | None = None) -> RuleSet:
    found = compile_rules(
        parse([Source("rules.yaml", "---\n".join([CATALOG, *texts]))]), revision or 1, lineages
    )
    assert isinstance(found, RuleSet), found
    return found


def make(rules: RuleSet) -> Engine:
    return Engine(rules, quiet_after_ms=QUIET_MS)


class Counts:
    def heard(self, events: int, newest: int, received: int) -> None: ...
    def happened(self, outcome: Any) -> None: ...
    def flush(self) -> None: ...


class Partition:
    """One partition with its changelog; `crash` throws away what was not committed."""

    def __init__(self, *texts: str) -> None:
        self.versions: Versions[VehicleState] = Versions(make, self.version(0, *texts))
        self.changelog: dict[bytes, bytes] = {}
        self.marker: bytes | None = None
        self.told: list[dict[str, Any]] = []
        self.received = START
        self.logic = self.begin()

    def version(self, revision: int, *texts: str, **lineages: int) -> Version[VehicleState]:
        rules = compiled(*texts, revision=revision, lineages=lineages)
        return version_of(revision, rules, make)

    def apply(self, revision: int, *texts: str, **lineages: int) -> None:
        self.versions.switch(self.version(revision, *texts, **lineages))

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

    def crash(self) -> None:
        self.logic = self.begin()

    def say(self, vehicle_id: str, after_ms: int = 1000, **signals: float) -> list[dict[str, Any]]:
        self.received += after_ms
        names = {"speed": "Vehicle.Speed", "heat": "Vehicle.Heat"}
        reading = Reading(
            self.received, None, {names[it]: v for it, v in signals.items()}, None, self.received
        )
        value = encode_telemetry(vehicle_id, reading, self.received)
        return self.hear(
            SimpleNamespace(key=vehicle_id.encode(), value=value, timestamp=self.received, headers=())
        )

    def wait(self, seconds: int) -> list[dict[str, Any]]:
        told = []
        for _ in range(seconds):
            self.received += 1000
            told += self.hear(SimpleNamespace(key=None, value=b"", timestamp=self.received))
        return told

    def hear(self, record: Any) -> list[dict[str, Any]]:
        out: list[Output] = []
        self.logic.process("vehicle.telemetry", [record], out)
        told = [json.loads(it.value) for it in out if it.value is not None and it.topic == "vehicle.alerts"]
        self.told += told
        return told


def brief(told: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(it["rule"], it["vehicleId"], it["state"], it["reason"], it["by"]) for it in told]


def test_what_fires_of_a_deleted_rule_is_resolved_for_every_vehicle() -> None:
    """One that is in memory, one that is packed, and one of which the rule knows nothing."""
    run = Partition(FAST, HOT)
    run.wait(1)
    run.say("v1", heat=60.0)
    run.say("v3", heat=10.0)
    run.commit()
    run.crash()
    run.say("v2", heat=60.0)
    run.apply(1, FAST, fast=1)
    assert sorted(brief(run.wait(2))) == [
        ("hot", "v1", "resolved", "deleted", "rules"),
        ("hot", "v2", "resolved", "deleted", "rules"),
    ]
    run.commit()
    assert not any(b"hot" in key for key in run.changelog)
    assert run.say("v1", heat=60.0) == []


def test_an_edit_keeps_the_state() -> None:
    run = Partition(HOT)
    run.wait(1)
    fired = run.say("v1", heat=60.0)
    run.apply(2, alert("hot", "when: heat > 55, clearWhen: heat < 30, severity: warning"), hot=1)
    assert run.say("v1", heat=35.0) == []
    resolved = run.say("v1", heat=20.0)
    assert [it["id"] for it in resolved] == [it["id"] for it in fired]
    assert (resolved[0]["revision"], fired[0]["revision"]) == (2, 1)


def test_a_pending_alert_under_a_shorter_hold_fires_when_it_is_due() -> None:
    run = Partition(alert("fast", "when: speed > 100, for: 60s"))
    run.wait(1)
    run.say("v1", speed=120.0)
    run.wait(10)
    run.commit()
    run.crash()
    run.apply(1, alert("fast", "when: speed > 100, for: 15s"), fast=1)
    told = run.wait(10)
    assert brief(told) == [("fast", "v1", "firing", None, "silence")]
    assert told[0]["startsAt"] != told[0]["firedAt"]


def test_a_rule_whose_state_means_something_else_begins_anew() -> None:
    run = Partition(STOPS)
    run.wait(1)
    run.say("v1", speed=95.0)
    edited = STOPS.replace("speed > 90", "speed > 80")
    run.apply(1, edited, stops=1)
    assert brief(run.say("v1", speed=5.0)) == []
    run.say("v1", speed=85.0)
    assert [it[2] for it in brief(run.say("v1", speed=5.0))] == ["firing", "resolved"]


def test_what_fires_of_a_rule_that_begins_anew_is_resolved() -> None:
    run = Partition(HOT)
    run.wait(1)
    fired = run.say("v1", heat=60.0)
    run.apply(2, HOT, hot=2)
    ended = run.wait(1)
    assert brief(ended) == [("hot", "v1", "resolved", "deleted", "rules")]
    again = run.say("v1", heat=60.0)
    assert [it["state"] for it in again] == ["firing"]
    assert len({it["id"] for it in (*fired, *ended, *again)}) == 2


def test_a_new_rule_hears_the_silence_of_a_vehicle_that_is_silent_already() -> None:
    run = Partition(FAST)
    run.wait(1)
    run.say("v1", speed=50.0)
    run.wait(20)
    run.commit()
    run.crash()
    run.apply(1, FAST, SILENT, fast=1, silent=1)
    assert brief(run.wait(60)) == [("silent", "v1", "firing", None, "silence")]


def test_a_checkpoint_of_a_revision_that_is_not_loaded_is_waited_for() -> None:
    import pytest

    from pipeline.stages.versions import NotYet

    run = Partition(FAST)
    run.wait(1)
    run.say("v1", speed=120.0)
    run.apply(3, FAST, fast=1)
    run.wait(2)
    run.commit()
    behind = Partition(FAST)
    behind.changelog, behind.marker = run.changelog, run.marker
    with pytest.raises(NotYet, match="revision 3"):
        behind.begin()
    behind.apply(4, HOT, hot=4)
    with pytest.raises(NotYet, match="revision 3"):
        behind.begin()
    assert behind.versions.wanted() == [3]
    behind.versions.know(behind.version(3, FAST, fast=1))
    assert behind.begin()


SETS = [(FAST, HOT), (FAST,), (HOT, STOPS), (FAST, HOT, STOPS, SILENT)]


def script(dice: random.Random) -> list[tuple[str, Any]]:
    steps: list[tuple[str, Any]] = []
    for _ in range(dice.randint(5, 40)):
        kind = dice.choice(["say"] * 6 + ["wait"] * 2 + ["same"])
        if kind == "say":
            signals = {dice.choice(["speed", "heat"]): float(dice.choice([5, 30, 45, 60, 95, 120]))}
            steps.append(("say", (dice.choice(["v1", "v2", "v3"]), signals)))
        else:
            steps.append((kind, dice.randint(1, 8)))
    return steps


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_replacing_a_set_by_itself_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)
    texts = dice.choice(SETS)
    steps = script(dice)
    still, swapped = Partition(*texts), Partition(*texts)
    lineages = dict.fromkeys(("fast", "hot", "stops", "silent"), 1)
    revision = 0
    for kind, what in steps:
        for run in (still, swapped):
            if kind == "say":
                run.say(what[0], **what[1])
            elif kind == "wait":
                run.wait(what)
        if kind == "same":
            revision += 1
            swapped.apply(revision, *texts, **lineages)
            if what > 4:
                swapped.commit()
                swapped.crash()
    plain = [{**it, "revision": 0} for it in still.told]
    assert sorted(map(str, plain)) == sorted(str({**it, "revision": 0}) for it in swapped.told)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_a_crash_at_any_point_of_a_change_tells_the_same(seed: int) -> None:
    """Outcomes that were not committed are told again, with the same ids: so once, in Kafka."""
    dice = random.Random(seed)
    before, after = dice.choice(SETS), dice.choice(SETS)
    lineages = dict.fromkeys(("fast", "hot", "stops", "silent"), 1)
    steps = script(dice)
    at = dice.randint(0, len(steps))
    told: list[set[str]] = []
    for crashes in (False, True):
        run = Partition(*before)
        run.wait(1)
        kept: set[str] = set()
        for number, (kind, what) in enumerate(steps):
            if number == at:
                run.apply(7, *after, **lineages)
            made = run.say(what[0], **what[1]) if kind == "say" else run.wait(what)
            kept |= {f"{it['id']} {it['state']} {it['reason']}" for it in made}
            run.commit()
            if crashes and number >= at:
                run.crash()
        kept |= {f"{it['id']} {it['state']} {it['reason']}" for it in run.wait(3)}
        told.append(kept)
    assert told[0] == told[1]
