"""Law: a test tells of groups what the stage tells that has one partition, restarts or not."""

import json
import random
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.stages.aggregation_counts import AggregationCounts
from pipeline.stages.grouping import AggregationLogic
from pipeline.stages.partials import TOPIC
from pipeline.stages.versions import Versions, version_of
from rules.documents import Source, parse
from rules.engine import AggregationEngine
from rules.instants import format_instant
from rules.testing import Suite, runs, suite
from tests import stages
from tests.stages.partition import Record

GROUPS = (Path(stages.__file__).parent / "groups.yaml").read_text(encoding="utf-8")
QUIET_MS = 3_000
END_S = 150


def messages(dice):
    """(event time, received at, vehicle, signals) in seconds, as they come."""
    found = []
    for received in sorted(dice.sample(range(100), dice.randint(3, 40))):
        at = received - dice.choice((0, 0, 0, 1, 7, 20, 70))
        signals = {"speed": dice.choice((0.0, 90.0, 120.0, 150.5))}
        if dice.random() < 0.5:
            signals["gear"] = dice.choice(("D", "R"))
        found.append((max(at, 0), received, dice.choice(("a", "b", "c")), signals))
    return found


def script_of(said, restarts):
    steps = [
        {"at": f"{at}s", "receivedAt": f"{received}s", "vehicle": vehicle, "signals": signals}
        for at, received, vehicle, signals in said
    ]
    steps += [{"at": f"{at}s", "restart": True} for at in restarts]
    spec = {"quietAfter": "3s", "steps": steps, "until": f"{END_S}s"}
    spec["expect"] = [{"rule": "everything", "aggregates": []}]
    test = {
        "apiVersion": "telltale.dev/v1alpha1",
        "kind": "RuleTest",
        "metadata": {"name": "t"},
        "spec": spec,
    }
    found = suite(parse([Source("groups.yaml", GROUPS), Source("t.test.yaml", json.dumps(test))]))
    assert isinstance(found, Suite), [each.format() for each in found]
    return found


def told_by_the_stage(rules, start, said):
    """A record a line: telemetry and ticks of one partition, and what it sends to itself."""
    engine = AggregationEngine(rules, quiet_after_ms=QUIET_MS)
    versions = Versions(lambda _: engine, version_of(0, rules, lambda _: engine))
    logic = AggregationLogic((0, 1), versions, AggregationCounts(), QUIET_MS)
    names = {"speed": "Vehicle.Speed", "gear": "Vehicle.Gear"}
    outputs = []

    def process(topic, at, key, value):
        out = []
        logic.process(topic, [Record(topic, 0, at, key, value)], out)
        for output in out:
            outputs.append(output)
            if output.topic == TOPIC:
                process(TOPIC, at, output.key, output.value)

    for second in range(END_S + 1):
        now = start + second * 1000
        process("vehicle.telemetry", now, None, json.dumps({"receivedAt": format_instant(now)}).encode())
        for at, received, vehicle, signals in said:
            if received == second:
                value = {"vehicleId": vehicle, "ts": format_instant(start + at * 1000)}
                value |= {
                    "receivedAt": format_instant(now),
                    "signals": {names[k]: v for k, v in signals.items()},
                }
                process("vehicle.telemetry", now, vehicle.encode(), json.dumps(value).encode())
    return [json.loads(output.value) for output in outputs if output.topic != TOPIC]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**40), st.lists(st.integers(0, END_S), max_size=4))
def test_a_test_tells_of_groups_what_the_stage_tells(seed, restarts):
    said = messages(random.Random(seed))
    found = script_of(said, restarts)
    (script,) = found.scripts
    heard = [it.outcome.to_record() for it in runs.run(script, found._rules).heard]
    assert heard == told_by_the_stage(found._rules, script.start, said)
