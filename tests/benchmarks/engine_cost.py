"""What the engine costs: microseconds for an event and bytes of state for a vehicle, beside a plain loop.

    python -m tests.benchmarks.engine_cost

Prints one line for each number of rules: the median and the best of several rounds, over 20 signals, all of
them in each message, next state and outcomes included. The peer, in turn in the same run, is what one would
write first: the same conditions as Python functions, called one after the other over a dict.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

from rules.engine import Engine, Event, Outcome, Rule, RuleSet, Rung, Signal
from rules.language import DOUBLE, Compiled, Environment

SIGNALS = tuple(f"Vehicle.Powertrain.Group{index // 5}.Signal{index}" for index in range(20))
ENVIRONMENT = Environment(dict.fromkeys(SIGNALS, DOUBLE))
STALE_AFTER_MS = 300_000


def compiled(text: str) -> Compiled:
    """A condition over the benchmark's signals."""
    found = ENVIRONMENT.compile(text)
    assert isinstance(found, Compiled), found
    return found


def rule_set(count: int, *, firing: bool = False) -> RuleSet:
    """So many rules: thresholds, every fourth with a second signal. `firing`: each holds all the time."""
    rules = []
    for index in range(count):
        signal = SIGNALS[index % len(SIGNALS)]
        other = SIGNALS[(index * 7 + 3) % len(SIGNALS)]
        limit = -1000 if firing else 95 + index % 50
        text = f"{signal} > {limit}" + (f" && {other} < 50" if index % 4 == 3 and not firing else "")
        condition = compiled(text)
        value = compiled(signal) if index % 4 != 3 or firing else None
        rules.append(
            Rule(f"rule-{index:05d}", condition, for_ms=10_000, value=value, ladder=(Rung("warning"),))
        )
    return RuleSet({name: Signal(name, STALE_AFTER_MS) for name in SIGNALS}, tuple(rules))


def telemetry(events: int, signals: int) -> list[Event]:
    """One vehicle's messages, one a second: each signal walks at random between 0 and 100."""
    choice = random.Random(7)
    values = dict.fromkeys(SIGNALS[:signals], 50.0)
    made = []
    for index in range(events):
        for name, value in values.items():
            values[name] = min(100.0, max(0.0, value + choice.uniform(-2.0, 2.0)))
        made.append(Event(index * 1000, index * 1000 + 200, dict(values)))
    return made


def engine_round(rules: RuleSet, events: list[Event]) -> Callable[[], tuple[float, int]]:
    """Microseconds for an event, and outcomes, of one pass over the events by a fresh vehicle."""
    engine = Engine(rules)

    def run() -> tuple[float, int]:
        vehicle = engine.new_vehicle("v1")
        out: list[Outcome] = []
        process = engine.process
        begin = time.perf_counter()
        for event in events:
            process(vehicle, event, event.ts, out)
        spent = time.perf_counter() - begin
        return spent / len(events) * 1e6, len(out)

    return run


def plain_round(rules: RuleSet, events: list[Event]) -> Callable[[], tuple[float, int]]:
    """The same for a loop over functions: last-known values in a dict, one call a rule, `for` by hand."""
    conditions = [
        (rule.name, eval(f"lambda {', '.join(read.name for read in rule.when.reads)}: {rule.when.source}"))
        for rule in rules.rules
    ]
    reads = [[read.signal for read in rule.when.reads] for rule in rules.rules]

    def run() -> tuple[float, int]:
        known: dict[str, object] = {}
        since: dict[str, int] = {}
        fired: set[str] = set()
        outcomes = 0
        begin = time.perf_counter()
        for event in events:
            known.update(event.signals)
            for (name, condition), names in zip(conditions, reads, strict=True):
                if condition(*[known[signal] for signal in names]):
                    if name not in fired and event.ts - since.setdefault(name, event.ts) >= 10_000:
                        fired.add(name)
                        outcomes += 1
                elif since.pop(name, None) is not None and name in fired:
                    fired.discard(name)
                    outcomes += 1
        spent = time.perf_counter() - begin
        return spent / len(events) * 1e6, outcomes

    return run


def state_bytes(count: int) -> int:
    """The packed state of a vehicle with 20 signals all of whose rules fire."""
    engine = Engine(rule_set(count, firing=True))
    vehicle = engine.new_vehicle("v1")
    out: list[Outcome] = []
    for event in telemetry(30, len(SIGNALS)):
        engine.process(vehicle, event, event.ts, out)
    assert len(out) == count
    return sum(len(part) + len(packed) for part, packed in engine.snapshot(vehicle).items())


def snapshot_cost(events: list[Event]) -> float:
    """Microseconds to pack what one event changed."""
    engine = Engine(rule_set(100))
    vehicle = engine.new_vehicle("v1")
    spent = 0.0
    for event in events:
        engine.process(vehicle, event, event.ts, [])
        begin = time.perf_counter()
        engine.changed(vehicle)
        spent += time.perf_counter() - begin
    return spent / len(events) * 1e6


def main() -> None:
    """Measure, print for people, or with --json one object for programs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--events", type=int, default=5_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    figures: dict[str, object] = {}
    events = telemetry(options.events, len(SIGNALS))
    for count in (10, 100, 1000):
        rules = rule_set(count)
        engine, plain = engine_round(rules, events), plain_round(rules, events)
        engine()
        ours, theirs, outcomes = [], [], (0, 0)
        for _ in range(options.rounds):
            mine, other = engine(), plain()
            ours.append(mine[0])
            theirs.append(other[0])
            outcomes = (mine[1], other[1])
        figures[f"rules_{count}"] = {
            "us_per_event": round(statistics.median(ours), 2),
            "best": round(min(ours), 2),
            "plain_loop": round(statistics.median(theirs), 2),
            "outcomes": outcomes[0],
        }
        if not options.json:
            print(
                f"{count:5d} rules: {statistics.median(ours):7.2f} us an event (best {min(ours):.2f}), "
                f"plain loop {statistics.median(theirs):8.2f} us; outcomes {outcomes[0]} and {outcomes[1]}"
            )
    figures["snapshot_us"] = round(snapshot_cost(events), 2)
    figures["state_bytes"] = state_bytes(20)
    if options.json:
        print(json.dumps(figures))
    else:
        print(f"packing what an event changed: {figures['snapshot_us']} us")
        print(f"state of a vehicle, 20 signals, 20 rules firing: {figures['state_bytes']} bytes")


if __name__ == "__main__":
    main()
