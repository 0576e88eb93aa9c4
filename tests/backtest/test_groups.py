"""Figures of groups in a backtest: what a plain count of the trace says, whoever shares the vehicles."""

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest

from pipeline.backtest.alerts import alerts_of, differences
from pipeline.backtest.report import json_lines
from pipeline.backtest.running import Result
from rules.instants import format_instant
from tests.backtest.rulebook import RULES, START, run, write_rules

GROUPED = """\
---
apiVersion: telltale.dev/v1alpha1
kind: AggregationRule
metadata: {name: by-gear}
spec:
  window: {tumbling: 10s}
  groupBy: {gear: gear}
  aggregates: {samples: count(), fastest: max(speed), vehicles: distinct(vehicle.id)}
  alert: {when: fastest > LIMIT, severity: warning}
"""


def grouped(limit: int) -> str:
    return RULES + GROUPED.replace("LIMIT", str(limit))


def write_trace(file: Path, dice: random.Random) -> list[tuple[int, str, int, float]]:
    """Messages of six vehicles for two minutes: instant, vehicle, gear, speed. They arrive at once."""
    said = [
        (START + second * 1000, f"v{vehicle}", dice.randint(1, 3), float(dice.randint(0, 200)))
        for second in range(120)
        for vehicle in range(6)
        if dice.random() < 0.4
    ]
    lines = [
        json.dumps({"vehicleId": vehicle, "ts": at, "seq": number, "gear": gear, "speed": speed})
        for number, (at, vehicle, gear, speed) in enumerate(said)
    ]
    file.write_text("\n".join(lines))
    return said


def figures(result: Result) -> dict[tuple[int, str], tuple[int, float, int]]:
    """By group and start of the window, as it was told last."""
    found = {}
    for line in json_lines(result):
        record = json.loads(line)
        if record["topic"] == "vehicle.aggregates":
            value = record["value"]
            told = value["values"]
            key = (value["group"]["gear"], value["windowStart"])
            found[key] = (told["samples"], told["fastest"], told["vehicles"])
    return found


def counted(said: list[tuple[int, str, int, float]]) -> dict[tuple[int, str], tuple[int, float, int]]:
    windows = defaultdict(list)
    last = said[-1][0]
    for at, vehicle, gear, speed in said:
        windows[gear, at - at % 10_000].append((speed, vehicle))
    return {
        (gear, format_instant(start)): (len(them), max(them)[0], len({vehicle for _, vehicle in them}))
        for (gear, start), them in windows.items()
        if start + 10_000 + 10_000 + 1_000 <= last  # closed: by the clock, which is so far behind
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_figures_of_groups_are_those_of_a_plain_count(tmp_path: Path, seed: int) -> None:
    said = write_trace(tmp_path / "trace.jsonl", random.Random(seed))
    rules = write_rules(tmp_path, grouped(190))
    alone = run(rules, tmp_path / "trace.jsonl")
    expected = counted(said)
    assert len(expected) > 20
    found = figures(alone)
    assert {key: value for key, value in found.items() if key in expected} == expected


def test_it_does_not_matter_how_many_workers_share_the_vehicles(tmp_path: Path) -> None:
    write_trace(tmp_path / "trace.jsonl", random.Random(4))
    rules = write_rules(tmp_path, grouped(190))
    alone, together = (run(rules, tmp_path / "trace.jsonl", workers=workers) for workers in (1, 3))
    assert list(json_lines(alone)) == list(json_lines(together))


def test_the_difference_of_two_revisions_names_groups(tmp_path: Path) -> None:
    write_trace(tmp_path / "trace.jsonl", random.Random(5))
    before = write_rules(tmp_path / "before", grouped(1000))
    after = write_rules(tmp_path / "after", grouped(150))
    result = run(after, tmp_path / "trace.jsonl", against=before)
    changes = differences(alerts_of(result.against or ()), alerts_of(result.told))
    whose = {it.any.vehicle_id for it in changes if it.any.rule == "by-gear"}
    assert whose <= {'{"gear":1.0}', '{"gear":2.0}', '{"gear":3.0}'}
    assert {it.sign for it in changes if it.any.rule == "by-gear"} == {"+"}
