"""What one event costs against the number of rules, from 10 to 10,000, with the index of values and without.

    python -m tests.benchmarks.rule_count

Rules are what authors write: thresholds with `for`, with `clearWhen`, and conjunctions of two signals, in
turn; `spread` over 200 signals of which a message carries 20, or all on `one` signal of the 20. A vehicle
moves in one of three ways:

- `quiet`: every signal wanders, below all limits, as nearly always;
- `crossing`: the first signal goes to and fro over one limit, the lowest, so that one rule turns each time;
- `firing`: the first signal wanders, and half of the rules that read it fire all the time;
- `sweep`: the first signal goes from below all limits to above all, and back: the worst that can happen.

The peer, in turn in the same run, is a plain loop over the same conditions as compiled Python functions (over
a tenth of the events from 1,000 rules on). `300 rules on one stream` is the case for which eKuiper publishes
150,000 evaluations a second on 2 cores: one evaluation is one rule for one event, however it is answered.
Times are processor time: the median of several rounds, ours and the peer's in turn.
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

from rules.engine import Engine, Event, Outcome, Rule, RuleSet, Signal
from rules.language import DOUBLE, Compiled, Environment

SIGNALS = tuple(f"Vehicle.Group{index // 20}.Signal{index:03d}" for index in range(200))
ENVIRONMENT = Environment(dict.fromkeys(SIGNALS, DOUBLE))
STALE_AFTER_MS = 300_000
LOWEST_LIMIT, HIGHEST_LIMIT = 80.0, 100.0
COUNTS = (10, 100, 1_000, 10_000)
WARM_UP = 20
"""Messages that are not timed: each vehicle's first ones say everything anew."""
MOVES = ("quiet", "crossing", "firing", "sweep")


class Cost(NamedTuple):
    """Microseconds of processor for an event, and outcomes for a thousand events."""

    us: float
    outcomes: float


def compiled(text: str) -> Compiled:
    """A condition over the benchmark's signals."""
    found = ENVIRONMENT.compile(text)
    assert isinstance(found, Compiled), found
    return found


