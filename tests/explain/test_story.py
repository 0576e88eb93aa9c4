"""The story of a rule is that of the very run: outcomes are the engine's, moments follow each other."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.backtest.asked import Asked, Gaps
from pipeline.backtest.replay import Replay, folds_of
from pipeline.explain.asked import Question, watch
from pipeline.explain.offline import VehicleMissing, watch_files
from pipeline.process.failures import ConfigurationError
from rules.explain import judgement_lines, moment_line, verdict
from tests.backtest.rulebook import RULES, START, write_rules
from tests.backtest.test_replay import messages_of, rule_set

MORE = """\
---
apiVersion: telltale.dev/v1alpha1
kind: SequenceRule
metadata: {name: hurries}
spec:
  within: 1m
  steps: [{name: slow, when: speed < 60}, {name: fast, when: speed > 120}, {name: faster, when: speed > 135}]
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: silent}
spec: {absentFor: {duration: 30s}}
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: scheduled}
spec:
  when: speed > 60
  for: 5s
  schedule: [{from: "00:01", to: "00:02", timeZone: UTC}, {from: "00:03", to: "23:00", timeZone: UTC}]
---
apiVersion: telltale.dev/v1alpha1
kind: AlertRule
metadata: {name: counted}
spec:
  vehicles: vehicle.id != "v7"
  when: speed > 120 && belt == false
  forEvents: {count: 3, within: 1m}
  clearWhen: speed < 60
  severity: [{critical: speed > 135}, {warning: true}]
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rules(tmp_path_factory.mktemp("rules"), RULES + MORE)


def question(rules: Path, rule: str, **more: Any) -> Question:
    return Question(rule, more.pop("vehicle", "v1"), Asked((rules,), quiet_after_ms=2000, **more))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(["fast", "unbelted", "hurries", "silent", "counted", "scheduled"]),
)
def test_the_story_is_that_of_the_run(rules: Path, seed: int, name: str) -> None:
    messages = messages_of(seed)
    watched = watch(question(rules, name))
    story, plain = Replay({"alerts": watched}), Replay(folds_of(rule_set(RULES + MORE), 2000))
    for message in messages:
        story.hear(message)
        plain.hear(message)
    for replay in (story, plain):
        replay.finish(messages[-1].event.received_at + 600_000)
    by_rule = [it for it in plain.result().told if _rule(it.value) == name]
    assert [it.value for it in story.result().told] == [it.value for it in by_rule]
    told = [it for moment in watched.moments for it in moment.told]
    assert len(told) == len(by_rule)
    assert watched.vehicle is not None
    states = [moment.before for moment in watched.moments] + [watched.state(watched.vehicle)]
    afters = [moment.after for moment in watched.moments]
    assert [replace(it, ended_at=None) for it in states[1:]] == [replace(it, ended_at=None) for it in afters]
    for moment in watched.moments:
        assert moment_line(moment)
    at = watched.vehicle.time
    assert list(verdict(watched.rule, watched.state(watched.vehicle), at))
    for judgement in watched.judge(watched.vehicle, at):
        assert list(judgement_lines(judgement, at))


def _rule(value: bytes) -> str:
    said = json.loads(value)
    name: str = said["rule"] if "rule" in said else said["cause"]["rule"]
    return name


def trace(tmp_path: Path) -> Path:
    file = tmp_path / "trace.csv"
    rows = [f"v1,{START + number * 1000},{130 if 4 <= number < 20 else 90},false" for number in range(24)]
    rows += [f"v7,{START + 30_000},130,false"]
    file.write_text("\n".join(["vehicleId,ts,speed,belt", *rows]))
    return file


