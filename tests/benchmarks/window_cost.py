"""What windows cost: microseconds for an event under 100 rules, beside adding each window up anew.

    python -m tests.benchmarks.window_cost

One vehicle says 20 signals once a second, on the second or somewhere within it; each rule reads a window of
one of them. The peer, in turn in the same run, is what one would write first: the samples of each signal in a
deque, from which old ones are dropped, and the function over what is left, for each rule and message.
"""

import argparse
import json
import random
import statistics
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence

from rules.engine import Engine, Event, Outcome, Rule, RuleSet, Signal
from tests.benchmarks.engine_cost import SIGNALS, STALE_AFTER_MS, compiled

FUNCTIONS: dict[str, Callable[[Sequence[float]], float]] = {
    "avg": statistics.fmean,
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
    "stddev": statistics.pstdev,
}
DURATIONS_S = (30, 60, 300, 600, 900)
RULES = 100


def rules_of(
    functions: Sequence[str], signals: int, durations: Sequence[int]
) -> list[tuple[str, str, int, float]]:
    """(function, signal, seconds, limit) of each rule: no two are the same."""
    limits = {"count": 2000.0, "sum": 1e6, "stddev": 60.0}
    return [
        (
            function := functions[index % len(functions)],
            SIGNALS[index % signals],
            durations[index // signals % len(durations)],
            limits.get(function, 101.0) + index,
        )
        for index in range(RULES)
    ]


def rule_set(rules: Sequence[tuple[str, str, int, float]]) -> RuleSet:
    """The rules as the engine wants them."""
    made = []
    for index, (function, signal, seconds, limit) in enumerate(rules):
        percent = ", 95" if function == "percentile" else ""
        condition = compiled(f'{function}({signal}{percent}, duration("{seconds}s")) > {limit}')
        made.append(Rule(f"rule-{index:03d}", condition))
    return RuleSet({name: Signal(name, STALE_AFTER_MS) for name in SIGNALS}, tuple(made))


def telemetry(events: int, *, is_jittered: bool) -> list[Event]:
    """One vehicle's messages, one a second: each signal walks at random between 0 and 100."""
    choice = random.Random(7)
    values = dict.fromkeys(SIGNALS, 50.0)
    made = []
    for index in range(events):
        for name, value in values.items():
            values[name] = min(100.0, max(0.0, value + choice.uniform(-2.0, 2.0)))
        at = index * 1000 + (choice.randint(0, 900) if is_jittered else 0)
        made.append(Event(at, at + 200, dict(values)))
    return made


def engine_round(rules: RuleSet, events: list[Event]) -> Callable[[], float]:
    """Microseconds for an event of one pass over the events by a fresh vehicle."""
    engine = Engine(rules)

    def run() -> float:
        vehicle = engine.new_vehicle("v1")
        out: list[Outcome] = []
        process = engine.process
        begin = time.perf_counter()
        for event in events:
            process(vehicle, event, event.ts, out)
        return (time.perf_counter() - begin) / len(events) * 1e6

    return run


def plain_round(rules: Sequence[tuple[str, str, int, float]], events: list[Event]) -> Callable[[], float]:
    """The same, each window added up anew with each message."""
    longest = {
        name: max([s for _, signal, s, _ in rules if signal == name], default=0) * 1000 for name in SIGNALS
    }

    def run() -> float:
        times: dict[str, deque[int]] = {name: deque() for name in SIGNALS}
        values: dict[str, deque[float]] = {name: deque() for name in SIGNALS}
        fired = 0
        begin = time.perf_counter()
        for event in events:
            for name, value in event.signals.items():
                times[name].append(event.ts)
                values[name].append(value)  # type: ignore[arg-type]
                while times[name] and times[name][0] <= event.ts - longest[name]:
                    times[name].popleft()
                    values[name].popleft()
            for function, signal, seconds, limit in rules:
                head = bisect_right(times[signal], event.ts - seconds * 1000)
                fired += FUNCTIONS[function](list(values[signal])[head:]) > limit
        return (time.perf_counter() - begin) / len(events) * 1e6

    return run


CASES = {
    "20 signals x 5 durations, times on the second": (tuple(FUNCTIONS), 20, DURATIONS_S, False),
    "20 signals x 5 durations, times within it": (tuple(FUNCTIONS), 20, DURATIONS_S, True),
    "20 signals x 5 durations, avg and max, times within it": (("avg", "max"), 20, DURATIONS_S, True),
    "one signal, 100 durations, times within it": (("avg",), 1, tuple(range(10, 910, 9)), True),
    "20 signals, percentiles of 5 min, times within it": (("percentile",), 20, (300,), True),
}


def main() -> None:
    """Measure, print for people, or with --json one object for programs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--events", type=int, default=2_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    figures = {}
    for name, (functions, signals, durations, is_jittered) in CASES.items():
        rules, events = (
            rules_of(functions, signals, durations),
            telemetry(options.events, is_jittered=is_jittered),
        )
        engine = engine_round(rule_set(rules), events)
        plain = None if "percentile" in functions else plain_round(rules, events[: options.events // 2])
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(engine())
            theirs.append(plain() if plain else 0.0)
        figures[name] = {
            "us_per_event": round(statistics.median(ours), 1),
            "plain": round(statistics.median(theirs), 1),
        }
        if not options.json:
            peer = f", plain {statistics.median(theirs):9.1f} us" if plain else ""
            print(f"{RULES} rules, {name}: {statistics.median(ours):8.1f} us an event{peer}")
    if options.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