def rule_set(count: int, layout: str) -> RuleSet:
    """So many rules, their limits spread evenly from the lowest to the highest."""
    rules = []
    for index in range(count):
        signal = SIGNALS[index * 7 % 200 if layout == "spread" else 0]
        other = SIGNALS[(index * 7 + 3) % 20 + index * 7 % 200 // 20 * 20 if layout == "spread" else 1]
        limit = LOWEST_LIMIT + (HIGHEST_LIMIT - LOWEST_LIMIT) * index / count
        name, threshold = f"rule-{index:05d}", f"{signal} > {limit:.4f}"
        match index % 3:
            case 0:
                rules.append(Rule(name, compiled(threshold), for_ms=10_000, value=compiled(signal)))
            case 1:
                clear = compiled(f"{signal} < {limit - 10:.4f}")
                rules.append(Rule(name, compiled(threshold), for_ms=5_000, clear_when=clear))
            case _:
                rules.append(Rule(name, compiled(f"{threshold} && {other} < 70.0"), for_ms=10_000))
    return RuleSet({name: Signal(name, STALE_AFTER_MS) for name in SIGNALS}, tuple(rules))


def telemetry(events: int, layout: str, move: str, limit: float) -> list[Event]:
    """One vehicle's messages, one a second: 20 signals each, of one group of the 200 after the other."""
    choice = random.Random(7)
    values = dict.fromkeys(SIGNALS, 50.0)
    made = []
    for index in range(events):
        group = index % 10 if layout == "spread" and move == "quiet" else 0
        names = SIGNALS[group * 20 : group * 20 + 20]
        for name in names:
            values[name] += (50.0 - values[name]) * 0.05 + choice.uniform(-4.0, 4.0)
        if move == "crossing":
            values[SIGNALS[0]] = limit + (0.0001 if index % 2 else -0.0001)
        elif move == "firing":
            values[SIGNALS[0]] = (LOWEST_LIMIT + HIGHEST_LIMIT) / 2 + choice.uniform(0.0, 0.0005)
        elif move == "sweep":
            values[SIGNALS[0]] = HIGHEST_LIMIT + 10 if index % 2 else LOWEST_LIMIT - 10
        said = {name: values[name] for name in names}
        made.append(Event(index * 1000, index * 1000 + 200, said))
    return made


def engine_round(rules: RuleSet, events: list[Event], *, is_indexed: bool) -> Callable[[], Cost]:
    """One pass over the events by a fresh vehicle; code is generated before."""
    engine = Engine(rules, is_indexed=is_indexed, familiar_after=0)

    def run() -> Cost:
        vehicle = engine.new_vehicle("v1")
        out: list[Outcome] = []
        process = engine.process
        for event in events[:WARM_UP]:
            process(vehicle, event, event.ts, out)
        begin = time.process_time()
        for event in events[WARM_UP:]:
            process(vehicle, event, event.ts, out)
        spent = time.process_time() - begin
        return Cost(spent / (len(events) - WARM_UP) * 1e6, len(out) * 1000 / len(events))

    for _ in range(60 if len(events) < 100 else 1):  # until all pieces are written
        run()
    return run


def plain_round(rules: RuleSet, events: list[Event]) -> Callable[[], Cost]:
    """The loop that one would write first: the rules of a message's signals, one call each."""
    readers: dict[str, list[tuple[str, Callable[..., object], list[str]]]] = {}
    for rule in rules.rules:
        reads = [read.signal for read in rule.when.reads]
        parameters = ", ".join(read.name for read in rule.when.reads)
        condition = eval(f"lambda {parameters}: {rule.when.source}")
        readers.setdefault(reads[0], []).append((rule.name, condition, reads))

    def run() -> Cost:
        known: dict[str, object] = {}
        since: dict[str, int] = {}
        begin = time.process_time()
        for event in events:
            known.update(event.signals)
            for signal in event.signals:
                for name, condition, reads in readers.get(signal, ()):
                    if condition(*[known[read] for read in reads]):
                        since.setdefault(name, event.ts)
                    elif name in since:
                        del since[name]
        return Cost((time.process_time() - begin) / len(events) * 1e6, 0.0)

    return run


def measured(count: int, layout: str, move: str, rounds: int, events: int) -> dict[str, float]:
    """Medians for one number of rules."""
    rules = rule_set(count, layout)
    lowest = min(
        float(rule.when.source.split()[2])
        for rule in rules.rules
        if rule.when.text.startswith(f"{SIGNALS[0]} ")
    )
    many = count >= 1000
    drive = telemetry(events // (20 if many and move in ("firing", "sweep") else 1), layout, move, lowest)
    short = drive[: max(WARM_UP * 3, len(drive) // 10)] if many else drive
    ways = {
        "indexed": engine_round(rules, drive, is_indexed=True),
        "judging_all": engine_round(rules, short, is_indexed=False),
        "plain_loop": plain_round(rules, short),
    }
    found: dict[str, list[Cost]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            found[way].append(run())
    medians = {way: round(statistics.median(it.us for it in costs), 2) for way, costs in found.items()}
    return {**medians, "outcomes_per_1000": round(found["indexed"][0].outcomes, 1)}


def main() -> None:
    """Measure, print for people, or with --json one object for programs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--events", type=int, default=2_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    figures: dict[str, object] = {}
    for layout in ("spread", "one"):
        for move in MOVES:
            first = 0.0
            for count in COUNTS:
                costs = measured(count, layout, move, options.rounds, options.events)
                first = first or costs["indexed"]
                costs["ratio_to_10"] = round(costs["indexed"] / first, 2)
                figures[f"{layout}_{move}_{count}"] = costs
                if not options.json:
                    print(
                        f"{layout:6} {move:8} {count:6,} rules: {costs['indexed']:9.2f} us an event "
                        f"({costs['ratio_to_10']:.2f} times that of 10), judging all "
                        f"{costs['judging_all']:9.2f}, plain loop {costs['plain_loop']:9.2f}; "
                        f"{costs['outcomes_per_1000']:g} outcomes in 1,000 events",
                        flush=True,
                    )
    stream = measured(300, "one", "quiet", options.rounds, options.events)
    rates = {way: round(300 / stream[way] * 1e6) for way in ("indexed", "judging_all", "plain_loop")}
    figures["evaluations_per_second_300_rules"] = rates
    if options.json:
        print(json.dumps(figures))
    else:
        told = ", ".join(f"{way.replace('_', ' ')} {rate:,}" for way, rate in rates.items())
        print(f"300 rules on one stream, evaluations a second on one core: {told}")


if __name__ == "__main__":
    main()