@pytest.mark.parametrize(
    ("rule", "second", "lines"),
    [
        pytest.param("fast", 3, ["inactive"], id="inactive"),
        pytest.param(
            "fast", 9, [
                "pending since 2026-01-01T00:00:04.000Z: held 5s of 10s, fires at 2026-01-01T00:00:14.000Z"
            ], id="pending",
        ),
        pytest.param(
            "fast", 15, [
                "firing (critical) since 2026-01-01T00:00:04.000Z, fired at 2026-01-01T00:00:14.000Z"
            ], id="firing",
        ),
        pytest.param(
            "fast", 22, [
                "firing (critical) since 2026-01-01T00:00:04.000Z, fired at 2026-01-01T00:00:14.000Z",
                "ends at 2026-01-01T00:00:25.000Z: keepFiringFor runs since 2026-01-01T00:00:20.000Z",
            ], id="clearing",
        ),
        pytest.param(
            "scheduled", 9, [
                "outside its schedule until 2026-01-01T00:01:00.000Z: the condition counts as false",
                "inactive",
            ], id="closed",
        ),
        pytest.param(
            "counted", 5, [
                "pending since 2026-01-01T00:00:04.000Z", "forEvents: 2 of 3 messages within 1m"
            ], id="counting",
        ),
    ],
)  # fmt: skip
def test_the_verdict_says_how_the_rule_stands(
    rules: Path, tmp_path: Path, rule: str, second: int, lines: list[str]
) -> None:
    asked = question(rules, rule, files=(trace(tmp_path),))
    watched, at = watch_files(replace(asked, at=START + second * 1000))
    assert watched.vehicle is not None
    assert list(verdict(watched.rule, watched.state(watched.vehicle), at)) == lines


def test_a_condition_is_taken_apart_with_the_values_that_it_read(rules: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text(f"vehicleId,ts,speed,belt\nv1,{START},130,\nv1,{START + 5000},,\n")
    watched, at = watch_files(question(rules, "counted", files=(file,)))
    assert watched.vehicle is not None
    when, *_ = watched.judge(watched.vehicle, at)
    assert list(judgement_lines(when, at)) == [
        "when: speed > 120 && belt == false  ->  unknown",
        "    true     speed > 120    (Vehicle.Speed = 130, 5s old)",
        "    unknown  belt == false    (Vehicle.Belt: unknown, never seen)",
    ]


def test_a_schedule_that_closes_is_why_a_rule_did_not_fire(rules: Path, tmp_path: Path) -> None:
    file = tmp_path / "closes.csv"
    rows = [f"v1,{START + second * 1000},90,false" for second in (117, 119, 121, 123, 130)]
    file.write_text("\n".join(["vehicleId,ts,speed,belt", *rows]))
    watched, at = watch_files(question(rules, "scheduled", files=(file,)))
    assert watched.vehicle is not None
    assert [moment_line(it) for it in watched.moments] == [
        "2026-01-01T00:01:57.000Z  inactive -> pending: Vehicle.Speed = 90",
        "2026-01-01T00:02:01.000Z  pending -> inactive: Vehicle.Speed = 90; outside its schedule",
    ]
    says = list(verdict(watched.rule, watched.state(watched.vehicle), at))
    assert says[0].startswith("outside its schedule until 2026-01-01T00:03:00.000Z")


def test_a_vehicle_that_the_rule_is_not_for_and_one_that_is_not_there(rules: Path, tmp_path: Path) -> None:
    file = trace(tmp_path)
    watched, at = watch_files(question(rules, "counted", vehicle="v7", files=(file,)))
    assert watched.vehicle is not None
    assert "not for this vehicle" in next(verdict(watched.rule, watched.state(watched.vehicle), at))
    with pytest.raises(VehicleMissing, match="says nothing of v9; it has v1, v7"):
        watch_files(question(rules, "counted", vehicle="v9", files=(file,)))
    with pytest.raises(ConfigurationError, match="no rule is called fasst; did you mean fast"):
        watch_files(question(rules, "fasst", files=(file,)))


def test_a_trace_without_vehicle_and_clock_is_explained_too(rules: Path, tmp_path: Path) -> None:
    file = tmp_path / "drive.csv"
    file.write_text("speed,belt\n" + "130,true\n" * 12)
    watched, _ = watch_files(question(rules, "fast", files=(file,), gaps=Gaps("v1", START, 1000)))
    assert [(it.before.phase, it.after.phase) for it in watched.moments] == [
        ("inactive", "pending"),
        ("pending", "firing"),
    ]
