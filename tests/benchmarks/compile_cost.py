"""What it takes to load many rules: reading YAML, compiling conditions, building an engine, first messages.

python -m tests.benchmarks.compile_cost --rules 10000
"""

import argparse
import json
import time
import tracemalloc
from collections.abc import Iterator

from rules import Source, compile_rules, parse
from rules.engine import Engine, Event, Outcome, RuleSet

SIGNALS = tuple(f"Vehicle.Group{index // 20}.Signal{index:03d}" for index in range(200))


def documents(count: int) -> Iterator[str]:
    """A catalog and rules: thresholds with `for`, with `clearWhen`, and conjunctions, in turn."""
    head = "apiVersion: telltale.dev/v1alpha1\n"
    signals = "".join(
        f"    {name}: {{path: s{index}, type: double, unit: km/h}}\n" for index, name in enumerate(SIGNALS)
    )
    yield (
        f"{head}kind: SignalCatalog\nmetadata: {{name: default}}\n"
        f"spec:\n  timestamp: {{path: ts}}\n  signals:\n{signals}"
    )
    for index in range(count):
        signal, other = SIGNALS[index * 7 % 200], SIGNALS[(index * 7 + 3) % 200]
        when, more = f"{signal} > {80 + index % 97 / 5}", "  for: 10s\n"
        if index % 3 == 1:
            more = f"  clearWhen: {signal} < {60 + index % 97 / 5}\n  for: 5s\n"
        elif index % 3 == 2:
            when += f" && {other} < 70.0"
        yield (
            f"{head}kind: AlertRule\nmetadata: {{name: rule-{index:05d}}}\nspec:\n  when: {when}\n{more}"
            f"  severity: warning\n  annotations: {{summary: 'value of rule {index} is too high'}}\n"
        )


def main() -> None:
    """Measure, print for people, or with --json one object for programs."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rules", type=int, default=10_000)
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    texts = list(documents(options.rules))
    files = ["---\n".join(texts[begin : begin + 1000]) for begin in range(0, len(texts), 1000)]
    sources = [Source(f"rules-{number}.yaml", text) for number, text in enumerate(files)]
    figures: dict[str, float] = {"rules": options.rules}
    begin = time.process_time()

    def lap(name: str) -> None:
        nonlocal begin
        now = time.process_time()
        figures[name] = round(now - begin, 3)
        begin = now

    loaded = parse(sources)
    lap("read_s")
    rules = compile_rules(loaded)
    assert isinstance(rules, RuleSet), rules[:3]
    lap("compile_s")
    engine = Engine(rules, familiar_after=0)
    lap("engine_s")
    vehicle = engine.new_vehicle("v1")
    lap("first_vehicle_s")
    out: list[Outcome] = []
    engine.process(vehicle, Event(1000, 1200, dict.fromkeys(SIGNALS, 50.0)), 0, out)
    lap("first_message_s")
    before = time.process_time()
    for number in range(1000):
        engine.new_vehicle(f"v{number}")
    figures["new_vehicle_us"] = round((time.process_time() - before) * 1e3, 2)
    tracemalloc.start()
    another = Engine(rules)
    another.new_vehicle("v1")
    figures["engine_mb"] = round(tracemalloc.get_traced_memory()[0] / 1e6, 1)
    if options.json:
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name:16} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
