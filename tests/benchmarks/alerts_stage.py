"""What the alerts stage costs without Kafka: an event with 100 rules, an outcome, a checkpoint, a take-over.

    python -m tests.benchmarks.alerts_stage

The records, rules and the fleet's movement are those of `alerts_throughput`. The peer, in turn in the same
run, is the loop that one would write first: orjson, a dict of last values, the same conditions as one
hand-written function, the difference to what held before, and orjson again for what changed.
`take over` is the state of many vehicles, one record a part, put into a fresh logic: what a worker does
between reading the changelog and its first record; then a first message of each vehicle.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import orjson

from pipeline.process.collector import keep_collections_short
from pipeline.runtime.stage import Output
from pipeline.stages.folding import VehicleLogic
from pipeline.stages.rule_counts import RuleCounts
from rules import Source, compile_rules, parse
from rules.engine import Engine, RuleSet
from tests.benchmarks.workload import catalog_and_rules, hand_written, telemetry

BATCH = 1000
BEGIN_MS = 1_767_225_600_000


class Message(NamedTuple):
    """A consumed record."""

    key: bytes
    value: bytes
    timestamp: int
    topic: str = "vehicle.telemetry"
    partition: int = 0
    offset: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


def rule_set() -> RuleSet:
    """One hundred rules over ten signals."""
    rules = compile_rules(parse([Source("rules.yaml", catalog_and_rules())]))
    assert isinstance(rules, RuleSet), rules
    return rules


def logic_for(engine: Engine) -> VehicleLogic[object]:
    """One partition's logic."""
    return VehicleLogic("alerts", engine, RuleCounts(engine.take_activations))  # type: ignore[arg-type]


def stage_round(engine: Engine, messages: list[Message]) -> Callable[[], dict[str, float]]:
    """One pass over all messages: microseconds for an event, and for a changed vehicle at checkpoints."""

    def run() -> dict[str, float]:
        logic = logic_for(engine)
        processing = packing = 0.0
        outputs = changed = 0
        for begin in range(0, len(messages), BATCH):
            out: list[Output] = []
            at = time.process_time()
            logic.process("vehicle.telemetry", messages[begin : begin + BATCH], out)
            processed = time.process_time()
            changed += len(list(logic.changes()))
            packing += time.process_time() - processed
            processing += processed - at
            outputs += len(out)
        return {
            "event_us": processing / len(messages) * 1e6,
            "checkpoint_us_a_part": packing / max(1, changed) * 1e6,
            "outputs": outputs,
        }

    return run


def plain_round(messages: list[Message]) -> Callable[[], float]:
    """Microseconds for an event of the hand-written loop."""
    namespace: dict[str, Callable[[dict[str, float]], set[str]]] = {}
    exec(hand_written(), namespace)  # type: ignore[arg-type]
    holding = namespace["holding"]

    def run() -> float:
        known: dict[str, dict[str, float]] = {}
        before: dict[str, set[str]] = {}
        out: list[bytes] = []
        at = time.process_time()
        for message in messages:
            record = orjson.loads(message.value)
            vehicle = record["vehicleId"]
            values = known.setdefault(vehicle, {})
            values.update(record["signals"])
            now = holding(values)
            was = before.get(vehicle, set())
            if now != was:
                before[vehicle] = now
                for rule in now ^ was:
                    said = {"vehicleId": vehicle, "rule": rule, "state": rule in now, "at": record["ts"]}
                    out.append(orjson.dumps(said))
        return (time.process_time() - at) / len(messages) * 1e6

    return run


def take_over(engine: Engine, vehicles: int) -> dict[str, float]:
    """Seconds to restore so many vehicles, and microseconds for the first message of each."""
    logic = logic_for(engine)
    readings = [reading for reading, _ in telemetry(2 * vehicles, vehicles, BEGIN_MS)]
    messages = [Message(it.vehicle.encode(), it.value, it.received_at) for it in readings]
    logic.process("vehicle.telemetry", messages[:vehicles], [])
    state = [(key, value) for key, value in logic.changes() if value is not None]
    clock = logic.clock()
    begin = time.process_time()
    fresh = logic_for(engine)
    for key, value in state:
        fresh.restore(key, value)
    read = time.process_time()
    fresh.restored(clock)
    armed = time.process_time()
    fresh.process("vehicle.telemetry", messages[vehicles:], [])
    spent = time.process_time() - armed
    return {
        "vehicles": vehicles,
        "parts": len(state),
        "bytes_a_vehicle": sum(len(key) + len(value) for key, value in state) / vehicles,
        "restore_s": read - begin,
        "restored_s": armed - read,
        "first_message_us": spent / vehicles * 1e6,
    }


def main() -> None:
    """Measure, print for people, or with --json one object for programs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--events", type=int, default=40_000)
    arguments.add_argument("--vehicles", type=int, default=100_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    keep_collections_short()  # as every process of ours does
    engine = Engine(rule_set())
    readings = [reading for reading, _ in telemetry(options.events, 500, BEGIN_MS)]
    messages = [Message(it.vehicle.encode(), it.value, it.received_at) for it in readings]
    stage, plain = stage_round(engine, messages), plain_round(messages)
    stage()
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(stage())
        theirs.append(plain())
    figures = {name: round(statistics.median(it[name] for it in ours), 2) for name in ours[0]}
    figures["plain_loop_us"] = round(statistics.median(theirs), 2)
    figures |= {name: round(value, 3) for name, value in take_over(engine, options.vehicles).items()}
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:22} {value:g}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
